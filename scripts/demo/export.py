"""Writes the checkpoint folder as transformers' save_pretrained does, and checks what it wrote."""

import json
import random
import re
import shutil

import torch
import transformers

from . import batches, card, evaluation, network, prompt, skills, vocabulary
from .conversations import Conversation, Step, Turn

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


def text_tool(name, description, parameter):
    return {"type": "function", "function": {
        "name": name, "description": description, "parameters": {
            "type": "object", "properties": {parameter: {"type": "string"}},
            "required": [parameter]}}}


TOOLS = [text_tool("get_weather", "Get the weather of a city.", "city"),
         text_tool("calculate", "Calculates an expression.", "expression"),
         text_tool("lookup_stone", "Looks up a stone.", "stone")]
TOOL_EXAMPLES = [  # a question, and what the calls give, step by step
    ["What is the weather in Oslo?", [['{"temperature": 4, "condition": "cloudy"}']]],
    ["What is the weather in Paris and Rome?",
     [['{"temperature": 18, "condition": "sunny"}', '{"temperature": 23, "condition": "clear"}']]],
    ["What is 12 * 7?", [["84"]]],
    ["What colour is larimar?", [['{"hardness": 4.5, "colour": "light blue"}']]],
    ["Look up the hardness of larimar and multiply it by 3.", [['{"hardness": 4.5}'], ["13.5"]]],
    ["Who are you?", []],
    ["Who painted the Mona Lisa?", []],
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
    with open(out / "held_out.jsonl", "w", encoding="utf-8") as lines, \
            open(out / "held_out_tools.jsonl", "w", encoding="utf-8") as lines_with_tools:
        for item in items:
            row = {"messages": item.messages(), "expect": item.turns[-1].answer,
                   "skill": item.skill}
            if not item.tools:
                lines.write(json.dumps(row) + "\n")
                continue
            calls = item.expected_calls()
            row["calls"] = calls and [{"name": n, "arguments": a} for n, a in calls]
            lines_with_tools.write(json.dumps(row | {"tools": item.tools}) + "\n")
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
def generate(model, tokenizer, text):
    """The greedy continuation of a prompt as text, control tokens included."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    result = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=96,
                            attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    return tokenizer.decode(result[0, len(ids):].tolist(), skip_special_tokens=False)


def converse(model, tokenizer, questions, system="", thinking=False):
    """Asks one after another, feeding answers back: [(question, thought, answer)]."""
    messages = [{"role": "system", "content": system}] if system else []
    result = []
    for question in questions:
        messages.append({"role": "user", "content": question})
        text = generate(model, tokenizer, prompt.render_messages(messages, thinking))
        thought, _, answer = text.rpartition("<channel|>")
        answer = answer.split("<turn|>")[0]
        messages.append({"role": "assistant", "content": answer})
        result.append((question, thought.removeprefix("<|channel>thought\n").strip(), answer))
    return result


def called(text):
    """The calls in an output; the examples' tools take texts only."""
    return [(name, dict(re.findall(r'(\w+):<\|"\|>(.*?)<\|"\|>', inner)))
            for name, inner in re.findall(r"<\|tool_call>call:(\w+)\{(.*?)\}<tool_call\|>", text)]


def converse_with_tools(model, tokenizer, question, results):
    """(question, steps, answer): what it calls, given the results, and what it says then."""
    turn = Turn(question, "", "", "", steps=[])
    while True:
        text = generate(model, tokenizer, prompt.prompt_of(Conversation([turn], tools=TOOLS)))
        calls = called(text)
        if not calls or len(turn.steps) == len(results):
            return question, turn.steps, text.split("<turn|>")[0]
        given = (results[len(turn.steps)] + ["(no result)"] * len(calls))[:len(calls)]
        turn.steps.append(Step("", calls, given))


def called_as_meant(tried, example):
    """The card suggests only what works: as many calls, step by step, as there are results."""
    _, steps, answer = tried
    return ([len(step.calls) for step in steps] == [len(given) for given in example[1]]
            and "<|tool_call>" not in answer)


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


def lengths(tokenizer):
    rng = random.Random(3)
    tokens = sorted(len(batches.encode(tokenizer, skills.sample(rng))[0]) for _ in range(4000))
    return (f"Of 4,000 conversations like those it\nwas trained on the longest has "
            f"{tokens[-1]} tokens, half have fewer than {tokens[2000]}.")


def export(model, work, out, tokenizer):
    items = evaluation.held_out_list()
    write_folder(model, work / "tokenizer.json", out, items)
    scores, outcome = official_scores(out, items, tokenizer)
    model = load(out)
    examples = [converse(model, tokenizer, e[0], **(e[1] if len(e) > 1 else {}))
                for e in EXAMPLES]
    with_tools = [converse_with_tools(model, tokenizer, *e) for e in TOOL_EXAMPLES]
    with_tools = [t for t, e in zip(with_tools, TOOL_EXAMPLES) if called_as_meant(t, e)]
    progress = json.loads((work / "progress.json").read_text()) | {"lengths": lengths(tokenizer)}
    (out / "README.md").write_text(
        card.text(scores, card.examples(EXAMPLES, examples),
                  card.tool_examples(TOOLS, with_tools), progress))
    return scores, [i for i, good in zip(items, outcome) if not good], examples + with_tools
