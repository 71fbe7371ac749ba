"""The original's training program in Keras, as one of the engines that recipe.py asks (see engines.py):

    keras_recipe.py DATASET --size 224 --batch 32 --threads 2

Pictures loaded one by one, ImageDataGenerator (rotation 20, zoom 0.15, shifts 0.2, shear 0.15, flip, nearest), a frozen
MobileNetV2 with the head of the original, Adam, validation after every epoch. The backbone's numbers are random: time
does not depend on them. Answers `load`: seconds and pictures; `batches N`: seconds and pictures of N batches of the
generator alone; `run N`: milliseconds of each of N epochs with their validation; `step`: milliseconds of a training
step on a batch that is there.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import numpy


def passed(start):
    return time.perf_counter() - start


class Recipe:
    def __init__(self, args):
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(args.threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(args.threads)
        import keras
        from keras.src.legacy.preprocessing.image import ImageDataGenerator

        self.args, self.keras, self.epochs = args, keras, 0
        start = time.perf_counter()
        x, y = self.load()
        self.loading = [passed(start), len(x)]
        order = numpy.random.default_rng(42).permutation(len(x))
        held = len(x) // 5
        self.validation = x[order[:held]], y[order[:held]]
        self.training = x[order[held:]], y[order[held:]]
        self.generator = ImageDataGenerator(
            rotation_range=20, zoom_range=0.15, width_shift_range=0.2, height_shift_range=0.2, shear_range=0.15,
            horizontal_flip=True, fill_mode="nearest")  # fmt: skip
        self.flow = self.generator.flow(*self.training, batch_size=args.batch)
        self.model = self.compiled()

    def load(self):
        from keras.applications.mobilenet_v2 import preprocess_input
        from keras.utils import img_to_array, load_img

        pixels, labels = [], []
        for label, folder in enumerate(sorted(p for p in self.args.dataset.iterdir() if p.is_dir())):
            for file in sorted(folder.iterdir())[:self.args.pictures]:
                picture = load_img(file, target_size=(self.args.size, self.args.size))
                pixels.append(preprocess_input(img_to_array(picture)))
                labels.append(label)
        return numpy.array(pixels, "float32"), numpy.eye(2, dtype="float32")[labels]

    def compiled(self):
        layers = self.keras.layers
        source = layers.Input((self.args.size, self.args.size, 3))
        base = self.keras.applications.MobileNetV2(weights=None, include_top=False, input_tensor=source)
        base.trainable = False
        y = layers.Flatten()(layers.AveragePooling2D(7)(base.output))
        y = layers.Dropout(0.5)(layers.Dense(128, activation="relu")(y))
        model = self.keras.Model(source, layers.Dense(2, activation="softmax")(y))
        schedule = self.keras.optimizers.schedules.InverseTimeDecay(1e-4, 1, 1e-4 / 20)
        model.compile(loss="binary_crossentropy", optimizer=self.keras.optimizers.Adam(schedule), metrics=["accuracy"])
        return model

    def epoch(self):
        batch = self.args.batch
        self.model.fit(self.flow, steps_per_epoch=len(self.training[0]) // batch, validation_data=self.validation,
                       validation_steps=max(1, len(self.validation[0]) // batch), epochs=1, verbose=0)  # fmt: skip

    def batches(self, count):
        start, pictures = time.perf_counter(), 0
        for _ in range(count):
            pictures += len(next(self.flow)[0])
        return [passed(start), pictures]

    def answer(self, line):
        verb, _, count = line.partition(" ")
        if verb == "load":
            return self.loading
        if verb == "batches":
            return self.batches(int(count))
        work = {"run": self.epoch, "step": lambda: self.model.train_on_batch(*self.some)}[verb]
        self.some = self.training[0][:self.args.batch], self.training[1][:self.args.batch]
        times = []
        for _ in range(int(count or 1)):
            start = time.perf_counter()
            work()
            times.append(passed(start) * 1e3)
        return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pictures", type=int, help="of each class, at most")
    args = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        recipe = Recipe(args)
        print(json.dumps("ready"), file=answers)
        for line in sys.stdin:
            print(json.dumps(recipe.answer(line.strip())), file=answers)
    except Exception as failure:
        print(json.dumps({"failed": f"{type(failure).__name__}: {failure}"}), file=answers)


if __name__ == "__main__":
    main()
