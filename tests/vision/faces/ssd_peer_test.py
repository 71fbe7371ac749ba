#!/usr/bin/env python3
"""The published SSD detectors, converted and run by us, against peers: ssd_peer_test.py BUILD.

RFB-320 against ONNX Runtime on the FDDB pictures, by bench/peers/ssd_onnxruntime.py, which fails where
numbers differ by more than 1e-3 or faces differ. The SSD MobileNetV1 of face-api against the plain network
of tests/data/reference.py, which the tests there compare with PyTorch.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared"
PICTURES = SHARED / "faces/fddb_subset"
SKIPPED = 77  # meson's code

sys.path.insert(0, str(ROOT / "tests/data"))
import reference  # noqa: E402


def convert(source, folder):
    model = pathlib.Path(folder) / (source.stem + ".safetensors")
    subprocess.run([sys.executable, ROOT / "data/convert_weights.py", source, model], check=True)
    return model


def check_rfb(build, folder):
    onnx = SHARED / "published/version-RFB-320.onnx"
    compare = [sys.executable, ROOT / "bench/peers/ssd_onnxruntime.py", build, onnx, convert(onnx, folder), PICTURES]
    subprocess.run([*compare, "--repeat", "1"], check=True)


def check_face_api(build, folder):
    model = convert(SHARED / "published/face_api/ssd_mobilenetv1_model-weights_manifest.json", folder)
    network, raw = reference.Graph(model), pathlib.Path(folder) / "raw.bin"
    width, height = network.detector["input_size"]
    for picture in sorted(PICTURES.glob("*.jpg"))[::60]:
        detect = [f"{build}/bench/vision/ssd_detect", "--model", model, "--raw", raw]
        subprocess.run(detect, input=f"{picture}\n", text=True, check=True, stdout=subprocess.DEVNULL)
        numbers = numpy.fromfile(raw, numpy.float32)
        pixels = numbers[:3 * width * height].reshape(1, height, width, 3)
        wanted = network(pixels)
        priors = wanted["scores"].shape[1]
        ours = {"scores": numbers[pixels.size:pixels.size + priors].reshape(1, priors, 1),
                "boxes": numbers[pixels.size + priors:].reshape(1, priors, 4)}  # fmt: skip
        wanted["boxes"] = network.decode(wanted["boxes"])
        for key, values in wanted.items():
            difference = numpy.abs(ours[key] - values).max()
            print(f"face-api SSD, {picture.name}: {key} differ by {difference:.1e}")
            if not difference <= 1e-3:
                sys.exit(1)


def main():
    if not (SHARED / "published").exists() or not PICTURES.exists():
        print("SKIPPED, NOT TESTED: ../shared lacks the published detectors or the pictures", file=sys.stderr)
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        check_rfb(sys.argv[1], folder)
        check_face_api(sys.argv[1], folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
