#!/usr/bin/env python3
"""tests/cuda/coverage.py BUILD: which lines and branches of the kernels the tests on the executor reach.

BUILD holds tests/cuda/test_cuda. The kernels are compiled once more, with gcov's counters, into BUILD/cuda/coverage, and
linked in front of the build's own. A line or a branch counts as reached if any instance of its template does.
"""

import collections
import json
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def compile_with_counters(build, made):
    """The objects of the kernels."""
    objects = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        unit = pathlib.Path(entry["file"])
        if not unit.name.startswith("simt_") or unit.parent.name != "cuda":
            continue
        words = shlex.split(entry["command"])
        own = made / (unit.stem + ".o")
        words[words.index("-o") + 1] = str(own)
        words = ["-O1" if word in ("-O2", "-O3") else word for word in words if word not in ("ccache", "-MD")]
        for option in ("-MQ", "-MF"):
            at = words.index(option)
            del words[at:at + 2]
        print(unit.stem, file=sys.stderr, flush=True)
        subprocess.run([*words, "-fno-inline", "--coverage"], cwd=entry["directory"], check=True)
        objects.append(own)
    return objects


def link(build, made, objects):
    target = "tests/cuda/test_cuda"
    commands = subprocess.run(["ninja", "-C", str(build), "-t", "commands", target], capture_output=True, text=True,
                              check=True).stdout.splitlines()
    words = shlex.split(commands[-1])
    at = words.index("-o")
    program = made / "test_cuda"
    words[at:at + 2] = ["-o", str(program), *map(str, objects), "--coverage", "-Wl,-z,muldefs"]
    subprocess.run(words, cwd=build, check=True)
    return program


def reached(made):
    """{file: ({line: count}, {(line, branch): count})}"""
    found = collections.defaultdict(lambda: (collections.Counter(), collections.Counter()))
    for counters in made.glob("*.gcda"):
        said = subprocess.run(["gcov", "--branch-probabilities", "--json-format", "--stdout", counters.name], cwd=made,
                              capture_output=True, text=True, check=True).stdout
        for document in said.splitlines():
            for file in json.loads(document)["files"]:
                path = pathlib.Path(file["file"])
                if path.parent.name != "cuda" or path.name.startswith("simt_"):
                    continue
                lines, branches = found[path.name]
                for line in file["lines"]:
                    number = line["line_number"]
                    lines[number] = max(lines[number], line["count"])
                    for i, branch in enumerate(b for b in line["branches"] if not b["throw"]):
                        branches[number, i] = max(branches[number, i], branch["count"])
    return found


def print_row(name, lines, branches, missed=""):
    of = [f"{sum(count > 0 for count in counts)} of {len(counts)}" for counts in (lines, branches)]
    print(f"| {name} | {of[0]} | {of[1]} | {missed} |")


def main(build):
    build = pathlib.Path(build).resolve()
    if not (build / "tests/cuda/test_cuda").exists():
        print(f"error: {build} has no tests/cuda/test_cuda: ninja -C {build} tests/cuda/test_cuda", file=sys.stderr)
        return 2
    made = build / "cuda" / "coverage"
    made.mkdir(exist_ok=True)
    for old in made.glob("*.gcda"):
        old.unlink()
    objects = compile_with_counters(build, made)
    if not objects:
        print("error: this build has no executor: it needs Boost.Context (libboost-context-dev)", file=sys.stderr)
        return 2
    program = link(build, made, objects)
    status = subprocess.run([program], cwd=ROOT).returncode
    print("| file | lines | branches | lines not reached |\n|---|---|---|---|")
    all_lines, all_branches = [], []
    for name, (lines, branches) in sorted(reached(made).items()):
        print_row(name, lines.values(), branches.values(), ", ".join(str(n) for n in sorted(lines) if not lines[n]))
        all_lines += lines.values()
        all_branches += branches.values()
    print_row("all", all_lines, all_branches)
    return status


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    sys.exit(main(sys.argv[1]))
