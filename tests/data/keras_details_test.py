#!/usr/bin/env python3
"""Details of models of Keras and TensorFlow that change an answer: each is converted exactly or refused by name.

    tests/data/tensorflow.sh keras_details_test.py
"""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import keras  # noqa: E402
import numpy  # noqa: E402
import samples  # noqa: E402
import tensorflow  # noqa: E402
import tf_keras  # noqa: E402
import whole_models_test as whole  # noqa: E402
from whole_models_test import SIDE, answers, base, pictures, two  # noqa: E402

CONVERTER = os.path.join(samples.ROOT, "data", "convert_weights.py")
IMAGENET = numpy.array([123.675, 116.28, 103.53], "f4"), numpy.array([58.395, 57.12, 57.375], "f4")


class DetailsTest(whole.WholeModelTest):
    def head(self, library):
        return [library.layers.Dense(2, activation="softmax")]

    def functional(self, library, before=lambda x: x / 127.5 - 1, behind=None, network=None):
        """A model of functions: of pixels, and of the averaged features."""
        layers, network = library.layers, network or base(library)
        start = library.Input((SIDE, SIDE, 3))
        x = layers.GlobalAveragePooling2D()(network(before(start)))
        model = library.Model(start, behind(x) if behind else layers.Dense(2, activation="softmax")(x))
        self.spread(model)
        return model

    def tell_apart(self, model):
        """Weights of the last layer, of two classes, that take the answers apart by the pictures' differences alone."""
        odds = numpy.log(answers(model, pictures())) @ [-1, 1]
        kernel, bias = (numpy.asarray(weight) / odds.std() for weight in model.layers[-1].weights)
        model.layers[-1].set_weights([kernel, bias + [odds.mean() / odds.std(), 0]])

    def check_saved(self, model, ending, expected=None, **metadata):
        return self.check(self.save(model, "model" + ending), answers(model, pictures()) if expected is None else expected, **metadata)


class Layers(DetailsTest):
    def test_activations_that_are_layers(self):
        for library, ending in self.TWO:
            layers = library.layers
            scaled = [layers.Rescaling(1 / 127.5, offset=-1)]
            for words, activation in (
                ("'fc' (clip to 0..0.5)", layers.ReLU(max_value=0.5)), ("'fc' (a leaky ReLU)", layers.ReLU(negative_slope=0.25)),
                ("'fc' (a leaky ReLU)", layers.ReLU(threshold=0.5)), ("'fc' (LeakyReLU)", layers.LeakyReLU()),
                ("'fc' (Softmax of another axis)", layers.Softmax(axis=0)),
            ):  # fmt: skip
                with self.subTest(words, library=library.__name__):
                    behind = [layers.Dense(9, activation=activation, name="fc"), *self.head(library)]
                    self.check_refused(self.save(self.model(library, behind, scaled), "model" + ending), words)
            apart = [layers.Dense(9), layers.Activation(layers.ReLU(max_value=0.5), name="fc"), *self.head(library)]
            self.check_refused(self.save(self.model(library, apart, scaled), "model" + ending), "'fc' (clip to 0..0.5)")
            behind = [layers.Dense(9), layers.Activation(layers.ReLU()), layers.Dense(2, activation=layers.Softmax())]
            self.check_saved(self.model(library, behind, scaled), ending, head="mask")

    def test_layers_that_act_in_training_only_leave_their_input(self):
        from maskwatch_convert.keras_config import IDENTITIES

        arguments = {"ActivityRegularization": (), "Identity": (), "RandomFlip": (), "RandomGrayscale": (), "RandomColorJitter": (),
                     "RandomPosterization": (4,), "RandomShear": (0.4, 0.4), "RandomTranslation": (0.4, 0.4)}  # fmt: skip
        x = pictures(2)
        for library in (keras, tf_keras):
            for name in sorted(IDENTITIES):
                if hasattr(library.layers, name):
                    layer = getattr(library.layers, name)(*arguments.get(name, (0.4,)))
                    numpy.testing.assert_allclose(numpy.asarray(layer(x, training=False)), x, atol=1e-4, err_msg=name)

    def test_augmentation_that_acts_always(self):
        model = self.model(keras, self.head(keras), [keras.layers.AutoContrast(), keras.layers.Rescaling(1 / 255)])
        self.check_refused(self.save(model, "model.keras"), "'auto_contrast' (AutoContrast)")
        for library, ending in self.TWO:
            flip = library.layers.RandomFlip(name="flip")
            model = self.functional(library, lambda x: flip(x, training=True) / 127.5 - 1)  # noqa: B023
            if library is tf_keras:
                self.check_refused(self.save(model, "model" + ending), "'flip' (RandomFlip in training mode)")
            else:  # which heeds only the word of the whole model
                self.check_saved(model, ending)

    def test_classes_of_a_user_by_the_names_of_keras(self):
        for registered in (True, False):
            class RandomFlip(keras.layers.Layer):
                def call(self, x):
                    return x[:, :, ::-1] * 0.5

            if registered:
                RandomFlip = keras.saving.register_keras_serializable("my")(RandomFlip)
            model = self.model(keras, self.head(keras), [RandomFlip(name="own")])
            for ending in (".keras", ".h5"):
                self.check_refused(self.save(model, "model" + ending), "'own' (", "RandomFlip")
        relu = keras.layers.Dense(9, activation=keras.saving.register_keras_serializable("my")(type("ReLU", (keras.layers.Layer,), {}))())
        self.check_refused(self.save(self.model(keras, [relu, *self.head(keras)]), "model.keras"), "(ReLU)")

    def test_reshapes(self):
        for library, ending in self.TWO:
            layers = library.layers
            scaled = [layers.Rescaling(1 / 127.5, offset=-1)]

            def behind(size, *last):
                return [layers.Reshape((1, 1, 1280)), layers.Conv2D(2, size, padding="same", name="last"), *last]  # noqa: B023

            model = self.model(library, behind(1, layers.Reshape((2,)), layers.Softmax()), scaled)
            model.layers[-3].kernel.assign(model.layers[-3].kernel / 20)
            self.check_saved(model, ending, head="classifier")
            if library is tf_keras:
                path = self.tflite(model, "model.tflite")
                self.check(path, whole.tflite_answers(path, pictures()), preprocessing="tf")
            for words, layers_behind in (
                ("'last' (conv)", behind(3, layers.Flatten(), layers.Softmax())),
                ("(a reshape of 4 values to 2 x 2)", [layers.Dense(4), layers.Reshape((2, 2)), layers.Softmax(), layers.Flatten()]),
                ("(a reshape of 1 x 1 x 4 values to 2 x 2)", [layers.Dense(4), layers.Reshape((1, 1, 4)), layers.Reshape((2, 2)), layers.Flatten()]),
                ("(Softmax of another axis)", [layers.Reshape((1, 1, -1)), layers.Dense(2), layers.Softmax(axis=1), layers.Flatten()]),
                ("(softmax) stands behind no dense layer", [layers.Softmax()]),
            ):  # fmt: skip
                with self.subTest(words, library=library.__name__):
                    self.check_refused(self.save(self.model(library, layers_behind, scaled), "model" + ending), words)


