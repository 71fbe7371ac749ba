#!/usr/bin/env python3
"""The viewer in a window before a live source: frames lost, and the time from capture to display.

    live_window.py BUILD [--face haar] [--model NAME=FILE ...] [--seconds 40] [--size 640x480] [--runs 1]

BUILD is the build folder. A person is drawn (draw_video) and comes at 30 frames a second, once as a camera's raw pictures
(FFmpeg's `realtime` filter) and once as H.264 over RTSP on loopback; the window opens on Xvfb (Debian: xvfb). Capture is
when a frame's data has arrived, so decoding counts; display is when the window has the picture. Each --model is measured
beside the one that ships. Prints a table of medians of the runs. The first frames wait for the window: of short runs they
are the 99 %. "On connecting" are the pictures that a decoder hands out all at once when a stream begins.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[3] / "tests"
sys.path[:0] = [str(TESTS / "apps"), str(TESTS / "vision" / "video")]
import stream_servers  # noqa: E402
from virtual_display import display  # noqa: E402


def watch(arguments, source, model, environment):
    command = [str(pathlib.Path(arguments.build) / "apps/detect_mask_video"), "-s", source, "--live"]
    command += ["-f", arguments.face, "--stats", "-"] + (["-m", model] if model else [])
    viewer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    time.sleep(arguments.seconds)
    viewer.send_signal(signal.SIGTERM)
    stats, _ = viewer.communicate()
    if viewer.returncode:
        sys.exit(viewer.returncode)
    return json.loads(stats)


def row(source, model, runs):
    delay = {key: statistics.median(run["latency_ms"]["total"][key] for run in runs) for key in ("median", "p99")}
    shown, captured, dropped, connecting = (
        int(statistics.median(run[key] for run in runs)) for key in ("frames", "captured", "dropped", "dropped_on_connecting")
    )
    return f"| {source} | {model} | {shown} of {captured} | {dropped - connecting} | {connecting} | {delay['median']:.1f} ms | {delay['p99']:.1f} ms |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--face", default="haar")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    width, height = arguments.size.split("x")
    models = [("the one that ships", None)] + [tuple(model.split("=", 1)) for model in arguments.model]
    print("| source | model | shown | dropped | on connecting | delay, median | 99 % |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, display() as environment:
        clip = os.path.join(folder, "one.mp4")
        drawn = [str(pathlib.Path(arguments.build) / "apps/draw_video"), "-o", clip, "--scene", "one", "--width", width, "--height", height]
        subprocess.run(drawn, check=True, capture_output=True)
        server = stream_servers.Rtsp(stream_servers.make_clip(os.path.join(folder, "loop.mp4"), ["-i", clip]))
        for source, address in (("raw pictures", f"lavfi:movie={clip}:loop=0,setpts=N/30/TB,realtime"), ("RTSP, H.264", server.url())):
            for name, model in models:
                runs = [watch(arguments, address, model, environment) for _ in range(arguments.runs)]
                print(row(source, name, runs), flush=True)
        server.cut()


if __name__ == "__main__":
    main()
