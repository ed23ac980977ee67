#!/usr/bin/env python3
"""Writes server/dialect/lower_case_table.h: Python's lower() of single characters, as ranges.

The chat template orders keys by it, so the table comes from the language that the template runs on.
"""

import pathlib
import unicodedata

OUT = pathlib.Path(__file__).parent.parent / "server/dialect/lower_case_table.h"
HEAD = """\
// Written by scripts/make_lower_case_table.py (Unicode {version}): what Python's lower() makes of one
// character, where that is one other character. U+0130 alone becomes two and is not in the table.
#pragma once

#include <cstdint>

namespace lapidary {{

// Every `step`-th code point from `first` to `last` moves by `shift`.
struct LowerCaseRange {{
  uint32_t first, last, step;
  int32_t shift;
}};

inline constexpr LowerCaseRange kLowerCaseRanges[] = {{
"""


def ranges():
    moved = [(c, ord(chr(c).lower()) - c) for c in range(0x110000)
             if len(chr(c).lower()) == 1 and chr(c).lower() != chr(c)]
    found = []
    for code, shift in moved:
        if found:
            first, last, step, old = found[-1]
            gap = code - last
            if old == shift and (gap == step or (first == last and gap <= 2)):
                found[-1] = (first, code, gap, shift)
                continue
        found.append((code, code, 1, shift))
    return found


def main():
    with OUT.open("w", encoding="ascii", newline="\n") as out:
        out.write(HEAD.format(version=unicodedata.unidata_version))
        for first, last, step, shift in ranges():
            out.write(f"    {{0x{first:X}, 0x{last:X}, {step}, {shift}}},\n")
        out.write("};\n\n}  // namespace lapidary\n")
    print(f"{OUT}: {len(ranges())} ranges")


if __name__ == "__main__":
    main()