class Numbers(DetailsTest):
    def test_arithmetic(self):
        """Numbers of all channels and of each, before and behind the operator."""
        mean, deviation = IMAGENET
        for library, ending in self.ALL:
            for name, before in (
                ("tf", lambda x: 1.0 - x / 127.5), ("imagenet", lambda x: (x - mean) / deviation),
                ("imagenet", library.applications.densenet.preprocess_input),
            ):  # fmt: skip
                model = self.functional(library, before)
                self.tell_apart(model)
                self.check_saved(model, ending, preprocessing=name)
        for library, ending in self.TWO:
            self.check_refused(self.save(self.functional(library, lambda x: x - x / 2), "model" + ending), "subtract")
            model = self.functional(library, library.applications.vgg16.preprocess_input)
            self.check_refused(self.save(model, "model" + ending), "is not known")

    def test_functions_of_tensorflow(self):
        for words, function in (
            ("(nn.softmax)", lambda x: tensorflow.nn.softmax(x, axis=0)), ("(reshape)", lambda x: tensorflow.reshape(x, (-1, 2))),
        ):  # fmt: skip
            model = self.functional(tf_keras, behind=lambda x: function(tf_keras.layers.Dense(2)(x)))  # noqa: B023
            self.check_refused(self.save(model, "model.h5"), f"{words} is not known in a head")

    def test_arrays_in_descriptions(self):
        scale, offset = numpy.full(3, 1 / 127.5), numpy.full(3, -1.0)
        for ending in (".keras", ".h5"):
            self.check_saved(self.model(keras, self.head(keras), [keras.layers.Rescaling(scale, offset=offset)]), ending, preprocessing="tf")

    def test_bfloat16(self):
        keras.config.set_dtype_policy("bfloat16")
        self.addCleanup(keras.config.set_dtype_policy, "float32")
        model = keras.applications.MobileNetV2(input_shape=(SIDE, SIDE, 3), alpha=0.35, weights=None, classes=2)
        weights = numpy.random.default_rng(5).normal(size=(1280, 2))
        model.layers[-1].kernel.assign(weights)
        due = numpy.asarray(model.layers[-1].kernel).astype("f4")
        for ending in (".keras", ".h5"):
            converted, _ = self.converted(self.save(model, "model" + ending))
            numpy.testing.assert_array_equal(converted.tensors["classifier.weight"], due)


