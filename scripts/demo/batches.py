"""Turns conversations into batches of about the same number of tokens, bucketed by length."""

import random

import torch

from . import prompt, skills, vocabulary

COPY_FIRST = 370  # ids of ordinary characters and words
COPY_LENGTH = 96
POOL = 24         # batches made at once, so that a batch holds conversations of like length


def encode(tokenizer, conversation):
    """ids and, for each, whether the model has to predict it."""
    ids, supervised = [], []
    for text, wanted in prompt.training_pieces(conversation):
        piece = tokenizer.encode(text, add_special_tokens=False).ids
        ids += piece
        supervised += [wanted] * len(piece)
    return ids, supervised


def collate(samples):
    """[(ids, supervised)] -> right-padded ids, the targets, and the rows that predict them."""
    longest = max(len(ids) for ids, _ in samples)
    longest = (longest + 7) // 8 * 8
    tokens = torch.zeros(len(samples), longest, dtype=torch.long)
    targets, rows = [], []
    for b, (ids, supervised) in enumerate(samples):
        tokens[b, :len(ids)] = torch.tensor(ids)
        for i in range(1, len(ids)):
            if supervised[i]:
                targets.append(ids[i])
                rows.append(b * longest + i - 1)
    return tokens, torch.tensor(targets), torch.tensor(rows)


def copy_batch(rng, tokens):
    """The warm-up: junk, a segment, a gap, the segment again; only the second copy supervised."""
    samples = []
    high = vocabulary.SIZE - len(vocabulary.MEDIA)
    for _ in range(tokens // COPY_LENGTH):
        def draw(count):
            return [rng.randrange(COPY_FIRST, high) for _ in range(count)]
        segment = draw(rng.randint(12, 44))
        room = COPY_LENGTH - 1 - 2 * len(segment)
        junk = rng.randint(0, min(room, 16))
        head = [2] + draw(junk) + segment + draw(rng.randint(0, min(room - junk, 16)))
        head.append(segment[0])
        samples.append((head + segment[1:], [False] * len(head) + [True] * (len(segment) - 1)))
    return collate(samples)


def batches(tokenizer, seed, tokens):
    """Endless batches of fresh conversations, about `tokens` padded tokens each."""
    rng = random.Random(seed)
    while True:
        pool, size = [], 0
        while size < tokens * POOL:
            sample = encode(tokenizer, skills.sample(rng))
            if len(sample[0]) <= 1500:
                pool.append(sample)
                size += len(sample[0])
        pool.sort(key=lambda s: len(s[0]))
        ready, batch = [], []
        for sample in pool:
            if batch and (len(batch) + 1) * (len(sample[0]) + 7) > tokens:
                ready.append(batch)
                batch = []
            batch.append(sample)
        ready.append(batch)
        rng.shuffle(ready)
        for batch in ready:
            yield collate(batch)
