#!/usr/bin/env python3
"""Our 68 landmarks beside dlib's: same model, same pixels, same boxes, in turn.

    landmarks_dlib.py BUILD [--faces FOLDER] [--model FILE] [--boxes hog|ellipse] [--json OUT]
    landmarks_dlib.py --print PICTURE X Y WIDTH HEIGHT [--model FILE]

The first form runs BUILD/bench/vision/landmarks_predict on the
faces of FOLDER/ellipses.txt (FDDB's format; default ../shared/faces/fddb_subset), grey and RGB by turns,
with boxes from dlib's own face detector, or squares about the ellipses. dlib rounds its points to whole
pixels; ours are compared as they are and rounded likewise. Exits with 1 where the mean distance exceeds
0.5 pixels. The second form prints dlib's points as C++ initialisers; PICTURE may be `formula`, the
picture that tests/vision/faces/landmarks_test.cc computes.

Needs dlib (or dlib-bin), numpy and pillow, and the predictor of Debian's libdlib-data (for research,
not for commercial use); without them it says so and exits with 77.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

try:
    import dlib
    import numpy as np
    from PIL import Image
except ImportError as error:
    print(f"SKIPPED, NOT TESTED: {error} (pip install dlib-bin numpy pillow)", file=sys.stderr)
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = "/usr/share/dlib/shape_predictor_68_face_landmarks.dat"


def formula():
    y, x = np.mgrid[0:150, 0:200]
    return np.stack([(x * x + 3 * y) % 256, (x * y) // 7 % 256, (5 * x + (y * y) // 3) % 256], -1).astype(np.uint8)


def load(name):
    return formula() if name == "formula" else np.array(Image.open(name).convert("RGB"))


def points(predictor, pixels, box):
    x, y, width, height = box
    found = predictor(pixels, dlib.rectangle(x, y, x + width - 1, y + height - 1))
    return [(p.x, p.y) for p in found.parts()]


def read_ellipses(folder):
    lines = iter((folder / "ellipses.txt").read_text().split("\n"))
    for name in lines:
        if not name.strip():
            continue
        ellipses = [[float(v) for v in next(lines).split()[:5]] for _ in range(int(next(lines)))]
        yield folder / (name if name.endswith(".jpg") else name + ".jpg"), ellipses


def boxes_of(kind, pixels, ellipses, detector):
    if kind == "hog":
        return [(r.left(), r.top(), r.width(), r.height()) for r in detector(pixels, 1)]
    sides = [int(1.8 * minor) for _, minor, *_ in ellipses]
    return [(int(cx - s / 2), int(cy - s / 2 + .15 * major), s, s)
            for s, (major, _, _, cx, cy) in zip(sides, ellipses)]  # fmt: skip


def compare(args):
    start = time.perf_counter()
    predictor = dlib.shape_predictor(args.model)
    load_dlib = time.perf_counter() - start
    detector = dlib.get_frontal_face_detector()
    jobs, wanted, best = [], [], float("inf")
    with tempfile.TemporaryDirectory() as folder:
        for number, (path, ellipses) in enumerate(read_ellipses(args.faces)):
            rgb = load(path)
            pixels = rgb if number % 2 else np.array(Image.fromarray(rgb).convert("L"))
            raw = pathlib.Path(folder) / f"{number}.raw"
            raw.write_bytes(pixels.tobytes())
            for box in boxes_of(args.boxes, rgb, ellipses, detector):
                start = time.perf_counter()
                wanted.append(points(predictor, pixels, box))
                best = min(best, time.perf_counter() - start)
                jobs.append({"file": str(raw), "width": rgb.shape[1], "height": rgb.shape[0],
                             "channels": 1 if pixels.ndim == 2 else 3, "box": box})  # fmt: skip
        program = pathlib.Path(args.build) / "bench/vision/landmarks_predict"
        ours = json.loads(subprocess.run([program, args.model], input=json.dumps(jobs), text=True,
                                         stdout=subprocess.PIPE, check=True).stdout)  # fmt: skip
    found, wanted = np.array(ours["points"]), np.array(wanted, float)
    distance = np.linalg.norm(found - wanted, axis=2)
    rounded = np.linalg.norm(np.floor(found + .5) - wanted, axis=2)
    result = {"dlib": dlib.__version__, "boxes": args.boxes, "faces": len(jobs),
              "mean_px": distance.mean(), "mean_px_rounded": rounded.mean(),
              "points_equal_rounded": float((rounded == 0).mean()),
              "ms_a_face": ours["ms"], "ms_a_face_dlib": best * 1e3,
              "load_s": ours["load_s"], "load_s_dlib": load_dlib}  # fmt: skip
    for key, value in result.items():
        print(f"{key:22}", f"{value:.4f}" if isinstance(value, float) else value)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["mean_px"] <= .5 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?")
    parser.add_argument("--faces", type=pathlib.Path, default=ROOT / "../shared/faces/fddb_subset")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--boxes", choices=["hog", "ellipse"], default="ellipse")
    parser.add_argument("--json")
    parser.add_argument("--print", nargs=5, metavar=("PICTURE", "X", "Y", "WIDTH", "HEIGHT"))
    args = parser.parse_args()
    for needed in [args.model] if args.print else [args.model, args.faces]:
        if not pathlib.Path(needed).exists():
            print(f"SKIPPED, NOT TESTED: {needed} is not there", file=sys.stderr)
            return 77
    if args.print:
        picture, *box = args.print
        found = points(dlib.shape_predictor(args.model), load(picture), tuple(map(int, box)))
        print(", ".join("{%d, %d}" % p for p in found))
        return 0
    if not args.build:
        parser.error("BUILD is missing")
    return compare(args)


if __name__ == "__main__":
    sys.exit(main())
