"""quantize_model as a user runs it: the models that ship in int8, what other programs make of them, one clear line for bad input.
Usage: quantize_test.py QUANTIZE DETECT_IMAGE DRAW_FACES TRAIN_MASK TRAIN_FACE MODELS"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

QUANTIZE, DETECT, DRAW, TRAIN_MASK, TRAIN_FACE, MODELS = map(os.path.abspath, sys.argv[1:7])
CLASSIFIER, DETECTOR = (os.path.join(MODELS, name + ".safetensors") for name in ("mask_detector", "face_detector"))


def header(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))


def values(path):
    """The bytes behind the header."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        file.seek(8 + length)
        return file.read()


def rewrite(source, target, change):
    """The file with its header as `change` leaves it."""
    with open(source, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        told, values = json.loads(file.read(length)), file.read()
    change(told)
    text = json.dumps(told).encode()
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + values)


def in_float(source, target):
    """The model without ranges, all its numbers in F32."""
    with open(source, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        told, content = json.loads(file.read(length)), file.read()

    def numbers(name):
        begin, end = told[name]["data_offsets"]
        form, size = {"F32": ("f", 4), "F16": ("e", 2), "I8": ("b", 1)}[told[name]["dtype"]]
        return struct.unpack(f"<{(end - begin) // size}{form}", content[begin:end])
    metadata = {k: v for k, v in told["__metadata__"].items() if k != "quantization"}
    written, parts, at = {"__metadata__": metadata}, [], 0
    for name, entry in told.items():
        if name == "__metadata__" or name.endswith("_scale"):
            continue
        found = numbers(name)
        if entry["dtype"] == "I8":
            scales = numbers(name + "_scale")
            found = [value * scales[i % len(scales)] for i, value in enumerate(found)]
        parts.append(struct.pack(f"<{len(found)}f", *found))
        written[name] = {"dtype": "F32", "shape": entry["shape"], "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    text = json.dumps(written).encode()
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


class Quantizing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = cls.temporary.name
        subprocess.run([DRAW, "-o", cls.at("faces"), "--count", "8", "--size", "160"], check=True, capture_output=True)
        cls.written = {}
        cls.float_classifier = cls.at("float_classifier.safetensors")
        in_float(CLASSIFIER, cls.float_classifier)
        for name, model in (("classifier", cls.float_classifier), ("detector", DETECTOR)):
            cls.written[name] = run(QUANTIZE, model, "-d", cls.at("faces"), "-o", cls.at(name + ".safetensors"), "--threads", "2")

    @classmethod
    def at(cls, name):
        return os.path.join(cls.folder, name)

    def refused(self, done, *words):
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Aerror: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, done.stderr)

    def test_both_models_that_ship(self):
        for name, model in (("classifier", self.float_classifier), ("detector", DETECTOR)):
            done = self.written[name]
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("ranges of", done.stderr)
            self.assertRegex(done.stdout, r"wrote .*: \d+ kB")
            path = self.at(name + ".safetensors")
            # The detector ships in half precision; this classifier is in float32.
            self.assertLess(os.path.getsize(path), (0.65 if name == "detector" else 0.325) * os.path.getsize(model))
            told = header(path)
            kept = {k: v for k, v in header(model)["__metadata__"].items() if k != "quantization"}
            self.assertEqual({k: v for k, v in told["__metadata__"].items() if k != "quantization"}, kept)
            self.assertEqual(told["__metadata__"].get("quantization", "")[:2], "[{")
            weights = [e["dtype"] for n, e in told.items() if n.endswith("conv.weight")]
            self.assertEqual(set(weights), {"I8"})

    def test_the_same_bytes_on_any_number_of_threads(self):
        again = self.at("again.safetensors")
        self.assertEqual(run(QUANTIZE, self.float_classifier, "-d", self.at("faces"), "-o", again, "--threads", "1").returncode, 0)
        with open(again, "rb") as a, open(self.at("classifier.safetensors"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_other_programs_take_them(self):
        pictures = sorted(os.path.join(root, n) for root, _, names in os.walk(self.at("faces")) for n in names)[:6]

        def labels(*options):
            done = run(DETECT, *pictures, "--json", "--face", "none", "-o", self.at("out"), *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            shutil.rmtree(self.at("out"), ignore_errors=True)
            return [[face["label"] for face in picture["faces"]] for picture in json.loads(done.stdout)]
        in_float, in_int8 = labels("-m", self.float_classifier), labels("-m", self.at("classifier.safetensors"))
        self.assertEqual(len(in_float), len(pictures))
        same = sum(a == b for a, b in zip(in_float, in_int8))
        self.assertGreaterEqual(same, len(pictures) - 1)
        done = run(DETECT, *pictures, "--json", "--face", self.at("detector.safetensors"), "-o", self.at("out"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('"faces"', done.stdout)

    def test_training_writes_one_too(self):
        def train(name, *options):
            return run(TRAIN_MASK, "-d", self.at("faces"), "--scratch", "--width", "0.1", "--size", "48", "--epochs", "1", "--validation", "0.5",
                       "-m", self.at(name + ".safetensors"), "--plot", self.at(name + ".png"), "--history", self.at(name + ".json"), *options)
        for threads in ("1", "2"):
            done = train("trained" + threads, "--threads", threads, "--quantize", self.at(f"trained{threads}_int8.safetensors"))
            self.assertEqual(done.returncode, 0, done.stderr)
            said = re.search(r"in int8: validation accuracy (\d\.\d+), loss (\d+\.\d+); the same class in (\d+) of (\d+) pictures\n", done.stdout)
            self.assertIsNotNone(said, done.stdout)
            in_float = re.search(r"\nvalidation accuracy (\d\.\d+), loss (\d+\.\d+)\n", done.stdout)
            self.assertLess(abs(float(said[2]) - float(in_float[2])), 0.1)
        told, of = header(self.at("trained1_int8.safetensors")), header(self.at("trained1.safetensors"))
        self.assertEqual({e["dtype"] for n, e in told.items() if n.endswith("conv.weight")}, {"I8"})
        self.assertEqual({k: v for k, v in told["__metadata__"].items() if k != "quantization"}, of["__metadata__"])
        with open(self.at("trained1_int8.safetensors"), "rb") as one, open(self.at("trained2_int8.safetensors"), "rb") as two:
            self.assertEqual(one.read(), two.read())
        self.refused(train("twice", "--quantize", self.at("twice.safetensors")), "--quantize", "the same file as")
        self.refused(train("lost", "--quantize", self.at("no/such/folder/x")), "no/such/folder")

    def test_training_goes_on_from_them(self):
        told = r"(?m)^note: \S*/{}\.safetensors: its weights were rounded to integers of 8 bits; {} from those$"
        new = ["-m", self.at("model.safetensors"), "--history", self.at("model.json"), "-p", self.at("plot.png"), "--threads", "1"]
        done = run(TRAIN_MASK, "-d", self.at("faces"), "--weights", self.at("classifier.safetensors"), "--size", "48", "--epochs", "1", "--validation", "0.5", *new)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, told.format("classifier", "training starts"))
        self.assertNotIn("quantization", header(self.at("model.safetensors"))["__metadata__"])
        with open(self.at("boxes.json"), "w") as file:
            entries = [{"file": os.path.relpath(os.path.join(r, n), self.folder), "faces": [{"box": [40, 40, 80, 80], "label": "with_mask"}]} for r, _, names in os.walk(self.at("faces")) for n in names]
            json.dump(entries, file)
        tune = ["-d", self.at("boxes.json"), "--size", "64", "--steps", "1", "--batch-size", "2", "--overwrite", *new]
        done = run(TRAIN_FACE, "--fine-tune", self.at("detector.safetensors"), *tune)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, told.format("detector", "training starts"))
        self.assertNotIn("quantization", header(self.at("model.safetensors"))["__metadata__"])
        # Ranges beside weights that were not rounded: nothing to tell.
        halves = self.at("halves.safetensors")
        self.assertEqual(run(QUANTIZE, DETECTOR, "-d", self.at("faces"), "-o", halves, "--precision", "f16").returncode, 0)
        self.assertEqual({e["dtype"] for n, e in header(halves).items() if n != "__metadata__"}, {"F16"})
        self.assertIn("quantization", header(halves)["__metadata__"])
        done = run(TRAIN_FACE, "--fine-tune", halves, *tune)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("rounded", done.stderr)
        self.assertNotIn("quantization", header(self.at("model.safetensors"))["__metadata__"])

    def test_ranges_of_other_pictures(self):
        again = self.at("ranges.safetensors")
        done = run(QUANTIZE, self.at("classifier.safetensors"), "-d", self.at("faces"), "-o", again)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("its weights were rounded to integers of 8 bits; this one is made from those", done.stderr)
        self.assertEqual(values(again), values(self.at("classifier.safetensors")))

    def test_without_the_pictures_of_validation(self):
        names = sorted(os.path.relpath(os.path.join(root, n), self.at("faces")) for root, _, files in os.walk(self.at("faces")) for n in files if n.endswith((".jpg", ".png")))
        self.assertEqual(len(names), 8)
        with open(self.at("history.json"), "w") as file:
            json.dump({"validation_files": names[:3] + ["elsewhere.png"]}, file)
        options = ["-d", self.at("faces"), "-o", self.at("fewer.safetensors"), "--without", self.at("history.json")]
        done = run(QUANTIZE, CLASSIFIER, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ranges of 20 layers from 5 pictures", done.stderr)
        self.assertIn("3 of 4 pictures that it names are left out", done.stderr)
        self.refused(run(QUANTIZE, CLASSIFIER, *options, "-d", shutil.copytree(self.at("faces"), self.at("twin"))), "have the same")
        for listed, word in ((names, "all"), (["elsewhere.png"], "none")):
            with open(self.at("history.json"), "w") as file:
                json.dump({"validation_files": listed}, file)
            done = run(QUANTIZE, CLASSIFIER, *options)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"history.json: it names {word} of the pictures", done.stderr)
        with open(self.at("history.json"), "w") as file:
            file.write("{}")
        self.refused(run(QUANTIZE, CLASSIFIER, *options), "history.json", "validation_files")

    def test_bad_input(self):
        faces, out = self.at("faces"), self.at("new.safetensors")
        os.makedirs(self.at("empty"), exist_ok=True)
        with open(self.at("text.safetensors"), "w") as file:
            file.write("nothing of the kind")
        self.refused(run(QUANTIZE, self.at("missing.safetensors"), "-d", faces, "-o", out), "missing.safetensors")
        self.refused(run(QUANTIZE, self.at("text.safetensors"), "-d", faces, "-o", out), "text.safetensors")
        self.refused(run(QUANTIZE, CLASSIFIER, "-d", self.at("empty"), "-o", out), "empty")
        self.refused(run(QUANTIZE, CLASSIFIER, "-d", faces, "-o", CLASSIFIER), "--output")
        self.refused(run(QUANTIZE, CLASSIFIER, "-d", faces, "-o", self.at("no/such/folder/x")), "no/such/folder")
        self.refused(run(QUANTIZE, CLASSIFIER, "-d", faces, "-o", out, "--ranges", "guess"), "--ranges")
        self.refused(run(QUANTIZE, "-d", faces, "-o", out), "model")
        self.assertFalse(os.path.exists(out))

    def test_damaged_files(self):
        source, damaged = self.at("classifier.safetensors"), self.at("damaged.safetensors")
        picture = os.path.join(self.at("faces"), os.listdir(self.at("faces"))[0])

        def ranges(change):
            def rewritten(told):
                layers = json.loads(told["__metadata__"]["quantization"])
                change(layers)
                told["__metadata__"]["quantization"] = json.dumps(layers)
            return rewritten

        def rename_scales(told):
            told["last.conv.weight_scales"] = told.pop("last.conv.weight_scale")

        for change, word in (
            (ranges(lambda layers: layers.pop()), "layer"),
            (ranges(lambda layers: layers[3].update(input=[1, 0])), "input"),
            (ranges(lambda layers: layers[3].pop("expanded")), "expanded"),
            (rename_scales, "last.conv.weight"),
        ):
            rewrite(source, damaged, change)
            done = run(DETECT, picture, "--face", "none", "-m", damaged, "-o", self.at("out"))
            self.refused(done, "damaged.safetensors", word)

    def test_help(self):
        done = run(QUANTIZE, "--help")
        self.assertEqual(done.returncode, 0)
        for word in ("--ranges", "--dataset", "--output", "--most", "model"):
            self.assertIn(word, done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
