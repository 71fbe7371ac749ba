#!/usr/bin/env python3
"""data/export_onnx.py: exported files in ONNX Runtime, OpenVINO and OpenCV against our engine, and back to the same bytes.

    tests/data/run.sh export_test.py FEATURES SSD_OUTPUTS

FEATURES and SSD_OUTPUTS are the programs of ../nn/features.cc and ../nn/ssd_outputs.cc. Compared is the largest
difference over all pictures, relative to the largest number. The models are those that ship, others of drawn
weights, of every kind that the engine knows, and published ones.
"""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy  # noqa: E402
import our_models  # noqa: E402
import runtimes  # noqa: E402
import samples  # noqa: E402
from export_support import contents, EXPORTER, ExportTest, pictures, run_exporter, SHIPPED, TOLERANCE  # noqa: E402
from reference import Graph, prepared  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402

PROGRAMS = []  # FEATURES, SSD_OUTPUTS


class AgainstOurs(ExportTest):
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


class Classifiers(AgainstOurs):
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

    def test_pixels_and_half_precision(self):
        model = our_models.classifier(self.path("model"), width=1.0, size=96, classes=3, half=True)
        plain = os.path.getsize(self.check(model))
        exported = self.check(model, "--with-preprocessing", "--precision", "f16", "--batch", "3")
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


def padded(pixels):
    """As the programs pad pictures for our detector: with grey, to multiples of 32."""
    missing = [(0, -side % 32) for side in pixels.shape[1:3]]
    return numpy.pad(pixels, [(0, 0), *missing, (0, 0)], constant_values=127)


class Detectors(AgainstOurs):
    def check(self, model, exported, *sizes):
        for width, height in sizes:
            pixels = pictures(width, height)
            ours, theirs = self.ours(PROGRAMS[1], model, padded(pixels)), self.theirs(exported, pixels)
            names = set(theirs)
            self.assertIn(names, ({"predictions"}, {"boxes", "scores", "probabilities"}))
            for name in names:
                self.assert_close(theirs[name], ours[name], self.tolerance_of(name, ours))
        self.assert_comes_back(model, exported)

    @staticmethod
    def tolerance_of(name, ours):
        """A probability may be off by as much as the logits that it is made of allow: half their error."""
        largest = abs(ours["predictions"]).max() / 2
        return TOLERANCE * (max(1, largest) if name in ("scores", "probabilities") else 1)

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


@unittest.skipUnless(os.path.isdir(samples.PUBLISHED), "../shared/published is missing")
class Published(ExportTest):
    """Detectors and landmarks of others, which their files describe layer by layer."""

    def converted(self, name):
        target = self.path("converted.safetensors")
        code, errors = samples.run_converter(os.path.join(samples.PUBLISHED, name), target)
        self.assertEqual((code, errors), (0, ""))
        return target

    def check(self, name, expected_of, tolerance=TOLERANCE):
        """`expected_of(the reference network, its outputs)`: the outputs that are due."""
        model = self.converted(name)
        network = Graph(model)
        width, height = network.detector["input_size"]
        pixels = pictures(width, height, 2)
        x = ((pixels - numpy.array(network.detector["mean"])) * network.detector["scale"]).astype("f4")
        expected = expected_of(network, network(x))
        for options in ([], ["--with-preprocessing", "--batch", "2"]):
            exported = self.export(model, *options)
            session = runtimes.onnx_session(exported)
            (taken,) = session.get_inputs()
            fed = pixels if options else numpy.ascontiguousarray(x.transpose(0, 3, 1, 2))
            theirs = session.run(list(expected), {taken.name: fed})
            for found, due in zip(theirs, expected.values()):
                self.assert_close(found, due, tolerance)
            self.assert_comes_back(model, exported)
        return model, x

    @staticmethod
    def in_pixels(network, outputs):
        boxes = network.decode(outputs["boxes"]) * numpy.tile(network.detector["input_size"], 2)
        return {"boxes": boxes.astype("f4"), "scores": outputs["scores"][..., network.detector["face_class"]]}

    def test_rfb_320_gives_what_the_published_file_does(self):
        model, x = self.check("version-RFB-320.onnx", self.in_pixels)
        published = runtimes.onnx_session(os.path.join(samples.PUBLISHED, "version-RFB-320.onnx"))
        found = runtimes.onnx_session(self.export(model))
        for picture in x.transpose(0, 3, 1, 2):
            scores, boxes = published.run(["scores", "boxes"], {published.get_inputs()[0].name: picture[None]})
            ours = dict(zip(("boxes", "scores"), found.run(["boxes", "scores"], {"input": picture[None]})))
            self.assert_close(ours["scores"], scores[..., 1])
            self.assert_close(ours["boxes"], boxes * numpy.array([320, 240, 320, 240], "f4"))

    def test_ssd_mobilenet_v1(self):
        self.check("face_api/ssd_mobilenetv1_model-weights_manifest.json", self.in_pixels)

    def test_landmarks(self):
        self.check(
            "face_api/face_landmark_68_model-weights_manifest.json",
            lambda network, outputs: {"points": outputs["points"].reshape(-1, 68, 2) * numpy.float32(112)},
        )

    def test_raw(self):
        model = self.converted("version-RFB-320.onnx")
        network, x = Graph(model), numpy.random.default_rng(1).normal(size=(1, 240, 320, 3)).astype("f4")
        exported = self.export(model, "--raw")
        codes, scores, anchors = runtimes.onnx_session(exported).run(None, {"input": x.transpose(0, 3, 1, 2)})
        expected = network(x)
        self.assert_close(codes, expected["boxes"])
        self.assert_close(scores, expected["scores"])
        numpy.testing.assert_array_equal(anchors, network.tensors["priors"])
        self.assert_comes_back(model, exported)

    def test_bad_descriptions(self):
        model = self.converted("version-RFB-320.onnx")
        tensors, metadata = contents(model)
        graph, detector = metadata["graph"], metadata["detector"]
        cases = [
            ({"graph": "["}, "malformed"),
            ({"graph": "[" * 100000}, "damaged"),
            ({"graph": "[{}]"}, "malformed"),
            ({"graph": graph.replace('"concat"', '"round"', 1)}, "the layer 'round' is not known"),
            ({"graph": graph.replace('"inputs":["input"]', '"inputs":["none"]')}, "'none' is not made by a layer before"),
            ({"graph": graph.replace('"activation":"relu"', '"activation":"tanh"', 1)}, "activation 'tanh'"),
            ({"graph": graph.replace('"pad":[1,1,1,1]', '"pad":[1,1]', 1)}, "malformed"),
            ({"graph": graph.replace('"stride":2', '"stride":1', 1)}, "'priors' has shape [4420, 4], expected [17640, 4]"),
            ({"detector": detector.replace('"rgb"', '"hsv"')}, "order hsv"),
            ({"detector": detector.replace('"face_class":1', '"face_class":2')}, "do not fit"),
            ({"detector": detector.replace('"priors":"priors"', '"priors":"none"')}, "'none' is missing"),
        ]
        for changes, hint in cases:
            with self.subTest(hint):
                save_file(tensors, self.path("changed"), {**metadata, **changes})
                code, output, errors = run_exporter(self.path("changed"), self.path("out.onnx"))
                self.assertEqual((code, output, errors.count("\n")), (2, "", 1), errors)
                self.assertIn(hint, errors)
                self.assertFalse(os.path.exists(self.path("out.onnx")))
        code, _, errors = run_exporter(model, self.path("out.onnx"), "--size", "320x240")
        self.assertEqual(code, 2)
        self.assertIn("--size does not apply", errors)


