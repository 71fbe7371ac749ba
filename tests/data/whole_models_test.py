#!/usr/bin/env python3
"""Whole models, as people train and save them: what is converted answers as the model's own runtime does, from
the pixels of the same pictures, and what the engine cannot compute is refused by name.

    tests/data/tensorflow.sh whole_models_test.py

The models are MobileNetV2 0.35/96 with random weights and every kind of head, saved by Keras 2 and Keras 3 as .h5,
.keras and SavedModel and by TensorFlow as TFLite. ../shared/cases adds models that people had trouble with.
"""

import functools
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import keras  # noqa: E402
import numpy  # noqa: E402
import reference  # noqa: E402
import samples  # noqa: E402
import tensorflow  # noqa: E402
import tf_keras  # noqa: E402

SIDE = 96
CASES = os.path.join(samples.SHARED, "cases")
TOLERANCE = 1e-4  # of a probability


def pictures(count=8, side=SIDE):
    """Noise, finer and coarser, 0..255: [count, side, side, 3]."""
    random, made = numpy.random.default_rng(1), []
    for i in range(count):
        cells = side // [3, 6, 12, 24][i % 4]
        coarse = random.integers(0, 256, (cells, cells, 3)) * random.uniform(0.2, 1, 3)
        made.append(numpy.kron(coarse, numpy.ones((side // cells, side // cells, 1))))
    return numpy.stack(made).round().astype("f4")


@functools.cache
def base(library):
    """MobileNetV2 without its top, with statistics of pictures, so that its features tell these apart."""
    library.utils.set_random_seed(1)
    model = library.applications.MobileNetV2(
        input_shape=(SIDE, SIDE, 3), alpha=0.35, include_top=False, weights=None
    )
    random = numpy.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, library.layers.BatchNormalization):
            layer.momentum = 0.0
            gamma, beta, *rest = layer.get_weights()
            layer.set_weights([random.uniform(0.5, 1.5, gamma.shape), random.uniform(-0.5, 0.5, beta.shape), *rest])
    model(pictures() / 127.5 - 1, training=True)
    return model


@functools.cache
def weights_of_bases():
    return {id(weight) for library in (keras, tf_keras) for weight in base(library).weights}


def answers(model, values):
    return numpy.asarray(model(values, training=False))


def two(column):
    """A probability of class 1 as those of both."""
    return numpy.concatenate([1 - column, column], 1)


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


class WholeModelTest(samples.FolderTest):
    def model(self, library, behind, before=(), pool=True):
        """A Sequential of layers before the network, the network and layers behind it, with random biases."""
        layers = library.layers
        pooled = [layers.GlobalAveragePooling2D()] if pool else []
        start = layers.Input((SIDE, SIDE, 3))
        model = library.Sequential([start, *before, base(library), *pooled, *behind])
        self.spread(model)
        return model

    def spread(self, model):
        """Weights of the head that spread the answers."""
        random = numpy.random.default_rng(3)
        for weight in model.weights:
            if id(weight) in weights_of_bases() or "seed" in weight.name or not numpy.issubdtype(numpy.asarray(weight).dtype, numpy.floating):
                continue
            name = getattr(weight, "path", weight.name)
            if "bias" in name or "beta" in name or "moving_mean" in name:
                weight.assign(random.normal(0, 0.3, weight.shape))
            elif "variance" in name or "gamma" in name:
                weight.assign(random.uniform(0.5, 2, weight.shape))
            elif "kernel" in name:
                weight.assign(random.normal(0, 2 / weight.shape[0] ** 0.5, weight.shape))

    def save(self, model, name):
        path = self.path(name)
        model.save(path)
        return path

    def converted(self, source, *options):
        target = self.path("converted.safetensors")
        code, errors = samples.run_converter(source, target, *options)
        self.assertEqual(code, 0, errors)
        return reference.MobileNetV2(target), errors

    def check(self, source, expected, values=None, tolerance=TOLERANCE, **metadata):
        """The converted model's probabilities of pixels are those expected."""
        model, said = self.converted(source)
        for key, value in metadata.items():
            self.assertEqual(model.metadata[key], value)
        found = model.probabilities(pictures() if values is None else values)
        self.assertEqual(found.shape, expected.shape)
        self.assertGreater(expected.std(0).min(), 0.02)  # the pictures are told apart
        self.assertLessEqual(abs(found - expected).max(), tolerance)
        return said

    def check_refused(self, source, *words):
        code, errors = samples.run_converter(source, self.path("refused.safetensors"))
        self.assertEqual((code, errors.count("\n")), (2, 1), errors)
        for word in words:
            self.assertIn(word, errors)
        self.assertFalse(os.path.exists(self.path("refused.safetensors")))

    def export(self, model):
        """A SavedModel in the folder "exported", much sooner than Keras writes one."""
        exported = tensorflow.train.Checkpoint(variables=model.variables)
        of_pictures = [tensorflow.TensorSpec((None, SIDE, SIDE, 3), tensorflow.float32)]
        exported.call = tensorflow.function(lambda x: model(x, training=False), input_signature=of_pictures)
        tensorflow.saved_model.save(exported, self.path("exported"), signatures=exported.call)

    def tflite(self, model, name, **settings):
        self.export(model)
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(self.path("exported"))
        for key, value in settings.items():
            setattr(converter, key, value)
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(converter.convert())
        return path

    # The ways in which Keras saves a model as a file; two of them have a code of their own each.
    ALL = [(library, ending) for library in (tf_keras, keras) for ending in (".h5", ".keras")]
    TWO = [(tf_keras, ".h5"), (keras, ".keras")]


class Converted(WholeModelTest):
    def check_sequential(self, behind, before=lambda layers: [], outside=None, expected=lambda x: x, pool=True, ways=WholeModelTest.TWO, **metadata):
        """`outside`: what is done to pixels before the model sees them. Returns what the converter said."""
        said = ""
        for library, ending in ways:
            model = self.model(library, behind(library.layers), before(library.layers), pool)
            values = pictures() if outside is None else outside(pictures())
            said = self.check(self.save(model, "model" + ending), expected(answers(model, values)), **metadata)
        return said

    def test_the_head_of_the_original(self):
        said = self.check_sequential(
            lambda layers: [layers.AveragePooling2D((3, 3)), layers.Flatten(), layers.Dense(128, activation="relu"),
                            layers.Dropout(0.5), layers.Dense(2, activation="softmax")],
            outside=lambda x: x / 127.5 - 1, pool=False, head="mask", preprocessing="tf", bn_epsilon="0.001",
        )  # fmt: skip
        self.assertIn("does not say how pixels are prepared", said)
        self.assertEqual(said.count("\n"), 1)

    def test_pixels_divided_by_255(self):
        self.check_sequential(
            lambda layers: [layers.Dense(3, activation="softmax")], lambda layers: [layers.Rescaling(1 / 255)],
            preprocessing="unit", head="classifier",
        )  # fmt: skip

    def test_pixels_scaled_in_the_model_and_one_sigmoid_unit(self):
        self.check_sequential(
            lambda layers: [layers.Dense(40, activation="relu"), layers.Dense(1, activation="sigmoid")],
            lambda layers: [layers.Rescaling(1 / 127.5, offset=-1)], expected=two, preprocessing="tf", head="mask",
        )  # fmt: skip

    def test_pixels_normalised_by_imagenet(self):
        mean, variance = ([255 * m for m in (0.485, 0.456, 0.406)], [(255 * d) ** 2 for d in (0.229, 0.224, 0.225)])
        self.check_sequential(
            lambda layers: [layers.Dense(2), layers.Softmax()],
            lambda layers: [layers.Normalization(mean=mean, variance=variance)], preprocessing="imagenet",
        )  # fmt: skip

    def test_pixels_scaled_by_any_number(self):
        self.check_sequential(
            lambda layers: [layers.Dense(2, activation="softmax")], lambda layers: [layers.Rescaling(1 / 100)],
            preprocessing="unit",
        )  # fmt: skip

    def test_linear_layers_and_norms_are_joined(self):
        self.check_sequential(
            lambda layers: [layers.BatchNormalization(), layers.Dense(300), layers.BatchNormalization(epsilon=0.01),
                            layers.ReLU(), layers.BatchNormalization(scale=False), layers.Dropout(0.2),
                            layers.Dense(5, use_bias=False), layers.Dense(3), layers.Activation("softmax")],
            outside=lambda x: x / 127.5 - 1, head="mask", ways=self.ALL,
        )  # fmt: skip

    def test_a_norm_before_the_average_and_a_relu_of_features(self):
        self.check_sequential(
            lambda layers: [layers.ReLU(), layers.BatchNormalization(), layers.GlobalAveragePooling2D(keepdims=True),
                            layers.Flatten(), layers.Dense(2, activation="softmax")],
            outside=lambda x: x / 127.5 - 1, pool=False, head="classifier",
        )  # fmt: skip

    def test_models_within_models(self):
        for library, ending in self.TWO:
            layers = library.layers
            features = library.Sequential([layers.Input((SIDE, SIDE, 3)), base(library), layers.GlobalAveragePooling2D()])
            head = library.Sequential([layers.Input((1280,)), layers.Dense(100, activation="relu"),
                                       layers.Dense(2, use_bias=False, activation="softmax")])  # fmt: skip
            model = library.Sequential([layers.Input((SIDE, SIDE, 3)), features, head])
            self.spread(model)
            self.check(self.save(model, "model" + ending), answers(model, pictures() / 127.5 - 1), head="mask")

    def test_arithmetic_augmentation_and_a_logit(self):
        for library, ending in self.ALL:
            if library is keras and ending == ".h5":
                continue  # which Keras 3 itself cannot load
            x = start = library.Input((SIDE, SIDE, 3))
            x = library.layers.RandomFlip("horizontal")(x)
            x = library.layers.RandomRotation(0.2)(x)
            x = base(library)(x / 127.5 - 1.0, training=False)
            x = library.layers.Dropout(0.2)(library.layers.GlobalAveragePooling2D()(x))
            model = library.Model(start, library.layers.Dense(1)(x))
            self.spread(model)
            expected = two(sigmoid(answers(model, pictures())))
            self.assertIn("logits", self.check(self.save(model, "model" + ending), expected, preprocessing="tf"))

    def test_saved_model(self):
        """TensorFlow folds the scaling of pixels into the first convolution on the way."""
        layers = tf_keras.layers
        behind = [layers.Dense(20, activation="relu"), layers.Dense(1, activation="sigmoid")]
        model = self.model(tf_keras, behind, [layers.Rescaling(1 / 255)])
        self.export(model)
        self.check(self.path("exported"), two(answers(model, pictures())), preprocessing="unit", head="mask")
        self.check_refused(self.path("exported/saved_model.pb"), "give the folder")

    def tflite_model(self):
        layers = tf_keras.layers
        return self.model(tf_keras, [layers.Dense(100, activation="relu"), layers.Dense(2, use_bias=False, activation="softmax")])

    def test_tflite(self):
        outside = pictures() / 127.5 - 1
        model = self.tflite_model()
        path = self.tflite(model, "float.tflite")
        self.check(path, tflite_answers(path, outside), head="mask", preprocessing="tf")
        halves = {"optimizations": [tensorflow.lite.Optimize.DEFAULT]}
        path = self.tflite(model, "half.tflite", **halves, target_spec=tensorflow.lite.TargetSpec(supported_types=[tensorflow.float16]))
        self.check(path, tflite_answers(path, outside), tolerance=0.01)
        path = self.tflite(model, "weights.tflite", **halves)
        self.check(path, answers(model, outside), tolerance=0.15)

    def check_quantised(self, kind, prepared, preprocessing):
        """Activations are rounded there and not here, so the answers are near, not equal."""
        model, values = self.tflite_model(), prepared.astype("f4")
        path = self.tflite(
            model, "quantised.tflite", optimizations=[tensorflow.lite.Optimize.DEFAULT],
            representative_dataset=lambda: ([value[None]] for value in values),
            target_spec=tensorflow.lite.TargetSpec(supported_ops=[tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]),
            inference_input_type=kind, inference_output_type=kind,
        )  # fmt: skip
        self.check(path, answers(model, values), tolerance=0.25, preprocessing=preprocessing, head="mask")
        self.check(path, tflite_answers(path, values), tolerance=0.35)

    def test_quantised_tflite(self):
        self.check_quantised(tensorflow.uint8, pictures() / 127.5 - 1, "tf")

    def test_quantised_tflite_of_signed_bytes(self):
        self.check_quantised(tensorflow.int8, pictures() / 255, "unit")


def tflite_answers(path, values):
    interpreter = tensorflow.lite.Interpreter(path)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for value in values:
        interpreter.set_tensor(source["index"], as_stored(value[None], source))
        interpreter.invoke()
        scale, zero = result["quantization"]
        answer = interpreter.get_tensor(result["index"]).astype("f4")
        found.append((answer - zero) * scale if scale else answer)
    return numpy.concatenate(found)


def as_stored(values, detail):
    scale, zero = detail["quantization"]
    if not scale:
        return values.astype("f4")
    limits = numpy.iinfo(detail["dtype"])
    return numpy.clip(numpy.round(values / scale) + zero, limits.min, limits.max).astype(detail["dtype"])


class Refused(WholeModelTest):
    def check_head(self, words, behind, before=lambda layers: [], pool=True):
        model = self.model(tf_keras, behind(tf_keras.layers), before(tf_keras.layers), pool)
        self.check_refused(self.save(model, "model.h5"), *words)

    def test_heads_that_the_engine_does_not_have(self):
        softmax = {"activation": "softmax"}
        for words, behind in (
            (("'fc' (tanh)",), lambda layers: [layers.Dense(9, activation="tanh", name="fc"), layers.Dense(2, **softmax)]),
            (("'fc' (relu6)",), lambda layers: [layers.Dense(9, activation="relu6", name="fc"), layers.Dense(2, **softmax)]),
            (("'leak' (LeakyReLU)",), lambda layers: [layers.Dense(9), layers.LeakyReLU(name="leak"), layers.Dense(2, **softmax)]),
            (("3 dense layers",), lambda layers: [layers.Dense(9, activation="relu"), layers.Dense(8, activation="relu"), layers.Dense(2, **softmax)]),
            (("'out' (sigmoid)", "2 units"), lambda layers: [layers.Dense(2, activation="sigmoid", name="out")]),
            (("'out' (softmax)", "always 1"), lambda layers: [layers.Dense(1, name="out", **softmax)]),
            (("ReLUs",), lambda layers: [layers.Dense(2, activation="relu")]),
            (("'more' (dense)",), lambda layers: [layers.Dense(3, **softmax), layers.Dense(2, name="more", **softmax)]),
            (("'norm' (LayerNormalization)",), lambda layers: [layers.LayerNormalization(name="norm"), layers.Dense(2, **softmax)]),
        ):  # fmt: skip
            with self.subTest(words[0]):
                self.check_head((*words, "--no-classifier"), behind)

    def test_layers_that_go_on_training(self):
        for library, ending in self.TWO:
            start = library.Input((SIDE, SIDE, 3))
            x = library.layers.GlobalAveragePooling2D()(base(library)(start))
            x = library.layers.Dropout(0.5, name="chance")(x, training=True)
            model = library.Model(start, library.layers.Dense(2, activation="softmax")(x))
            self.check_refused(self.save(model, "model" + ending), "'chance' (Dropout in training mode)")

    def test_pools_that_are_no_average_over_the_map(self):
        for words, behind in (
            (("GlobalMaxPooling2D",), lambda layers: [layers.GlobalMaxPooling2D(), layers.Dense(2, activation="softmax")]),
            (("an average over 2x2 of a map of 3x3",), lambda layers: [layers.AveragePooling2D((2, 2)), layers.Flatten(), layers.Dense(2, activation="softmax")]),
            (("Flatten of a map of 3x3",), lambda layers: [layers.Flatten(), layers.Dense(2, activation="softmax")]),
            (("'more' (conv)",), lambda layers: [layers.Conv2D(8, 3, name="more"), layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")]),
        ):  # fmt: skip
            with self.subTest(words[0]):
                self.check_head(words, behind, pool=False)

    def test_without_its_head_such_a_model_is_converted(self):
        model = self.model(tf_keras, [tf_keras.layers.GlobalMaxPooling2D(), tf_keras.layers.Dense(2)], pool=False)
        converted, _ = self.converted(self.save(model, "model.h5"), "--no-classifier")
        self.assertEqual(converted.metadata["head"], "none")
        expected = answers(base(tf_keras), pictures() / 127.5 - 1).mean((1, 2))
        found = converted.features((pictures() / 127.5 - 1).astype("f4"))
        self.assertLess(abs(found - expected).max(), 1e-4 * expected.max())

    def test_inputs_that_the_engine_does_not_prepare(self):
        head = lambda layers: [layers.Dense(2, activation="softmax")]  # noqa: E731
        self.check_head(("x * 0.00392157 + 0.3",), head, lambda layers: [layers.Rescaling(1 / 255, offset=0.3)])
        self.check_head(("'crop' (CenterCrop)",), head, lambda layers: [layers.CenterCrop(SIDE, SIDE, name="crop")])
        model = self.model(tf_keras, head(tf_keras.layers), [tf_keras.layers.Rescaling(1 / 255)])
        source = self.save(model, "model.h5")
        code, errors = samples.run_converter(source, self.path("out"), "--preprocessing", "tf")
        self.assertEqual(code, 2)
        self.assertIn("says itself how pixels are prepared", errors)

    def test_other_networks(self):
        layers = tf_keras.layers
        small = tf_keras.Sequential([layers.Input((32, 32, 3)), layers.Conv2D(4, 3, name="first"), layers.GlobalAveragePooling2D(), layers.Dense(2)])
        self.check_refused(self.save(small, "small.h5"), "MobileNetV2")
        other = tf_keras.applications.MobileNet(input_shape=(SIDE, SIDE, 3), alpha=0.25, weights=None, classes=2)
        self.check_refused(self.save(other, "other.h5"), "MobileNetV2")
        three = tf_keras.applications.MobileNetV3Small(input_shape=(SIDE, SIDE, 3), weights=None, classes=2)
        self.check_refused(self.save(three, "three.keras"), "MobileNetV2")

    def test_a_network_that_was_changed_within(self):
        """An activation, a stride, a shortcut: each is one step away from MobileNetV2."""
        import json
        import shutil

        import h5py

        model = self.model(tf_keras, [tf_keras.layers.Dense(2, activation="softmax")])
        whole = self.save(model, "whole.h5")

        def changed(change):
            path = shutil.copy(whole, self.path("changed.h5"))
            with h5py.File(path, "r+") as file:
                config = json.loads(file.attrs["model_config"])
                trunk = next(n for n in config["config"]["layers"] if n["class_name"] == "Functional")
                change({n["config"]["name"]: n for n in trunk["config"]["layers"]})
                file.attrs["model_config"] = json.dumps(config)
            return path

        self.check_refused(changed(lambda n: n["block_5_expand_relu"]["config"].update(max_value=None)), "block 5", "ReLU6")
        self.check_refused(changed(lambda n: n["block_4_depthwise"]["config"].update(dilation_rate=[2, 2])), "block_4_depthwise", "dilated")
        self.check_refused(changed(lambda n: n["block_3_pad"]["config"].update(padding=[[1, 0], [1, 0]])), "block_3_depthwise", "pads [1, 1, 0, 0]")
        self.check_refused(changed(lambda n: n["block_7_project"]["config"].update(activation="relu")), "block_7_project")
        self.check_refused(changed(lambda n: n["block_8_add"].update(inbound_nodes=[[["block_6_project_BN", 0, 0, {}], ["block_8_project_BN", 0, 0, {}]]])), "block_8_add")
        self.check_refused(changed(lambda n: n["block_9_expand"].update(inbound_nodes=[[["block_8_project_BN", 0, 0, {}]]])), "'block_9_add' (add) adds something else")

    def test_weights_alone_do_not_say_what_is_between(self):
        model = self.model(tf_keras, [tf_keras.layers.Dense(9, activation="tanh"), tf_keras.layers.Dense(2)])
        model.save_weights(self.path("weights.h5"))
        self.check_refused(self.path("weights.h5"), "weights alone", "model.save")


@unittest.skipUnless(os.path.isdir(CASES), "../shared/cases is missing")
class Cases(WholeModelTest):
    def setUp(self):
        super().setUp()
        from PIL import Image

        names = [f"06-keras-models/{name}224.png" for name in ("masked", "bare")]
        images = [Image.open(os.path.join(CASES, name)).convert("RGB") for name in names]
        self.values = samples.pixels(images + [samples.picture(n) for n in samples.PICTURES], 224)

    def check_case(self, name, outside, runtime, expected=lambda x: x, **metadata):
        path = os.path.join(CASES, name)
        model, _ = self.converted(path, "--labels", os.path.join(os.path.dirname(path), "labels.txt"))
        for key, value in metadata.items():
            self.assertEqual(model.metadata[key], value)
        found, due = model.probabilities(self.values), expected(runtime(path, outside(self.values)))
        self.assertLessEqual(abs(found - due).max(), TOLERANCE)
        return found

    def keras(self, path, values):
        return answers(tf_keras.models.load_model(path, compile=False), values)

    def onnx(self, path, values):
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: values.astype("f4")})[0]

    def test_keras(self):
        tf, pixels = (lambda x: x / 127.5 - 1), (lambda x: x)
        found = self.check_case("06-keras-models/b_sigmoid1.h5", tf, self.keras, two, preprocessing="tf")
        self.assertEqual(found[:2].argmax(1).tolist(), [0, 1])
        self.check_case("06-keras-models/c_rescaling_1_255.h5", pixels, self.keras, preprocessing="unit")
        found = self.check_case("06-keras-models/g_kerasv3.keras", tf, self.keras, preprocessing="tf")
        self.assertEqual(found[:2].argmax(1).tolist(), [0, 1])

    def test_tflite_of_teachable_machine(self):
        self.check_case("08-tflite-teachable/model_unquant.tflite", lambda x: x / 127.5 - 1, tflite_answers, head="mask")

    def test_onnx_of_a_mask_model(self):
        found = self.check_case("18-onnx-of-mask-model/mask_detector.onnx", lambda x: x / 127.5 - 1, self.onnx, head="mask")
        self.assertEqual(found[:2].argmax(1).tolist(), [0, 1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
