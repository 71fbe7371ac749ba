#!/usr/bin/env python3
"""Our RFB-320 face detector beside the published one in ONNX Runtime: same pictures, in turn.

    ssd_onnxruntime.py BUILD RFB.onnx RFB.safetensors PICTURES... [--constant-weights] [--json OUT]

BUILD is the build folder; RFB.safetensors is made from
RFB.onnx by data/convert_weights.py; PICTURES are files or folders. Needs onnxruntime, opencv-python-headless
and numpy. Prints the largest difference of scores and boxes for the very same input, how far our resizing is
from cv2.resize, whether the faces after suppression are the same (each with its own resizing too), and the
times of one thread. The published file lists its weights as inputs that a caller might change, which keeps ONNX
Runtime from folding and packing them; with --constant-weights it may (needs onnx). Exits with 1 where numbers
differ by more than 1e-3 or faces are not the same.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import onnxruntime

from pictures import list_pictures, timed

WIDTH, HEIGHT, PRIORS = 320, 240, 4420


def prepare(pixels):
    """As the published program: BGR to RGB, cv2.resize, (x - 127) / 128, NCHW."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), (WIDTH, HEIGHT))
    return ((small.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]


def iou(box, others):
    """As the published program: with an epsilon against empty boxes."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - shared + 1e-5)


def faces_of(scores, boxes, args):
    """Greedy suppression of the published program: [n, 5] corners in shares, and score."""
    sure = np.flatnonzero(scores[:, 1] > args.confidence)
    order = sure[np.argsort(-scores[sure, 1], kind="stable")][:200]
    kept = []
    while len(order):
        kept.append(order[0])
        order = order[1:][iou(boxes[order[0]], boxes[order[1:]]) <= args.max_overlap]
    return np.hstack([boxes[kept], scores[kept, 1:]]).reshape(-1, 5)


def matches(wanted, found):
    """How many of `wanted` have a box of `found` with IoU >= 0.9."""
    return sum(len(found) > 0 and iou(w[:4], found[:, :4]).max() >= 0.9 for w in wanted)


def read_raw(path):
    numbers = np.fromfile(path, np.float32)
    pixels = 3 * WIDTH * HEIGHT
    image = numbers[:pixels].reshape(1, HEIGHT, WIDTH, 3).transpose(0, 3, 1, 2)
    scores = numbers[pixels:pixels + 2 * PRIORS].reshape(PRIORS, 2)
    return np.ascontiguousarray(image), scores, numbers[pixels + 2 * PRIORS:].reshape(PRIORS, 4)


def read_network(path, constant_weights):
    """The file's bytes; with its weights taken out of the list of inputs, if so asked."""
    if not constant_weights:
        return path.read_bytes()
    import onnx

    model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model.SerializeToString()


def compare(picture, pixels, session, ours, raw, args):
    ours.stdin.write(f"{picture}\n")
    ours.stdin.flush()
    answer = json.loads(ours.stdout.readline())
    image, scores, boxes = read_raw(raw)
    height, width = pixels.shape[:2]
    found = np.array(answer["faces"], np.float64).reshape(-1, 5)
    found[:, 2:4] += found[:, :2]
    found[:, :4] /= [width, height, width, height]

    def network(x):
        scores, boxes = session.run(None, {session.get_inputs()[0].name: x})
        return scores[0], boxes[0]

    (their_scores, their_boxes), network_ms = timed(lambda: network(image), args.repeat)
    wanted = faces_of(their_scores, their_boxes, args)
    clipped = np.hstack([np.clip(wanted[:, :4], 0, 1), wanted[:, 4:]])
    published, ms = timed(lambda: faces_of(*network(prepare(pixels)), args), args.repeat)
    published[:, :4] = np.clip(published[:, :4], 0, 1)
    same = clipped.shape == found.shape and bool(np.abs(clipped - found).max(initial=0) <= 1e-3)
    return {
        "score_difference": float(np.abs(scores - their_scores).max()),
        "box_difference": float(np.abs(boxes - their_boxes).max()),
        "grey_level_difference": float(np.abs(image - prepare(pixels)).max() * 128),
        "ours": len(found), "theirs": len(wanted), "same": same,
        "published": len(published), "published_matched": int(matches(published, found)),
        "network_ms": answer["network_ms"], "their_network_ms": network_ms,
        "ms": answer["ms"], "their_ms": ms,
    }  # fmt: skip


def summary(rows):
    def worst(key):
        return max(row[key] for row in rows)

    def total(key):
        return sum(row[key] for row in rows)

    def median(key):
        return statistics.median(row[key] for row in rows)

    return {
        "pictures": len(rows),
        **{key: worst(key) for key in ("score_difference", "box_difference", "grey_level_difference")},
        **{key: total(key) for key in ("ours", "theirs", "same", "published", "published_matched")},
        **{key: median(key) for key in ("network_ms", "their_network_ms", "ms", "their_ms")},
        "network_ratio": statistics.median(r["network_ms"] / r["their_network_ms"] for r in rows),
        "ratio": statistics.median(r["ms"] / r["their_ms"] for r in rows),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("onnx", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--confidence", type=float, default=0.7)
    parser.add_argument("--max-overlap", type=float, default=0.3)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--constant-weights", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = args.threads, 3
    network = read_network(args.onnx, args.constant_weights)
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    cv2.setNumThreads(args.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        raw = pathlib.Path(folder) / "raw.bin"
        ours = subprocess.Popen(
            [args.build / "bench/vision/ssd_detect", "--model", args.model, "--raw", raw, "--repeat",
             str(args.repeat), "--threads", str(args.threads), "--confidence", str(args.confidence),
             "--max-overlap", str(args.max_overlap)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in list_pictures(args.pictures):
            pixels = cv2.imread(str(name), cv2.IMREAD_COLOR)
            copy = pathlib.Path(folder) / "picture.png"  # JPEG decoders differ in the last bit
            cv2.imwrite(str(copy), pixels)
            rows.append(compare(copy, pixels, session, ours, raw, args))
        ours.stdin.close()
        ours.wait()
    result = summary(rows)
    print("ONNX Runtime {}, {} thread(s), {pictures} pictures\n"
          "largest difference: scores {score_difference:.2e}, boxes {box_difference:.2e} of the input; "
          "resized pixels {grey_level_difference:.0f} grey level(s)\n"
          "faces: ours {ours}, theirs {theirs} for our input, alike in {same} pictures; "
          "with cv2.resize {published}, {published_matched} of them ours too\n"
          "network {network_ms:.2f} ms, ONNX Runtime {their_network_ms:.2f} ms, ratio {network_ratio:.3f}; "
          "from pixels to faces {ms:.2f} ms, theirs {their_ms:.2f} ms, ratio {ratio:.3f}".format(
              onnxruntime.__version__, args.threads, **result))
    if args.json:
        args.json.write_text(json.dumps({**result, "onnxruntime": onnxruntime.__version__}, indent=1))
    alike = result["score_difference"] <= 1e-3 and result["box_difference"] <= 1e-3
    sys.exit(0 if alike and result["same"] == len(rows) else 1)


if __name__ == "__main__":
    main()
