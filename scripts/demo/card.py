"""The model card, from what was measured."""

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
follow "it" to the stone of the turn before, think before it answers. Greedy exact match on held-out
phrasings: the frames of these questions (not only the combinations) were never trained on, though
each of their words occurs in other frames. Measured with the official implementation in float32 on
the weights of this folder; `held_out.jsonl` is the list.

| skill | right | of | share |
|---|---|---|---|
"""

LIMITS = """
## What it cannot do

Anything else. It knows only the stones, sentences and words of its generator
(`scripts/demo/gems.py`, `small_talk.py`), understands English questions of the kinds in
`question_frames.py` and its neighbours, and is wrong with confidence outside them. Its facts are
simplified (one colour, one place, one number per stone). It calls no tools and sees no images. The
longest conversations it was trained on have about 400 tokens, half of them fewer than 70.

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


def text(scores, asked, examples, progress):
    from . import gems, vocabulary
    result = HEAD.format(parameters=progress["parameters"], vocabulary=f"{vocabulary.SIZE:,}",
                         gems=len(gems.GEMS))
    for skill, (n, k) in scores.items():
        result += f"| {skill} | {k} | {n} | {100 * k / n:.0f} % |\n"
    result += "\n## Try this\n\nWhat it answers at temperature 0:\n\n"
    for options, turns in zip(asked, examples):
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
    return result + LIMITS.format(**progress)
