#!/usr/bin/env python3
"""One classifier in float32 and in int8, here and in the engines that people use: same weights and pictures, runs in turn.

    bench/peers/setup.sh bench/peers/int8.py BUILD MODEL PICTURES [--batch 1,32] [--threads 1,2] [--rounds 12]
                         [--only NAME,...] [--keep FOLDER] [--json OUT]

BUILD is the build folder; MODEL a .safetensors file of a classifier; PICTURES a folder of at least 200. Every engine gets the
network quantised by its own tool (int8_models.py): ONNX Runtime's, NNCF for OpenVINO, which also runs ONNX Runtime's file,
TensorFlow's converter for LiteRT, PyTorch's of graphs, and ncnn's, where PATH has them. Prints medians of a picture's time, their
ratio to the fastest peer in int8, and, of each model in int8, the cosine between its answers and those of Maskwatch in float32 on
pictures that no range comes from. --keep FOLDER keeps the models, and takes those that a run with the same arguments left there;
--only compares the models whose names hold one of these words, and Maskwatch's.
"""
import argparse
import json
import pathlib
import random
import statistics
import sys
import tempfile

import numpy
from PIL import Image

from engines import Engine, Failure
import int8_models
from pictures import list_pictures

HERE = pathlib.Path(__file__).resolve().parent
MOST = 100  # pictures for ranges, and as many to compare by


def prepared(path, size, way):
    """[size, size, 3] as the metadata `preprocessing` says."""
    pixels = numpy.asarray(Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR), numpy.float32)
    if way == "tf":
        return pixels / 127.5 - 1
    if way == "unit":
        return pixels / 255
    return (pixels / 255 - numpy.array([0.485, 0.456, 0.406], numpy.float32)) / numpy.array([0.229, 0.224, 0.225], numpy.float32)


class Compared(Engine):
    """A model's process, with its answers."""

    def __init__(self, model, args, size, batch, threads, folder):
        self.model, self.batch, self.file, self.answers = model, batch, str(folder / "values"), []
        shape = ["--batch", str(batch), "--threads", str(threads)]
        command = [args.build / "bench/nn/serve", model.file, *shape]
        if model.engine != "ours":
            command = [sys.executable, HERE / "int8_worker.py", model.engine, model.file, "--size", str(size), *shape]
        super().__init__(model.name, command, threads, sys.stderr)

    def answer(self, pictures):
        numpy.ascontiguousarray(pictures).tofile(self.file)
        self.ask(f"input {self.file}")
        self.answers.append(self.logits(self.file).reshape(self.batch, -1))


def cosines(a, b):
    return (a * b).sum(1) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b, axis=1)


def started(args, models, size, batch, threads, folder):
    """Engines that answer; the others are named and left out."""
    engines = []
    for model in models:
        engine = Compared(model, args, size, batch, threads, folder)
        try:
            engine.wait_until_ready()
            engine.pause()
            engines.append(engine)
        except Failure as failure:
            print(f"{model.name} is left out: {failure}", file=sys.stderr)
            engine.end()
    return engines


def compare(args, models, inputs, batch, threads, folder):
    engines = started(args, models, inputs.shape[1], batch, threads, folder)
    for engine in engines:
        engine.resume()
        for begin in range(0, len(inputs) - batch + 1, batch):
            engine.answer(inputs[begin : begin + batch])
        engine.pause()
    for turn in range(args.rounds):
        shift = turn % len(engines)
        for engine in engines[shift:] + engines[:shift]:
            engine.resume()
            # The first runs of a turn find cold caches.
            engine.ask("run 2")
            engine.samples += engine.ask(f"run {2 + 12 // batch}")
            engine.pause()
    for engine in engines:
        engine.end()
    truth = numpy.concatenate(engines[0].answers)
    return [{"engine": e.name, "batch": batch, "threads": threads, "ms_a_picture": statistics.median(e.samples) / batch,
             "cosine": float(cosines(truth, numpy.concatenate(e.answers)).mean()), "bytes": e.model.bytes}
            for e in engines]  # fmt: skip


def print_table(rows):
    print(f"{'':26}{'batch':>6}{'threads':>8}{'ms a picture':>14}{'ours / it':>11}{'cosine':>9}{'kB':>8}")
    for row in rows:
        ours = next(r for r in rows if (r["engine"], r["batch"], r["threads"]) == ("Maskwatch int8", row["batch"], row["threads"]))
        print(f"{row['engine']:26}{row['batch']:6}{row['threads']:8}{row['ms_a_picture']:14.3f}"
              f"{ours['ms_a_picture'] / row['ms_a_picture']:11.2f}{row['cosine']:9.4f}{row['bytes'] / 1e3:8.0f}")  # fmt: skip
    for batch, threads in dict.fromkeys((r["batch"], r["threads"]) for r in rows):
        case = {r["engine"]: r["ms_a_picture"] for r in rows if (r["batch"], r["threads"]) == (batch, threads)}
        peers = {name: ms for name, ms in case.items() if "int8" in name and not name.startswith("Maskwatch")}
        if peers:
            fastest = min(peers, key=peers.get)
            print(f"batch {batch}, threads {threads}: {case['Maskwatch int8'] / peers[fastest]:.2f} of the time of {fastest}, "
                  f"{case['Maskwatch int8'] / case['Maskwatch float32']:.2f} of our float32's")  # fmt: skip


def whole_numbers(text):
    return [int(n) for n in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--batch", default="1,32", type=whole_numbers)
    parser.add_argument("--threads", default="1", type=whole_numbers)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--only", default="", help="words in names of models, with commas between them")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder that keeps the models for the next run")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def models_in(args, folder, paths, inputs):
    index = folder / "models.json"
    if not index.exists():
        models = int8_models.make(folder, args.build, args.model, paths, inputs)
        index.write_text(json.dumps([vars(m) for m in models], default=str, indent=1))
    models = [int8_models.Model(**entry) for entry in json.loads(index.read_text())]
    words = [word.lower() for word in args.only.split(",") if word]
    return [m for m in models if m.engine == "ours" or not words or any(w in m.name.lower() for w in words)]


def main():
    args = arguments()
    metadata = int8_models.metadata_of(args.model)
    paths = list(list_pictures([args.pictures]))
    random.Random(1).shuffle(paths)
    if len(paths) < 2 * MOST:
        sys.exit(f"error: {args.pictures}: {len(paths)} pictures, {2 * MOST} are needed")
    size, way = int(metadata["input_size"]), metadata["preprocessing"]
    inputs = numpy.stack([prepared(p, size, way) for p in paths[: 2 * MOST]])
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        models = models_in(args, folder.resolve(), paths[:MOST], inputs[:MOST])
        for threads in args.threads:
            for batch in args.batch:
                rows += compare(args, models, inputs[MOST:], batch, threads, pathlib.Path(temporary))
    print_table(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
