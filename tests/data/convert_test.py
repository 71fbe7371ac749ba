#!/usr/bin/env python3
"""Converted files against the runtime of the format that they came from, on real pictures.

The converted file runs in plain numpy (reference.py); the source in Keras, PyTorch, ONNX Runtime or
LiteRT. Run through run.sh, which provides these.
"""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import builders  # noqa: E402
import numpy  # noqa: E402
import reference  # noqa: E402
import runtimes  # noqa: E402
import samples  # noqa: E402

CONVERTER = os.path.join(samples.ROOT, "data", "convert_weights.py")
TOLERANCE = 1e-3  # of the largest feature


def published(name):
    return os.path.join(samples.PUBLISHED, name)


class ConvertTest(samples.FolderTest):
    def convert(self, source, *options):
        """The converted file's path."""
        target = self.path(os.path.basename(source) + ".safetensors")
        code, errors = samples.run_converter(source, target, *options)
        self.assertEqual(code, 0, errors)
        return target

    def assert_close(self, found, expected, tolerance=TOLERANCE):
        self.assertEqual(found.shape, expected.shape)
        self.assertTrue(numpy.isfinite(found).all() and numpy.isfinite(expected).all())
        self.assertGreater(expected.std(), 0)
        error = abs(found - expected).max() / abs(expected).max()
        print(f"    {self._testMethodName}: largest relative error {error:.2e}")
        self.assertLessEqual(error, tolerance)

    def assert_metadata(self, metadata, **expected):
        self.assertEqual({k: metadata.get(k) for k in expected}, expected)

    def assert_same_tensors(self, first, second, tolerance=0.0):
        a, b = reference.load(first)[0], reference.load(second)[0]
        self.assertEqual(set(a), set(b))
        for name in a:
            numpy.testing.assert_allclose(a[name], b[name], rtol=tolerance, atol=tolerance, err_msg=name)


