#!/usr/bin/env python3
"""One classifier in float32 and in int8, here and in ONNX Runtime: same weights, same pictures to find ranges by, runs in turn.

    bench/peers/setup.sh bench/peers/int8.py BUILD MODEL PICTURES [--batch 1,32] [--threads 1] [--rounds 12] [--json OUT]

BUILD is the build folder; MODEL a .safetensors file of a classifier; PICTURES a folder. ONNX Runtime gets the model from
data/export_onnx.py and quantises it itself, as it does best on processors with VNNI: QDQ, weights int8 for each channel, activations
uint8, minima and maxima of the pictures. Prints medians of a picture's time and, of each int8 model, the cosine between its answers
and those of its float32 one on pictures that no range comes from. Needs onnxruntime, onnx, numpy and Pillow.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

from engines import Engine
from pictures import list_pictures

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOST = 100  # pictures for ranges, and as many to compare by


def prepared(path, size, way):
    """[size, size, 3] as the metadata `preprocessing` says."""
    pixels = numpy.asarray(Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR), numpy.float32)
    if way == "tf":
        return pixels / 127.5 - 1
    if way == "unit":
        return pixels / 255
    return (pixels / 255 - numpy.array([0.485, 0.456, 0.406], numpy.float32)) / numpy.array([0.229, 0.224, 0.225], numpy.float32)


class Reader(CalibrationDataReader):
    def __init__(self, inputs):
        self.left = iter([{"input": x.transpose(2, 0, 1)[None]} for x in inputs])

    def get_next(self):
        return next(self.left, None)


class Runtime:
    """ONNX Runtime, with the interface of Engine."""

    def __init__(self, name, path, threads, batch):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        self.name, self.samples = name, []
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.batch = batch

    def set_input(self, x):
        self.x = numpy.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def run(self):
        start = time.perf_counter()
        self.answer = self.session.run(None, {"input": self.x})[0]
        return (time.perf_counter() - start) * 1e3

    def answers(self):
        self.run()
        return self.answer.reshape(self.batch, -1)

    def pause(self):
        pass

    resume = end = pause


class Ours(Runtime):
    def __init__(self, name, build, model, threads, batch, folder):
        self.name, self.samples, self.batch, self.file = name, [], batch, folder / "values"
        self.engine = Engine(name, [build / "bench/nn/serve", model, "--batch", str(batch), "--threads", str(threads)], threads, sys.stderr)
        self.engine.wait_until_ready()

    def set_input(self, x):
        numpy.ascontiguousarray(x).tofile(self.file)
        self.engine.ask(f"input {self.file}")

    def run(self):
        return self.engine.ask("run 1")[0]

    def answers(self):
        self.engine.ask(f"output {self.file}")
        return numpy.fromfile(self.file, numpy.float32).reshape(self.batch, -1)

    def pause(self):
        self.engine.pause()

    def resume(self):
        self.engine.resume()

    def end(self):
        self.engine.end()


def quantise(args, metadata, paths, folder):
    """The four models: ours and ONNX Runtime's, in float32 and in int8."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for path in paths[:MOST]:
        (pictures / path.name).symlink_to(path.resolve())
    ours, exported, ready, theirs = (folder / name for name in ("int8.safetensors", "float.onnx", "ready.onnx", "int8.onnx"))
    subprocess.run([args.build / "apps/quantize_model", args.model, "-d", pictures, "-o", ours], check=True)
    subprocess.run([sys.executable, ROOT / "data/export_onnx.py", args.model, exported], check=True)
    quant_pre_process(str(exported), str(ready), skip_symbolic_shape=True)
    size, way = int(metadata["input_size"]), metadata["preprocessing"]
    quantize_static(str(ready), str(theirs), Reader([prepared(p, size, way) for p in paths[:MOST]]), quant_format=QuantFormat.QDQ,
                    per_channel=True, weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)  # fmt: skip
    return args.model, ours, exported, theirs


def cosines(a, b):
    return (a * b).sum(1) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b, axis=1)


def compare(args, models, inputs, batch, folder):
    names = ("Maskwatch float32", "Maskwatch int8", "ONNX Runtime float32", "ONNX Runtime int8")
    engines = [Ours(n, args.build, m, args.threads, batch, folder) for n, m in zip(names[:2], models[:2])]
    engines += [Runtime(n, m, args.threads, batch) for n, m in zip(names[2:], models[2:])]
    answers = [[] for _ in engines]
    for begin in range(0, len(inputs) - batch + 1, batch):
        for engine, answer in zip(engines, answers):
            engine.set_input(inputs[begin : begin + batch])
            answer.append(engine.answers())
    for turn in range(args.rounds):
        shift = turn % len(engines)
        for engine in engines[shift:] + engines[:shift]:
            engine.resume()
            # The first run of a turn finds cold caches.
            engine.samples += [engine.run() for _ in range(2 + 12 // batch)][1:]
            engine.pause()
    for engine in engines:
        engine.end()
    answers = [numpy.concatenate(answer) for answer in answers]
    rows = []
    for i, engine in enumerate(engines):
        like = float(cosines(answers[i - i % 2], answers[i]).mean())
        rows.append({"engine": engine.name, "batch": batch, "threads": args.threads, "ms_a_picture": statistics.median(engine.samples) / batch,
                     "cosine": like, "bytes": pathlib.Path(models[i]).stat().st_size})  # fmt: skip
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--batch", default="1,32", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    with open(args.model, "rb") as file:
        metadata = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]
    paths = list(list_pictures([args.pictures]))
    random.Random(1).shuffle(paths)
    if len(paths) < 2 * MOST:
        sys.exit(f"error: {args.pictures}: {len(paths)} pictures, {2 * MOST} are needed")
    size, way = int(metadata["input_size"]), metadata["preprocessing"]
    inputs = numpy.stack([prepared(p, size, way) for p in paths[MOST : 2 * MOST]])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        models = quantise(args, metadata, paths, pathlib.Path(folder))
        for batch in args.batch:
            rows += compare(args, models, inputs, batch, pathlib.Path(folder))
    print(f"{'':24}{'batch':>6}{'ms a picture':>14}{'cosine':>9}{'kB':>8}")
    for row in rows:
        print(f"{row['engine']:24}{row['batch']:6}{row['ms_a_picture']:14.3f}{row['cosine']:9.4f}{row['bytes'] / 1e3:8.0f}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
