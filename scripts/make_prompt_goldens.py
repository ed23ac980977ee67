#!/usr/bin/env python3
"""Writes conversations and what the official chat template makes of them.

  make_prompt_goldens.py TEMPLATE_LARGE TEMPLATE_SMALL [--out FILE] [--count N]
      renders generated conversations (fixed seed) with both revisions of the template, the way
      transformers does (Jinja2 with trim_blocks and lstrip_blocks), and writes one JSON line each:
      {"variant", "thinking", "preserve", "generate", "messages", "prompt"}.
  make_prompt_goldens.py --tools TEMPLATE_LARGE TEMPLATE_SMALL [--out FILE] [--count N]
      the same for conversations with tools; "tools" is the JSON text of the declarations. One defect
      of the template is mended in what is expected: behind a model turn that called tools, got
      results and said something, the template closes the turn and opens none for the answer.
  make_prompt_goldens.py --vectors FILE --out FILE
      brings published cases ([{"messages", "kwargs", "large", "small"}, ...]) into the same form,
      for a run of the test over them (LAPIDARY_PROMPT_GOLDENS=FILE). Those that show what the
      server refuses or mends are left out, by name.

Needs jinja2. The prompt renderer's test compares every line byte for byte.
"""

import argparse
import json
import lzma
import pathlib
import random

SEED = 20260709
GOLDENS = pathlib.Path(__file__).parent.parent / "tests/golden/prompts"
DEFAULT_OUT = GOLDENS / "conversations.jsonl"
DEFAULT_TOOLS_OUT = GOLDENS / "tool_conversations.jsonl.xz"

# Every character that Python's strip() takes away, and three that only look as if it did.
STRIPPED = [chr(c) for c in range(0x110000) if chr(c).isspace()]
NOT_STRIPPED = ["\u200b", "\ufeff", "\u180e"]
CONTROL = [
    "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|tool_call>",
    "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>', "<|think|>", "<|channel>",
    "<channel|>", "<|turn>", "<turn|>", "<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>",
    "<|audio|>", "<|video|>",
]
WORDS = [
    "Hi", "hello", "What is", "ruby", "the hardness", "2 + 2", "42", "Tokyo?", "don't", "a<b", "x > y",
    "line one\nline two", "\n\n", "  two  spaces", "\tindent", "caf\u00e9", "na\u00efve", "\u00df",
    "\u65e5\u672c\u8a9e", "\u0440\u0443\u0441", "\u0639\u0631\u0628", "\U0001f48e",
    "e\u0301", "<div>", "</s>", "<|", "|>", "<turn", "thought\n",
    "{\"k\": 1}", "```py\nx\n```", "\u2581", "<channel", "|channel>", "model\n", "\\n", "'", '"',
]


def text(rng, control_share=0.08):
    """A short text with odd white space at either end now and then."""
    if rng.random() < 0.04:
        return ""
    parts = []
    for _ in range(rng.randint(1, 3)):
        pick = rng.random()
        if pick < control_share:
            parts.append(rng.choice(CONTROL))
        elif pick < control_share + 0.06:
            parts.append(rng.choice(STRIPPED + NOT_STRIPPED))
        else:
            parts.append(rng.choice(WORDS))
    body = rng.choice(["", " "]).join(parts)
    if rng.random() < 0.35:
        body = odd_space(rng) + body
    if rng.random() < 0.35:
        body += odd_space(rng)
    return body


def odd_space(rng):
    if rng.random() < 0.5:
        return rng.choice([" ", "  ", "\n", "\n\n", " \n", "\t", "\r\n"])
    return "".join(rng.choice(STRIPPED + NOT_STRIPPED) for _ in range(rng.randint(1, 3)))


def spelled_thoughts(rng):
    """An assistant's text that still has its channel markup in it, well formed or not."""
    pieces = [text(rng, 0.0), "<|channel>thought\n", text(rng, 0.0), "<channel|>", text(rng, 0.0)]
    if rng.random() < 0.5:
        pieces.insert(rng.randrange(len(pieces)), rng.choice(["<|channel>", "<channel|>"]))
    if rng.random() < 0.3:
        pieces.pop(rng.randrange(len(pieces)))
    if rng.random() < 0.2:
        rng.shuffle(pieces)
    return "".join(pieces)


def content(rng, role):
    single = spelled_thoughts if role == "assistant" and rng.random() < 0.3 else text
    if rng.random() < 0.72:
        return single(rng)
    if role == "assistant" and rng.random() < 0.1:
        return None
    kinds = ["text"] * 4
    if role != "assistant":
        kinds += ["image", "image_url", "audio", "input_audio", "video"]
    parts = []
    for _ in range(rng.randint(0, 3)):
        kind = rng.choice(kinds)
        parts.append({"type": "text", "text": single(rng)} if kind == "text" else {"type": kind})
    return parts


def message(rng, role):
    made = {"role": role, "content": content(rng, role)}
    if rng.random() < (0.4 if role == "assistant" else 0.03):
        made[rng.choice(["reasoning", "reasoning_content"])] = text(rng)
    return made


