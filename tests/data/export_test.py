#!/usr/bin/env python3
"""data/export_onnx.py: exported files in ONNX Runtime and OpenVINO against our engine, and back to the same bytes.

    tests/data/run.sh export_test.py FEATURES SSD_OUTPUTS

FEATURES and SSD_OUTPUTS are the programs of ../nn/features.cc and ../nn/ssd_outputs.cc. Compared is the largest
difference over all pictures, relative to the largest number. The models are those that ship, and others of drawn
weights, of every kind that the engine knows.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy  # noqa: E402
import our_models  # noqa: E402
import runtimes  # noqa: E402
import samples  # noqa: E402
from reference import prepared  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402

PROGRAMS = []  # FEATURES, SSD_OUTPUTS
EXPORTER = os.path.join(samples.ROOT, "data", "export_onnx.py")
SHIPPED = {name: os.path.join(samples.ROOT, "data", "models", f"{name}_detector.safetensors") for name in ("mask", "face")}
TOLERANCE = 1e-5  # of the largest number


def run_exporter(*command_line):
    """(exit code, what it printed, what it printed as an error), in this process."""
    import export_onnx

    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):
        try:
            code = export_onnx.main(list(command_line))
        except SystemExit as stop:
            code = stop.code
    return code, output.getvalue(), errors.getvalue()


def pictures(width, height, count=3):
    """uint8 [count, height, width, 3]: photographs with faces where ../shared is there, or drawn blots."""
    if os.path.isdir(samples.SHARED):
        names = [name for name, _ in samples.photographs()[:count]]
        return samples.pixels([samples.photograph(name) for name in names], width, height).astype("u1")
    from PIL import Image

    random = numpy.random.default_rng(3)
    blots = random.integers(0, 256, (count, 9, 9, 3)).astype("u1")
    return samples.pixels([Image.fromarray(blot) for blot in blots], width, height).astype("u1")


class ExportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def export(self, model, *options):
        """The exported file's path."""
        code, output, errors = run_exporter(model, self.path("out.onnx"), *options)
        self.assertEqual((code, errors), (0, ""))
        self.assertTrue(output.startswith(self.path("out.onnx") + ": "), output)
        return self.path("out.onnx")

    def ours(self, program, model, pixels):
        """{name: values} that one of PROGRAMS gives."""
        metadata = contents(model)[1]
        save_file({"pictures": numpy.ascontiguousarray(prepared(pixels, metadata["preprocessing"]))}, self.path("pictures"))
        subprocess.run([program, model, self.path("pictures"), self.path("result")], check=True)
        return load_file(self.path("result"))

    def fed(self, session, pixels, preprocessing):
        """{input's name: values} of an ONNX Runtime session."""
        (taken,) = session.get_inputs()
        if taken.type == "tensor(uint8)":
            return {taken.name: pixels}
        return {taken.name: numpy.ascontiguousarray(prepared(pixels, preprocessing).transpose(0, 3, 1, 2))}

    def theirs(self, exported, pixels):
        """{output's name: values} of ONNX Runtime."""
        session = runtimes.onnx_session(exported)
        metadata = session.get_modelmeta().custom_metadata_map
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, self.fed(session, pixels, metadata["preprocessing"]))))

    def assert_close(self, found, expected, tolerance=TOLERANCE):
        self.assertEqual(found.shape, expected.shape)
        self.assertTrue(numpy.isfinite(found).all() and numpy.isfinite(expected).all())
        self.assertGreater(expected.std(), 0)
        error = abs(found - expected).max() / abs(expected).max()
        print(f"    {self.id().split('.')[-1]}: largest relative error {error:.2e}")
        self.assertLessEqual(error, tolerance)

    def assert_comes_back(self, model, exported):
        code, errors = samples.run_converter(exported, self.path("back.safetensors"))
        self.assertEqual((code, errors), (0, ""))
        (expected, metadata), (found, kept) = contents(model), contents(self.path("back.safetensors"))
        self.assertEqual(kept, metadata)
        self.assertEqual(set(found), set(expected))
        for name, values in expected.items():
            self.assertEqual((found[name].dtype, found[name].shape), (values.dtype, values.shape), name)
            self.assertEqual(found[name].tobytes(), values.tobytes(), name)


def contents(path):
    """({name: array}, metadata), in the file's own types."""
    with safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


