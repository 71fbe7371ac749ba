#!/usr/bin/env python3
"""Face detectors on FDDB pictures: ours beside OpenCV's, in turn, as a table.

    fddb.py BUILD [--faces FOLDER] [--model NAME=FILE]... [--yunet FILE.onnx] [--markdown OUT] [--json OUT]

BUILD is the build folder. FOLDER holds pictures and ellipses.txt (FDDB's format). --model names a converted SSD
detector. Needs opencv-python-headless 4.x, whose CascadeClassifier and FaceDetectorYN are the peers.

Discrete score (Jain and Learned-Miller, 2010): a detection is right when it overlaps a face that no surer one
has taken with IoU above 0.5. As FDDB has it, a face's region is its ellipse, and a detection's is its box;
the overlap is counted on a grid. Boxes are taken as detectors give them: none is stretched to look like an
ellipse. A cascade's score is the number of windows that agree, a tie broken by the larger box; it is asked for
boxes on which two windows or more agree.
Average precision is the area under precision over recall, its precision made to fall only (PASCAL VOC 2010).
Times are those of one thread, from pixels in memory to boxes, the best of --repeat for each picture, in
the usual setting of each detector (5 neighbours, scores above 0.5).
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy as np

from pictures import timed

CASCADES = pathlib.Path("/usr/share/opencv4/haarcascades")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def read_faces(folder):
    """[(path, [(major, minor, angle, x, y)])]"""
    lines = iter((folder / "ellipses.txt").read_text().split("\n"))
    faces = []
    for name in lines:
        if name.strip():
            name = name.strip() if name.strip().endswith(".jpg") else name.strip() + ".jpg"
            count = int(next(lines))
            faces.append((folder / name, [tuple(map(float, next(lines).split()[:5])) for _ in range(count)]))
    return faces


def overlap(ellipse, box):
    """IoU of an ellipse's region and a box, on a grid of about 200 cells a side."""
    major, minor, angle, cx, cy = ellipse
    x, y, width, height = box
    reach = max(major, minor)
    if x > cx + reach or x + width < cx - reach or y > cy + reach or y + height < cy - reach:
        return 0.0
    step = 2 * reach / 200
    u = np.arange(cx - reach + step / 2, cx + reach, step) - cx
    v = np.arange(cy - reach + step / 2, cy + reach, step)[:, None] - cy
    c, s = np.cos(angle), np.sin(angle)
    inside = ((u * c + v * s) / major) ** 2 + ((v * c - u * s) / minor) ** 2 <= 1
    in_box = (u + cx >= x) & (u + cx < x + width) & (v + cy >= y) & (v + cy < y + height)
    shared = (inside & in_box).sum() * step * step
    return shared / (np.pi * major * minor + width * height - shared)


def judge(faces, detections):
    """(scores, right) of all detections, surest first; detections: one [n, 5] a picture."""
    judged = []
    for (_, ellipses), found in zip(faces, detections):
        free = list(range(len(ellipses)))
        for box in sorted(found, key=lambda b: (-b[4], -b[2] * b[3])):
            best = max(free, key=lambda i: overlap(ellipses[i], box[:4]), default=None)
            right = best is not None and overlap(ellipses[best], box[:4]) > 0.5
            if right:
                free.remove(best)
            judged.append((box[4], box[2] * box[3], right))
    judged.sort(key=lambda d: (-d[0], -d[1]))
    return np.array([j[0] for j in judged]), np.array([j[2] for j in judged], bool)


def recall_at(right, false_positives, total):
    wrong = np.cumsum(~right)
    return float(right[wrong <= false_positives].sum() / total)


def average_precision(right, total):
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[right].sum() / total)


