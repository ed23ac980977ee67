#!/usr/bin/env python3
"""Writes what the official library (`tokenizers`) says to tests/golden/tokenizer/*.golden.json.

    make_tokenizer_goldens.py            the goldens of every tokenizer below
    make_tokenizer_goldens.py --train    also trains tests/golden/tokenizer/unsplit.tokenizer.json anew

Each golden is [text, ids of the text alone, ids with control tokens read from it, or null when they
are the same]. Needs `pip install tokenizers==0.23.3`; read the diff of what changes.
"""

import argparse
import json
import lzma
import pathlib

import tokenizers

from tokenizer_texts import EMOJI, PARAGRAPHS, RUNS, Texts

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
FOLDER = GOLDEN / "tokenizer"
CONTROL_FROM = GOLDEN / "tokenizer_small" / "tokenizer.json"


def train_unsplit():
    """A tokenizer learnt without any splitting, so that its entries hold spaces, newlines and digits
    in their middle: nothing that is true of Gemma's entries may be taken for granted with it. Each
    entry has one merge, written in the older form "left right"."""
    small = json.loads(CONTROL_FROM.read_text(encoding="utf-8"))
    control = [token["content"] for token in small["added_tokens"]]
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=2000 - 256, special_tokens=control, show_progress=False, max_token_length=24)
    trained.train_from_iterator([(p + "\n").replace(" ", "▁") for p in PARAGRAPHS] * 2, trainer)
    content = json.loads(trained.to_str())
    vocab = list(content["model"]["vocab"].items())
    vocab += [(byte, len(vocab) + i) for i, byte in enumerate(byte_tokens)]
    for key in ("normalizer", "pre_tokenizer", "decoder"):
        content[key] = small[key]
    merges = [" ".join(merge) for merge in content["model"]["merges"]]
    content["model"] = {**small["model"], "vocab": dict(vocab), "merges": merges}
    path = FOLDER / "unsplit.tokenizer.json"
    path.write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def chosen_texts(tokenizer_json):
    """Every control token, alone and where merges might reach over it; every kind of run."""
    control = [token["content"] for token in tokenizer_json["added_tokens"]]
    yield from PARAGRAPHS
    yield from EMOJI
    yield ""
    for text in control:
        yield from (text, f"see {text}\n", text[:-1] + " " + text[-1:], f"<{text}>", text + text)
    for run in RUNS:
        yield from (run * n for n in (1, 2, 3, 16, 30, 31, 32, 40, 63, 70))
        yield from (f"a{run * n}b" for n in (1, 2, 31, 32))
    yield from (chr(c) for c in range(1, 0x180))
    yield from ("</s>", "<table>", "[multimodal]", "<unused7>", "<0x41>", "\r\n", "\ufeff", "a\u0301")


def goldens(tokenizer_json, n_random, seed):
    with_control = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json))
    text_only = tokenizers.Tokenizer.from_str(json.dumps({**tokenizer_json, "added_tokens": []}))
    texts = Texts(tokenizer_json, seed)
    cases = []
    for text in [*chosen_texts(tokenizer_json), *(texts.text() for _ in range(n_random))]:
        plain = text_only.encode(text, add_special_tokens=False).ids
        control = with_control.encode(text, add_special_tokens=False).ids
        cases.append([text, plain, None if plain == control else control])
    return cases


def write(name, tokenizer_json, n_random, seed):
    cases = goldens(tokenizer_json, n_random, seed)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    (FOLDER / f"{name}.golden.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{name}: {len(cases)} texts")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true")
    if parser.parse_args().train:
        train_unsplit()
    real = lzma.decompress((FOLDER / "gemma4.tokenizer.json.xz").read_bytes())
    write("gemma4", json.loads(real), 1000, 11)
    write("small", json.loads(CONTROL_FROM.read_text(encoding="utf-8")), 200, 12)
    unsplit = (FOLDER / "unsplit.tokenizer.json").read_text(encoding="utf-8")
    write("unsplit", json.loads(unsplit), 400, 13)


if __name__ == "__main__":
    main()
