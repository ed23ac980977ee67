"""Greedy exact match on held-out phrasings.

With the right answer fed in, the model's first choice is right at every position exactly when
greedy decoding writes that answer, so one forward pass measures a whole list.
"""

import collections
import random

import torch

from . import batches, skills

COUNTS = {"facts": 150, "greetings": 50, "general": 15, "follow-up": 20, "outside": 20,
          "memory": 20, "repeating": 5, "system": 10, "arithmetic": 10, "tool calls": 60,
          "parallel calls": 30, "tool results": 40, "tool loops": 20, "no tool": 30}


def held_out_list(seed=7):
    rng = random.Random(seed)
    return [c for skill, count in COUNTS.items()
            for c in skills.measure(rng, skill, count)]


def last_answer_only(sample):
    ids, supervised = sample
    end = len(ids)
    start = max(i for i in range(end) if not supervised[i]) + 1
    return ids, [start <= i for i in range(end)]


@torch.no_grad()
def right(forward, tokenizer, items):
    """One boolean per conversation."""
    result = [False] * len(items)
    samples = [last_answer_only(batches.encode(tokenizer, c)) for c in items]
    order = sorted(range(len(items)), key=lambda i: len(samples[i][0]))
    for start in range(0, len(order), 24):
        chosen = order[start:start + 24]
        tokens, targets, rows = batches.collate([samples[i] for i in chosen])
        logits = forward.logits(forward.hidden(tokens)[0].index_select(0, rows))
        good = logits.argmax(-1) == targets
        owner = rows // tokens.shape[1]
        for b, i in enumerate(chosen):
            result[i] = bool(good[owner == b].all())
    return result


def by_skill(items, outcome):
    table = collections.OrderedDict()
    for item, good in zip(items, outcome):
        n, k = table.get(item.skill, (0, 0))
        table[item.skill] = (n + 1, k + good)
    return table
