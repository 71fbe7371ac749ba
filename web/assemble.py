#!/usr/bin/env python3
"""Puts the page together from its sources, the two builds of the engine and the models.
Usage: web/assemble.py SITE_FOLDER BUILD_FOLDER THREADS_BUILD_FOLDER
Writes version.js too, which tells the service worker what belongs to the page and when any of it has changed."""

import hashlib
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(os.path.dirname(HERE), "data", "models")
MOST_BYTES = 5_000_000


def parts(build, threads_build):
    """Path in the site: the file that is put there."""
    found = {}
    site = os.path.join(HERE, "site")
    for name in sorted(os.listdir(site)):
        found[name] = os.path.join(site, name)
    for name in ("maskwatch.js", "maskwatch.wasm"):
        found[name] = os.path.join(build, "web", name)
    for name in ("maskwatch_threads.js", "maskwatch_threads.wasm", "maskwatch_threads.worker.js"):
        found[name] = os.path.join(threads_build, "web", name)
    for name in ("face_detector.safetensors", "mask_detector_small.safetensors"):
        found["models/" + name] = os.path.join(MODELS, name)
    return found


def write_version(site, names):
    digest = hashlib.sha256()
    for name in names:
        with open(os.path.join(site, name), "rb") as file:
            digest.update(name.encode() + b"\0" + file.read())
    cached = ["./"] + [name for name in names if name not in ("index.html", "service-worker.js")]
    with open(os.path.join(site, "version.js"), "w") as file:
        file.write("// Made by web/assemble.py.\n")
        file.write(f"const VERSION = '{digest.hexdigest()[:16]}';\n")
        file.write(f"const FILES = {json.dumps(cached, indent=2)};\n")


def main(site, build, threads_build):
    found = parts(build, threads_build)
    missing = [source for source in found.values() if not os.path.isfile(source)]
    if missing:
        sys.exit(f"error: {missing[0]} is not there: make web builds it")
    if os.path.isfile(os.path.join(site, "version.js")):
        shutil.rmtree(site)  # of an earlier run
    for name, source in found.items():
        target = os.path.join(site, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(source, target)
    write_version(site, sorted(found))
    size = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(site) for name in names)
    print(f"{site}: {size / 1e6:.2f} MB")
    if size > MOST_BYTES:
        sys.exit(f"error: the page is {size} bytes, over its limit of {MOST_BYTES}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
