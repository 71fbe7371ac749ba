#!/usr/bin/env python3
"""What Python adds: MaskDetector.detect of a numpy array beside the same call in C++.

    python_detect.py BUILD PICTURE ... [--threads 1] [--runs 100]

BUILD is the build folder. Both look at the same pixels in turn, the C++ program (bench/vision/masks) in a process of its own,
and say how many faces there are: a difference is an error. Prints the medians, and the median of the ratios of the pairs.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=100)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.build.resolve() / "python"))
    import maskwatch
    from maskwatch import _core

    command = [str(arguments.build / "bench/vision/mask_detect"), "--in-turn", "--threads", str(arguments.threads)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def in_cpp(path):
        other.stdin.write(path + "\n")
        other.stdin.flush()
        took, faces = other.stdout.readline().split()
        return float(took) / 1000, int(faces)

    detector = maskwatch.MaskDetector(threads=arguments.threads)

    def in_python(pixels):
        start = time.perf_counter()
        faces = detector.detect(pixels)
        return 1000 * (time.perf_counter() - start), len(faces)

    print("| picture | faces | C++ | Python | ratio |\n|---|---|---|---|---|")
    ratios = []
    for path in arguments.pictures:
        pixels = _core.load_image(path)
        pairs = []
        for run in range(arguments.runs + 5):
            if run % 2:
                (cpp, there), (python, here) = in_cpp(path), in_python(pixels)
            else:
                (python, here), (cpp, there) = in_python(pixels), in_cpp(path)
            if there != here:
                sys.exit(f"error: {path}: {there} faces in C++, {here} in Python")
            pairs.append((cpp, python))
        pairs = pairs[5:]  # the first ones make plans
        cpp, python = (statistics.median(column) for column in zip(*pairs))
        ratios.append(statistics.median(python / cpp for cpp, python in pairs))
        height, width = pixels.shape[:2]
        print(f"| {pathlib.Path(path).name}, {width}x{height} | {here} | {cpp:.2f} ms | {python:.2f} ms | {ratios[-1]:.3f} |")
    other.stdin.close()
    other.wait()
    print(f"\nMedian ratio: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
