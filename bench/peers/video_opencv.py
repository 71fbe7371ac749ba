#!/usr/bin/env python3
"""A clip through detect_mask_video, and through the original's way: a Python loop around OpenCV's Haar cascade and
MobileNetV2 1.0/224 in ONNX Runtime.

    video_opencv.py BUILD CLIP --onnx MODEL.onnx [--model NAME=FILE ...] [--ssd FILE] [--threads 2] [--rounds 3]

BUILD is the build folder. MODEL.onnx is any MobileNetV2 1.0/224 (1, 3, 224, 224), such as networks.py writes. Each --model is one more of ours to measure beside the one that ships. Needs
opencv-python-headless 4 (5 has no cascades), onnxruntime and numpy. The programs take turns; the best of the rounds
counts. Prints a table: frames a second with no window, every face of every frame looked for and classified.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

import cv2
import numpy as np
import onnxruntime

CASCADE = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_alt2.xml"


class Original:
    """As the original: read, find faces, then crop, resize and classify one face after the other."""

    name = "OpenCV Haar + ONNX Runtime MobileNetV2 1.0/224, Python loop"

    def __init__(self, clip, onnx, threads):
        self.clip = clip
        cv2.setNumThreads(threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.cascade = cv2.CascadeClassifier(CASCADE)
        if self.cascade.empty():
            sys.exit(f"error: {CASCADE} is not there (Debian's package opencv-data)")

    def classify(self, frame, box):
        x, y, w, h = box
        face = cv2.cvtColor(frame[max(0, y) : y + h, max(0, x) : x + w], cv2.COLOR_BGR2RGB)
        face = cv2.resize(face, (224, 224)).astype(np.float32) / 127.5 - 1
        return self.session.run(None, {self.input: face.transpose(2, 0, 1)[None]})[0]

    def run(self):
        video = cv2.VideoCapture(self.clip)
        frames = faces = 0
        began = None
        while True:
            there, frame = video.read()
            if not there:
                break
            found = self.cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), 1.1, 5, minSize=(30, 30))
            for box in found:
                self.classify(frame, box)
            faces += len(found)
            frames += 1
            began = began or time.perf_counter()
        return {"fps": (frames - 1) / (time.perf_counter() - began), "faces": faces}


class Ours:
    def __init__(self, build, clip, face, face_name, model, model_name, threads):
        self.name = f"detect_mask_video, {face_name}, {model_name}"
        self.command = [str(pathlib.Path(build) / "apps/detect_mask_video"), "-s", clip, "--headless", "--stats", "-"]
        self.command += ["--detect-every", "1", "--threads", str(threads), "-f", face] + (["-m", model] if model else [])

    def run(self):
        stats = json.loads(subprocess.run(self.command, check=True, capture_output=True, text=True).stdout)
        return {"fps": stats["fps"], "faces": stats["latency_ms"].get("classify", {}).get("count", 0)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("clip")
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--ssd", help="RFB-320, converted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    args = parser.parse_args()
    models = [("the model that ships", None)] + [tuple(model.split("=", 1)) for model in args.model]
    detectors = [("ours", "ours"), ("Haar", "haar")] + ([("SSD RFB-320", args.ssd)] if args.ssd else [])
    runners = [Original(args.clip, args.onnx, args.threads)]
    runners += [Ours(args.build, args.clip, face, face_name, model, name, args.threads) for face_name, face in detectors for name, model in models]
    best = {}
    for _ in range(args.rounds):
        for runner in runners:
            result = runner.run()
            if result["fps"] > best.get(runner.name, {"fps": 0})["fps"]:
                best[runner.name] = result
    base = best[runners[0].name]["fps"]
    print(f"| {pathlib.Path(args.clip).name}, {args.threads} threads | frames a second | ratio |\n|---|---|---|")
    for name, result in best.items():
        print(f"| {name} | {result['fps']:.1f} | {result['fps'] / base:.2f} |")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"clip": args.clip, "threads": args.threads, "best": best}, indent=2) + "\n")


if __name__ == "__main__":
    main()
