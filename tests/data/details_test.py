#!/usr/bin/env python3
"""Details of ONNX files, state dicts and labels that change an answer: each is converted exactly or refused by name.

    tests/data/run.sh details_test.py
"""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import builders  # noqa: E402
import numpy  # noqa: E402
import onnx  # noqa: E402
import reference  # noqa: E402
import runtimes  # noqa: E402
import samples  # noqa: E402
import torch  # noqa: E402

SIDE = 64


class DetailsTest(samples.FolderTest):
    @classmethod
    def setUpClass(cls):
        random = numpy.random.default_rng(4)
        cls.pixels = random.integers(0, 256, (4, SIDE, SIDE, 3)) * random.uniform(0.2, 1, (4, 1, 1, 3))
        cls.weight, cls.bias = random.normal(size=(4, 1280)).astype("f4") / 8, random.normal(size=4).astype("f4")

    def state(self, width=0.35):
        path = self.path("drawn.pth")
        builders.torchvision_pth(path, width, classes=2)
        return torch.load(path, weights_only=True)

    def saved(self, state):
        torch.save(state, self.path("state.pth"))
        return self.path("state.pth")

    def onnx(self, head=None, classes=2, change=None, width=0.35):
        path = self.path("model.onnx")
        builders.onnx_from_pth(path, self.state(width), SIDE, classes, head or (lambda builder, x: self.gemm(builder, x, classes)))
        if change is not None:
            model = onnx.load(path)
            change(model)
            onnx.save(model, path)
        return path

    def gemm(self, builder, x, classes=2):
        return builder.gemm(x, self.weight[:classes], self.bias[:classes])

    def check(self, path, *options, pixels=None, **metadata):
        """Whether the converted model answers as ONNX Runtime does; returns what the converter said."""
        code, errors = samples.run_converter(path, self.path("out"), *options)
        self.assertEqual(code, 0, errors)
        model, session = reference.MobileNetV2(self.path("out")), runtimes.onnx_session(path)
        self.assertEqual({key: model.metadata[key] for key in metadata}, metadata)
        pixels = self.pixels if pixels is None else pixels
        x = samples.preprocess(pixels, "imagenet").transpose(0, 3, 1, 2)
        due = numpy.concatenate([session.run(None, {"input": p[None]})[0].reshape(1, -1) for p in x])
        if abs(due.sum(1) - 1).max() > 1e-3:  # logits
            due = numpy.exp(due - due.max(1, keepdims=True))
            due /= due.sum(1, keepdims=True)
        found = model.probabilities(pixels)
        self.assertEqual(found.shape, due.shape)
        self.assertGreater(due.std(0).min(), 0.01)
        self.assertLess(abs(found - due).max(), 1e-4)
        return errors

    def check_refused(self, path, *words, options=()):
        code, errors = samples.run_converter(path, self.path("refused"), *options)
        self.assertEqual((code, errors.count("\n")), (2, 1), errors)
        for word in words:
            self.assertIn(word, errors)
        self.assertFalse(os.path.exists(self.path("refused")))


