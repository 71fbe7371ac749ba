#!/usr/bin/env python3
"""A looped stream that is cut again and again: video_soak.py VIDEO_FRAMES [--seconds S] [--cuts N] [rtsp|http ...]

Fails if the reader of VIDEO_FRAMES ends, a time does not rise, a connection comes later than 3 s after the
stream is back, or memory grows after the first tenth of the time. The test of every day takes a few seconds;
--seconds 600 --cuts 20 is the long one.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import stream_servers

TIMEOUT = 5  # s without data until the reader gives a connection up
SLOWEST = 3.0  # s from the stream's return to the first frame


def memory_of(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Reader:
    """Runs VIDEO_FRAMES and keeps what it says."""

    def __init__(self, program, url, seconds):
        self.frames, self.lost, self.end = [], [], None
        command = [program, "--timeout", str(TIMEOUT), "--for", str(seconds), url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            kind, _, rest = line.rstrip("\n").partition(" ")
            if kind == "frame":
                clock, number, stamp = rest.split()[:3]
                self.frames.append((float(clock), int(number), float(stamp)))
            elif kind == "lost":
                self.lost.append(rest)
            elif kind in ("end", "error"):
                self.end = line.strip()

    def wait_until_lost(self):
        while self.frames[-1][0] > time.time() - 0.2:  # what lay in the buffers
            time.sleep(0.05)

    def first_frame_after(self, clock, patience):
        deadline = time.time() + patience
        while time.time() < deadline and self.process.poll() is None:
            if self.frames and self.frames[-1][0] > clock:
                return next(frame[0] for frame in self.frames if frame[0] > clock)
            time.sleep(0.02)
        return None


def interrupt_stream(server, reader, number, away):
    """Takes the stream away in one of four ways; gives s from its return to the first frame."""
    way = ("cut", "hang", "cut", "stall")[number % 4]
    if way == "hang":  # connections are taken, and never answered
        server.hangs = True
        server.drop()
    if way == "stall":  # it falls silent for longer than the time-out, and is restarted
        server.stalled = True
        time.sleep(TIMEOUT)
    if way != "hang":
        server.cut()
    time.sleep(away)
    reader.wait_until_lost()
    back = time.time()
    if way == "hang":
        server.hangs = False
    else:
        server.stalled = False
        server.back()
    first = reader.first_frame_after(back, 10)
    return None if first is None else first - back


def interrupt_often(server, reader, start, seconds, cuts):
    """How long each return took, and (s, MB of memory) in between."""
    times, memory = [], []
    for number in range(cuts):
        turn = start + seconds * (number + 0.5) / cuts
        while time.time() < turn:
            time.sleep(0.1)
            memory.append((time.time() - start, memory_of(reader.process)))
        times.append(interrupt_stream(server, reader, number, away=0.3 + 0.4 * (number % 5)))
        if times[-1] is None:
            break
    return times, memory


def soak(program, server, seconds, cuts, growth):
    reader, start = Reader(program, server.url(), seconds + 60), time.time()
    if reader.first_frame_after(0, 10) is None:
        return f"no first frame: {reader.end}"
    times, memory = interrupt_often(server, reader, start, seconds, cuts)
    time.sleep(0.5)
    memory.append((time.time() - start, memory_of(reader.process)))
    reader.process.send_signal(2)
    reader.thread.join()
    return judge(server, reader, times, memory, growth)


def judge(server, reader, times, memory, growth):
    settled = [m for t, m in memory if t > max(1.0, memory[-1][0] / 10)]
    print(f"{server.url()}: {len(reader.frames)} frames, {len(reader.lost)} messages while lost; connected again after "
          + ", ".join("never" if t is None else f"{t:.2f}" for t in times)
          + f" s; memory {settled[0]:.1f} MB at first, {settled[-1]:.1f} at last, {max(settled):.1f} at most")  # fmt: skip
    stamps = [stamp for _, _, stamp in reader.frames]
    if reader.process.wait() != 0 or reader.end is None or reader.end.startswith("error"):
        return f"the reader ended with {reader.process.returncode}: {reader.end}"
    if None in times or max(times) > SLOWEST:
        return "a connection took too long"
    if any(b <= a for a, b in zip(stamps, stamps[1:])):
        return "a time did not rise"
    if [number for _, number, _ in reader.frames] != list(range(len(stamps))):
        return "a number is missing"
    walls = reader.frames[-1][0] - reader.frames[0][0]
    if abs(stamps[-1] - walls) > 1:
        return f"times went on for {stamps[-1]:.2f} s, the clock for {walls:.2f} s"
    if settled[-1] > settled[0] + growth:
        return "memory grew"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("kinds", nargs="*", default=["rtsp", "http"])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--cuts", type=int, default=4)
    parser.add_argument("--growth", type=float, default=6, help="MB that memory may vary by")
    arguments = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = stream_servers.make_clip(folder + "/loop.mp4", stream_servers.test_picture(4))
        servers = {"rtsp": lambda: stream_servers.Rtsp(clip),
                   "http": lambda: stream_servers.Http(clip, arguments.seconds + 60)}  # fmt: skip
        for kind in arguments.kinds:
            server = servers[kind]()
            problem = soak(arguments.program, server, arguments.seconds, arguments.cuts, arguments.growth)
            server.cut()
            if problem:
                sys.exit(f"{kind}: {problem}")


if __name__ == "__main__":
    main()
