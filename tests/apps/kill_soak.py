#!/usr/bin/env python3
"""kill -9 at random moments, again and again: kill_soak.py APPS [--kills N] [--seed S] [classifier detector recording]

APPS is the folder of the programs. Trainings of both kinds go on with --resume after each kill. Fails if one goes back
behind an epoch or step that an earlier run had saved, a file is half written or left over, or the model of a run that
was killed is not, byte for byte, that of one that was not. What a video was recorded to must play up to the last second
or so, and every line of its events but the last must be whole. The test of every day kills a few times each.
"""
import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

from drawn_boxes import write_pictures

FRAGMENT = 1.0  # s of video that a recording may lose
SLACK = 1.5     # s for a loaded machine


class Failure(Exception):
    pass


def demand(condition, text):
    if not condition:
        raise Failure(text)


class Training:
    """One kind of training: `command` without the names of its files, how it says what it had saved, what it leaves."""

    def __init__(self, folder, name, command, going_on):
        self.folder, self.name, self.command, self.going_on = folder, name, command, re.compile(going_on)
        started = time.monotonic()
        self.whole = self.finish("whole")
        self.seconds = time.monotonic() - started

    def arguments(self, run):
        at = self.folder / f"{self.name}_{run}"
        return [*map(str, self.command), "-m", f"{at}.safetensors", "--history", f"{at}.json"]

    def model(self, run):
        return self.folder / f"{self.name}_{run}.safetensors"

    def has_ended(self, run):
        """The checkpoint goes when all files are whole; a kill may come between that and the end of the process."""
        return self.model(run).exists() and not self.model(run).with_suffix(".safetensors.checkpoint").exists()

    def finish(self, run, *options):
        done = subprocess.run([*self.arguments(run), *options], capture_output=True, text=True, cwd=self.folder)
        demand(done.returncode == 0, f"{self.name}: {done.stderr}")
        return self.result(run)

    def result(self, run):
        left = sorted(p.name for p in self.folder.iterdir() if p.name.startswith(f"{self.name}_{run}."))
        demand(left == [f"{self.name}_{run}.json", f"{self.name}_{run}.safetensors"], f"{self.name}: left over: {left}")
        return self.model(run).read_bytes()

    def saved(self, said):
        """After how much it went on; None if it was killed before it said so."""
        found = self.going_on.search(said)
        return int(found[1]) if found else 0 if "starting with the first" in said else None

    def kill(self, kills, moments):
        killed, run, reached, resumed = 0, 0, 0, 0
        while killed < kills:
            name = f"cut{run}"
            log = self.folder / f"{self.name}.log"
            with open(log, "w") as out:
                process = subprocess.Popen([*self.arguments(name), "--resume"], stdout=out, stderr=subprocess.STDOUT, cwd=self.folder)
                try:
                    code = process.wait(timeout=self.seconds * moments.uniform(0, 0.7))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    killed += 1
                    code = 0 if self.has_ended(name) else None
            said = log.read_text()
            saved = self.saved(said)
            if saved is not None:
                demand(saved >= reached, f"{self.name}: went on after {saved}, but {reached} were saved: {said}")
                reached = saved
                resumed += saved > 0
            demand(code in (0, None), f"{self.name}: {said}")
            if code == 0 or killed >= kills:
                model = self.result(name) if code == 0 else self.finish(name, "--resume")
                demand(model == self.whole, f"{self.name}: another model than without a kill")
                run, reached = run + 1, 0
        print(f"{self.name}: {killed} kills, {resumed} runs went on after one, {run} models, all the same bytes")


def classifier(apps, folder, kills, moments):
    faces = folder / "faces"
    subprocess.run([apps / "draw_faces", "-o", faces, "-n", "48", "--size", "64", "--seed", "7"], check=True, stdout=subprocess.DEVNULL)
    command = [apps / "train_mask_detector", "-d", faces, "--scratch", "--width", "0.35", "--size", "48", "--batch-size", "8", "--epochs", "6"]
    Training(folder, "classifier", command, r"[Gg]oing on after epoch (\d+)").kill(kills, moments)


def detector(apps, folder, kills, moments):
    write_pictures(folder / "boxes", 24)
    command = [apps / "train_face_detector", "-d", folder / "boxes", "--scratch", "--width", "0.35", "--size", "64",
               "--batch-size", "4", "--steps", "18", "--stretch", "3", "--validation", "0.25"]  # fmt: skip
    Training(folder, "detector", command, r"[Gg]oing on after step (\d+)").kill(kills, moments)


def wait_for_event(events, process):
    while not (events.exists() and events.stat().st_size):
        demand(process.poll() is None, f"recording: ended with {process.returncode}")
        time.sleep(0.01)


def recording(apps, folder, kills, moments):
    clip = folder / "clip.mp4"
    subprocess.run([apps / "draw_video", "-o", clip, "--scene", "one"], check=True, capture_output=True)
    detect = [apps / "detect_mask_video", "--face", "haar", "--headless"]
    shortest = float("inf")
    for _ in range(kills):
        film, events = folder / "film.mp4", folder / "film.jsonl"
        for file in (film, events):
            file.unlink(missing_ok=True)
        command = [*detect, "-s", clip, "--live", "--detect-every", "5", "--record", film, "--events", events]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_event(events, process)
        seconds = moments.uniform(FRAGMENT + SLACK, 5)
        time.sleep(seconds)
        process.kill()
        process.wait()
        *whole, last = events.read_text().split("\n")
        for line in whole:
            json.loads(line)
        played = subprocess.run([*detect, "-s", film, "--detect-every", "1000", "--stats", "-"], capture_output=True, text=True)
        demand(played.returncode == 0, f"recording: {played.stderr}")
        lost = seconds - json.loads(played.stdout)["frames"] / 30
        demand(lost < FRAGMENT + SLACK, f"recording: {lost:.1f} s of {seconds:.1f} s are lost")
        shortest = min(shortest, -lost)
    print(f"recording: {kills} kills, all play; at worst {max(0, -shortest):.2f} s were lost")


KINDS = {"classifier": classifier, "detector": detector, "recording": recording}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("apps", type=pathlib.Path)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--kills", type=int, default=3, help="of each kind (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    args = parser.parse_args()
    if unknown := set(args.kinds) - set(KINDS):
        parser.error(f"unknown: {' '.join(sorted(unknown))}")
    for kind in args.kinds:
        with tempfile.TemporaryDirectory() as folder:
            try:
                KINDS[kind](args.apps.resolve(), pathlib.Path(folder), args.kills, random.Random(args.seed))
            except Failure as failure:
                sys.exit(f"error: {failure}")


if __name__ == "__main__":
    main()
