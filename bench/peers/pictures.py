"""What the benchmarks of detectors share: their pictures, and the best time of a call."""
import pathlib
import time


def list_pictures(names):
    for name in map(pathlib.Path, names):
        if name.is_dir():
            yield from sorted(p for p in name.iterdir() if p.suffix in (".jpg", ".png", ".jpeg"))
        else:
            yield name


def timed(run, repeat):
    best, result = float("inf"), None
    for _ in range(repeat):
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
    return result, best * 1e3