@unittest.skipUnless(os.path.isdir(samples.PUBLISHED), "../shared/published is missing")
class Classifiers(ConvertTest):
    def test_keras_model_with_mask_head(self):
        source = published("keras_mobilenet_v2_0.35_224_head.h5")
        model = reference.MobileNetV2(self.convert(source))
        self.assert_metadata(
            model.metadata, format="maskwatch", architecture="mobilenet_v2", width="0.35",
            input_size="224", padding="tf", bn_epsilon="0.001", preprocessing="tf", head="mask",
            batch_norm="unfolded", source="keras_mobilenet_v2_0.35_224_head.h5", labels='["class 0", "class 1"]',
        )  # fmt: skip
        self.assertEqual(model.tensors["head.hidden.weight"].shape, (1280, 100))
        x = samples.inputs()
        features, probabilities = runtimes.run(source, x)
        found = model.features(x)
        self.assert_close(found, features)
        hidden = found @ model.tensors["head.hidden.weight"] + model.tensors["head.hidden.bias"]
        logits = numpy.maximum(hidden, 0) @ model.tensors["head.output.weight"]
        logits += model.tensors["head.output.bias"]
        exponents = numpy.exp(logits - logits.max(1, keepdims=True))
        self.assert_close(exponents / exponents.sum(1, keepdims=True), probabilities)

    def test_keras_classifier_saved_by_keras(self):
        os.environ.setdefault("KERAS_BACKEND", "torch")
        import keras

        keras.utils.set_random_seed(1)
        source = self.path("full.h5")
        keras.applications.MobileNetV2(
            input_shape=(96, 96, 3), alpha=0.5, classes=7, weights=None, classifier_activation=None
        ).save(source)
        model = reference.MobileNetV2(self.convert(source))
        self.assert_metadata(model.metadata, width="0.5", input_size="96", head="classifier")
        x = samples.inputs(side=96)
        features, logits = runtimes.run(source, x)
        self.assert_close(model.features(x), features)
        self.assert_close(model.logits(x), logits)

    def test_keras_weights_alone(self):
        """The layout of the official files: layer groups at the root, and no configuration."""
        import h5py

        whole = published("keras_mobilenet_v2_0.35_224_head.h5")
        weights = self.path("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_160_no_top.h5")
        with h5py.File(whole) as source, h5py.File(weights, "w") as target:
            for layer, group in source["model_weights/sequential_3"].items():
                for name, value in group.items():
                    target[f"{layer}/{layer}/{name}"] = value[()]
        converted = self.convert(weights)
        self.assert_same_tensors(converted, self.convert(whole, "--no-classifier"))
        self.assert_metadata(reference.load(converted)[1], input_size="160", head="none")

    def test_torchvision_state_dict_and_its_onnx(self):
        import torch

        source = self.path("mobilenet_v2.pth")
        builders.torchvision_pth(source, width=0.75, classes=11)
        converted = self.convert(source)
        model = reference.MobileNetV2(converted)
        self.assert_metadata(
            model.metadata, width="0.75", padding="symmetric", bn_epsilon="1e-05",
            preprocessing="imagenet", batch_norm="unfolded", head="classifier",
        )  # fmt: skip
        x = samples.inputs("imagenet")
        features, logits = runtimes.run(source, x)
        self.assert_close(model.features(x), features)
        self.assert_close(model.logits(x), logits)
        exported = self.path("unfolded.onnx")
        builders.onnx_from_pth(exported, torch.load(source, weights_only=True))
        self.assert_same_tensors(converted, self.convert(exported))
        self.assert_close(runtimes.run(exported, x)[1], logits)

    def check_folder(self, name, style, **metadata):
        """The .npy folder against an .onnx of the same weights in ONNX Runtime."""
        converted, exported = self.convert(published(name)), self.path("folded.onnx")
        builders.onnx_from_folder(exported, published(name))
        model = reference.MobileNetV2(converted)
        self.assert_metadata(model.metadata, batch_norm="folded", head="none", **metadata)
        x = samples.inputs(style)
        features, logits = runtimes.run(exported, x)
        self.assert_close(model.features(x), features)
        again = reference.MobileNetV2(self.convert(exported))
        self.assert_metadata(again.metadata, head="classifier", **metadata)
        self.assert_close(again.logits(x), logits)

    def test_folder_of_float_tflite(self):
        self.check_folder("mobilenet_v2_1.0_224_tflite_float", "tf", padding="tf",
                          bn_epsilon="0.001", preprocessing="tf", width="1.0")  # fmt: skip

    def test_folder_of_onnx_zoo(self):
        self.check_folder("mobilenet_v2_1.0_224_onnx_zoo", "imagenet", padding="symmetric",
                          bn_epsilon="1e-05", preprocessing="imagenet", width="1.0")  # fmt: skip

    def test_what_class_names_mean_is_written_beside_them(self):
        labels = os.path.join(self.folder, "labels.txt")
        with open(labels, "w", encoding="utf-8") as file:
            file.write("\ufeffA\nB\n")
        source = published("keras_mobilenet_v2_0.35_224_head.h5")
        model = reference.MobileNetV2(self.convert(source, "--labels", labels, "--classes", "mask=A"))
        self.assertEqual(model.labels(), ["A", "B"])
        self.assertEqual(json.loads(model.metadata["meanings"]), ["mask", ""])

    def test_quantised_tflite(self):
        source = published("mobilenet_v2_1.0_224_quant.tflite")
        labels = published("imagenet_labels.txt")
        model = reference.MobileNetV2(self.convert(source, "--labels", labels))
        x = samples.inputs()[:4]
        features, theirs = runtimes.run(source, x)
        ours = model.logits(x)
        expected = ["Egyptian cat", "chickadee", "macaw", "military uniform"]
        self.assertEqual([model.labels()[i] for i in ours.argmax(1)], expected)
        self.assertEqual(ours.argmax(1).tolist(), theirs.argmax(1).tolist())
        found = model.features(x)
        cosine = (found * features).sum(1) / numpy.linalg.norm(found, axis=1)
        self.assertGreater((cosine / numpy.linalg.norm(features, axis=1)).min(), 0.99)
        ranges = json.loads(model.metadata["activation_ranges"])
        self.assertEqual(len(ranges), 53)
        self.assertLess(abs(ranges["stem.conv"][1] - 6), 0.001)

    def test_float_tflite(self):
        source = self.path("float.tflite")
        builders.float_tflite(source, published("mobilenet_v2_1.0_224_quant.tflite"))
        model = reference.MobileNetV2(self.convert(source))
        self.assert_metadata(model.metadata, head="classifier", activation_ranges=None)
        x = samples.inputs()
        features, _ = runtimes.run(source, x)
        self.assert_close(model.features(x), features)

    def test_bytes_do_not_change_from_run_to_run(self):
        contents, target = [], self.path("out.safetensors")
        for _ in range(2):  # each in its own process, with its own seed of hashes
            source = published("keras_mobilenet_v2_0.35_224_head.h5")
            subprocess.run([sys.executable, CONVERTER, source, target], check=True, capture_output=True)
            with open(target, "rb") as file:
                contents.append(file.read())
        self.assertEqual(*contents)


