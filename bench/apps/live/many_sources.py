#!/usr/bin/env python3
"""Several sources in one process: frames a second of each, and processor time a frame.

    many_sources.py DRAW_VIDEO DETECT_MASK_VIDEO ... [--sources 8] [--size 1280x720] [--runs 3]
                    [--seconds 10] [--films FOLDER] [--options "MORE OF DETECT_MASK_VIDEO'S"]

Each source is a drawn film of its own (scenes in turn), read as fast as the program can, every frame looked at. Several
programs, such as one of another commit, are run in turn. Films stay in FOLDER, and are not drawn again. Prints the medians of the runs. Frames a second: of the first source
to end; processor time: of the whole process, decoding included, over the frames of all sources.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

SCENES = ("one", "mask", "cross", "leave", "crowd")


def run(program, films, more):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [program, "--headless", "--detect-every", "1", "--stats", "-", *more]
    done = subprocess.run(command + [word for film in films for word in ("-s", film)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    stats = json.loads(done.stdout)
    sources = list(stats["sources"].values()) if "sources" in stats else [stats]
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "fps": min(source["fps"] for source in sources),
        "processor": 1000 * processor / sum(source["frames"] for source in sources),
        "find": statistics.median(source["latency_ms"]["detect"]["median"] for source in sources),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("draw_video")
    parser.add_argument("programs", nargs="+")
    parser.add_argument("--sources", type=int, default=8)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each film")
    parser.add_argument("--films", help="folder")
    parser.add_argument("--options", default="", help="more of detect_mask_video's, in one word")
    arguments = parser.parse_args()
    width, height = arguments.size.split("x")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(arguments.films or temporary)
        folder.mkdir(exist_ok=True)
        films = []
        for scene in SCENES[: arguments.sources]:
            whole = folder / f"{scene}_{arguments.size}.mp4"
            films.append(str(folder / f"{scene}_{arguments.size}_{arguments.seconds:g}.mp4"))
            if not whole.exists():
                draw = [arguments.draw_video, "-o", str(whole), "--scene", scene, "--width", width, "--height", height]
                subprocess.run(draw, check=True, capture_output=True)
            cut = ["ffmpeg", "-loglevel", "error", "-y", "-i", str(whole), "-t", f"{arguments.seconds:g}", "-c", "copy", films[-1]]
            subprocess.run(cut, check=True)
        films = [films[i % len(films)] for i in range(arguments.sources)]
        runs = {program: [] for program in arguments.programs}
        for _ in range(arguments.runs):
            for program in arguments.programs:
                runs[program].append(run(program, films, arguments.options.split()))
    print("| program | frames a second of each | processor time a frame | faces of a frame found after |\n|---|---|---|---|")
    for program, results in runs.items():
        of = {key: statistics.median(result[key] for result in results) for key in results[0]}
        print(f"| {program} | {of['fps']:.1f} | {of['processor']:.1f} ms | {of['find']:.0f} ms |")


if __name__ == "__main__":
    main()
