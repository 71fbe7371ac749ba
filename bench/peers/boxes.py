#!/usr/bin/env python3
"""Other people's face detectors on the validation pictures of ours, judged by evaluate_face_detector, as a table.

    boxes.py BUILD BOXES [--history RUN.json] [--classes MEANING=NAMES...] [--yunet FILE.onnx] [--aizoo FOLDER]
             [--face NAME=FILE]... [--json OUT]

BUILD is the build folder. BOXES is what train_face_detector was trained on, and RUN.json its --history, which names the
pictures; or, without --history, a folder of pictures and their boxes, all of which count. --classes is that of
evaluate_face_detector. --yunet runs libfacedetection's YuNet through OpenCV at the size of the picture; --aizoo the published
detector of masked faces of AIZOOTech/FaceMaskDetection (face_mask_detection.caffemodel and .prototxt in FOLDER) through
OpenCV, at the 260 x 260 pixels that it was made for; --face a file that evaluate_face_detector takes itself. The
default detector is always measured. Labels are the detector's own, where it has any, or those of the classifier that
ships: detectors that are no programs of ours (YuNet) have none here.
Needs opencv-python-headless 4: version 5 reads no Caffe files."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy as np

LEAST_SCORE = 0.05
LOOKED_AT = 0.269  # the faintest finds that our programs let the classifier judge
ROOT = pathlib.Path(__file__).resolve().parents[2]


class YuNet:
    def __init__(self, file):
        self.network = cv2.FaceDetectorYN.create(str(file), "", (320, 320), LEAST_SCORE, 0.45, 5000)

    def __call__(self, pixels):
        self.network.setInputSize((pixels.shape[1], pixels.shape[0]))
        found = self.network.detect(pixels)[1]
        rows = [] if found is None else found
        return [{"box": [*map(float, row[:4])], "score": float(row[14]), "label": "face"} for row in rows]


class Aizoo:
    """SSD of five levels; an anchor of each of two sizes with height by width 1, and two of the first size, narrower."""

    SIDE = 260
    CELLS = (33, 17, 9, 5, 3)
    SIZES = ((0.04, 0.056), (0.08, 0.11), (0.16, 0.22), (0.32, 0.45), (0.64, 0.72))
    WIDTH_BY_HEIGHT = (0.62, 0.42)
    LABELS = ("with_mask", "without_mask")

    def __init__(self, folder):
        name = "face_mask_detection"
        self.network = cv2.dnn.readNetFromCaffe(str(folder / f"{name}.prototxt"), str(folder / f"{name}.caffemodel"))
        anchors = []
        for cells, sizes in zip(self.CELLS, self.SIZES):
            shapes = [(size, size) for size in sizes]
            shapes += [(sizes[0] * ratio**0.5, sizes[0] / ratio**0.5) for ratio in self.WIDTH_BY_HEIGHT]
            centers = (np.arange(cells) + 0.5) / cells
            y, x, shape = np.meshgrid(centers, centers, np.arange(len(shapes)), indexing="ij")
            anchors.append(np.stack([x, y, *np.moveaxis(np.array(shapes)[shape], -1, 0)], -1).reshape(-1, 4))
        self.anchors = np.concatenate(anchors)

    def __call__(self, pixels):
        height, width = pixels.shape[:2]
        self.network.setInput(cv2.dnn.blobFromImage(pixels, 1 / 255, (self.SIDE, self.SIDE), swapRB=True))
        outputs = self.network.forward(self.network.getUnconnectedOutLayersNames())
        boxes, classes = sorted((output[0] for output in outputs), key=lambda rows: -rows.shape[1])
        center = self.anchors[:, :2] + 0.1 * boxes[:, :2] * self.anchors[:, 2:]
        size = self.anchors[:, 2:] * np.exp(0.2 * boxes[:, 2:])
        corners = np.concatenate([center - size / 2, size], 1) * (width, height, width, height)
        scores = classes.max(1)
        kept = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), LEAST_SCORE, 0.45)
        return [{"box": [*map(float, corners[i])], "score": float(scores[i]), "label": self.LABELS[classes[i].argmax()]}
                for i in np.array(kept).flatten()]  # fmt: skip


def pictures_of(boxes, history):
    folder = boxes if boxes.is_dir() else boxes.parent
    if history:
        names = json.loads(history.read_text())["validation_files"]
    else:
        names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [(name, folder / name) for name in names]


def evaluate(args, *options):
    program = args.build / "apps/evaluate_face_detector"
    command = [program, "-d", args.boxes, "--json", *options]
    if args.history:
        command += ["--history", args.history]
    if args.classes:
        command += ["--classes", *args.classes]
    environment = {**os.environ, "MASKWATCH_DATA": str(ROOT / "data")}
    result = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True, env=environment)
    if result.returncode != 0:  # it has said why
        sys.exit(result.returncode)
    return json.loads(result.stdout)


def evaluate_peer(args, detect, labels):
    found = []
    for name, path in pictures_of(args.boxes, args.history):
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        found.append({"file": name, "found": [] if pixels is None else detect(pixels)})
    if not labels:
        for picture in found:
            for face in picture["found"]:
                del face["label"]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "found.json"
        file.write_text(json.dumps(found))
        return evaluate(args, "--found", file)


def row_of(name, figures, labels):
    at = figures["at_overlap"][0]
    shares = {share["least_side"]: share for share in at["at_threshold"]}
    right = {f"right_{side}": shares[side]["found_and_right"] if labels else None for side in (12, 32)}
    # Detectors' scores differ in what they mean, so recall is also given at a rate of false faces.
    rate = next((r for r in at["backgrounds"] if r["false_faces_per_picture"] == 0.1), {"recall": None})
    return {"detector": name, "ap50": figures["faces"]["AP50"], "ap40": at["AP"], "found_12": shares[12]["found"],
            "found_32": shares[32]["found"], **right, "recall": rate["recall"],
            "false": figures["false_faces_per_background"]}  # fmt: skip


def measure(args):
    rows = []
    classifier = ROOT / "data/models/mask_detector.safetensors"
    for name, file in [("ours", "ours"), *(face.split("=", 1) for face in args.face)]:
        figures = evaluate(args, "-f", file, "-m", classifier, "--least-score", LOOKED_AT)
        rows.append(row_of(f"{name}, our classifier", figures, True))
    if args.yunet:
        rows.append(row_of("YuNet (OpenCV)", evaluate_peer(args, YuNet(args.yunet), False), False))
    if args.aizoo:
        rows.append(row_of("AIZOO (OpenCV)", evaluate_peer(args, Aizoo(args.aizoo), True), True))
    return rows


def markdown(rows):
    heads = ("detector", "AP50", "AP at 0.4", "found >= 12 px", ">= 32 px", "and right >= 12 px", ">= 32 px",
             "found at 0.1 false a background", "false a background at 0.5")  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        lines.append("| " + " | ".join("" if v is None else v if isinstance(v, str) else f"{v:.3f}" for v in row.values()) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("boxes", type=pathlib.Path)
    parser.add_argument("--history", type=pathlib.Path)
    parser.add_argument("--classes", nargs="+")
    parser.add_argument("--yunet", type=pathlib.Path)
    parser.add_argument("--aizoo", type=pathlib.Path)
    parser.add_argument("--face", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    for file in (args.history, args.yunet, args.aizoo and args.aizoo / "face_mask_detection.caffemodel"):
        if file and not file.is_file():
            parser.error(f"{file}: no such file")
    if not args.history and not (args.boxes.is_dir() and pictures_of(args.boxes, None)):
        parser.error(f"{args.boxes}: no folder that holds pictures; what was trained on needs --history")
    if args.aizoo and not hasattr(cv2.dnn, "readNetFromCaffe"):
        parser.error(f"--aizoo needs OpenCV 4; this is {cv2.__version__}")
    rows = measure(args)
    print(markdown(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
