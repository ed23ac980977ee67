#!/usr/bin/env python3
"""What the compiler made of the CUDA kernels: registers, shared memory, spills, and how often the
instructions that matter stand in the machine code.

  scripts/kernel_report.py LIBRARY [--arch sm_90a] [--only TEXT] [--check]

LIBRARY: build/release/kernels/cuda/liblapidary_cuda.a. Needs cuobjdump and nvdisasm (CUDA's, or
the PyPI packages nvidia-cuda-cuobjdump and nvidia-cuda-nvdisasm); exit status 77 without them or
without the library. With --check, exit status 1 when a kernel keeps registers in memory.
"""
import argparse
import glob
import os
import pathlib
import re
import shutil
import site
import subprocess
import sys

# Column and what of an instruction's name it counts.
COUNTED = [
    ("ld128", re.compile(r"^LDG\.E.*\.128")),
    ("ld", re.compile(r"^LDG\.E(?!.*\.128)")),
    ("cp16", re.compile(r"^LDGSTS.*\.128")),
    ("ldsm", re.compile(r"^LDSM")),
    ("lds128", re.compile(r"^LDS.*\.128")),
    ("hmma", re.compile(r"^HMMA")),
    ("hgmma", re.compile(r"^HGMMA")),
    ("tma", re.compile(r"^UTMALDG")),
    ("st128", re.compile(r"^STG\.E.*\.128")),
    ("ffma", re.compile(r"^FFMA")),
    ("local", re.compile(r"^(LDL|STL)")),
]
# A table of the reduction of large angles, indexed at run time, is its only local memory.
INDEXED_TABLES = ("rope_table_kernel",)
# Where pip puts NVIDIA's tools; they need not be executable by name.
PACKAGED = [folder for packages in [*site.getsitepackages(), site.getusersitepackages()]
            for folder in sorted(glob.glob(f"{packages}/nvidia/**/bin", recursive=True))]
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def resources(library):
    """{(arch, kernel): {name: number}}"""
    found, arch, kernel = {}, None, None
    for line in run("cuobjdump", "--dump-resource-usage", library).splitlines():
        if match := re.match(r"arch = (\S+)", line):
            arch = match[1]
        elif match := re.match(r"\s*Function (\S+):", line):
            kernel = match[1]
        elif kernel and "REG:" in line:
            found[arch, kernel] = {k: int(v) for k, v in re.findall(r"(\w+):(\d+)", line)}
    return found


def instructions(library):
    """{(arch, kernel): {column: count}}"""
    found, arch, kernel = {}, None, None
    for line in run("cuobjdump", "-sass", library).splitlines():
        if match := re.match(r"arch = (\S+)", line):
            arch = match[1]
        elif match := re.match(r"\s*Function : (\S+)", line):
            kernel = match[1]
            found[arch, kernel] = {name: 0 for name, _ in COUNTED}
        elif match := INSTRUCTION.match(line):
            for name, pattern in COUNTED:
                found[arch, kernel][name] += bool(pattern.match(match[1]))
    return found


def readable(kernels):
    plain = run("c++filt", *kernels).splitlines()
    short = []
    for name in plain:
        name = re.sub(r"^void ", "", name)
        name = re.sub(r"lapidary::cuda::|\(anonymous namespace\)::", "", name)
        name = re.sub(r"\(\w+\)(?=-?\d)", "", name)  # casts of template arguments
        short.append(re.sub(r"\((?!anonymous).*$", "", name).replace("__nv_", ""))
    return short


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("--arch", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if not pathlib.Path(arguments.library).exists():
        print(f"Skipped: {arguments.library} is not there; it is built where nvcc is")
        return 77
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *PACKAGED])
    if not shutil.which("cuobjdump") or not shutil.which("nvdisasm"):
        print("Skipped: cuobjdump or nvdisasm is not there")
        return 77
    used, code = resources(arguments.library), instructions(arguments.library)
    keys = sorted(used)
    names = dict(zip(keys, readable([kernel for _, kernel in keys])))
    keys = [k for k in keys if arguments.arch in k[0] and arguments.only in names[k]]
    keys.sort(key=lambda k: (k[0], names[k]))
    columns = [name for name, _ in COUNTED]
    width = max((len(names[k]) for k in keys), default=6)
    print(f"{'kernel':{width}} {'arch':7} {'regs':>5} {'shared':>7} {'stack':>6} "
          + " ".join(f"{c:>6}" for c in columns))
    n_spilling = 0
    for key in keys:
        counts = code.get(key, {})
        n_spilling += counts.get("local", 0) > 0 and not names[key].startswith(INDEXED_TABLES)
        print(f"{names[key]:{width}} {key[0]:7} {used[key]['REG']:5} {used[key]['SHARED']:7} "
              f"{used[key]['STACK']:6} " + " ".join(f"{counts.get(c, 0):6}" for c in columns))
    print(f"{len(keys)} kernels, {n_spilling} with registers in memory")
    return 1 if arguments.check and n_spilling else 0


if __name__ == "__main__":
    sys.exit(main())
