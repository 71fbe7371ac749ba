#!/usr/bin/env python3
"""data/export_onnx.py: bad input, what convert_weights.py makes of files that were changed, and data/README.md as it
stands. Run through run.sh.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy  # noqa: E402
import our_models  # noqa: E402
import samples  # noqa: E402
from export_support import contents, EXPORTER, ExportTest, run_exporter, SHIPPED  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402


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
        self.assertIn("is not as export_onnx.py writes it", errors)
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

    @staticmethod
    def of_another_version(model):
        way = next(p for p in model.metadata_props if p.key == "onnx_export")
        way.value = way.value.replace('"version":1', '"version":7')

    def test_another_version(self):
        code, errors = self.changed(self.export(SHIPPED["face"]), self.of_another_version)
        self.assertEqual((code, errors.count("\n")), (2, 1))
        self.assertIn("version 7 of export_onnx.py wrote it", errors)
        code, errors = self.changed(self.export(SHIPPED["mask"]), self.of_another_version)
        self.assertEqual(code, 0)
        found = contents(self.path("back.safetensors"))[0]
        for name, values in contents(SHIPPED["mask"])[0].items():
            self.assertEqual(found[name].tobytes(), values.tobytes())

    def test_damaged_bytes_are_refused_in_one_line(self):
        """Or, where they are those of weights, converted."""
        random = numpy.random.default_rng(2)
        for name in SHIPPED:
            with open(self.export(SHIPPED[name]), "rb") as file:
                whole = numpy.frombuffer(file.read(), "u1")
            for i in range(25):
                damaged = whole.copy()
                places = random.integers(0, 3000 if i % 2 else len(whole), 3)
                damaged[places if i % 4 < 2 else len(whole) - 1 - places] = random.integers(0, 256, 3)
                with open(self.path("damaged.onnx"), "wb") as file:
                    file.write(damaged.tobytes())
                code, errors = samples.run_converter(self.path("damaged.onnx"), self.path("out"))
                self.assertIn(code, (0, 2))
                if code:
                    self.assertEqual((errors[:7], errors.count("\n")), ("error: ", 1), errors)

    def test_a_size_that_was_fixed_since(self):
        """As onnxruntime.tools.make_dynamic_shape_fixed does it."""

        code, errors = self.changed(self.export(SHIPPED["face"]), self.of_size(1, 3, 96, 160))
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(contents(self.path("back.safetensors"))[1], contents(SHIPPED["face"])[1])

    def test_negative_variances_are_refused(self):
        """As the programs refuse them."""
        import onnx

        def change(model):
            variance = next(t for t in model.graph.initializer if t.name.endswith("variance"))
            values = -onnx.numpy_helper.to_array(variance)
            variance.CopyFrom(onnx.numpy_helper.from_array(values, variance.name))

        for model in SHIPPED.values():
            code, errors = self.changed(self.export(model), change)
            self.assertEqual((code, errors.count("\n")), (2, 1), errors)
            self.assertIn("negative variance", errors)
            self.assertFalse(os.path.exists(self.path("back.safetensors")))

    @staticmethod
    def of_size(*sizes):
        def change(model):
            for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, sizes):
                dim.dim_value = size

        return change

    def test_a_size_that_was_changed_since(self):
        for options, sizes in (((), (1, 3, 96, 96)), (("--with-preprocessing",), (1, 96, 96, 3))):
            exported = self.export(our_models.classifier(self.path("model"), size=64), *options)
            code, errors = self.changed(exported, self.of_size(*sizes))
            self.assertEqual((code, errors.count("\n")), (0, 1), errors)
            self.assertIn(f"is of {[*sizes[1:]]}, where", errors)
            (before, metadata), (found, kept) = contents(self.path("model")), contents(self.path("back.safetensors"))
            self.assertEqual(kept, {**kept, **metadata, "input_size": "96"})
            for name, values in before.items():
                numpy.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)
        code, errors = self.changed(self.export(self.path("model")), self.of_size(1, 3, 100, 100))  # halves are odd
        self.assertEqual((code, errors.count("\n")), (2, 1), errors)
        self.assertIn("pads [0, 0, 1, 1]", errors)
        exported = self.export(our_models.detector(self.path("model")), "--size", "64")
        code, errors = self.changed(exported, self.of_size(1, 3, 96, 96))
        self.assertEqual((code, errors.count("\n")), (2, 1), errors)
        self.assertIn("is of [3, 96, 96], where", errors)

    def test_other_weights_come_back_in_full(self):
        code, errors = self.changed(self.export(SHIPPED["mask"]), self.fine_tuned)
        self.assertEqual((code, errors), (0, ""))
        bias = contents(self.path("back.safetensors"))[0]["head.output.bias"]
        numpy.testing.assert_array_equal(bias, numpy.full(4, 0.1, "f4"))

    @staticmethod
    def with_first(kind, number):
        """A change that puts an operator with a number before all others."""

        def change(model):
            import onnx

            graph = model.graph
            for node in graph.node:
                node.input[:] = ["first" if name == "input" else name for name in node.input]
            graph.initializer.append(onnx.numpy_helper.from_array(numpy.float32(number), "number"))
            graph.node.insert(0, onnx.helper.make_node(kind, ["input", "number"], ["first"]))

        return change

    def test_a_step_put_in_front_takes_what_is_prepared(self):
        exported = self.export(SHIPPED["mask"])
        code, errors = self.changed(exported, self.with_first("Mul", 0.5))
        self.assertEqual(code, 0, errors)
        self.assertIn("is not as export_onnx.py writes it", errors)
        (before, metadata), (found, kept) = contents(SHIPPED["mask"]), contents(self.path("back.safetensors"))
        self.assertEqual(kept["preprocessing"], metadata["preprocessing"])
        numpy.testing.assert_allclose(found["stem.conv.weight"], before["stem.conv.weight"] * 0.5, rtol=1e-5)
        code, errors = self.changed(exported, self.with_first("Div", 255))
        self.assertEqual(code, 0, errors)
        code, errors = self.changed(exported, self.with_first("Sub", 0.3))
        self.assertEqual((code, errors.count("\n")), (2, 1))
        self.assertIn(f"pixels, which come prepared as {metadata['preprocessing']},", errors)

    def test_another_size_keeps_the_rule_of_padding(self):
        """Of a file whose paddings are numbers, and no others than the rule's at its size."""
        model = our_models.classifier(self.path("model"), width=0.25, size=64)
        code, errors = samples.run_converter(self.export(model), self.path("back.safetensors"), "--input-size", "100")
        self.assertEqual((code, errors), (0, ""))
        (before, metadata), (found, kept) = contents(model), contents(self.path("back.safetensors"))
        self.assertEqual((kept["input_size"], kept["padding"]), ("100", metadata["padding"]))
        for name, values in before.items():
            numpy.testing.assert_array_equal(found[name], values)

    def test_new_names_of_classes(self):
        with open(self.path("labels.txt"), "w", encoding="utf-8") as file:
            file.write("A\nB\nC\nD\n")
        exported, options = self.export(SHIPPED["mask"]), ["--labels", self.path("labels.txt")]
        code, errors = samples.run_converter(exported, self.path("out"), *options)
        self.assertEqual((code, errors.count("\n")), (0, 1), errors)
        self.assertIn("dropped with their old names", errors)
        metadata = contents(self.path("out"))[1]
        self.assertEqual((json.loads(metadata["labels"]), metadata.get("meanings")), (["A", "B", "C", "D"], None))
        code, errors = samples.run_converter(exported, self.path("out"), *options, "--classes", "mask=B")
        self.assertEqual(code, 0, errors)
        self.assertEqual(json.loads(contents(self.path("out"))[1]["meanings"]), ["", "mask", "", ""])
        with open(self.path("labels.txt"), "w", encoding="utf-8") as file:
            file.write("\n".join(json.loads(contents(SHIPPED["mask"])[1]["labels"])))
        code, errors = samples.run_converter(exported, self.path("out"), *options)
        self.assertEqual((code, errors), (0, ""))
        kept, before = (json.loads(contents(path)[1]["meanings"]) for path in (self.path("out"), SHIPPED["mask"]))
        self.assertEqual(kept, before)

    def test_options_of_the_converter(self):
        exported = self.export(SHIPPED["mask"])
        code, errors = samples.run_converter(exported, self.path("out"), "--classes", "no_mask=background")
        self.assertEqual((code, errors), (0, ""))
        found, metadata = contents(self.path("out"))
        self.assertEqual(json.loads(metadata["meanings"]), ["no_mask", "worn_wrongly", "mask", "no_mask"])
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

    def test_a_full_disk(self):
        """A limit on the size of files stands for it."""
        command = 'ulimit -f 64; exec "$@"'
        done = subprocess.run(
            ["bash", "-c", command, "-", sys.executable, EXPORTER, SHIPPED["mask"], self.path("out.onnx")],
            capture_output=True, text=True,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
        self.assertIn("out.onnx: cannot be written: File too large", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])

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
            found += sum(any(self.overlap(face, box) > 0.5 for box in boxes) for face in truth)
        print(f"    {found} of {due} faces, without a mask")
        self.assertGreaterEqual(found, 0.8 * due)

    @staticmethod
    def overlap(a, b):
        area = lambda x0, y0, x1, y1: max(x1 - x0, 0) * max(y1 - y0, 0)  # noqa: E731
        shared = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
        return shared / (area(*a) + area(*b) - shared)


if __name__ == "__main__":
    unittest.main(verbosity=2)
