#!/usr/bin/env python3
"""The face-api landmark network on our engine beside the same network in plain numpy.

    tests/data/run.sh ../vision/faces/landmarks_peer_test.py BUILD

BUILD is the build folder. The network's input is
compared with one that cv2 and numpy letterbox here, its 136 numbers with those of the plain network for the
very same input, and the points with these numbers put back into the picture. Boxes reach over the pictures'
edges. Skipped where ../shared is missing.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/data"))
import reference  # noqa: E402

SHARED = ROOT / "../shared"
PICTURES = SHARED / "faces/fddb_subset"
SKIPPED = 77
SIDE, POINTS = 112, 136
MEAN = numpy.array([122.782, 117.001, 104.298], numpy.float32)


def read_jobs(folder):
    """Every fourth face with boxes of several proportions about its ellipse: (jobs, pictures)."""
    lines = iter((PICTURES / "ellipses.txt").read_text().split("\n"))
    jobs, pictures = [], []
    for number, name in enumerate(filter(None, map(str.strip, lines))):
        ellipses = [[float(v) for v in next(lines).split()[:5]] for _ in range(int(next(lines)))]
        if number % 4:
            continue
        path = PICTURES / (name if name.endswith(".jpg") else name + ".jpg")
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if number % 8 else cv2.IMREAD_COLOR)
        raw = pathlib.Path(folder) / f"{number}.raw"
        channels = 1 if pixels.ndim == 2 else 3
        raw.write_bytes((pixels if channels == 1 else pixels[..., ::-1]).tobytes())
        for major, minor, _, x, y in ellipses:
            width, height = minor * (2 + number % 3), major * (2 + number % 5 / 2)
            box = [float(numpy.float32(v)) for v in (x - width / 2, y - height / 2, width, height)]
            jobs.append({"file": str(raw), "width": pixels.shape[1], "height": pixels.shape[0],
                         "channels": channels, "box": box})  # fmt: skip
            pictures.append(pixels if channels == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR))
    return jobs, pictures


def cut(pixels, box):
    """The part of the box inside the picture: (x, y, pixels)."""
    ends = [box[0], box[1], box[0] + box[2], box[1] + box[3]]
    left, top, right, bottom = (max(0, int(numpy.floor(v + .5))) for v in ends)
    return left, top, pixels[top:bottom, left:right]


def letterbox(pixels):
    """(input, left, top, width, height): in the middle of a black square, as face-api does it."""
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    width, height = (max(1, int(numpy.floor(v * scale + .5))) for v in (width, height))
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    square = numpy.zeros((SIDE, SIDE, 3), numpy.uint8)
    square[top:top + height, left:left + width] = cv2.resize(pixels, (width, height))[..., ::-1]
    return (square.astype(numpy.float32) - MEAN) / 255, left, top, width, height


def compare(build, folder):
    manifest = SHARED / "published/face_api/face_landmark_68_model-weights_manifest.json"
    model = pathlib.Path(folder) / "landmarks.safetensors"
    subprocess.run([sys.executable, ROOT / "data/convert_weights.py", manifest, model], check=True)
    jobs, pictures = read_jobs(folder)
    raw = pathlib.Path(folder) / "raw.bin"
    answer = subprocess.run([f"{build}/bench/vision/landmarks_predict", model, raw], input=json.dumps(jobs),
                            text=True, check=True, stdout=subprocess.PIPE).stdout  # fmt: skip
    found = numpy.array(json.loads(answer)["points"])
    numbers = numpy.fromfile(raw, numpy.float32).reshape(len(jobs), -1)
    inputs = numbers[:, :-POINTS].reshape(-1, SIDE, SIDE, 3)
    wanted = reference.Graph(model)(inputs)["points"].reshape(len(jobs), POINTS)
    worst = {"numbers": numpy.abs(numbers[:, -POINTS:] - wanted).max(), "grey levels": 0, "pixels": 0}
    for i, (job, pixels) in enumerate(zip(jobs, pictures)):
        x, y, part = cut(pixels, job["box"])
        mine, left, top, width, height = letterbox(part)
        worst["grey levels"] = max(worst["grey levels"], numpy.abs(mine - inputs[i]).max() * 255)
        shares = wanted[i].reshape(68, 2) * SIDE
        points = (shares - [left, top]) * [part.shape[1] / width, part.shape[0] / height] + [x, y]
        worst["pixels"] = max(worst["pixels"], numpy.abs(points - found[i]).max())
    return len(jobs), worst


def main():
    if not (SHARED / "published/face_api").exists() or not PICTURES.exists():
        print("SKIPPED, NOT TESTED: ../shared lacks the published network or the pictures", file=sys.stderr)
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        faces, worst = compare(sys.argv[1], folder)
    print(f"{faces} faces: the network's numbers differ by {worst['numbers']:.1e}, its input by "
          f"{worst['grey levels']:.2f} grey levels from cv2.resize, points by {worst['pixels']:.1e} pixels")
    return 0 if faces > 40 and worst["numbers"] <= 1e-4 and worst["grey levels"] < 1.01 and worst["pixels"] <= .05 else 1


if __name__ == "__main__":
    sys.exit(main())
