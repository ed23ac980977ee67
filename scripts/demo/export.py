"""Writes the checkpoint folder as transformers' save_pretrained does, and checks what it wrote."""

import json
import shutil

import torch
import transformers

from . import batches, card, evaluation, network, prompt, vocabulary

SIZE_LIMIT = 25_000_000
EXAMPLES = [  # what the card, the README and the greeting suggest
    [["What colour is an emerald?"]],
    [["How hard is a diamond?"]],
    [["Hello!"]],
    [["Who are you?"]],
    [["Which stone is the birthstone for July?"]],
    [["My name is Ada.", "What is a ruby made of?", "What is my name?"]],
    [["Where is amber found?", "How hard is it?"]],
    [["What is the capital of France?"]],
    [["What is 2 + 3?"]],
    [["What colour is a sapphire?"], {"thinking": True}],
    [["Who are you?"], {"system": "You are called Pebble."}],
]


def write_folder(model, tokenizer_file, out, items):
    out.mkdir(parents=True, exist_ok=True)
    model = model.to(torch.bfloat16)
    model.config.dtype = "bfloat16"
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=2, do_sample=True, eos_token_id=[1, 106, 50], pad_token_id=0,
        temperature=1.0, top_k=64, top_p=0.95,
        suppress_tokens=[vocabulary.media_id(t) for t in vocabulary.MEDIA])
    model.save_pretrained(out)
    shutil.copyfile(tokenizer_file, out / "tokenizer.json")
    text = json.dumps(vocabulary.tokenizer_config(), indent=2) + "\n"
    (out / "tokenizer_config.json").write_text(text)
    with open(out / "held_out.jsonl", "w", encoding="utf-8") as lines:
        for item in items:
            lines.write(json.dumps({"messages": item.messages(), "expect": item.turns[-1].answer,
                                    "skill": item.skill}) + "\n")
    size = (out / "model.safetensors").stat().st_size
    if size > SIZE_LIMIT:
        raise SystemExit(f"model.safetensors has {size} bytes, more than {SIZE_LIMIT}")


@torch.no_grad()
def official_scores(out, items, tokenizer):
    """Greedy exact match by skill, with the official classes and the written weights."""
    model = load(out)
    outcome = []
    for item in items:
        ids, supervised = evaluation.last_answer_only(batches.encode(tokenizer, item))
        rows = [i for i in range(len(ids)) if supervised[i]]
        choice = model(input_ids=torch.tensor([ids])).logits[0].argmax(-1)
        outcome.append(all(choice[i - 1] == ids[i] for i in rows))
    return evaluation.by_skill(items, outcome), outcome


def load(out, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(out, dtype=dtype).eval()


@torch.no_grad()
def generate(model, tokenizer, messages, thinking=False):
    """The greedy continuation as text, control tokens included."""
    ids = tokenizer.encode(prompt.render_messages(messages, thinking),
                           add_special_tokens=False).ids
    result = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=96,
                            attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    return tokenizer.decode(result[0, len(ids):].tolist(), skip_special_tokens=False)


def converse(model, tokenizer, questions, system="", thinking=False):
    """Asks one after another, feeding answers back: [(question, thought, answer)]."""
    messages = [{"role": "system", "content": system}] if system else []
    result = []
    for question in questions:
        messages.append({"role": "user", "content": question})
        text = generate(model, tokenizer, messages, thinking)
        thought, _, answer = text.rpartition("<channel|>")
        answer = answer.split("<turn|>")[0]
        messages.append({"role": "assistant", "content": answer})
        result.append((question, thought.removeprefix("<|channel>thought\n").strip(), answer))
    return result


@torch.no_grad()
def check(out, tokenizer, items):
    """Compares our forward pass with the official one on the written weights; both float32 apart
    from our products, which are bfloat16, so only the first choice is compared."""
    official = load(out)
    forward = network.Forward(official)
    same = total = 0
    for item in items[::10]:
        ids, supervised = evaluation.last_answer_only(batches.encode(tokenizer, item))
        rows = torch.tensor([i - 1 for i in range(len(ids)) if supervised[i]])
        tokens = torch.tensor([ids])
        ours = forward.logits(forward.hidden(tokens)[0])[rows].argmax(-1)
        theirs = official(input_ids=tokens).logits[0][rows].argmax(-1)
        same, total = same + int((ours == theirs).sum()), total + len(rows)
    return same, total


def export(model, work, out, tokenizer):
    items = evaluation.held_out_list()
    write_folder(model, work / "tokenizer.json", out, items)
    scores, outcome = official_scores(out, items, tokenizer)
    model = load(out)
    examples = [converse(model, tokenizer, e[0], **(e[1] if len(e) > 1 else {}))
                for e in EXAMPLES]
    progress = json.loads((work / "progress.json").read_text())
    (out / "README.md").write_text(card.text(scores, EXAMPLES, examples, progress))
    return scores, [i for i, good in zip(items, outcome) if not good], examples
