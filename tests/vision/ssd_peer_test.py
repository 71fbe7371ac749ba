#!/usr/bin/env python3
"""RFB-320 converted and run by us, against ONNX Runtime on the FDDB pictures: ssd_peer_test.py BUILD.

Runs bench/peers/ssd_onnxruntime.py, which fails where numbers differ by more than 1e-3 or faces differ.
"""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
SKIPPED = 77  # meson's code


def main():
    onnx, pictures = SHARED / "published/version-RFB-320.onnx", SHARED / "faces/fddb_subset"
    if not onnx.exists() or not pictures.exists():
        print("SKIPPED, NOT TESTED: ../shared lacks the published detector or the pictures", file=sys.stderr)
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "rfb_320.safetensors"
        subprocess.run([sys.executable, ROOT / "data/convert_weights.py", onnx, model], check=True)
        compare = [sys.executable, ROOT / "bench/peers/ssd_onnxruntime.py", sys.argv[1], onnx, model, pictures]
        return subprocess.run([*compare, "--repeat", "1"]).returncode


if __name__ == "__main__":
    sys.exit(main())
