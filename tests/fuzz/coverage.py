#!/usr/bin/env python3
"""What the corpora of fuzzing reach: lines and branches of the sources that each target is meant for.

    tests/fuzz/coverage.py [--corpora build-fuzz/corpora] [--build build-fuzz-coverage] [--missed] [TARGET ...]

Builds the targets with clang's source coverage, runs each once over its seeds and over the corpus that `make fuzz` left, and
prints a table. --missed also lists the lines that were not reached. Needs clang, llvm-profdata and llvm-cov (Debian: clang,
llvm).
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = {
    "annotations": ["apps/training/boxes_counted.cc", "apps/training/boxes_json.cc", "apps/training/boxes_voc.cc",
                    "apps/training/boxes_yolo.cc"],
    "cascade": ["vision/haar/haar.cc", "vision/haar/haar_group.cc", "vision/haar/haar_model.cc", "vision/haar/haar_plan.cc"],
    "checkpoint": ["apps/training/checkpoint.cc", "apps/training/history.cc", "nn/safetensors.cc"],
    "landmarks": ["vision/faces/landmark_file.cc", "vision/faces/landmark_trees.cc", "vision/faces/landmarks.cc"],
    "model": ["nn/classifier.cc", "nn/model_metadata.cc", "nn/quantize.cc", "nn/safetensors.cc",
              "vision/masks/mask_classifier.cc"],
    "names": ["apps/training/boxes_classes.cc", "vision/masks/label_words.cc", "vision/masks/labels.cc"],
    "network": ["nn/graph.cc", "nn/graph_file.cc", "nn/ssd.cc", "vision/faces/landmark_network.cc",
                "vision/faces/network_metadata.cc", "vision/faces/published_ssd.cc", "vision/faces/trained_ssd.cc"],
    "picture": ["vision/image/codec.cc", "vision/image/codec_gif.cc", "vision/image/codec_heif.cc",
                "vision/image/codec_tiff.cc", "vision/image/codec_webp.cc", "vision/image/image.cc",
                "vision/image/picture_header.cc", "vision/image/picture_kinds.cc"],
    "request": ["apps/alerts/http_request.cc"],
}


def run(command, **options):
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def build_targets(build, targets):
    if not (build / "build.ninja").exists():
        run(["meson", "setup", build, "-Dfuzz=true", "-Db_lundef=false", "-Dcuda=disabled", "--buildtype=debugoptimized",
             "-Doptimization=1", "-Dcpp_args=-fprofile-instr-generate -fcoverage-mapping",
             "-Dcpp_link_args=-fprofile-instr-generate"],
            env={"CC": "clang", "CXX": "clang++", **os.environ})
    run(["ninja", "-C", build, *(f"tests/fuzz/fuzz_{target}" for target in targets)])


def measure(build, corpora, target):
    """What llvm-cov says of each of a target's sources, and how many inputs there were."""
    program = build / "tests/fuzz" / f"fuzz_{target}"
    seeds, raw, profile = (build / f"{target}.{end}" for end in ("seeds", "profraw", "profdata"))
    profiled = {**os.environ, "LLVM_PROFILE_FILE": str(raw)}
    run([program, "--seeds", seeds], env=profiled)
    folders = [seeds, *(folder for folder in [corpora / target] if folder.is_dir())]
    run([program, "-runs=0", "-timeout=60", "-rss_limit_mb=4096", *folders], env=profiled)
    run(["llvm-profdata", "merge", "-sparse", raw, "-o", profile])
    report = json.loads(run(["llvm-cov", "export", "-skip-expansions", program, f"-instr-profile={profile}"]))
    files = {os.path.relpath(file["filename"], ROOT): file for file in report["data"][0]["files"]}
    lost = [source for source in SOURCES[target] if source not in files]
    if lost:
        sys.exit(f"error: the target {target} does not reach {', '.join(lost)}: mend SOURCES")
    return {source: files[source] for source in SOURCES[target]}, sum(len(list(folder.iterdir())) for folder in folders)


def missed_lines(file):
    """Where regions begin that nothing ran."""
    return sorted({segment[0] for segment in file["segments"] if segment[3] and segment[4] and segment[2] == 0})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(SOURCES)}")
    parser.add_argument("--corpora", type=pathlib.Path, default=ROOT / "build-fuzz/corpora")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build-fuzz-coverage")
    parser.add_argument("--missed", action="store_true", help="list the lines that were not reached")
    arguments = parser.parse_args()
    for target in arguments.targets:
        if target not in SOURCES:
            parser.error(f"no target {target}")
    targets = arguments.targets or list(SOURCES)
    build = arguments.build.resolve()
    build_targets(build, targets)
    print("| target | inputs | lines | branches |\n|---|---|---|---|")
    missed = {}
    for target in targets:
        files, inputs = measure(build, arguments.corpora.resolve(), target)
        cells = []
        for kind in ("lines", "branches"):
            covered, count = (sum(file["summary"][kind][key] for file in files.values()) for key in ("covered", "count"))
            cells.append(f"{covered} of {count} ({100 * covered / max(count, 1):.0f} %)")
        print(f"| {target} | {inputs} | {' | '.join(cells)} |", flush=True)
        missed.update({(target, source): missed_lines(file) for source, file in files.items()})
    if arguments.missed:
        for (target, name), lines in missed.items():
            print(f"{target}: {name}: {', '.join(map(str, lines)) or 'all reached'}")


if __name__ == "__main__":
    main()