class Onnx(DetailsTest):
    def test_training_mode(self):
        def norms(model):
            model.opset_import[0].version = 15
            for node in model.graph.node:
                if node.op_type == "BatchNormalization":
                    node.attribute.append(onnx.helper.make_attribute("training_mode", 1))
                    node.output.extend([node.output[0] + ".mean", node.output[0] + ".variance"])

        def dropout(training):
            def head(builder, x):
                mode = [builder.constant("ratio", numpy.float32(0.5)), builder.constant("mode", numpy.array(training))]
                return builder.node("Dropout", [self.gemm(builder, x), *mode])

            return head

        self.check_refused(self.onnx(change=norms), "(BatchNormalization in training mode)")
        self.check_refused(self.onnx(dropout(True)), "(Dropout in training mode)")
        self.check(self.onnx(dropout(False)))

    def test_the_shortcut_of_block_0_of_a_narrow_network(self):
        """Its stem and block 0 have 8 channels each, so that torchvision and Keras add them."""

        def without(model):
            add = next(node for node in model.graph.node if node.op_type == "Add")
            for node in model.graph.node:
                node.input[:] = [add.input[1] if name == add.output[0] else name for name in node.input]

        self.check(self.onnx(width=0.25), width="0.25")
        self.check_refused(self.onnx(width=0.25, change=without), "block 0", "lacks a shortcut")

    def test_operators_of_another_domain(self):
        """Functions of the file, which may do anything, by names that are known."""

        def with_function(domain, name, body, kind=None):
            def change(model):
                for node in model.graph.node:
                    if node.op_type == (kind or name):
                        node.op_type, node.domain = name, domain
                nodes, opsets = [onnx.helper.make_node(body, ["x"], ["y"])], [onnx.helper.make_opsetid("", 13)]
                model.functions.append(onnx.helper.make_function(domain, name, ["x"], ["y"], nodes, opsets))
                if domain:
                    model.opset_import.append(onnx.helper.make_opsetid(domain, 1))

            return change

        def softmax(builder, x):
            return builder.node("Softmax", [self.gemm(builder, x)], axis=1)

        def identity(builder, x):
            return builder.node("Identity", [self.gemm(builder, x)])

        self.check(self.onnx(softmax))
        for head, name, body in ((softmax, "Softmax", "Tanh"), (identity, "Identity", "Neg"), (softmax, "Relu", "Abs")):
            for domain in ("my.ops", ""):
                change = with_function(domain, name, body, "Clip" if name == "Relu" else None)
                with self.subTest(name, domain=domain):
                    self.check_refused(self.onnx(head, change=change), f"({name} as a function of the file)")

        def foreign(model):
            model.graph.node[0].domain = "com.microsoft.nchwc"

        self.check_refused(self.onnx(softmax, change=foreign), "(Conv of domain 'com.microsoft.nchwc')")

        def spelled_out(model):
            for node in model.graph.node:
                node.domain = "ai.onnx"

        self.check(self.onnx(softmax, change=spelled_out))

    def test_softmax_of_groups(self):
        def grouped(axis):
            def head(builder, x):
                x = builder.node("Reshape", [self.gemm(builder, x, 4), builder.constant("groups", numpy.array([1, 2, 2]))])
                x = builder.node("Softmax", [x], axis=axis)
                return builder.node("Reshape", [x, builder.constant("row", numpy.array([1, 4]))])

            return head

        for axis in (1, 2):
            self.check_refused(self.onnx(grouped(axis), 4), "(a reshape of 4 values to 2 x 2)")

        def along_pictures(builder, x):
            return builder.node("Softmax", [self.gemm(builder, x)], axis=0)

        self.check_refused(self.onnx(along_pictures), "(Softmax of another axis)")

    def test_reshapes_that_move_nothing(self):
        def constant(builder, name, value):
            return builder.constant(name, numpy.array(value))

        def by_a_computed_shape(builder, x):
            """As PyTorch exports x.view(x.size(0), -1)."""
            pictures = builder.node("Gather", [builder.node("Shape", [x]), constant(builder, "first", 0)])
            pictures = builder.node("Unsqueeze", [pictures, constant(builder, "axis", [0])])
            shape = builder.node("Concat", [pictures, constant(builder, "rest", [-1])], axis=0)
            return self.gemm(builder, builder.node("Reshape", [x, shape]))

        def by_a_map_and_two_squeezes(builder, x):
            x = builder.node("Reshape", [x, constant(builder, "map", [0, -1, 1, 1])])
            x = builder.node("Squeeze", [x, constant(builder, "last", [-1])])
            return self.gemm(builder, builder.node("Squeeze", [x, constant(builder, "next", [2])]))

        def by_a_convolution(builder, x):
            x = builder.node("Reshape", [x, constant(builder, "map", [1, 1280, 1, 1])])
            x = builder.layer(x, self.weight[:2, :, None, None], self.bias[:2], active=False)
            return builder.node("Softmax", [builder.node("Reshape", [x, constant(builder, "row", [-1, 2])])], axis=-1)

        def by_its_own_sizes(builder, x):
            """As PyTorch exports x.view(x.size(0), x.size(1)), and other tools a part of a shape."""
            shape = builder.node("Shape", [x])
            bounds = [constant(builder, f"bound{i}", [i]) for i in (0, 1)]
            parts = [builder.node("Slice", [shape, *bounds]), builder.node("Gather", [shape, bounds[1]])]
            return self.gemm(builder, builder.node("Reshape", [x, builder.node("Concat", parts, axis=0)]))

        for head in (by_a_computed_shape, by_its_own_sizes, by_a_map_and_two_squeezes, by_a_convolution):
            with self.subTest(head.__name__):
                self.check(self.onnx(head), head="classifier")

        def a_column(builder, x):
            x = builder.node("Reshape", [self.gemm(builder, x), constant(builder, "column", [1, 2, 1])])
            return builder.node("Reshape", [builder.node("Softmax", [x], axis=2), constant(builder, "row", [1, 2])])

        self.check_refused(self.onnx(a_column), "(Softmax of values in a column)")

        def computed(builder, x):
            shape = builder.node("Abs", [builder.node("Shape", [x])])
            return self.gemm(builder, builder.node("Reshape", [x, shape]))

        self.check_refused(self.onnx(computed), "(a reshape to computed sizes)")

    def test_padding_at_another_size(self):
        """TensorFlow's padding is another one where a side is odd: 100, 50, 25."""

        def as_tensorflow(model):
            for node in model.graph.node:
                for attribute in node.attribute:
                    if attribute.name == "pads" and list(next(a.ints for a in node.attribute if a.name == "strides")) == [2, 2]:
                        attribute.ints[:] = [0, 0, 1, 1]

        path = self.onnx(change=as_tensorflow)
        self.check_refused(path, "pads [0, 0, 1, 1] whatever the size", "100 pixels", options=["--input-size", "100"])
        code, errors = samples.run_converter(path, self.path("out"), "--input-size", "96")
        self.assertEqual(code, 0, errors)
        self.assertEqual(reference.load(self.path("out"))[1]["padding"], "tf")
        code, errors = samples.run_converter(self.onnx(), self.path("out"), "--input-size", "100")
        self.assertEqual(code, 0, errors)
        self.assertEqual(reference.load(self.path("out"))[1]["padding"], "symmetric")

    def test_a_size_that_is_open(self):
        def opened(model):
            for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
                dim.Clear()

        path = self.onnx(change=opened)
        self.assertIn("224 pixels a side are assumed (--input-size", self.check(path, input_size="224"))
        self.assertNotIn("assumed (--input-size", self.check(path, "--input-size", str(SIDE), input_size=str(SIDE)))


