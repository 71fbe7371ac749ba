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
import re
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
from reference import Graph, prepared  # noqa: E402
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


class WayBack(ExportTest):
    """Files that were changed, or converted with options."""

    def changed(self, exported, change):
        import onnx

        model = onnx.load(exported)
        change(model)
        onnx.save(model, self.path("changed.onnx"))
        return samples.run_converter(self.path("changed.onnx"), self.path("back.safetensors"))

    @staticmethod
    def slower(model):
        """Another epsilon in the second batch norm."""
        node = [n for n in model.graph.node if n.op_type == "BatchNormalization"][1]
        node.attribute[0].f = 0.5

    @staticmethod
    def wider(model):
        """ReLU6 that ends elsewhere."""
        six = next(t for t in model.graph.initializer if t.name == "constant.six")
        six.CopyFrom(type(six)(name=six.name, data_type=1, float_data=[7.0]))

    @staticmethod
    def fine_tuned(model):
        """Other weights, of which half precision has no equal."""
        import onnx

        bias = next(t for t in model.graph.initializer if t.name == "head.output.bias")
        bias.CopyFrom(onnx.numpy_helper.from_array(numpy.full(4, 0.1, "f4"), bias.name))

    @staticmethod
    def absurd(model):
        """A size for which anchors would fill the memory."""
        way = next(p for p in model.metadata_props if p.key == "onnx_export")
        way.value = way.value.replace('"size":null', '"size":[400000,400000]')

    def test_a_changed_classifier_is_converted_as_it_is_now(self):
        exported = self.export(SHIPPED["mask"])
        code, errors = self.changed(exported, self.slower)
        self.assertEqual(code, 0, errors)
        self.assertIn("note: ", errors)
        self.assertIn("changed since export_onnx.py wrote it", errors)
        (before, labels), (found, kept) = contents(SHIPPED["mask"]), contents(self.path("back.safetensors"))
        self.assertEqual(json.loads(kept["labels"]), json.loads(labels["labels"]))
        norm = "blocks.0.depthwise_bn.variance"
        numpy.testing.assert_allclose(found[norm], before[norm].astype("f4") + 0.5 - 0.001, rtol=1e-6)
        code, errors = self.changed(exported, self.wider)
        self.assertEqual(code, 2)
        self.assertIn("where MobileNetV2 has the last ReLU6", errors)

    def test_a_changed_detector_is_refused_by_the_node(self):
        exported = self.export(SHIPPED["face"])
        for change, hint in ((self.slower, "'backbone.blocks.0.depthwise_bn' (BatchNormalization)"), (self.wider, "constant.six")):
            code, errors = self.changed(exported, change)
            self.assertEqual((code, errors.count("\n")), (2, 1))
            self.assertIn(hint, errors)
        code, errors = self.changed(exported, self.absurd)
        self.assertEqual((code, errors.count("\n")), (2, 1), errors)

    def test_other_weights_come_back_in_full(self):
        code, errors = self.changed(self.export(SHIPPED["mask"]), self.fine_tuned)
        self.assertEqual((code, errors), (0, ""))
        bias = contents(self.path("back.safetensors"))[0]["head.output.bias"]
        numpy.testing.assert_array_equal(bias, numpy.full(4, 0.1, "f4"))

    def test_options_of_the_converter(self):
        exported = self.export(SHIPPED["mask"])
        code, errors = samples.run_converter(exported, self.path("out"), "--classes", "no_mask=background")
        self.assertEqual((code, errors), (0, ""))
        found, metadata = contents(self.path("out"))
        self.assertEqual(json.loads(metadata["meanings"]), ["no_mask", "", "", ""])
        for name, values in contents(SHIPPED["mask"])[0].items():
            self.assertEqual(found[name].tobytes(), values.tobytes())
        for option in (["--preprocessing", "unit"], ["--labels", EXPORTER]):
            code, errors = samples.run_converter(exported, self.path("out"), *option)
            self.assertEqual((code, errors.count("\n")), (2, 1))
        code, errors = samples.run_converter(self.export(SHIPPED["face"]), self.path("out"), "--padding", "tf")
        self.assertEqual(code, 2)
        self.assertIn("--padding does not apply", errors)


