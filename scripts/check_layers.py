#!/usr/bin/env python3
"""Fails when an include runs against the order of the rooms, or a file is too long.

    server -> engine -> kernels      config is read by server and engine; tests see all

Each arrow is one step: server/ does not reach through engine/ into kernels/, but for a few doors.

Usage: check_layers.py [REPOSITORY]     prints one line a fault, exit status 1 when there is one.
"""

import re
import sys
from pathlib import Path

# What each room may include of ours, besides itself.
MAY_INCLUDE = {
    "config": set(),
    "kernels": set(),
    "engine": {"kernels", "config"},
    "server": {"engine", "config"},
    "tests": {"server", "engine", "kernels", "config"},
}
# Doors in a wall, file by file: the server makes the one backend that the engine then owns the use
# of, and a broken invariant is reported the same way in every room.
DOORS = {"server": {"kernels/backend.h", "kernels/check.h"}}
HTTPLIB_ROOM = "server/http/"
MAX_LINES = 500
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def include_faults(root, path, room, line, bracket, target):
    """Sentences about one include of the file `path` (relative to `root`)."""
    if re.search(r"(^|/)httplib\.h$", target):
        if not str(path).startswith(HTTPLIB_ROOM):
            yield f"{path}:{line}: only {HTTPLIB_ROOM} may include httplib"
        return
    target_room = target.split("/")[0]
    is_ours = target_room in MAY_INCLUDE and (root / target).is_file()
    if bracket == "<":
        if is_ours:
            yield f'{path}:{line}: <{target}> is ours: write it as "{target}"'
        return
    if not is_ours:
        yield f'{path}:{line}: "{target}" is no file of ours counted from the repository root'
    elif target_room not in MAY_INCLUDE[room] | {room} and target not in DOORS.get(room, set()):
        yield f"{path}:{line}: {room}/ must not include {target}"


def faults(root):
    for room in MAY_INCLUDE:
        for full_path in sorted((root / room).rglob("*")):
            if full_path.suffix not in SUFFIXES:
                continue
            path = full_path.relative_to(root)
            text = full_path.read_text(encoding="utf-8")
            n_lines = text.count("\n")
            if n_lines > MAX_LINES:
                yield f"{path}: {n_lines} lines, more than {MAX_LINES}"
            for match in INCLUDE.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                yield from include_faults(root, path, room, line, *match.groups())


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    if not all((root / room).is_dir() for room in MAY_INCLUDE):
        sys.exit(f"{root} has not the rooms {', '.join(MAY_INCLUDE)}: no repository of ours")
    found = list(faults(root))
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
