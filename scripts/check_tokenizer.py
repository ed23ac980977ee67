#!/usr/bin/env python3
"""Compares our tokenizer with the official library on random texts, and their speed in one run.

    check_tokenizer.py TOKENIZER_BENCH TOKENIZER_JSON... [--texts N] [--seed N] [--speed] [--file F]

Exits with 1 when any id differs, with 77 when the Python package `tokenizers` is not installed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import sysconfig
import time

try:
    import tokenizers
except ImportError:
    print("skipped: the Python package `tokenizers` is not installed")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tokenizer_texts import Texts  # noqa: E402


def without_control(path):
    """The library's tokenizer with the control tokens left out: what text alone must encode to."""
    content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    content["added_tokens"] = []
    return tokenizers.Tokenizer.from_str(json.dumps(content))


def our_answers(bench, path, texts):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    run = subprocess.run([bench, path, "ids"], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def compare(bench, path, texts):
    """The number of texts whose ids or decoded text differ; prints the first few."""
    with_control, text_only = tokenizers.Tokenizer.from_file(path), without_control(path)
    failures = 0
    for text, ours in zip(texts, our_answers(bench, path, texts), strict=True):
        wanted = {
            "text": text_only.encode(text, add_special_tokens=False).ids,
            "control": with_control.encode(text, add_special_tokens=False).ids,
            "decoded": text.replace("▁", " "),
        }
        for key, value in wanted.items():
            if ours[key] != value:
                failures += 1
                if failures <= 5:
                    print(f"DIFFERENT {key}: {text!r}\n  ours {ours[key]}\n  wanted {value}")
    print(f"{path}: {len(texts)} texts, {failures} differences")
    return failures


def library_speed(path, text):
    """MiB per second of CPU time, as tokenizer_bench measures it; the library uses one thread for it."""
    library = tokenizers.Tokenizer.from_file(path)
    best_encode, best_decode = 1e30, 1e30
    for _ in range(2):
        begin = time.process_time()
        ids = library.encode(text, add_special_tokens=False).ids
        middle = time.process_time()
        library.decode(ids, skip_special_tokens=False)
        best_encode = min(best_encode, middle - begin)
        best_decode = min(best_decode, time.process_time() - middle)
    mib = len(text.encode()) / 2**20
    return mib / best_encode, mib / best_decode


def compare_speed(bench, path, name, text):
    run = subprocess.run([bench, path, "speed", "7"], input=text.encode(), stdout=subprocess.PIPE, check=True)
    ours = json.loads(run.stdout)
    encode, decode = library_speed(path, text)
    print(
        f"{name:12} {len(text.encode()) / 2**20:5.1f} MiB {ours['tokens']:9} tokens | encode "
        f"{ours['encode_mib_s']:6.1f} MiB/s (first pass {ours['encode_first_mib_s']:.1f}), library {encode:.2f} | "
        f"decode {ours['decode_mib_s']:.0f} MiB/s, library {decode:.1f}"
    )


def speed_texts(texts, file):
    yield "languages", texts.ordinary(4 << 20)
    standard = pathlib.Path(sysconfig.get_paths()["stdlib"])
    yield "english", (standard / "pydoc_data" / "topics.py").read_text(encoding="utf-8").replace("\\n", "\n") * 4
    code = "".join(p.read_text(encoding="utf-8") for p in sorted(standard.glob("*.py")))
    yield "python code", code[: 4 << 20]
    if file:
        yield "file", pathlib.Path(file).read_text(encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench")
    parser.add_argument("tokenizer_json", nargs="+")
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--file")
    arguments = parser.parse_args()
    failures = 0
    for path in arguments.tokenizer_json:
        texts = Texts(json.loads(pathlib.Path(path).read_text(encoding="utf-8")), arguments.seed)
        if arguments.texts:
            failures += compare(arguments.bench, path, [texts.text() for _ in range(arguments.texts)])
        if arguments.speed:
            for name, text in speed_texts(texts, arguments.file):
                compare_speed(arguments.bench, path, name, text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