class BadInput(ExportTest):
    def assert_refused(self, model, *hints, options=(), target=None):
        before = sorted(os.listdir(self.folder))
        code, output, errors = run_exporter(model, target or self.path("out.onnx"), *options)
        self.assertEqual((code, output, errors.count("\n")), (2, "", 1), errors)
        self.assertTrue(errors.startswith("error: "), errors)
        for hint in hints:
            self.assertIn(hint, errors)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def changed(self, kind, tensors=(), **metadata):
        """A drawn model with other tensors (name and function of its values, or None) and metadata (or None)."""
        path = getattr(our_models, kind)(self.path("model"))
        values, facts = contents(path)
        for name, change in dict(tensors).items():
            values[name] = None if change is None else change(values.get(name))
        facts.update(metadata)
        save_file({k: v for k, v in values.items() if v is not None}, path, {k: v for k, v in facts.items() if v is not None})
        return path

    def test_what_is_not_a_model(self):
        with open(self.path("noise"), "wb") as file:
            file.write(bytes(range(256)) * 20)
        with open(SHIPPED["mask"], "rb") as file, open(self.path("cut"), "wb") as cut:
            cut.write(file.read()[:100000])
        save_file({"a": numpy.zeros(2, "f4")}, self.path("other"), {"format": "pt"})
        save_file({"a": numpy.zeros(2, "f4")}, self.path("bare"))
        os.mkfifo(self.path("pipe"))
        for name, hint in (("none", "no such file"), ("noise", "not a safetensors"), ("cut", "not a safetensors"), ("pipe", "not a file"),
                           ("other", "another program"), ("bare", "another program"), (".", "not a file")):  # fmt: skip
            with self.subTest(name):
                self.assert_refused(self.path(name), self.path(name) + ": ", hint)

    def test_models_that_do_not_hold_what_they_say(self):
        cases = [
            ("classifier", {"last.conv.weight": None}, {}, "'last.conv.weight' is missing"),
            ("classifier", {"stem.bn.beta": lambda v: v[:3]}, {}, "'stem.bn.beta' has shape [3], expected [16]"),
            ("classifier", {"more": lambda v: numpy.zeros(2, "f4")}, {}, "'more' is not one of the network's"),
            ("classifier", {"stem.bn.beta": lambda v: v * numpy.nan}, {}, "'stem.bn.beta' holds a number that is not finite"),
            ("classifier", {"stem.bn.variance": lambda v: -v}, {}, "negative variance"),
            ("classifier", {"stem.bn.beta": lambda v: v.astype("i4")}, {}, "type I32"),
            ("classifier", {}, {"architecture": "rfb_640"}, "'rfb_640', which is not known"),
            ("classifier", {}, {"width": "wide"}, "width is 'wide', not a number"),
            ("classifier", {}, {"width": "0.5"}, "'blocks.1.project.weight' has shape [48, 8], expected [48, 16]"),
            ("classifier", {}, {"padding": None}, "padding is missing"),
            ("classifier", {}, {"head": "round"}, "head is 'round'; known are none, classifier, mask"),
            ("classifier", {}, {"labels": '["a", "b"]'}, "2 labels for 3 classes"),
            ("classifier", {}, {"labels": "a"}, "labels is not a list"),
            ("classifier", {}, {"input_size": "64.5"}, "not a whole number"),
            ("detector", {}, {"anchors": "[]"}, "anchors is not an object"),
            ("detector", {}, {"anchors": '{"aspect": 1, "levels": []}'}, "strides"),
            ("detector", {}, {"channels": "100000"}, "channels is out of range"),
            ("detector", {}, {"channels": "8"}, "'lateral5.conv.weight' has shape"),
            ("detector", {"head6.output.bias": None}, {}, "'head6.output.bias' is missing"),
        ]
        for kind, tensors, metadata, hint in cases:
            with self.subTest(hint):
                self.assert_refused(self.changed(kind, tensors, **metadata), hint)

    def test_what_does_not_fit_in_half_precision(self):
        model = self.changed("classifier", {"head.output.bias": lambda v: v * 1e6})
        self.assert_refused(model, "'head.output.bias' does not fit in half precision", options=["--precision", "f16"])

    def test_options(self):
        for options in (["--size", "12"], ["--size", "64xx64"], ["--size", "64x"], ["--batch", "0"], ["--precision", "f8"], ["--no-such"]):
            self.assert_refused(SHIPPED["face"], options[0], options=options)
        self.assert_refused(SHIPPED["mask"], "--size does not apply", options=["--size", "128"])
        features = our_models.classifier(self.path("model"), head="none")
        self.assert_refused(features, "--raw does not apply", options=["--raw"])

    def test_where_nothing_can_be_written(self):
        os.mkdir(self.path("folder"))
        self.assert_refused(SHIPPED["mask"], "is a folder", target=self.path("folder"))
        self.assert_refused(SHIPPED["mask"], "cannot be written", target=self.path("none/out.onnx"))
        os.mkfifo(self.path("pipe"))
        self.assert_refused(SHIPPED["mask"], "is not a file", target=self.path("pipe"))
        shutil.copy(SHIPPED["mask"], self.path("same"))
        self.assert_refused(self.path("same"), "the same file", target=self.path("same"))

    def test_a_missing_library_is_named_with_the_command(self):
        for library in ("onnx", "safetensors", "numpy"):
            os.makedirs(self.path("stub"), exist_ok=True)
            with open(self.path(f"stub/{library}.py"), "w", encoding="utf-8") as file:
                file.write("raise ImportError('not here')")
            done = subprocess.run(
                [sys.executable, EXPORTER, SHIPPED["mask"], self.path("out.onnx")],
                capture_output=True, text=True, env={**os.environ, "PYTHONPATH": self.path("stub")},
            )  # fmt: skip
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
            self.assertIn("pip install ", done.stderr)
            shutil.rmtree(self.path("stub"))