class Tflite(DetailsTest):
    def test_a_number_in_arithmetic(self):
        model = self.model(tf_keras, self.head(tf_keras), [tf_keras.layers.Rescaling(1 / 127.5, offset=-1)])
        path = self.tflite(model, "model.tflite")
        self.check(path, answers(model, pictures()), preprocessing="tf")
        self.check(self.path("exported"), answers(model, pictures()), preprocessing="tf")

    def test_softmax_of_groups(self):
        layers = tf_keras.layers
        behind = [layers.Dense(4), layers.Reshape((2, 2)), layers.Softmax(), layers.Flatten()]
        path = self.tflite(self.model(tf_keras, behind), "model.tflite")
        self.check_refused(path, "(a reshape of 4 values to 2 x 2)")

    def test_tensorflow_logs_nothing(self):
        module = tensorflow.Module()
        of_pictures = [tensorflow.TensorSpec((None, SIDE, SIDE, 3), tensorflow.float32)]
        module.call = tensorflow.function(tensorflow.strings.as_string, input_signature=of_pictures)
        tensorflow.saved_model.save(module, self.path("exported"), signatures=module.call)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_CPP")}
        done = subprocess.run([sys.executable, CONVERTER, self.path("exported"), self.path("out")], capture_output=True,
                              text=True, env=environment)  # fmt: skip
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done.stderr)
        self.assertTrue(done.stderr.startswith(f"error: {self.path('exported')}: is not a SavedModel"), done.stderr)


class Sizes(DetailsTest):
    def open_in_size(self):
        network = keras.applications.MobileNetV2(input_shape=(None, None, 3), alpha=0.35, include_top=False, weights=None)
        network.set_weights(base(keras).get_weights())
        return network

    def open_model(self, network):
        start = keras.Input((None, None, 3))
        x = keras.layers.GlobalAveragePooling2D()(network(keras.layers.Rescaling(1 / 127.5, offset=-1)(start)))
        model = keras.Model(start, keras.layers.Dense(2, activation="softmax")(x))
        random = numpy.random.default_rng(3)
        model.layers[-1].set_weights([random.normal(0, 0.06, (1280, 2)), random.normal(0, 0.3, 2)])
        return model

    def test_the_size_of_the_network_within(self):
        said = self.check_saved(self.open_model(base(keras)), ".keras", input_size=str(SIDE))
        self.assertEqual(said, "")

    def test_an_open_size_is_assumed_with_a_note(self):
        path = self.save(self.open_model(self.open_in_size()), "model.keras")
        model, said = self.converted(path)
        self.assertEqual(model.metadata["input_size"], "224")
        self.assertIn("224 pixels a side are assumed", said)

    def test_padding_at_the_size_that_is_used(self):
        model = self.open_model(self.open_in_size())
        path = self.save(model, "model.keras")
        code, errors = samples.run_converter(path, self.path("refused"), "--input-size", "100")
        self.assertEqual((code, errors.count("\n")), (2, 1))
        self.assertIn("on pictures of 100 pixels a side", errors)
        converted, said = self.converted(path, "--input-size", str(SIDE))
        self.assertEqual((said, converted.metadata["padding"]), ("", "tf"))
        self.assertLess(abs(converted.probabilities(pictures()) - answers(model, pictures())).max(), whole.TOLERANCE)

    def test_the_shortcut_of_block_0_of_a_narrow_network(self):
        model = keras.applications.MobileNetV2(input_shape=(SIDE, SIDE, 3), alpha=0.25, weights=None, classes=2)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
        model(pictures() / 127.5 - 1, training=True)
        model.layers[-1].kernel.assign(numpy.random.default_rng(3).normal(0, 0.5, (1280, 2)))
        self.check(self.save(model, "model.keras"), answers(model, pictures() / 127.5 - 1), width="0.25")


class WeightsAlone(DetailsTest):
    def weights(self, classes, name="weights.h5"):
        model = tf_keras.applications.MobileNetV2(
            input_shape=(SIDE, SIDE, 3), alpha=0.35, weights=None, classes=classes, classifier_activation="sigmoid"
        )
        random = numpy.random.default_rng(3)
        head = [random.normal(0, 0.06, (1280, classes)), random.normal(0, 0.3, classes)]
        model.set_weights([*base(tf_keras).get_weights(), *head])
        model.save_weights(self.path(name))
        return model

    def test_one_unit_is_two_classes(self):
        model = self.weights(1)
        said = self.check(self.path("weights.h5"), two(answers(model, pictures() / 127.5 - 1)))
        self.assertIn("outputs are taken for logits", said)

    def test_two_units_are_taken_for_logits_with_a_note(self):
        self.weights(2)
        self.assertIn("outputs are taken for logits", self.converted(self.path("weights.h5"))[1])

    def test_weights_without_names(self):
        self.weights(2, "own.weights.h5")
        model = self.model(keras, self.head(keras))
        model.save_weights(self.path("theirs.weights.h5"))
        for name in ("own", "theirs"):
            self.check_refused(self.path(name + ".weights.h5"), "keeps no layer names", "model.save('x.h5')")


if __name__ == "__main__":
    unittest.main(verbosity=2)
