#!/usr/bin/env python3
"""Maskwatch and the engines that people use instead: the same network, weights and input, in turn, in one run.

    bench/peers/setup.sh bench/peers/run.py BUILD_FOLDER [--quick] [--only inference,training,recipe,pipeline,detectors]

Every case (width/size/batch/threads) starts all engines, compares their outputs with ours, then asks them in turn, and
stops those whose turn it is not. Results are added to OUT/results.json case by case, so that a run can be taken in
pieces with --only and --case; from all that is there OUT/table.md and OUT/chart.png are made. See docs/benchmarks.md.
"""

import argparse
import importlib.metadata
import json
import pathlib
import platform
import subprocess
import sys
import tempfile

import numpy

import detectors
import engines
import recipe
import table

HERE = pathlib.Path(__file__).resolve().parent
BATCHES = (1, 32)
# Width, input size. The first is measured with --quick, and is what the ratios that count come from.
NETWORKS = ((1.0, 224), (0.35, 224), (1.4, 224), (1.0, 96), (1.0, 320))
PEERS = ("onnxruntime", "openvino", "litert", "ncnn", "opencv", "tensorflow", "torch", "torch compiled")
PACKAGES = ("onnxruntime", "openvino", "ai-edge-litert", "ncnn", "opencv-python-headless", "tensorflow-cpu", "keras", "torch")
TRAINERS = ("torch", "torch compiled")
# Not with --quick: these take longest to get ready.
SLOW_TO_START = ("tensorflow", "torch compiled")


def versions():
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


class Suite:
    def __init__(self, args):
        self.args, self.out = args, args.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.file = self.out / "results.json"
        self.results = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.results.update(processor=processor(), versions=versions())
        self.log = open(self.out / "engines.log", "a")

    def save(self, kind, case, result):
        self.results.setdefault(kind, {})[case] = result
        self.file.write_text(json.dumps(self.results, indent=1))

    def folder(self, width, size):
        """The network's files, made once, in a process of its own: it holds two frameworks."""
        folder = self.args.models / f"{width}_{size}"
        if not (folder / "complete").exists():
            command = [sys.executable, HERE / "networks.py", folder, str(width), str(size)] + [str(b) for b in BATCHES]
            subprocess.run(command, check=True, stdout=self.log, stderr=self.log)
        return folder

    def start(self, name, folder, width, size, batch, threads, train):
        flags = ["--train"] if train else []
        if name == "maskwatch":
            command = [self.args.build / "bench/nn/serve", folder / "model.safetensors"]
        else:
            command = [sys.executable, HERE / "worker.py", name, folder, "--width", str(width), "--size", str(size)]
        command += ["--batch", str(batch), "--threads", str(threads)] + flags
        return engines.Engine(name, command, threads, self.log)

    def network(self, kind, width, size, batch, threads):
        """One case of inference or training: {engine: figures}."""
        train = kind == "training"
        names = ("maskwatch",) + (TRAINERS if train else PEERS)
        if self.args.quick:
            names = tuple(n for n in names if n not in SLOW_TO_START)
        if self.args.engines:
            names = tuple(n for n in names if n == "maskwatch" or n in self.args.engines)
        folder, started, result = self.folder(width, size), [], {}
        # Together, for much of it is imports; then each alone.
        waiting = [self.start(name, folder, width, size, batch, threads, train) for name in names]
        with tempfile.TemporaryDirectory() as scratch:
            ours = None
            for engine in waiting:
                try:
                    engine.wait_until_ready()
                    engine.ask(f"input {folder / f'input_{batch}.f32'}")
                    logits = engine.logits(f"{scratch}/logits.f32")
                    ours = logits if ours is None else ours
                    engine.difference = float(numpy.abs(logits - ours).max())
                    engine.pause()
                    started.append(engine)
                except engines.Failure as failure:
                    result[engine.name] = {"failed": str(failure)[:300]}
                    engine.end()
            engines.measure(started, self.args.rounds, self.args.turn)
            for engine in started:
                engine.resume()
                result[engine.name] = (
                    {"failed": engine.failed} if engine.failed
                    else {**engines.figures(engine.samples), "difference": engine.difference, "memory": engine.peak_memory()})  # fmt: skip
                engine.end()
        case = f"{width}/{size}/{batch}/{threads}"
        self.save(kind, case, result)
        print(table.case_line(kind, case, result), flush=True)

    def cases(self, kind):
        networks = NETWORKS[:1] if self.args.quick or kind == "training" else NETWORKS
        batches = BATCHES[1:] if kind == "training" else BATCHES
        for width, size in networks:
            for batch in batches:
                for threads in (1, 2):
                    if self.args.quick and threads != min(batch, 2):
                        continue
                    if not self.args.case or self.args.case == f"{width}/{size}/{batch}/{threads}":
                        yield width, size, batch, threads

    def run(self):
        only = self.args.only.split(",")
        for kind in ("inference", "training"):
            if kind in only:
                for case in self.cases(kind):
                    self.network(kind, *case)
        for kind, program in (("pipeline", recipe.pipeline), ("recipe", recipe.epochs), ("detectors", detectors.run)):
            if kind in only:
                for case, result in program(self.args, self.log):
                    self.save(kind, case, result)
                    print(table.case_line(kind, case, result), flush=True)
        table.write(self.results, self.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("bench-output/peers"))
    parser.add_argument("--models", type=pathlib.Path, help="where the networks' files lie (default: OUT/models)")
    parser.add_argument("--only", default="inference,training,pipeline,recipe,detectors")
    parser.add_argument("--case", help="width/size/batch/threads, as in 1.0/224/32/2")
    parser.add_argument("--engines", type=lambda text: text.split(","), help="these peers only")
    parser.add_argument("--shared", type=pathlib.Path, default=HERE.parent.parent.parent / "shared")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--turn", type=float, help="seconds that an engine has a turn")
    parser.add_argument("--quick", action="store_true", help="the chief network alone, few rounds: two minutes")
    args = parser.parse_args()
    if not (args.build / "bench/nn/serve").exists():
        parser.error(f"{args.build} holds no built Maskwatch; `make` builds it into build")
    args.rounds = args.rounds or (3 if args.quick else 7)
    args.turn = args.turn or (0.05 if args.quick else 0.15)
    args.models = args.models or args.out / "models"
    args.build, args.out, args.models = args.build.resolve(), args.out.resolve(), args.models.resolve()
    Suite(args).run()
    print(f"Table, figures and chart are in {args.out}")


if __name__ == "__main__":
    main()
