#!/usr/bin/env python3
"""The viewer in a window before a live source: frames lost, and the time from capture to display.

    live_window.py BUILD [--face haar] [--model NAME=FILE ...] [--size 640x480] [--fps 30] [--runs 3]

BUILD is the build folder. A person is drawn (draw_video) and comes through FFmpeg's `realtime` filter, as a camera would;
the window opens on Xvfb (Debian: xvfb). Capture is when a frame's data has arrived, so decoding counts; display is
when the window has the picture. Each --model is measured beside the one that ships. Prints a table of medians of the runs.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "apps"))
from virtual_display import display  # noqa: E402


def watch(arguments, clip, model, environment):
    command = [str(pathlib.Path(arguments.build) / "apps/detect_mask_video"), "-s", f"lavfi:movie={clip},realtime", "--live", "--no-reconnect"]
    command += ["-f", arguments.face, "--stats", "-"] + (["-m", model] if model else [])
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--face", default="haar")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    width, height = arguments.size.split("x")
    print("| model | frames shown | dropped | delay, median | 99 % | longest |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, display() as environment:
        clip = os.path.join(folder, "one.mp4")
        drawn = [str(pathlib.Path(arguments.build) / "apps/draw_video"), "-o", clip, "--scene", "one", "--width", width, "--height", height, "--fps", str(arguments.fps)]
        subprocess.run(drawn, check=True, capture_output=True)
        for name, model in [("the one that ships", None)] + [tuple(model.split("=", 1)) for model in arguments.model]:
            runs = [watch(arguments, clip, model, environment) for _ in range(arguments.runs)]
            delay = {key: statistics.median(run["latency_ms"]["total"][key] for run in runs) for key in ("median", "p99", "max")}
            shown, captured, dropped = (statistics.median(run[key] for run in runs) for key in ("frames", "captured", "dropped"))
            print(f"| {name} | {shown} of {captured} | {dropped} | {delay['median']:.1f} ms | {delay['p99']:.1f} ms | {delay['max']:.1f} ms |")


if __name__ == "__main__":
    main()