def openvino_of(exported):
    """values -> {output's name: values}, computed in float32."""
    import openvino

    compiled = openvino.Core().compile_model(exported, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda values: {port.get_any_name(): value for port, value in compiled([values]).items()}


class OtherRuntimes(AgainstOurs):
    def test_openvino(self):
        pixels = pictures(128, 128)
        network = openvino_of(self.export(SHIPPED["mask"], "--with-preprocessing"))
        self.assert_close(network(pixels)["probabilities"], self.ours(PROGRAMS[0], SHIPPED["mask"], pixels)["probabilities"])
        for options in ([], ["--size", "160x96"]):
            network = openvino_of(self.export(SHIPPED["face"], "--with-preprocessing", *options))
            pixels = pictures(160, 96)
            theirs, ours = network(pixels), self.ours(PROGRAMS[1], SHIPPED["face"], pixels)
            for name in ("boxes", "scores", "probabilities"):
                self.assert_close(theirs[name], ours[name], Detectors.tolerance_of(name, ours))


    def test_opencv(self):
        import cv2

        def network_of(model, *options):
            network = cv2.dnn.readNetFromONNX(self.export(model, "--with-preprocessing", *options))
            names = network.getUnconnectedOutLayersNames()

            def run(pixels):
                network.setInput(pixels)
                return dict(zip(names, network.forward(names)))

            return run

        pixels = pictures(128, 128, 1)
        found = network_of(SHIPPED["mask"])(pixels)["probabilities"]
        self.assert_close(found, self.ours(PROGRAMS[0], SHIPPED["mask"], pixels)["probabilities"])
        cases = [["--size", "150x90"], []] if int(cv2.__version__.split(".")[0]) >= 5 else [["--size", "150x90"]]
        for options in cases:
            for width, height in [(150, 90)] if options else [(150, 90), (320, 256)]:
                pixels = pictures(width, height, 1)
                theirs, ours = network_of(SHIPPED["face"], *options)(pixels), self.ours(PROGRAMS[1], SHIPPED["face"], padded(pixels))
                for name in ("boxes", "scores", "probabilities"):
                    self.assert_close(theirs[name], ours[name], Detectors.tolerance_of(name, ours))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit("usage: export_test.py FEATURES SSD_OUTPUTS [TEST...]")
    PROGRAMS = [sys.argv.pop(1), sys.argv.pop(1)]
    unittest.main(verbosity=2)