class Ours:
    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([program, *map(str, arguments), "--threads", "1"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip

    def __call__(self, path, pixels, repeat):
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer.get("boxes", answer.get("faces")), answer["ms"]


class OpenCvHaar:
    def __init__(self, file, neighbors):
        self.cascade, self.neighbors = cv2.CascadeClassifier(str(file)), neighbors

    def __call__(self, path, pixels, repeat):
        def detect():
            return self.cascade.detectMultiScale2(pixels, 1.1, self.neighbors, 0, (30, 30))

        (boxes, windows), ms = timed(detect, repeat)
        return [[*map(float, b), float(n)] for b, n in zip(boxes, windows)], ms


class YuNet:
    def __init__(self, file, confidence):
        self.network = cv2.FaceDetectorYN.create(str(file), "", (320, 320), confidence, 0.3, 5000)

    def __call__(self, path, pixels, repeat):
        def detect():
            self.network.setInputSize((pixels.shape[1], pixels.shape[0]))
            return self.network.detect(pixels)[1]

        found, ms = timed(detect, repeat)
        return [] if found is None else [[*map(float, f[:4]), float(f[14])] for f in found], ms


def detectors(args):
    """{name: (what gives all boxes that may be faces, what is timed)}"""
    build = args.build / "bench/vision"
    rows = {}
    for name in ("frontalface_default", "frontalface_alt2"):
        file = CASCADES / f"haarcascade_{name}.xml"
        haar = [build / "haar_detect", "--cascade", file]
        rows[f"Haar {name}"] = (Ours(*haar, "--min-neighbors", 1), Ours(*haar, "--repeat", args.repeat))
        rows[f"Haar {name}, OpenCV"] = (OpenCvHaar(file, 1), OpenCvHaar(file, 5))
    for model in args.model:
        name, file = model.split("=", 1)
        ssd = [build / "ssd_detect", "--model", file]
        rows[name] = (Ours(*ssd, "--confidence", 0.02), Ours(*ssd, "--repeat", args.repeat))
    if args.yunet and args.yunet.exists() and hasattr(cv2, "FaceDetectorYN"):
        rows["YuNet, OpenCV"] = (YuNet(args.yunet, 0.02), YuNet(args.yunet, 0.5))
    else:
        rows["YuNet, OpenCV"] = None
    return rows


def measure(args):
    faces = read_faces(args.faces)
    total = sum(len(ellipses) for _, ellipses in faces)
    named = detectors(args)
    found = {name: [] for name in named}
    times = {name: [] for name in named}
    with tempfile.TemporaryDirectory() as folder:
        for number, (path, _) in enumerate(faces):
            pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
            copy = pathlib.Path(folder) / f"{number}.png"  # JPEG decoders differ in the last bit
            cv2.imwrite(str(copy), pixels)
            for name, pair in named.items():
                if pair:
                    found[name].append(pair[0](copy, pixels, 1)[0])
                    times[name].append(pair[1](copy, pixels, args.repeat)[1])
    rows = []
    for name, pair in named.items():
        if not pair:
            rows.append({"detector": name, "missing": "no YuNet file, or an OpenCV without FaceDetectorYN"})
            continue
        _, right = judge(faces, found[name])
        rows.append({"detector": name, "recall_10": recall_at(right, 10, total),
                     "recall_50": recall_at(right, 50, total), "ap": average_precision(right, total),
                     "ms": float(np.mean(times[name]))})  # fmt: skip
    return {"pictures": len(faces), "faces": total, "opencv": cv2.__version__, "rows": rows}


def markdown(result):
    lines = ["| detector | recall at 10 false | at 50 false | average precision | ms a picture |",
             "|---|---|---|---|---|"]  # fmt: skip
    for row in result["rows"]:
        if "missing" in row:
            lines.append(f"| {row['detector']} | {row['missing']} | | | |")
        else:
            lines.append("| {detector} | {recall_10:.3f} | {recall_50:.3f} | {ap:.3f} | {ms:.1f} |".format(**row))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--faces", type=pathlib.Path, default=ROOT / "../shared/faces/fddb_subset")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--yunet", type=pathlib.Path, default=ROOT / "../shared/published/yunet_n_320_320.onnx")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    if not (args.faces / "ellipses.txt").exists():
        print(f"SKIPPED, NOT MEASURED: {args.faces}/ellipses.txt is not there", file=sys.stderr)
        return 77
    cv2.setNumThreads(1)
    result = measure(args)
    print(f"{result['pictures']} pictures, {result['faces']} faces, OpenCV {result['opencv']}, one thread\n")
    print(markdown(result))
    if args.markdown:
        args.markdown.write_text(markdown(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
