"""Face detectors and landmarks beside OpenCV, ONNX Runtime and dlib: the programs of this folder that compare one each,
run with one thread on ../shared/faces/fddb_subset; their figures join the suite's table."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def run(args, log):
    pictures = args.shared / "faces/fddb_subset"
    if not pictures.exists():
        yield "fddb_subset", {"maskwatch": {"failed": f"{pictures} is not there"}}
        return
    few = sorted(pictures.glob("*.jpg"))[: 20 if args.quick else None]
    # OpenCV 5 has no cascades, and dlib wants an older world: an environment of their own.
    older = os.environ.get("MASKWATCH_OLDER_PEERS")
    with tempfile.TemporaryDirectory() as folder:
        out, rfb = pathlib.Path(folder) / "result.json", pathlib.Path(folder) / "rfb.safetensors"
        published = args.shared / "published/version-RFB-320.onnx"
        jobs = [
            ("haar", older, "haar_opencv.py", [args.build, *few]),
            ("landmarks", older, "landmarks_dlib.py", [args.build, "--faces", pictures]),
            ("ssd", sys.executable, "ssd_onnxruntime.py", [args.build, published, rfb, *few, "--constant-weights"]),
        ]
        converter = [sys.executable, HERE.parent.parent / "data/convert_weights.py", published, rfb]
        subprocess.run(converter, stdout=log, stderr=log)
        for case, python, program, arguments in jobs:
            if not python:
                yield case, {"maskwatch": {"failed": "the environment of older peers is missing (see setup.sh)"}}
                continue
            out.unlink(missing_ok=True)
            subprocess.run([python, HERE / program, *arguments, "--json", out], stdout=log, stderr=log)
            if out.exists():
                yield from READERS[case](json.loads(out.read_text()))
            else:
                yield case, {"maskwatch": {"failed": f"{program} gave no figures; see engines.log"}}


def pair(peer, ours, theirs, difference):
    return {"maskwatch": {"median": ours}, peer: {"median": theirs, "difference": difference}}


def haar(rows):
    for row in rows:
        found = f"{row['matched']} of {row['opencv']} boxes matched, {row['ours'] - row['matched']} extra"
        yield "haar " + pathlib.Path(row["cascade"]).stem.split("frontalface_")[-1], pair(
            "opencv 4", row["ours_ms"], row["opencv_ms"], found)  # fmt: skip


def landmarks(row):
    yield "landmarks, a face", pair("dlib", row["ms_a_face"], row["ms_a_face_dlib"], f"{row['mean_px']:.2f} px")


def ssd(row):
    difference = max(row["score_difference"], row["box_difference"])
    yield "RFB-320, network", pair("onnxruntime", row["network_ms"], row["their_network_ms"], f"{difference:.1e}")
    yield "RFB-320, picture to faces", pair(
        "onnxruntime", row["ms"], row["their_ms"], f"alike in {row['same']} of {row['pictures']} pictures")  # fmt: skip


READERS = {"haar": haar, "landmarks": landmarks, "ssd": ssd}
