"""The inputs of the tests: the four pictures of ../shared/images and ten faces, as float32 NHWC."""

import contextlib
import io
import math
import os
import sys
import tempfile
import unittest

import numpy
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
PUBLISHED = os.path.join(SHARED, "published")
sys.path.insert(0, os.path.join(ROOT, "data"))
PICTURES = ["cat.bmp", "bird.bmp", "parrot.jpg", "grace_hopper.bmp"]


class FolderTest(unittest.TestCase):
    """With a folder for the files of each test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)


def run_converter(*command_line):
    """(exit code, what it printed as an error) of data/convert_weights.py, run in this process."""
    import convert_weights

    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = convert_weights.main(list(command_line))
        except SystemExit as stop:
            code = stop.code
    return code, errors.getvalue()


def picture(name):
    return Image.open(os.path.join(SHARED, "images", name)).convert("RGB")


def photographs():
    """[(name, [(left, top, right, bottom), ...])] of the FDDB subset: the boxes about its ellipses."""
    folder = os.path.join(SHARED, "faces", "fddb_subset")
    with open(os.path.join(folder, "ellipses.txt"), encoding="utf-8") as file:
        lines = iter(file.read().splitlines())
    found = []
    for name in lines:
        boxes = []
        for _ in range(int(next(lines))):
            major, minor, angle, x, y = (float(v) for v in next(lines).split()[:5])
            half_width = math.hypot(major * math.cos(angle), minor * math.sin(angle))
            half_height = math.hypot(major * math.sin(angle), minor * math.cos(angle))
            boxes.append((x - half_width, y - half_height, x + half_width, y + half_height))
        found.append((name, boxes))
    return found


def photograph(name):
    folder = os.path.join(SHARED, "faces", "fddb_subset")
    paths = [os.path.join(folder, name + ending) for ending in ("", ".jpg")]
    return Image.open(next(p for p in paths if os.path.isfile(p))).convert("RGB")


def faces(count=10):
    """Cut-outs of the first face of the first photographs."""
    return [photograph(name).crop(tuple(map(int, boxes[0]))) for name, boxes in photographs()[:count]]


def pixels(images, width, height=None):
    """[N, height, width, 3] float32, 0..255."""
    size = (width, height or width)
    return numpy.stack([numpy.asarray(i.resize(size, Image.BILINEAR), numpy.float32) for i in images])


def preprocess(values, style):
    """The two scalings of MobileNetV2's input."""
    if style == "tf":
        return (values / 127.5 - 1).astype(numpy.float32)
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return ((values / 255 - mean) / deviation).astype(numpy.float32)


def images(side=224):
    """The four pictures and the ten faces, 0..255: [14, side, side, 3]."""
    return pixels([picture(n) for n in PICTURES] + faces(), side)


def inputs(style="tf", side=224):
    """The same, preprocessed."""
    return preprocess(images(side), style)
