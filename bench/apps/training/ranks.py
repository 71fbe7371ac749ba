#!/usr/bin/env python3
"""Trains the same model on 1, 2 and 4 processes of this machine, several times in turn, and prints a table of docs/clusters.md:
the fastest epoch of each, in seconds. Usage: ranks.py BUILD [--rounds 3] [--width 0.35] [--size 96]"""
import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import tempfile

MPIRUN = ["mpirun", "--quiet", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]
CASES = [("one process, 1 thread", 0, 1), ("one process, 2 threads", 0, 2), ("mpirun -n 1, 1 thread", 1, 1), ("mpirun -n 2, 1 thread each", 2, 1), ("mpirun -n 4, 1 thread each", 4, 1)]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", default="0.35")
    parser.add_argument("--size", default="96")
    options = parser.parse_args()
    programs = (options.build / "apps").resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([programs / "draw_faces", "-o", folder / "faces", "-n", "480", "--size", options.size, "--seed", "1"], check=True, capture_output=True)
        train = [programs / "train_mask_detector", "-d", folder / "faces", "--scratch", "--width", options.width, "--size", options.size,
                 "--batch-size", "32", "--epochs", "3", "--shards", "4", "-m", folder / "m.safetensors", "-p", folder / "p.png", "--history", folder / "h.json"]  # fmt: skip
        fastest, sent, models = {}, {}, set()
        for _ in range(options.rounds):
            for case, ranks, threads in CASES:
                command = [*(MPIRUN + ["-n", str(ranks)] if ranks else []), *map(str, train), "--threads", str(threads)]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds = [epoch["seconds"] for epoch in json.loads((folder / "h.json").read_text())["epochs"]]
                fastest[case] = min(fastest.get(case, 1e9), *seconds)
                found = re.search(r"sends ([\d.]+ MiB)", said)
                sent[case] = found[1] if found else "-"
                models.add(hashlib.sha256((folder / "m.safetensors").read_bytes()).hexdigest())
        print(f"width {options.width}, {options.size} pixels, 12 steps of 32 and validation on 96; {len(models)} different models")
        print("| | fastest epoch, s | speed-up | sent a process a step |\n|---|---|---|---|")
        for case, *_ in CASES:
            print(f"| {case} | {fastest[case]:.2f} | {fastest[CASES[0][0]] / fastest[case]:.2f} | {sent[case]} |")


main()