class StateDicts(DetailsTest):
    def test_their_size_is_assumed_with_a_note(self):
        path = self.saved(self.state())
        for options, noted in (([], 1), (["--input-size", "96"], 0)):
            code, errors = samples.run_converter(path, self.path("out"), *options)
            self.assertEqual((code, errors.count("224 pixels a side are assumed")), (0, noted), errors)

    def test_values_that_no_network_has(self):
        state = self.state()
        self.check_refused(self.saved({**state, "features.0.1.running_var": -state["features.0.1.running_var"]}),
                           "stem.bn (from 'features.0.0')", "negative variance")  # fmt: skip
        name = "features.0.0.weight"
        self.check_refused(self.saved({**state, name: state[name].to(torch.complex64)}), name, "complex numbers")


class Labels(DetailsTest):
    def setUp(self):
        super().setUp()
        self.model = self.saved(self.state())

    def labels(self, text):
        with open(self.path("labels.txt"), "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return ["--labels", self.path("labels.txt")]

    def test_names_that_are_none(self):
        for text, words in (("", "names no class"), ("\n \n", "names no class"), ("A\n\nB\n", "line 2 is blank"),
                            ("\nA\n", "line 1 is blank"), ("A\n", "1 labels for 2 classes")):  # fmt: skip
            with self.subTest(text):
                self.check_refused(self.model, f"error: {self.path('labels.txt')}: ", words, options=self.labels(text))
        self.check_refused(self.model, "--labels", "names no file", options=["--labels", ""])

    def converted(self, text, *options):
        code, errors = samples.run_converter(self.model, self.path("out"), *self.labels(text), *options)
        self.assertEqual(code, 0, errors)
        return json.loads(reference.load(self.path("out"))[1]["labels"]), errors

    def test_what_lies_about_the_names(self):
        for text in ("A\nB", "A\r\nB\r\n", "\ufeffA\n B \n\n\n"):
            self.assertEqual(self.converted(text)[0], ["A", "B"])
        self.assertEqual(self.converted("A\u2028b\nB\x85c\n")[0], ["A\u2028b", "B\x85c"])

    def test_a_name_of_two_classes(self):
        names, errors = self.converted("A\nA\n")
        self.assertEqual(names, ["A", "A"])
        self.assertIn("two classes 'A'", errors)
        self.assertNotIn("two classes", self.converted("A\nB\n")[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