class Classifiers(ExportTest):
    def check(self, model, *options):
        metadata = contents(model)[1]
        side = int(metadata["input_size"])
        exported, pixels = self.export(model, *options), pictures(side, side)
        ours, theirs = self.ours(PROGRAMS[0], model, pixels), self.theirs(exported, pixels)
        (name,) = theirs
        self.assertEqual(name, "features" if metadata["head"] == "none" else "probabilities")
        self.assert_close(theirs[name], ours[name])
        self.assert_comes_back(model, exported)
        return exported

    def test_the_model_that_ships(self):
        self.check(SHIPPED["mask"])

    def test_the_model_that_ships_on_pixels_and_in_half_precision(self):
        plain = os.path.getsize(self.check(SHIPPED["mask"]))
        exported = self.check(SHIPPED["mask"], "--with-preprocessing", "--precision", "f16", "--batch", "3")
        self.assertLess(os.path.getsize(exported), 0.55 * plain)

    def test_every_kind(self):
        kinds = [
            dict(width=1.0, size=96, classes=2),
            dict(head="classifier", classes=2, padding="symmetric", preprocessing="imagenet"),
            dict(head="classifier", classes=5, preprocessing="unit", half=True),
            dict(head="none", padding="symmetric", size=97),
            dict(width=0.5, size=75, preprocessing="imagenet", fold=True),
            dict(width=1.4, size=32, padding="symmetric", fold=True, head="classifier"),
        ]
        for kind in kinds:
            for options in ([], ["--with-preprocessing"]):
                with self.subTest(**kind, options=options):
                    self.check(our_models.classifier(self.path("model"), **kind), *options)

    def test_raw_is_logits(self):
        model, pixels = our_models.classifier(self.path("model")), pictures(64, 64)
        exported = self.export(model, "--raw")
        logits = self.theirs(exported, pixels)["logits"]
        exponents = numpy.exp(logits - logits.max(1, keepdims=True))
        self.assert_close(exponents / exponents.sum(1, keepdims=True), self.ours(PROGRAMS[0], model, pixels)["probabilities"])
        self.assert_comes_back(model, exported)

    def test_the_file_says_what_it_is(self):
        import onnx

        exported = onnx.load(self.export(SHIPPED["mask"]))
        onnx.checker.check_model(exported, full_check=True)
        self.assertEqual([(o.domain, o.version) for o in exported.opset_import], [("", 13)])
        kept = {p.key: p.value for p in exported.metadata_props}
        self.assertEqual(json.loads(kept["labels"]), ["background", "mask_worn_wrongly", "with_mask", "without_mask"])
        self.assertEqual((kept["preprocessing"], kept["input_size"]), ("tf", "128"))

    def test_bytes_do_not_change_from_run_to_run(self):
        found = []
        for _ in range(2):  # each in its own process, with its own seed of hashes
            subprocess.run([sys.executable, EXPORTER, SHIPPED["face"], self.path("a.onnx")], check=True, capture_output=True)
            with open(self.path("a.onnx"), "rb") as file:
                found.append(file.read())
        self.assertEqual(*found)


class Detectors(ExportTest):
    def check(self, model, exported, *sizes):
        for width, height in sizes:
            pixels = pictures(width, height)
            ours, theirs = self.ours(PROGRAMS[1], model, pixels), self.theirs(exported, pixels)
            names = set(theirs)
            self.assertIn(names, ({"predictions"}, {"boxes", "scores", "probabilities"}))
            for name in names:
                self.assert_close(theirs[name], ours[name])
        self.assert_comes_back(model, exported)

    def test_the_model_that_ships_on_pictures_of_any_size(self):
        self.check(SHIPPED["face"], self.export(SHIPPED["face"]), (320, 256), (152, 136), (75, 33), (640, 480))

    def test_the_model_that_ships_on_pixels_and_in_half_precision(self):
        exported = self.export(SHIPPED["face"], "--with-preprocessing", "--precision", "f16")
        self.check(SHIPPED["face"], exported, (320, 224))

    def test_pictures_of_one_size(self):
        for size, options in (("320x224", []), ("160", ["--batch", "3", "--with-preprocessing"]), ("75x101", [])):
            with self.subTest(size):
                width, height = (int(s) for s in (size if "x" in size else f"{size}x{size}").split("x"))
                self.check(SHIPPED["face"], self.export(SHIPPED["face"], "--size", size, *options), (width, height))

    def test_raw_is_the_numbers_of_the_anchors(self):
        for options in ([], ["--size", "152x136"]):
            self.check(SHIPPED["face"], self.export(SHIPPED["face"], "--raw", *options), (152, 136))

    def test_every_kind(self):
        other = [(8, [10, 20, 30]), (16, [40]), (32, [80, 100, 120, 140]), (64, [200])]
        kinds = [
            dict(padding="symmetric", preprocessing="imagenet"),
            dict(width=1.0, channels=16, preprocessing="unit", labels=["a", "b", "c", "d"], levels=other),
            dict(half=True, channels=1),
        ]
        for kind in kinds:
            for options in ([], ["--with-preprocessing", "--size", "100x97"]):
                with self.subTest(**kind, options=options):
                    model = our_models.detector(self.path("model"), **kind)
                    self.check(model, self.export(model, *options), (100, 97))


def openvino_of(exported):
    """values -> {output's name: values}, computed in float32."""
    import openvino

    compiled = openvino.Core().compile_model(exported, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda values: {port.get_any_name(): value for port, value in compiled([values]).items()}


class OtherRuntimes(ExportTest):
    def test_openvino(self):
        pixels = pictures(128, 128)
        network = openvino_of(self.export(SHIPPED["mask"], "--with-preprocessing"))
        self.assert_close(network(pixels)["probabilities"], self.ours(PROGRAMS[0], SHIPPED["mask"], pixels)["probabilities"])
        for options in ([], ["--size", "160x96"]):
            network = openvino_of(self.export(SHIPPED["face"], "--with-preprocessing", *options))
            pixels = pictures(160, 96)
            theirs, ours = network(pixels), self.ours(PROGRAMS[1], SHIPPED["face"], pixels)
            for name in ("boxes", "scores", "probabilities"):
                self.assert_close(theirs[name], ours[name])


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit("usage: export_test.py FEATURES SSD_OUTPUTS [TEST...]")
    PROGRAMS = [sys.argv.pop(1), sys.argv.pop(1)]
    unittest.main(verbosity=2)
