#!/usr/bin/env python3
"""Our Haar detector beside OpenCV's detectMultiScale: same pictures, same pixels, same options, in turn.

    haar_opencv.py BUILD PICTURES... [--cascade FILE]... [--json OUT]

BUILD is the build folder; PICTURES are files or folders.
Needs opencv-python-headless 4.x. Prints, for each cascade, how many boxes each finds, how many of OpenCV's
are matched (IoU >= 0.9) and how many are equal, ours that match none, and the time of one thread.
Exits with 1 where less than 99 % are matched or more than 1 % are extra.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import cv2

from pictures import list_pictures, timed

FOLDER = pathlib.Path("/usr/share/opencv4/haarcascades")
DEFAULTS = ["haarcascade_frontalface_default.xml", "haarcascade_frontalface_alt2.xml"]


def iou(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h)


def count_matched(wanted, found):
    free = list(found)
    matched = 0
    for box in wanted:
        best = max(free, key=lambda other: iou(box, other), default=None)
        if best is not None and iou(box, best) >= 0.9:
            free.remove(best)
            matched += 1
    return matched


def run_opencv(cascade, picture, args):
    def detect():
        return cascade.detectMultiScale2(
            picture, args.scale_factor, args.min_neighbors, 0,
            (args.min_size, args.min_size), (args.max_size, args.max_size))

    (boxes, windows), ms = timed(detect, args.repeat)
    return [[*map(int, b), int(n)] for b, n in zip(boxes, windows)], ms


def compare(file, pictures, args):
    theirs = cv2.CascadeClassifier(str(file))
    ours = subprocess.Popen(
        [args.build / "bench/vision/haar_detect", "--cascade", file, "--repeat", str(args.repeat),
         "--scale-factor", str(args.scale_factor), "--min-neighbors", str(args.min_neighbors),
         "--min-size", str(args.min_size), "--max-size", str(args.max_size), "--threads", str(args.threads)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    row = dict(cascade=file.name, pictures=len(pictures), opencv=0, ours=0, matched=0, equal=0,
               same_pictures=0, opencv_ms=0.0, ours_ms=0.0)
    for picture, pixels in pictures:
        ours.stdin.write(f"{picture}\n")
        ours.stdin.flush()
        answer = json.loads(ours.stdout.readline())
        wanted, ms = run_opencv(theirs, pixels, args)
        found = [[int(v) for v in box] for box in answer["boxes"]]
        row["opencv"] += len(wanted)
        row["ours"] += len(found)
        row["matched"] += count_matched(wanted, found)
        row["equal"] += sum(box in found for box in wanted)
        row["same_pictures"] += sorted(wanted) == sorted(found)
        row["opencv_ms"] += ms / len(pictures)
        row["ours_ms"] += answer["ms"] / len(pictures)
    ours.stdin.close()
    ours.wait()
    row["ratio"] = row["ours_ms"] / row["opencv_ms"]
    return row


def as_png(pictures, folder):
    """Both programs get the pixels that OpenCV decodes: JPEG decoders differ in the last bit."""
    result = []
    for number, name in enumerate(pictures):
        pixels = cv2.imread(str(name), cv2.IMREAD_COLOR)
        if pixels is None:
            sys.exit(f"error: {name}: OpenCV cannot read it")
        copy = pathlib.Path(folder) / f"{number}.png"
        cv2.imwrite(str(copy), pixels)
        result.append((copy, pixels))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--cascade", action="append", type=pathlib.Path)
    parser.add_argument("--scale-factor", type=float, default=1.1)
    parser.add_argument("--min-neighbors", type=int, default=5)
    parser.add_argument("--min-size", type=int, default=30)
    parser.add_argument("--max-size", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    print(f"OpenCV {cv2.__version__}, {args.threads} thread(s), scale {args.scale_factor}, "
          f"neighbours {args.min_neighbors}, size {args.min_size} to {args.max_size or 'any'}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pictures = as_png(list_pictures(args.pictures), folder)
        for file in args.cascade or [FOLDER / name for name in DEFAULTS]:
            rows.append(compare(file, pictures, args))
            print("{cascade}: {pictures} pictures, OpenCV {opencv} boxes, ours {ours}, matched {matched}, "
                  "equal {equal}, all alike in {same_pictures} pictures; "
                  "{opencv_ms:.2f} ms and {ours_ms:.2f} ms a picture, ratio {ratio:.3f}".format(**rows[-1]),
                  flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    bad = [r for r in rows
           if r["matched"] < 0.99 * r["opencv"] or r["ours"] - r["matched"] > 0.01 * r["opencv"]]
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
