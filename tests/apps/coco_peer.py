"""evaluate_face_detector's average precision against pycocotools on the same faces, found and true: random pictures with
crowds, ignored regions, faces of unknown class, equal scores and more found faces than COCO counts.
Usage: coco_peer.py EVALUATE_FACE_DETECTOR"""

import contextlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

EVALUATE = os.path.abspath(sys.argv[1])
CLASSES = ["with_mask", "without_mask", "mask_worn_wrongly"]
WIDTH, HEIGHT = 640, 480


def png():
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes((WIDTH + 1) * HEIGHT))) + chunk(b"IEND", b"")


def quarter(value):
    """Exact in single precision."""
    return round(value * 4) / 4


def random_box(chance):
    side = 2 ** chance.uniform(2.5, 7.5)
    width, height = quarter(side), quarter(side * chance.uniform(0.8, 1.4))
    return [quarter(chance.uniform(0, WIDTH - width)), quarter(chance.uniform(0, HEIGHT - height)), width, height]


def moved(chance, box, by):
    x, y, width, height = box
    stretch = 1 + chance.gauss(0, by)
    return [quarter(x + width * chance.gauss(0, by)), quarter(y + height * chance.gauss(0, by)), max(quarter(width * stretch), 1), max(quarter(height * stretch), 1)]


def random_pictures(seed):
    """A list of (truth, found): truth (box, class or None, ignored), found (box, class, score)."""
    chance = random.Random(seed)
    pictures = []
    for index in range(25):
        truth, found = [], []
        for _ in range(chance.choice([0, 1, 2, 5, 40])):
            box = random_box(chance)
            label = chance.choices([0, 1, 2, None], [4, 4, 1, 1])[0]
            truth.append((box, label, chance.random() < 0.1))
            for _ in range(chance.choice([0, 1, 1, 1, 2])):
                guess = label if label is not None and chance.random() < 0.8 else chance.randrange(3)
                found.append((moved(chance, box, 0.12), guess, chance.randrange(1, 64) / 64))
        for _ in range(chance.choice([0, 3, 10] if index else [120])):
            found.append((random_box(chance), chance.randrange(3), chance.randrange(1, 64) / 64))
        chance.shuffle(found)
        pictures.append((truth, found))
    return pictures


def coco_curves(pictures, label):
    """[threshold][area range] of pycocotools' average precision; `label` None: all faces as one class."""
    annotations, results = [], []
    for picture, (truth, found) in enumerate(pictures, 1):
        for box, of, ignored in truth:
            if label is None or of in (label, None) or ignored:
                crowd = ignored or (label is not None and of is None)
                annotations.append({"id": len(annotations) + 1, "image_id": picture, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": int(crowd)})
        results += [{"image_id": picture, "category_id": 1, "bbox": box, "score": score} for box, of, score in found if label in (None, of)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": [{"id": i + 1, "width": WIDTH, "height": HEIGHT} for i in range(len(pictures))], "categories": [{"id": 1, "name": "face"}], "annotations": annotations}
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, 0, :, -1]  # threshold, recall, area range
    return precision.mean(axis=1)


class AgainstPycocotools(unittest.TestCase):
    def check(self, figures, expected, name):
        self.assertTrue((expected >= 0).all(), f"{name}: the case has nothing to find")
        self.assertAlmostEqual(figures["AP50"], expected[0], places=9, msg=name)
        self.assertAlmostEqual(figures["AP50:95"], expected.mean(), places=9, msg=name)

    def test_random_pictures(self):
        for seed in range(5):
            pictures = random_pictures(seed)
            with tempfile.TemporaryDirectory() as folder:
                self.write(folder, pictures)
                done = subprocess.run(
                    [EVALUATE, "-d", os.path.join(folder, "truth.json"), "--found", os.path.join(folder, "found.json"), "--json"], capture_output=True, text=True
                )
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = json.loads(done.stdout)
            every = coco_curves(pictures, None)
            with self.subTest(seed=seed):
                self.check(figures["faces"], every[:, 0], "all faces")
                for place, size in enumerate(("small", "medium", "large"), 1):
                    self.check(figures["by_size"][size], every[:, place], size)
                for label, name in enumerate(CLASSES):
                    self.check(figures["by_class"][name], coco_curves(pictures, label)[:, 0], name)

    def write(self, folder, pictures):
        images, annotations, found_list = [], [], []
        for index, (truth, found) in enumerate(pictures):
            name = f"{index:03}.png"
            with open(os.path.join(folder, name), "wb") as file:
                file.write(png())
            images.append({"id": index, "file_name": name, "width": WIDTH, "height": HEIGHT})
            for box, label, ignored in truth:
                category = 3 if label is None else label
                annotations.append({"image_id": index, "category_id": category, "bbox": box, "iscrowd": int(ignored)})
            found_list.append({"file": name, "found": [{"box": box, "label": CLASSES[label], "score": score} for box, label, score in found]})
        categories = [{"id": i, "name": name} for i, name in enumerate([*CLASSES, "face"])]
        for name, document in (("truth.json", {"images": images, "annotations": annotations, "categories": categories}), ("found.json", found_list)):
            with open(os.path.join(folder, name), "w") as file:
                json.dump(document, file)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