@unittest.skipUnless(os.path.isdir(samples.SHARED), "../shared is missing")
class Page(ExportTest):
    """What data/README.md prints, as it stands there."""

    def run_page(self):
        """The folder in which its commands ran, and its Python lines lie as who.py."""
        with open(os.path.join(samples.ROOT, "data", "README.md"), encoding="utf-8") as file:
            section = file.read().split("## Exporting to ONNX")[1]
        shell, lines = (re.search(f"```{kind}\n(.*?)```", section, re.DOTALL)[1] for kind in ("sh", "python"))
        os.symlink(os.path.join(samples.ROOT, "data"), self.path("data"))
        os.makedirs(self.path(".venv/bin"))
        os.symlink(sys.executable, self.path(".venv/bin/python"))
        for command in shell.splitlines()[1:]:  # the first makes an environment, which is there
            done = subprocess.run(["sh", "-c", command], cwd=self.folder, capture_output=True, text=True, env=self.environment())
            self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("who.py"), "w", encoding="utf-8") as file:
            file.write(lines)

    @staticmethod
    def environment():
        """A link to Python is not known to belong to its environment."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def test_the_lines_find_the_faces_of_photographs(self):
        self.run_page()
        found = due = 0
        for name, truth in samples.photographs()[:8]:
            samples.photograph(name).save(self.path("picture.png"))
            done = subprocess.run([sys.executable, "who.py", "picture.png"], cwd=self.folder, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = [line.split() for line in done.stdout.splitlines()]
            self.assertTrue(all(words[2] == "at" and 0 < float(words[1]) <= 1 for words in lines), done.stdout)
            boxes = [[float(number) for number in words[3:]] for words in lines if words[0] == "without_mask"]
            due += len(truth)
            found += sum(any(self.middle_in(face, box) for box in boxes) for face in truth)
        print(f"    {found} of {due} faces, without a mask")
        self.assertGreaterEqual(found, 0.8 * due)

    @staticmethod
    def middle_in(face, box):
        x, y = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2
        return box[0] < x < box[2] and box[1] < y < box[3]


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit("usage: export_test.py FEATURES SSD_OUTPUTS [TEST...]")
    PROGRAMS = [sys.argv.pop(1), sys.argv.pop(1)]
    unittest.main(verbosity=2)
