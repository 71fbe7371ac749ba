#!/usr/bin/env python3
"""detect_mask_video on a looped stream that is cut again and again:
viewer_soak.py DETECT_MASK_VIDEO DRAW_VIDEO [--seconds S] [--cuts N] [--window] [rtsp|http ...]

As tests/vision/video/video_soak.py does it to the source alone, through everything: detection, tracking, drawing,
recording, events, and with --window (Xvfb) the display. Fails if the program ends, a connection comes later
than 3 s after the stream is back, nobody is seen any more, or memory grows after the first tenth of the time.
The test of every day takes seconds; --seconds 600 --cuts 20 is the long one.
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vision" / "video"))
import stream_servers  # noqa: E402
from video_soak import SLOWEST, TIMEOUT, interrupt_often, memory_of  # noqa: E402
from virtual_display import display  # noqa: E402


class Viewer:
    """Runs the program and keeps what it says, with the times at which it says so."""

    def __init__(self, program, url, folder, environment, options):
        self.notes, self.events, self.outages = [], [], 0
        self.files = {name: f"{folder}/{name}" for name in ("stats.json", "record.mp4")}
        command = [program, "-s", url, "--timeout", str(TIMEOUT), "--events", "-", "--stats", self.files["stats.json"],
                   "--record", self.files["record.mp4"], *options]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.threads = [threading.Thread(target=self.read, args=pair)
                        for pair in ((self.process.stdout, self.events), (self.process.stderr, self.notes))]  # fmt: skip
        for thread in self.threads:
            thread.start()

    def read(self, stream, lines):
        for line in stream:
            lines.append((time.time(), line.rstrip("\n")))

    def find(self, lines, text, since, patience):
        """When `text` came first after `since`."""
        deadline = time.time() + patience
        while time.time() < deadline and self.process.poll() is None:
            for clock, line in list(lines):
                if clock > since and text in line:
                    return clock
            time.sleep(0.02)
        return None

    def wait_until_lost(self):
        self.outages += 1
        deadline = time.time() + 15
        while sum(": lost: " in line for _, line in self.notes) < self.outages and time.time() < deadline:
            time.sleep(0.02)

    def first_frame_after(self, clock, patience):
        return self.find(self.notes, "connected again", clock, patience)

    def end(self):
        """The exit code."""
        self.process.send_signal(15)
        code = self.process.wait(timeout=20)
        for thread in self.threads:
            thread.join()
        return code


def soak(viewer, server, seconds, cuts, growth):
    start = time.time()
    if viewer.find(viewer.events, '"appear"', 0, 20) is None:
        return f"nobody was seen: {viewer.notes}"
    times, memory = interrupt_often(server, viewer, start, seconds, cuts)
    back = time.time()
    while time.time() < start + seconds:
        time.sleep(0.1)
    seen = viewer.find(viewer.events, '"appear"', back - 1, 15)
    memory.append((time.time() - start, memory_of(viewer.process)))
    code = viewer.end()
    return judge(viewer, server, code, times, memory, growth) or (None if seen else "nobody was seen at the end")


def judge(viewer, server, code, times, memory, growth):
    if code != 0:
        return f"exit code {code}: {viewer.notes}"
    stats = json.loads(pathlib.Path(viewer.files["stats.json"]).read_text())
    settled = [m for t, m in memory if t > max(1.0, memory[-1][0] / 10)]
    total = stats["latency_ms"]["total"]
    print(f"{server.url()}: {stats['captured']} frames captured, {stats['dropped']} dropped ({stats['dropped_on_connecting']} on connecting), {stats['recorded']} recorded, "
          f"{stats['recording_lost']} not; delay {total['median']:.0f} ms, p99 {total['p99']:.0f}, most {total['max']:.0f}; "
          "connected again after " + ", ".join("never" if t is None else f"{t:.2f}" for t in times)
          + f" s; memory {settled[0]:.1f} MB at first, {settled[-1]:.1f} at last, {max(settled):.1f} at most")  # fmt: skip
    if None in times or max(times) > SLOWEST or stats["reconnections"] != len(times):
        return f"a connection took too long, or was another's: {stats['reconnections']}"
    if settled[-1] > settled[0] + growth:
        return "memory grew"
    probe = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", viewer.files["record.mp4"]]
    played = subprocess.run(probe, capture_output=True, text=True)
    if played.stdout.strip().strip(",") != str(stats["recorded"]) or played.stderr:
        return f"the recording has {played.stdout.strip()} of {stats['recorded']} frames: {played.stderr}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("draw_video")
    parser.add_argument("kinds", nargs="*", default=["rtsp"])
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--cuts", type=int, default=2)
    parser.add_argument("--growth", type=float, default=10, help="MB that memory may vary by")
    parser.add_argument("--window", action="store_true")
    arguments = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as folder, display() if arguments.window else contextlib.nullcontext() as environment:
        drawn = folder + "/drawn.mp4"
        subprocess.run([arguments.draw_video, "-o", drawn, "--scene", "leave", "--width", "320", "--height", "240"], check=True, capture_output=True)
        clip = stream_servers.make_clip(folder + "/loop.mp4", ["-i", drawn])
        servers = {"rtsp": lambda: stream_servers.Rtsp(clip),
                   "http": lambda: stream_servers.Http(clip, arguments.seconds + 60)}  # fmt: skip
        for kind in arguments.kinds:
            server = servers[kind]()
            viewer = Viewer(arguments.program, server.url(), folder, environment, [] if arguments.window else ["--headless"])
            try:
                problem = soak(viewer, server, arguments.seconds, arguments.cuts, arguments.growth)
            finally:
                viewer.process.kill()
            server.cut()
            if problem:
                sys.exit(f"{kind}: {problem}")


if __name__ == "__main__":
    main()
