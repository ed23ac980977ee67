"""Which frames are held out: never used in training, and the held-out list is made of them."""

import collections
import re
import zlib


HELD_OUT = set()


def held_out(text):
    return text in HELD_OUT


def reserve(*lists):
    """Holds out one frame in nine of each list; the lists ask for the same thing.

    Every word of a held-out frame stands in another frame of these lists too: a model that is
    trained on nothing else cannot guess a word it never saw.
    """
    count = collections.Counter(w for frames in lists for f in set(frames) for w in words_of(f))
    for frames in lists:
        fitting = [f for f in frames if all(count[w] > 1 for w in words_of(f))]
        fitting.sort(key=lambda f: zlib.crc32(("lapidary " + f).encode()))
        HELD_OUT.update(fitting[:max(1, round(len(frames) / 9))])


def words_of(frame):
    return set(re.findall(r"[a-z']+|\{.*?\}", frame))


def lines(block):
    return [line.strip() for line in block.strip().splitlines() if line.strip()]
