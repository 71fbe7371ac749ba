#!/usr/bin/env python3
"""convert_weights.py on ONNX files that ONNX Runtime's own tools quantised: converted as they compute, or refused.

Run through run.sh. The models are drawn, exported by export_onnx.py and quantised on drawn pictures.
"""

import contextlib
import logging
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import our_models  # noqa: E402
import reference  # noqa: E402
import samples  # noqa: E402
from onnxruntime import quantization  # noqa: E402
from onnxruntime.quantization import shape_inference  # noqa: E402

SIDE = 64
WEIGHT_STEP = 1 / 100  # of the largest weight of a channel: a step of 8 bits, and what batch norms add


class Calibration(quantization.CalibrationDataReader):
    def __init__(self, batches):
        self.left = iter(batches)

    def get_next(self):
        x = next(self.left, None)
        return None if x is None else {"pixels" if x.dtype == numpy.uint8 else "input": x[None]}


class QuantisedTest(samples.FolderTest):
    def setUp(self):
        super().setUp()
        logging.getLogger().setLevel(logging.ERROR)
        random = numpy.random.default_rng(8)
        self.pixels = random.integers(0, 256, (6, SIDE, SIDE, 3)) * random.uniform(0.2, 1, (6, 1, 1, 3))
        self.model = our_models.classifier(self.path("model"), size=SIDE, classes=2, padding="symmetric", preprocessing="unit")
        self.exported = self.export(self.model)

    def export(self, model, *options):
        import export_onnx

        target = self.path(os.path.basename(model) + ".onnx")
        with contextlib.redirect_stdout(None):
            self.assertEqual(export_onnx.main([model, target, *options]), 0)
        return target

    def quantised(self, source=None, prepared=True, form="QDQ", kind="QUInt8", **options):
        """The path of the quantised file; `prepared`: batch norms are folded first, as ONNX Runtime advises."""
        source, target = source or self.exported, self.path("quantised.onnx")
        if prepared:
            shape_inference.quant_pre_process(source, self.path("prepared.onnx"), skip_symbolic_shape=True)
            source = self.path("prepared.onnx")
        takes_pixels = onnx.load(source).graph.input[0].name == "pixels"
        x = self.pixels.astype("u1") if takes_pixels else reference.prepared(self.pixels, "unit").transpose(0, 3, 1, 2)
        quantization.quantize_static(
            source, target, Calibration(x), quant_format=getattr(quantization.QuantFormat, form),
            activation_type=getattr(quantization.QuantType, kind), weight_type=quantization.QuantType.QInt8, **options,
        )  # fmt: skip
        return target

    def convert(self, source, *hints):
        """The converted model, after the notes were found to hold the hints."""
        target = self.path("converted.safetensors")
        code, errors = samples.run_converter(source, target)
        self.assertEqual(code, 0, errors)
        for hint in ("is quantised", "dequantised to float32", "DequantizeLinear", *hints):
            self.assertIn(hint, errors)
        return reference.MobileNetV2(target)

    def without_rounding(self, path):
        """ONNX Runtime's probabilities by the dequantised weights of the file, values between layers not rounded."""
        model = onnx.load(path)
        constants = {t.name for t in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] not in constants:
                node.op_type = "Identity"
                del node.input[1:]
                del node.attribute[:]
        options = onnxruntime.SessionOptions()  # more than basic optimisation rounds between layers again
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        onnxruntime.set_default_logger_severity(3)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        x = reference.prepared(self.pixels, "unit").transpose(0, 3, 1, 2)
        return session.run(None, {"input": x})[0]

    def assert_close(self, found, expected, tolerance):
        self.assertGreater(expected.std(), 0)
        error = abs(found - expected).max() / abs(expected).max()
        print(f"    {self.id().split('.')[-1]}: largest relative error {error:.2e}")
        self.assertLessEqual(error, tolerance)


