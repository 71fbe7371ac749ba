#!/usr/bin/env python3
"""The programs on pictures and clips that people had trouble with: cases_test.py DETECT_MASK_IMAGE DETECT_MASK_VIDEO EVALUATE_MASK_DETECTOR

With the models that ship, on ../shared/cases: how many wear a mask, how many do not, where nobody is, and
labels in coloured, bright and dark light.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared/cases"
SKIPPED = 77  # meson's code

# Of each picture, the least height in pixels of faces that count, and how many of them have which label.
PICTURES = {
    "09-masked-face-not-found/demo2.jpg": (0, {"with_mask": 1}),
    "09-masked-face-not-found/example_01.png": (0, {"with_mask": 1}),
    "09-masked-face-not-found/example_03.png": (0, {"with_mask": 1, "without_mask": 2}),
    "09-masked-face-not-found/face.png": (50, {"with_mask": 3}),  # above a row of thumbnails
    "10-false-faces/box_in_scene.png": (0, {}),
    "10-false-faces/text_defocus.jpg": (0, {}),
    "10-false-faces/sample2.jpg": (0, {"without_mask": 3}),
    "10-false-faces/sample4.jpg": (0, {"without_mask": 4}),
}
NOBODY = ["15-video-of-nobody/box_in_scene.mp4", "15-video-of-nobody/text_defocus.mp4"]
# The camera hung upside down and did not say so. As it is, somebody is found, but the label of such a face is not to be relied
# on (docs/model_card.md, "Where they fail"); with --rotate 180 it is somebody in a mask.
UPSIDE_DOWN = "03b-upside-down-video/upside_down.mp4"
LIGHTS, LEAST_ACCURACY = ["dark", "bright", "blue", "orange"], 0.95


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def problem_of_picture(program, name):
    least_height, wanted = PICTURES[name]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        report = json.loads(run(program, "-i", CASES / name, "-o", folder, "--json"))
    for face in report[0]["faces"]:
        if face["box"][3] >= least_height:
            found[face["label"]] = found.get(face["label"], 0) + 1
    return None if found == wanted else f"found {found}, not {wanted}"


def problem_of_clip(program, name):
    people = json.loads(run(program, "-s", CASES / name, "--headless", "--stats", "-"))["people"]
    wanted = int(name == UPSIDE_DOWN)
    return None if people == wanted else f"{people} people, not {wanted}"


def problem_of_turned_clip(program, name):
    events = run(program, "-s", CASES / name, "--headless", "--rotate", "180", "--events", "-").splitlines()
    found = [(event["event"], event["label"]) for event in map(json.loads, events)]
    wanted = [("appear", "with_mask"), ("leave", "with_mask")]
    return None if found == wanted else f"found {found}, not {wanted}"


def problem_of_light(program, light):
    figures = json.loads(run(program, "-d", CASES / "16-lighting" / light, "--face", "ours", "--json"))
    print(f"{light}: faces in {figures['faces_found']:.3f} of {figures['pictures']} pictures, {figures['accuracy']:.3f} of them right")
    return None if figures["faces_found"] >= LEAST_ACCURACY and figures["accuracy"] >= LEAST_ACCURACY else "too few are right"


def main():
    image, video, evaluate = sys.argv[1:]
    if not CASES.exists():
        print("SKIPPED, NOT TESTED: ../shared/cases is not there", file=sys.stderr)
        return SKIPPED
    failed = 0
    for problem, program, name in (
        *((problem_of_picture, image, name) for name in PICTURES),
        *((problem_of_clip, video, name) for name in [*NOBODY, UPSIDE_DOWN]),
        (problem_of_turned_clip, video, UPSIDE_DOWN),
        *((problem_of_light, evaluate, light) for light in LIGHTS),
    ):
        fault = problem(program, name)
        print(f"{'FAILED' if fault else 'passed'}: {name}{': ' + fault if fault else ''}", flush=True)
        failed += fault is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
