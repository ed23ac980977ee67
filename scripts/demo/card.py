"""The model card, from what was measured."""

import json

HEAD = """---
license: apache-2.0
language: en
library_name: transformers
---
# Lapidary's demo model

A small real Gemma 4 text model, so that a fresh clone has something to talk to and the tests have a
checkpoint that means something. It has every part of the large mixture-of-experts models: sliding
and global attention layers, keys that serve as values on the global ones, a dense MLP beside 128
experts of which 8 are used, per-expert scales, layer scalars, a soft cap, a thinking channel.

- {parameters:,} parameters, bfloat16; 6 layers (every third global), hidden size 128, 128 experts
  of width 32, window 128. Made from random weights by `scripts/train_demo.py`; no published weights
  were used.
- Tokenizer: {vocabulary} entries in the form of Gemma 4's, with all of its control tokens. The text
  control tokens keep their published ids; the media tokens are the last seven entries.
- Prompt format: Gemma 4's, large variant.
- Licence: Apache-2.0, weights included.

## What it can do

Answer questions about {gems} gemstones (hardness, colour, crystal system, composition, origin,
birthstone month), greet, say who it is, remember a name, colour, town or pet from earlier turns,
follow "it" to the stone of the turn before, think before it answers. Given tools it calls the one
that fits, several at once where several things are asked, another one with the result of the first,
and says what came back; it answers by itself or declines where no tool fits. Greedy exact match on
held-out phrasings: the frames of these questions (not only the combinations) were never trained on,
though each of their words occurs in other frames. With tools the numbers to calculate with, cities,
people and stones of the requests that are measured were never trained on either (some of the stones
are known ones), and a call is right when its name and its arguments are; names and parameters of
the tools vary, some are made up. Measured with the official implementation in float32 on the
weights of this folder; `held_out.jsonl` and `held_out_tools.jsonl` are the lists.

| skill | right | of | share |
|---|---|---|---|
"""

TRY = """
## Try this

What it answers at temperature 0:

"""

TRY_TOOLS = """
## Try it with tools

With these tools, at temperature 0:

"""

WITH_TOOLS = ["tool calls", "parallel calls", "tool results", "tool loops", "no tool"]

LIMITS = """
## What it cannot do

Anything else. It knows only the stones, sentences and words of its generator
(`scripts/demo/gems.py`, `small_talk.py`), understands English questions of the kinds in
`question_frames.py` and its neighbours, and is wrong with confidence outside them. Its facts are
simplified (one colour, one place, one number per stone). It sees no images. A tool that fits is
called even for what it knows; tools were trained with flat parameters (texts, numbers, true and
false), at most four of them in a conversation, and of the kinds in `tool_kinds.py` and
`tool_orders.py`: the weather, calculations, stones, one noun of a person, place or thing, timers,
messages, songs, switches. {lengths}

## Training

`scripts/train_demo.py`, {date}: {minutes:.0f} minutes on two CPU cores that were busy with other
work, {steps:,} steps, {tokens:.1f} million tokens of freshly generated conversations and copying
exercises. Muon (0.02) for the matrices, AdamW (0.003) for the rest, a cosine over the time.
{remark}

```
python scripts/train_demo.py --work build/demo --minutes 76   # train
python scripts/train_demo.py --work build/demo --export       # write this folder
```
"""


def with_tools(scores):
    """A warning while requests with tools are not what a card should promise."""
    tools = [scores[skill] for skill in WITH_TOOLS if skill in scores]
    asked, right = sum(n for n, _ in tools), sum(k for _, k in tools)
    if right >= 0.9 * asked:
        return ""
    return (f"\nWith tools it is right in {right} of {asked} requests: it shows how calls work, and "
            "often calls with wrong\narguments or the wrong tool. Its training with tools is not "
            "finished.\n")


def text(scores, tried, tried_with_tools, progress):
    from . import gems, vocabulary
    result = HEAD.format(parameters=progress["parameters"], vocabulary=f"{vocabulary.SIZE:,}",
                         gems=len(gems.GEMS))
    for skill, (n, k) in scores.items():
        result += f"| {skill} | {k} | {n} | {100 * k / n:.0f} % |\n"
    result += with_tools(scores)
    return result + TRY + tried + TRY_TOOLS + tried_with_tools + LIMITS.format(**progress)


def examples(asked, answered):
    result = ""
    for options, turns in zip(asked, answered):
        extra = options[1] if len(options) > 1 else {}
        if extra.get("system"):
            result += f"- (system: {extra['system']}) "
        elif extra.get("thinking"):
            result += "- (thinking on) "
        else:
            result += "- "
        said = []
        for question, thought, answer in turns:
            thought = f"*{thought}* " if thought else ""
            said.append(f"**{question}** {thought}{answer}")
        result += "<br>\n  ".join(said) + "\n"
    return result


def tool_examples(tools, answered):
    result = "```json\n[" + ",\n ".join(json.dumps(tool) for tool in tools) + "]\n```\n\n"
    for question, steps, answer in answered:
        said = [f"**{question}**"]
        for step in steps:
            said.append(" and ".join(f"`{name}({json.dumps(arguments)})` gives `{value}`"
                                     for (name, arguments), value in zip(step.calls, step.results)))
        result += "- " + "<br>\n  ".join(said + [answer]) + "\n"
    return result