class Converted(QuantisedTest):
    KEPT = {"extra_options": {"QDQKeepRemovableActivations": True}}

    def test_weights_are_those_of_the_file(self):
        for options in (dict(per_channel=True), dict(kind="QInt8"), dict(prepared=False)):
            with self.subTest(**options):
                path = self.quantised(**options, **self.KEPT)
                self.assertIn("Clip", [node.op_type for node in onnx.load(path).graph.node])
                self.assert_close(self.convert(path).probabilities(self.pixels), self.without_rounding(path), 1e-5)

    def test_activations_that_only_a_range_holds(self):
        """Quantisers drop ReLU and ReLU6 where the range of what follows ends there."""
        for kind in ("QUInt8", "QInt8", "QUInt16"):
            with self.subTest(kind):
                kept = self.convert(self.quantised(kind=kind, per_channel=True, **self.KEPT)).tensors
                path = self.quantised(kind=kind, per_channel=True)
                self.assertNotIn("Clip", [node.op_type for node in onnx.load(path).graph.node])
                found = self.convert(path).tensors
                for name, values in kept.items():
                    numpy.testing.assert_array_equal(found[name], values, name)

    def test_what_the_file_says_of_itself_is_kept(self):
        metadata = self.convert(self.quantised()).metadata
        expected = reference.load(self.model)[1]
        for key in ("labels", "preprocessing", "padding", "width", "input_size", "head", "recipe"):
            self.assertEqual(metadata[key], expected[key])

    def test_a_file_that_says_nothing_of_itself(self):
        model = onnx.load(self.exported)
        del model.metadata_props[:]
        onnx.save(model, self.path("bare.onnx"))
        path = self.quantised(self.path("bare.onnx"), per_channel=True)
        converted = self.convert(path, "does not say how pixels are prepared")
        self.assertEqual(converted.labels(), ["class 0", "class 1"])
        weight = reference.load(self.model)[0]["head.output.weight"]
        self.assert_close(converted.tensors["head.output.weight"], weight, WEIGHT_STEP)


    def test_a_file_that_prepares_pixels_itself(self):
        for preprocessing in ("unit", "tf"):
            with self.subTest(preprocessing):
                path = self.of_pixels(preprocessing)
                self.assertEqual(self.convert(path).metadata["preprocessing"], preprocessing)

    def of_pixels(self, preprocessing):
        model = our_models.classifier(self.path("pixels"), size=SIDE, classes=2, preprocessing=preprocessing)
        return self.quantised(self.export(model, "--with-preprocessing"), per_channel=True)

    def test_a_preparation_that_rounding_made_another(self):
        """Three means and deviations do not fit one scale."""
        code, errors = samples.run_converter(self.of_pixels("imagenet"), self.path("out"))
        self.assertEqual(code, 2)
        self.assertIn("scales pixels to x * [0.017", errors)


class Refused(QuantisedTest):
    def assert_refused(self, path, *hints):
        code, errors = samples.run_converter(path, self.path("out.safetensors"))
        self.assertEqual((code, errors.count("\n")), (2, 1), errors)
        self.assertTrue(errors.startswith(f"error: {path}: "), errors)
        for hint in hints:
            self.assertIn(hint, errors)
        self.assertFalse(os.path.exists(self.path("out.safetensors")))

    def test_other_forms_are_named(self):
        self.assert_refused(self.quantised(form="QOperator"), "(QLinearConv)", "node 'stem.", "QDQ")
        quantization.quantize_dynamic(self.exported, self.path("dynamic.onnx"), op_types_to_quantize=["Conv"])
        self.assert_refused(self.path("dynamic.onnx"), "node '", "whole numbers", "QDQ")

    def test_scales_that_are_not_known(self):
        path = self.quantised(per_channel=True)
        model = onnx.load(path)
        for change, hint in ((self.blocks, "in blocks"), (self.channels, "QuantizeLinear of each channel")):
            with self.subTest(hint):
                changed = onnx.ModelProto()
                changed.CopyFrom(model)
                change(changed.graph)
                onnx.save(changed, self.path("changed.onnx"))
                self.assert_refused(self.path("changed.onnx"), hint)

    @staticmethod
    def blocks(graph):
        node = next(n for n in graph.node if n.op_type == "DequantizeLinear" and "weight" in n.input[0])
        node.attribute.append(onnx.helper.make_attribute("block_size", 2))

    @staticmethod
    def channels(graph):
        """Of what the first convolution gives."""
        conv = next(n for n in graph.node if n.op_type == "Conv")
        node = next(n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == conv.output[0])
        for i in (1, 2):
            old = next(t for t in graph.initializer if t.name == node.input[i])
            graph.initializer.append(onnx.numpy_helper.from_array(numpy.repeat(onnx.numpy_helper.to_array(old), 16), f"many{i}"))
            node.input[i] = f"many{i}"

    def test_detectors(self):
        detector = self.export(our_models.detector(self.path("detector")))
        path = self.path("quantised.onnx")
        x = reference.prepared(self.pixels, "unit").transpose(0, 3, 1, 2)
        quantization.quantize_static(detector, path, Calibration(x), op_types_to_quantize=["Conv"])
        self.assert_refused(path, "quantised detector", "node '", "float32")


if __name__ == "__main__":
    unittest.main(verbosity=2)
