#!/usr/bin/env python3
"""Disassembles the matrix tiles and fails when an accumulator lives in memory.

usage: check_tiles.py LIBRARY    (exit 77: objdump or the AVX-512 code is not there)

A compiler that does not unroll a loop over the accumulators keeps them on the stack, and the
same source then runs at half the speed. So: in the innermost loops of the largest tile, no
vector register may be stored.
"""
import re
import shutil
import subprocess
import sys

FUNCTION = re.compile(r"^[0-9a-f]+ <.*\btile<.*(DotBf16|WideBf16|WideF32), 6, [14]>")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
PRODUCTS = re.compile(r"^(vdpbf16ps|vfmadd\w*ps)$")
STORE = re.compile(r"%[yz]mm\d+,\s*-?(0x)?[0-9a-f]*\(")


def functions(text):
    body = None
    for line in text.splitlines():
        if re.match(r"^[0-9a-f]+ <", line):
            if body:
                yield body
            body = (line, []) if FUNCTION.match(line) else None
        elif body and (match := LINE.match(line)):
            body[1].append((int(match[1], 16), match[2], match[3]))
    if body:
        yield body


def loops(code):
    """Instructions between the target of a backward jump and the jump, innermost only."""
    spans = []
    for address, name, operands in code:
        if name.startswith("j") and (match := re.match(r"([0-9a-f]+)\b", operands)):
            if int(match[1], 16) < address:
                spans.append((int(match[1], 16), address))
    for first, last in spans:
        if not any(o != (first, last) and first <= o[0] and o[1] <= last for o in spans):
            yield [c for c in code if first <= c[0] <= last]


def main():
    if not shutil.which("objdump"):
        return 77
    text = subprocess.run(["objdump", "-dC", "--no-show-raw-insn", sys.argv[1]],
                          capture_output=True, text=True, check=True).stdout
    checked = 0
    for name, code in functions(text):
        for loop in loops(code):
            if sum(bool(PRODUCTS.match(c[1])) for c in loop) < 12:
                continue
            checked += 1
            for address, instruction, operands in loop:
                if STORE.search(operands) and instruction.startswith("vmov"):
                    print(f"{name}\n  {address:x}: {instruction} {operands}")
                    return 1
    print(f"{checked} tile loops keep their accumulators in registers")
    return 0 if checked else 77


if __name__ == "__main__":
    sys.exit(main())