def conversation(rng):
    messages = []
    if rng.random() < 0.35:
        messages.append(message(rng, rng.choice(["system", "system", "developer"])))
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
        messages.append(message(rng, "user"))
        for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 3])):
            messages.append(message(rng, "assistant"))
        if rng.random() < 0.12:
            messages.append(message(rng, rng.choice(["system", "developer"])))
        if rng.random() < 0.05:
            messages.append({"role": "tool", "tool_call_id": "c1", "content": text(rng)})
    if rng.random() < 0.08:
        messages.insert(0, message(rng, "assistant"))
    if rng.random() < 0.5 and (not messages or messages[-1]["role"] == "assistant"):
        messages.append(message(rng, "user"))
    return messages


def compile_template(path):
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(pathlib.Path(path).read_text(encoding="utf-8"))


def generate(templates, count):
    rng = random.Random(SEED)
    for _ in range(count):
        case = {
            "variant": rng.choice(sorted(templates)),
            "thinking": rng.random() < 0.4,
            "preserve": rng.random() < 0.2,
            "generate": rng.random() < 0.8,
            "messages": conversation(rng),
        }
        case["prompt"] = templates[case["variant"]].render(
            messages=case["messages"], bos_token="<bos>", enable_thinking=case["thinking"],
            preserve_thinking=case["preserve"], add_generation_prompt=case["generate"])
        yield case


def mended(prompt, closed, case):
    """A prompt to be answered, with the turn that the template forgets to open."""
    if not closed.endswith("<turn|>\n"):
        return prompt
    empty_thought = case["variant"] == "large" and not case["thinking"]
    return closed + "<|turn>model\n" + ("<|channel>thought\n<channel|>" if empty_thought else "")


def generate_with_tools(templates, count):
    import tool_conversations

    rng = random.Random(SEED + 1)
    for _ in range(count):
        case = {
            "variant": rng.choice(sorted(templates)),
            "thinking": rng.random() < 0.4,
            "preserve": rng.random() < 0.25,
            "generate": rng.random() < 0.8,
            "tools": tool_conversations.tools(rng),
            "messages": tool_conversations.conversation(rng),
        }

        def render(generate, case=case):
            return templates[case["variant"]].render(
                messages=tool_conversations.as_template_takes_it(case["messages"]),
                tools=json.loads(case["tools"]) if case["tools"] else None, bos_token="<bos>",
                enable_thinking=case["thinking"], preserve_thinking=case["preserve"],
                add_generation_prompt=generate)

        closed = render(False)
        case["prompt"] = mended(render(True), closed, case) if case["generate"] else closed
        yield case


def left_out(case):
    """Why a published case is none of the server's, or nothing."""
    if case["large"].startswith("EXC"):
        return "an error of the template"
    schemas = json.dumps(case["kwargs"].get("tools") or [])
    if any(key in schemas for key in ("anyOf", "$ref", '["string", "null"]')):
        return "a schema that is mended"
    if any("parameters" in t["function"] and "type" not in t["function"]["parameters"]
           for t in case["kwargs"].get("tools") or []):
        return "parameters without a type"
    calls = {c.get("id") for m in case["messages"] for c in m.get("tool_calls") or []}
    if any(m["role"] == "tool" and calls and m.get("tool_call_id") not in calls
           for m in case["messages"]):
        return "a result that answers no call"
    if any("tool_responses" in m for m in case["messages"]):
        return "Google's own form of results"
    return None


def from_vectors(path):
    for case in json.loads(pathlib.Path(path).read_text(encoding="utf-8")):
        kwargs = case["kwargs"]
        if why := left_out(case):
            print(f"left out: {case['name']}: {why}")
            continue
        for message_ in case["messages"]:
            for call in message_.get("tool_calls") or []:
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
        for variant in ("large", "small"):
            made = {
                "variant": variant,
                "thinking": kwargs.get("enable_thinking", False),
                "preserve": kwargs.get("preserve_thinking", False),
                "generate": kwargs.get("add_generation_prompt", True),
                "tools": json.dumps(kwargs["tools"]) if kwargs.get("tools") else None,
                "messages": case["messages"],
                "prompt": case[variant],
            }
            behind_content = made["prompt"].removesuffix("<|channel>thought\n")
            if made["generate"] and behind_content.endswith("<turn|>\n"):
                made["prompt"] = mended(made["prompt"], behind_content, made)
            yield made


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("template_large", nargs="?")
    parser.add_argument("template_small", nargs="?")
    parser.add_argument("--vectors")
    parser.add_argument("--tools", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--count", default=2200, type=int)
    arguments = parser.parse_args()
    if arguments.vectors:
        cases = from_vectors(arguments.vectors)
    elif arguments.template_large and arguments.template_small:
        templates = {"large": compile_template(arguments.template_large),
                     "small": compile_template(arguments.template_small)}
        cases = (generate_with_tools if arguments.tools else generate)(templates, arguments.count)
    else:
        parser.error("give both templates, or --vectors")
    path = arguments.out or (DEFAULT_TOOLS_OUT if arguments.tools else DEFAULT_OUT)
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "wt", encoding="ascii", newline="\n") as out:
        n_cases = 0
        for case in cases:
            out.write(json.dumps(case, separators=(",", ":")) + "\n")
            n_cases += 1
    print(f"{path}: {n_cases} cases")


if __name__ == "__main__":
    main()
