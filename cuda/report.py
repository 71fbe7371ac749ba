#!/usr/bin/env python3
"""cuda/report.py LOG...: what ptxas said of each kernel when it was compiled (cuda/compile.sh), as a table.

Registers of a thread, static shared memory of a block, and bytes of registers spilled to memory, for each
architecture. Exit code 1 if any kernel spills, or has a stack.
"""

import argparse
import pathlib
import re
import subprocess
import sys

ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\w+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def read(log):
    """[(mangled name, architecture, registers, shared, spilled + stack)]"""
    found, name, architecture, spilled = [], None, None, 0
    for line in log.read_text().splitlines():
        if entry := ENTRY.search(line):
            name, architecture = entry.groups()
        elif frame := FRAME.search(line):
            spilled = sum(int(number) for number in frame.groups())
        elif name and (used := USED.search(line)):
            found.append((name, architecture, int(used[1]), int(used[2] or 0), spilled))
            name, spilled = None, 0
    return found


def readable(names):
    """Mangled names to those of the source, without namespaces and parameters."""
    text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    short = {}
    for mangled, name in zip(names, text.splitlines()):
        name = re.sub(r"maskwatch::(cuda|kernels)::|\(anonymous namespace\)::|^void ", "", name)
        depth, end = 0, len(name)
        for i, letter in enumerate(name):  # the parameters begin at the first ( outside <>
            depth += (letter == "<") - (letter == ">")
            if letter == "(" and depth == 0:
                end = i
                break
        short[mangled] = name[:end]
    return short


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")


def span(numbers):
    if not numbers:
        return "–"
    return f"{min(numbers)}" if min(numbers) == max(numbers) else f"{min(numbers)}–{max(numbers)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=pathlib.Path, metavar="LOG", help="build/cuda/*.ptxas")
    parser.add_argument("--by-source", action="store_true", help="one line for each source, from least to most")
    options = parser.parse_args()
    kernels = {}  # (source, name) -> {architecture: (registers, shared, spilled)}
    for log in options.logs:
        if not log.is_file():
            print(f"error: {log}: no such file; build with nvcc first", file=sys.stderr)
            return 2
        for name, architecture, *figures in read(log):
            kernels.setdefault((log.stem, name), {})[architecture] = figures
    if not kernels:
        print("error: no kernels in these logs", file=sys.stderr)
        return 2
    architectures = sorted({a for figures in kernels.values() for a in figures}, key=lambda a: int(a.rstrip("af")))
    titles = [f"sm_{a}: {what}" for a in architectures for what in ("registers", "shared bytes", "spilled bytes")]
    rows = []
    if options.by_source:
        for source in sorted({source for source, _ in kernels}):
            own = [figures for (s, _), figures in kernels.items() if s == source]
            rows.append([f"{source}.cu", len(own)] +
                        [span([figures[a][i] for figures in own if a in figures]) for a in architectures for i in range(3)])
        table(["source", "kernels"] + titles, rows)
    else:
        names = readable([name for _, name in kernels])
        for (source, name), figures in sorted(kernels.items(), key=lambda item: (item[0][0], names[item[0][1]])):
            cells = [figure for a in architectures for figure in figures.get(a, ["", "", ""])]
            rows.append([f"{source}.cu", f"`{names[name]}`"] + cells)
        table(["source", "kernel"] + titles, rows)
    spilling = [key for key, figures in kernels.items() if any(f[2] > 0 for f in figures.values())]
    print(f"\n{len(kernels)} kernels, {len(spilling)} with spills or a stack")
    return 1 if spilling else 0


if __name__ == "__main__":
    sys.exit(main())
