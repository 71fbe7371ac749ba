#!/usr/bin/env python3
"""Compares resize, grey and the augmentation warp with Pillow, OpenCV and scipy, and prints the figures.

    python3 -m venv .venv && .venv/bin/pip install numpy pillow scipy 'opencv-python-headless<5'
    .venv/bin/python tests/vision/image/peer_test.py build/tests/vision/peer_pictures PICTURE...

peer_pictures is built from tests/vision/image/peer_pictures.cc. Fails where a pixel is off by more than one grey level.
"""

import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

WARPS = [  # rotation (degrees), shift down, shift right (shares), shear (degrees), zoom down, zoom right, flip
    (17, 0.1, -0.2, 12, 0.9, 1.1, 0),
    (-9, -0.15, 0.05, 0.1, 1.13, 0.87, 1),
    (20, 0.2, 0.2, -0.15, 1.15, 1.15, 1),
    (0, 0, 0, 0, 1, 1, 1),
]
SIZES = [(224, 224), (64, 300), (900, 17), (1, 1), (33, 1000)]


def keras_warp(x, rotation, down, right, shear, zoom_down, zoom_right, flip):
    """keras.preprocessing.image.apply_affine_transform, fill_mode='nearest', order 1."""
    height, width = x.shape[:2]
    theta, shear = np.deg2rad(rotation), np.deg2rad(shear)
    matrix = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    matrix = matrix @ np.array([[1, 0, down * height], [0, 1, right * width], [0, 0, 1]])
    matrix = matrix @ np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    matrix = matrix @ np.diag([zoom_down, zoom_right, 1])
    middle = np.array([height / 2 - 0.5, width / 2 - 0.5])
    offset = middle + matrix[:2, 2] - matrix[:2, :2] @ middle
    planes = [
        ndimage.affine_transform(x[..., c], matrix[:2, :2], offset, order=1, mode="nearest")
        for c in range(3)
    ]
    out = np.stack(planes, -1)
    return out[:, ::-1] if flip else out


def worst(name, ours, theirs):
    difference = np.abs(np.asarray(Image.open(ours), float) - np.asarray(theirs, float))
    print(f"  {name}: largest {difference.max():.2f}, mean {difference.mean():.3f}")
    return difference.max()


def compare(program, path, folder):
    def ours(*arguments):
        subprocess.run([program, *map(str, arguments)], check=True)
        return arguments[-1]

    plain = ours("copy", path, folder / "plain.png")
    picture = Image.open(plain)
    pixels = np.asarray(picture)
    print(path)
    result = [worst("grey", ours("grey", plain, folder / "grey.png"), cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))]
    for width, height in SIZES:
        small = ours("resize", plain, width, height, folder / "resized.png")
        result.append(worst(f"resize {width}x{height}", small, picture.resize((width, height), Image.BILINEAR)))
    for warp in WARPS:
        turned = ours("warp", plain, *warp, folder / "warped.png")
        result.append(worst(f"warp {warp}", turned, keras_warp(pixels.astype(np.float32), *warp)))
    return max(result)


def main():
    program, *pictures = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        result = max(compare(program, picture, pathlib.Path(folder)) for picture in pictures)
    print("largest difference:", result)
    return result > 1


if __name__ == "__main__":
    sys.exit(main())