class Heads(ConvertTest):
    """Heads and inputs of ONNX files and state dicts of PyTorch, on noise."""

    SIDE = 64

    def setUp(self):
        super().setUp()
        import torch

        self.state_file = self.path("state.pth")
        builders.torchvision_pth(self.state_file, width=0.35, classes=3)
        self.state = torch.load(self.state_file, weights_only=True)
        random = numpy.random.default_rng(4)
        self.pixels = random.integers(0, 256, (5, self.SIDE, self.SIDE, 3)) * random.uniform(0.2, 1, (5, 1, 1, 3))
        self.weights = {n: random.normal(size=(n, 1280)).astype("f4") / 8 for n in (1, 2, 30)}
        self.second = {n: random.normal(size=(30, n)).astype("f4") / 2 for n in (1, 2)}
        self.biases = {n: random.normal(size=n).astype("f4") for n in (1, 2, 30)}

    def onnx(self, classes, head, before=lambda builder, x: x):
        path = self.path("model.onnx")
        builders.onnx_from_pth(path, self.state, self.SIDE, classes, head, before)
        return path

    def check_onnx(self, path, outside, expected=lambda x: x, **metadata):
        model = reference.MobileNetV2(self.convert(path))
        self.assert_metadata(model.metadata, **metadata)
        session = runtimes.onnx_session(path)
        x = outside(self.pixels).astype("f4").transpose(0, 3, 1, 2)
        theirs = expected(numpy.concatenate([session.run(None, {"input": p[None]})[0] for p in x]))
        self.assert_close(model.probabilities(self.pixels), theirs)

    def two_layers(self, classes, between, last):
        def head(builder, x):
            x = builder.node("MatMul", [x, builder.constant("m1", self.weights[30].T)])
            x = builder.node("Add", [builder.constant("b1", self.biases[30]), x])
            x = builder.node(between, [x])
            x = builder.node("MatMul", [x, builder.constant("m2", self.second[classes])])
            return builder.node(last, [x])

        return head

    def test_onnx_of_two_layers_on_pixels_that_it_scales_itself(self):
        def before(builder, x):
            return builder.node("Div", [x, builder.constant("scale", numpy.float32(255))])

        path = self.onnx(2, self.two_layers(2, "Relu", "Softmax"), before)
        self.check_onnx(path, lambda x: x, head="mask", preprocessing="unit")

    def test_onnx_of_one_sigmoid_unit_on_pixels_normalised_within(self):
        mean = 255 * numpy.array([0.485, 0.456, 0.406], "f4").reshape(1, 3, 1, 1)
        deviation = 255 * numpy.array([0.229, 0.224, 0.225], "f4").reshape(3, 1, 1)

        def before(builder, x):
            x = builder.node("Sub", [x, builder.constant("mean", mean)])
            return builder.node("Div", [x, builder.constant("deviation", deviation)])

        path = self.onnx(1, self.two_layers(1, "Relu", "Sigmoid"), before)
        self.check_onnx(path, lambda x: x, lambda p: numpy.concatenate([1 - p, p], 1), head="mask", preprocessing="imagenet")

    def test_onnx_heads_that_the_engine_does_not_have(self):
        def branches(builder, x):
            parts = [builder.gemm(x, self.weights[1], self.biases[1]), builder.gemm(x, self.weights[1], self.biases[1])]
            return builder.node("Concat", parts, axis=1)

        def scaled(builder, x):
            return builder.node("Mul", [x, builder.node("Sigmoid", [x])])

        gemm = lambda builder, x: builder.gemm(x, self.weights[2], self.biases[2])  # noqa: E731
        shifted = lambda builder, x: builder.node("Add", [x, builder.constant("o", numpy.float32(3))])  # noqa: E731
        for word, head, before in (
            ("(tanh)", self.two_layers(2, "Tanh", "Softmax"), None), ("(Elu)", self.two_layers(2, "Elu", "Softmax"), None),
            ("(LogSoftmax)", self.two_layers(2, "Relu", "LogSoftmax"), None), ("(Concat)", branches, None),
            ("(Mul of two values)", lambda builder, x: scaled(builder, gemm(builder, x)), None),
            ("x * 1 + 3", gemm, shifted),
        ):  # fmt: skip
            with self.subTest(word):
                path = self.onnx(2, head, before or (lambda builder, x: x))
                code, errors = samples.run_converter(path, self.path("out"))
                self.assertEqual((code, errors.count("\n")), (2, 1))
                self.assertIn(word, errors)

    def test_onnx_of_another_network(self):
        """With an activation, a shortcut or a stride that MobileNetV2 does not have."""
        import onnx

        path = self.onnx(3, None)
        whole = onnx.load(path)
        names = [node.op_type for node in whole.graph.node]

        def first(kind, start=0):
            return names.index(kind, start)

        def other_activation(nodes):
            at = first("Clip", 20)
            nodes[at].op_type = "Relu"
            del nodes[at].input[1:]

        def other_shortcut(nodes):
            adds = [node for node in nodes if node.op_type == "Add"]
            adds[-1].input[0] = adds[-2].input[0]

        def no_shortcut(nodes):
            add = nodes[first("Add")]
            for node in nodes:
                node.input[:] = [add.input[1] if name == add.output[0] else name for name in node.input]

        for change, word in ((other_activation, "ReLU6"), (other_shortcut, "adds something else"), (no_shortcut, "shortcut")):
            with self.subTest(word):
                changed = onnx.load(path)
                change(changed.graph.node)
                onnx.save(changed, self.path("changed.onnx"))
                code, errors = samples.run_converter(self.path("changed.onnx"), self.path("out"))
                self.assertEqual(code, 2)
                self.assertIn(word, errors)

    def test_state_dicts_say_nothing_of_what_is_between(self):
        import torch

        def saved(**more):
            state = {k: v for k, v in self.state.items() if not k.startswith("classifier")}
            torch.save({"model_state_dict": {**state, **more}}, self.path("changed.pth"))
            return self.path("changed.pth")

        named = {f"classifier.{i}.{part}": torch.ones(1) for i in (0, 3) for part in ("weight", "bias")}
        code, errors = samples.run_converter(saved(**named), self.path("out"))
        self.assertEqual(code, 2)
        self.assertIn("'classifier.0.bias'", errors)
        self.assertIn("torch.onnx.export", errors)
        weight, bias = torch.from_numpy(self.weights[1]), torch.from_numpy(self.biases[1])
        one = saved(**{"classifier.1.weight": weight, "classifier.1.bias": bias})
        code, errors = samples.run_converter(one, self.path("out"))
        self.assertEqual(code, 0, errors)
        self.assertIn("logits", errors)
        model = reference.MobileNetV2(self.path("out"))
        x = samples.preprocess(self.pixels, "imagenet")
        due = 1 / (1 + numpy.exp(-(model.features(x) @ self.weights[1].T + self.biases[1])))
        self.assert_close(model.probabilities(self.pixels)[:, 1:], due)


