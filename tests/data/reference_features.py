#!/usr/bin/env python3
"""Writes what a runtime gives for preprocessed inputs, so that the engine can be compared with it.

    tests/data/run.sh reference_features.py MODEL OUTPUT.npy INPUT.npy... [--logits]
    tests/data/run.sh reference_features.py --make-inputs STYLE OUTPUT.npy [--size 224]

MODEL is a published file (.h5, .pth, .onnx, .tflite), run in its format's own runtime, or a converted
.safetensors, run in plain numpy. Inputs are float32, NHWC or HWC, already preprocessed; they are run in
the order given as one batch. OUTPUT is [N, 1280] pooled features, or [N, classes] with --logits; for a
detector's .safetensors there is one array for each output: OUTPUT with -scores and so on before .npy.
--make-inputs writes the test pictures (four photographs and ten faces), preprocessed in STYLE: tf,
imagenet, or pixels (0..255).
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy  # noqa: E402
import reference  # noqa: E402
import runtimes  # noqa: E402
import samples  # noqa: E402


def load(paths):
    batches = [numpy.load(path, allow_pickle=False) for path in paths]
    batches = [b[None] if b.ndim == 3 else b for b in batches]
    return numpy.concatenate(batches).astype(numpy.float32)


def converted(path, x, logits):
    """{suffix of the file: array} of a .safetensors file."""
    if "graph" in reference.load(path)[1]:
        return {f"-{name}": value for name, value in reference.Graph(path)(x).items()}
    model = reference.MobileNetV2(path)
    return {"": model.logits(x) if logits else model.features(x)}


def results(path, x, logits):
    if path.endswith(".safetensors"):
        return converted(path, x, logits)
    return {"": runtimes.run(path, x)[1 if logits else 0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("output")
    parser.add_argument("inputs", nargs="*")
    parser.add_argument("--logits", action="store_true")
    parser.add_argument("--make-inputs", choices=["tf", "imagenet", "pixels"])
    parser.add_argument("--size", type=int, default=224)
    args = parser.parse_args()
    if args.make_inputs:
        pixels = args.make_inputs == "pixels"
        arrays = {"": samples.images(args.size) if pixels else samples.inputs(args.make_inputs, args.size)}
    elif args.model and args.inputs:
        arrays = results(args.model, load(args.inputs), args.logits)
    else:
        parser.error("give a model, an output and at least one input, or --make-inputs")
    stem, ending = os.path.splitext(args.output)
    for suffix, array in arrays.items():
        numpy.save(stem + suffix + ending, array.astype(numpy.float32))
        print(f"{stem}{suffix}{ending}: {list(array.shape)}")


if __name__ == "__main__":
    main()
