#!/usr/bin/env python3
"""Converted files in our engine against each format's own runtime, on four photographs and ten faces.

    tests/data/run.sh ../nn/converted_features_test.py FEATURES

FEATURES is the program of features.cc. Compared are the averaged features and the probabilities: the
largest difference over all pictures, relative to the largest number.
"""

import os
import subprocess
import sys
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "data"))

import builders  # noqa: E402
import convert_test  # noqa: E402
import numpy  # noqa: E402
import runtimes  # noqa: E402
import samples  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402

PROGRAM = sys.argv.pop(1)
published = convert_test.published


def softmax(logits):
    exponents = numpy.exp(logits - logits.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True)


class Engine(convert_test.ConvertTest):
    def engine(self, model, x):
        """(features, probabilities or None) of our engine."""
        pictures, result = self.path("pictures"), self.path("result")
        save_file({"pictures": numpy.ascontiguousarray(x)}, pictures)
        subprocess.run([PROGRAM, model, pictures, result], check=True)
        found = load_file(result)
        return found["features"], found.get("probabilities")

    def check(self, source, runtime_source=None, style="tf", probabilities=None):
        """`probabilities` turns the runtime's second result into such."""
        x = samples.inputs(style)
        expected, answers = runtimes.run(runtime_source or source, x)
        features, found = self.engine(self.convert(source), x)
        self.assert_close(features, expected)
        if probabilities:
            self.assert_close(found, probabilities(answers))
            self.assertEqual(found.argmax(1).tolist(), answers.argmax(1).tolist())

    def test_keras(self):
        source = published("keras_mobilenet_v2_0.35_224_head.h5")
        self.check(source, probabilities=lambda answers: answers)

    def test_pytorch_and_its_onnx(self):
        import torch

        source, exported = self.path("mobilenet_v2.pth"), self.path("unfolded.onnx")
        builders.torchvision_pth(source, width=0.75, classes=11)
        builders.onnx_from_pth(exported, torch.load(source, weights_only=True))
        self.check(source, style="imagenet", probabilities=softmax)
        self.check(exported, style="imagenet", probabilities=softmax)

    def test_folder_of_float_tflite(self):
        exported = self.path("folded.onnx")
        builders.onnx_from_folder(exported, published("mobilenet_v2_1.0_224_tflite_float"))
        self.check(published("mobilenet_v2_1.0_224_tflite_float"), exported)

    def test_folder_of_onnx_zoo(self):
        exported = self.path("folded.onnx")
        builders.onnx_from_folder(exported, published("mobilenet_v2_1.0_224_onnx_zoo"))
        self.check(published("mobilenet_v2_1.0_224_onnx_zoo"), exported, "imagenet")

    def test_float_tflite(self):
        source = self.path("float.tflite")
        builders.float_tflite(source, published("mobilenet_v2_1.0_224_quant.tflite"))
        self.check(source)

    def test_quantised_tflite_names_the_four_photographs(self):
        source, x = published("mobilenet_v2_1.0_224_quant.tflite"), samples.inputs()[:4]
        model = self.convert(source, "--labels", published("imagenet_labels.txt"))
        _, found = self.engine(model, x)
        _, theirs = runtimes.run(source, x)
        with open(published("imagenet_labels.txt"), encoding="utf-8") as file:
            labels = file.read().splitlines()
        expected = ["Egyptian cat", "chickadee", "macaw", "military uniform"]
        self.assertEqual([labels[i] for i in found.argmax(1)], expected)
        self.assertEqual(found.argmax(1).tolist(), theirs.argmax(1).tolist())


if __name__ == "__main__":
    if not os.path.isdir(samples.PUBLISHED):
        print("SKIPPED, NOT TESTED: ../shared/published is not there", file=sys.stderr)
        sys.exit(77)
    # The converter's own tests were imported with their class: run this one's alone.
    unittest.main(defaultTest="Engine", verbosity=2)