def recall(boxes_of, photographs, limit=0.4):
    """The share of the faces that a box of the detector meets with that intersection over union."""
    hits = total = 0
    for name, truths in photographs:
        boxes = boxes_of(samples.photograph(name))
        for truth in truths:
            total += 1
            hits += any(overlap(truth, box) >= limit for box in boxes)
    return hits / total


def overlap(a, b):
    def area(box):
        return max(0, box[2] - box[0]) * max(0, box[3] - box[1])

    both = area([*numpy.maximum(a[:2], b[:2]), *numpy.minimum(a[2:], b[2:])])
    return both / (area(a) + area(b) - both)


@unittest.skipUnless(os.path.isdir(samples.PUBLISHED), "../shared/published is missing")
class Detectors(ConvertTest):
    def images(self, graph, count=8):
        """Photographs, normalised as the file says."""
        photographs = [samples.photograph(name) for name, _ in samples.photographs()[:count]]
        values = samples.pixels(photographs, *graph.detector["input_size"])
        return ((values - graph.detector["mean"]) * graph.detector["scale"]).astype(numpy.float32)

    def found_faces(self, graph, fits):
        """Pictures to boxes of a score above one half, in pixels; fits says how a picture is laid in."""
        width, height = graph.detector["input_size"]

        def boxes_of(picture):
            canvas, scale_x, scale_y = fits(picture, width, height)
            values = samples.pixels([canvas], width, height)
            values = (values - graph.detector["mean"]) * graph.detector["scale"]
            outputs = graph(values.astype(numpy.float32))
            scores = outputs["scores"][0, :, graph.detector["face_class"]]
            boxes = graph.decode(outputs["boxes"])[0][scores > 0.5]
            return boxes * [scale_x, scale_y, scale_x, scale_y]

        return boxes_of

    def test_rfb_320(self):
        source = published("version-RFB-320.onnx")
        graph = reference.Graph(self.convert(source))
        self.assertEqual(graph.metadata["architecture"], "rfb_320")
        x = self.images(graph)
        session = runtimes.onnx_session(source)
        results = [session.run(["scores", "boxes"], {"input": p[None].transpose(0, 3, 1, 2)}) for p in x]
        scores, boxes = (numpy.concatenate(parts) for parts in zip(*results))
        outputs = graph(x)
        self.assert_close(outputs["scores"], scores)
        self.assert_close(graph.decode(outputs["boxes"]), boxes)
        stretch = self.found_faces(graph, lambda p, w, h: (p, p.width, p.height))
        self.assertGreater(recall(stretch, samples.photographs()[:12]), 0.85)

    def test_rfb_320_is_the_same_from_both_files(self):
        first = self.convert(published("version-RFB-320.onnx"))
        second = self.convert(published("version-RFB-320.pth"))
        self.assert_same_tensors(first, second, 1e-7)
        for key in ("graph", "detector", "architecture"):
            self.assertEqual(reference.load(first)[1][key], reference.load(second)[1][key])

    def test_face_api_ssd(self):
        import face_api_peer
        import torch
        from PIL import Image

        source = published("face_api/ssd_mobilenetv1_model-weights_manifest.json")
        graph = reference.Graph(self.convert(source))
        self.assertEqual(graph.metadata["architecture"], "ssd_mobilenet_v1")
        x = self.images(graph, 2)
        scores, boxes = face_api_peer.ssd(face_api_peer.weights(source), torch.from_numpy(x))
        outputs = graph(x)
        self.assert_close(outputs["scores"][..., 0], scores.numpy())
        self.assert_close(graph.decode(outputs["boxes"]), boxes.numpy())

        def top_left(picture, width, height):
            side = max(picture.size)
            canvas = Image.new("RGB", (side, side))
            canvas.paste(picture)
            return canvas, side, side

        faces = self.found_faces(graph, top_left)
        self.assertGreater(recall(faces, samples.photographs()[6:11]), 0.85)

    def test_face_api_landmarks(self):
        import face_api_peer
        import torch

        source = published("face_api/face_landmark_68_model-weights_manifest.json")
        graph = reference.Graph(self.convert(source))
        values = samples.pixels(samples.faces(), 112)
        x = ((values - graph.detector["mean"]) * graph.detector["scale"]).astype(numpy.float32)
        points = graph(x)["points"]
        peer = face_api_peer.landmarks(face_api_peer.weights(source), torch.from_numpy(x))
        self.assert_close(points, peer.numpy())
        points = points.reshape(-1, 68, 2)
        eyes, mouth = points[:, 36:48].mean(1), points[:, 48:68].mean(1)
        self.assertTrue((eyes[:, 1] + 0.1 < mouth[:, 1]).all())
        self.assertGreater((abs(points - 0.5) <= 0.6).mean(), 0.95)


if __name__ == "__main__":
    unittest.main(verbosity=2)
