#!/usr/bin/env python3
"""detect_mask_video --mqtt while mosquitto is killed again and again:
mqtt_soak.py DETECT_MASK_VIDEO DRAW_VIDEO [--seconds S] [--kills N]

Fails if an event that --events has does not reach a subscriber, a frame is lost, memory grows, or the program does not
connect again. The subscriber's session and what the broker has acknowledged survive a kill (the broker keeps them on
the disk), so what is missing at the end was lost. The test of every day takes seconds; --seconds 600 --kills 20 is the
long one.
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from mqtt_broker import Broker, Subscriber, is_there, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vision" / "video"))
from video_soak import memory_of  # noqa: E402

SKIPPED = 77  # meson's code
TOPIC = "soak/camera"
LONGEST_CONNECTION = 7  # s after the broker is back: the longest pause between attempts is 6.25


def clock_of(line):
    return datetime.datetime.strptime(json.loads(line)["clock"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def share(times, part):
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


class Watched:
    """The program on a film that is played again and again at its own speed."""

    def __init__(self, program, clip, port, folder):
        self.events, self.stats, self.log = (os.path.join(folder, name) for name in ("events.jsonl", "stats.json", "log"))
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([program, "-s", clip, "--loop", "--live", "--headless", "--face", "haar", "--detect-every", "2", "--threads", "1", "--events", self.events, "--stats", self.stats,
                                             "--mqtt", f"mqtt://127.0.0.1:{port}/{TOPIC}", "--mqtt-snapshot-every", "2"], stderr=log, stdout=log)  # fmt: skip

    def notes(self):
        return pathlib.Path(self.log).read_text()

    def written(self):
        return pathlib.Path(self.events).read_text().splitlines() if os.path.exists(self.events) else []


def interrupt(broker, watched, seconds, kills, chance):
    """Kills and starts the broker; (length of the outage, time until the program was connected again) of each."""
    start, outages, memory = time.time(), [], []
    for kill in range(kills):
        while time.time() < start + seconds * (kill + 0.5) / kills:
            time.sleep(0.1)
        memory.append(memory_of(watched.process))
        length = chance.uniform(0.5, min(8, seconds / kills / 3))
        connections = watched.notes().count("connected again")
        broker.kill()
        time.sleep(length)
        broker.start()
        back = time.time()
        found = wait_until(lambda before=connections: watched.notes().count("connected again") > before, 40)
        outages.append((length, time.time() - back if found else None))
    while time.time() < start + seconds:
        time.sleep(0.1)
    return outages, memory


def report(watcher, watched, outages, memory, seconds, growth):
    written, first_seen, copies = watched.written(), {}, 0
    for clock, topic, _, payload in watcher.messages:
        if topic == TOPIC + "/events":
            copies += payload.decode() in first_seen
            first_seen.setdefault(payload.decode(), clock)
    missing = [line for line in written if line not in first_seen]
    delays = [first_seen[line] - clock_of(line) for line in written if line in first_seen]
    stats = json.loads(pathlib.Path(watched.stats).read_text())
    mqtt, total = stats["sinks"]["mqtt"], stats["latency_ms"]["total"]
    print(f"{len(outages)} kills in {seconds:.0f} s; the broker was away for {', '.join(f'{length:.1f}' for length, _ in outages)} s, "
          f"and connected again after {', '.join('never' if again is None else f'{again:.2f}' for _, again in outages)} s")  # fmt: skip
    print(f"events: {len(written)} written, {mqtt['delivered']} acknowledged, {mqtt['dropped']} dropped, {len(missing)} missing at the subscriber, {copies} came twice")
    print(f"from the event to the broker's acknowledgement: median {mqtt['delay_ms']['median']:.1f} ms, 99 % {mqtt['delay_ms']['p99']:.0f} ms, most {mqtt['delay_ms']['max']:.0f} ms; "
          f"to the subscriber: median {1e3 * share(delays, .5):.1f} ms, 99 % {1e3 * share(delays, .99):.0f} ms, most {1e3 * max(delays, default=0):.0f} ms")  # fmt: skip
    print(f"video: {stats['captured']} frames captured, {stats['frames']} shown, {stats['dropped']} dropped; delay median {total['median']:.1f} ms, 99 % {total['p99']:.1f} ms, most {total['max']:.1f} ms; "
          f"memory {memory[0]:.1f} MB at first, {memory[-1]:.1f} MB at last")  # fmt: skip
    if missing or mqtt["dropped"] or mqtt["delivered"] != len(written):
        return f"events were lost: {missing[:3]}"
    if any(again is None or again > LONGEST_CONNECTION for _, again in outages):
        return "a connection took too long"
    if memory[-1] > memory[0] + growth:
        return "memory grew"
    if stats["dropped"] > stats["captured"] / 100:
        return f"{stats['dropped']} frames were lost"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("draw_video")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--growth", type=float, default=20, help="MB that memory may grow by")
    arguments = parser.parse_args()
    if not is_there():
        print("SKIPPED, NOT TESTED: mosquitto and mosquitto_sub are not there (Debian: mosquitto, mosquitto-clients)", file=sys.stderr)
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        clip = folder + "/drawn.mp4"
        subprocess.run([arguments.draw_video, "-o", clip, "--scene", "crowd", "--width", "320", "--height", "240"], check=True, capture_output=True)
        broker = Broker(folder)
        watcher = Subscriber(broker.port)
        watched = Watched(arguments.program, clip, broker.port, folder)
        try:
            wait_until(lambda: watcher.of(TOPIC + "/events"), 20)
            outages, memory = interrupt(broker, watched, arguments.seconds, arguments.kills, random.Random(arguments.seed))
            memory.append(memory_of(watched.process))
            watched.process.terminate()
            code = watched.process.wait(timeout=20)
            wait_until(lambda: set(watched.written()) <= set(watcher.texts(TOPIC + "/events")), 10)
        finally:
            watched.process.kill()
            watched.process.wait()
            watcher.end()
            broker.end()
        if code != 0:
            return f"exit code {code}: {watched.notes()}"
        return report(watcher, watched, outages, memory, arguments.seconds, arguments.growth)


if __name__ == "__main__":
    sys.exit(main())
