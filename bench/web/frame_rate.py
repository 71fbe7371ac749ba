#!/usr/bin/env python3
"""Frames a second that the page shows from a camera, in headless Chromium that has one core (or as many as --cores).

    frame_rate.py BUILD [--seconds 20] [--scene one] [--size 640x480] [--cores 1]

BUILD is the build folder with draw_video; `make web` has built the page. The camera plays a drawn film of 30 frames a second; the
page is the module without threads unless there are more cores. Counted is what the page says itself each second ("17.0 frames a
second, 8.5 looked at"), in wall-clock time, the first five seconds left out. Needs playwright: tests/web/requirements.txt.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "web"))
import browser as web  # noqa: E402

WARM_UP = 5  # s
WATCH = """() => {
  window.rates = [];
  const rate = document.querySelector('#rate');
  new MutationObserver(() => window.rates.push(rate.textContent)).observe(rate, {childList: true});
}"""


def draw(build, folder, scene, size):
    width, height = size.split("x")
    drawn, film = (os.path.join(folder, name) for name in ("drawn.mp4", "camera.y4m"))
    command = [os.path.join(build, "apps", "draw_video"), "-o", drawn, "--scene", scene, "--width", width, "--height", height]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", drawn, "-pix_fmt", "yuv420p", film], check=True)
    return film


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--scene", default="one")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--screenshot", help="the page at the end, as PNG")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = draw(arguments.build, folder, arguments.scene, arguments.size)
        server = web.QuietServer(plain=arguments.cores == 1)
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])  # the browser's too
        with web.chromium(camera=film) as browser:
            page = web.Page(browser, server.url, permissions=["camera"]).ready()
            page.page.click("#camera")
            page.page.wait_for_selector("#rate:visible", timeout=60000)
            time.sleep(WARM_UP)
            page.page.evaluate(WATCH)
            page.page.wait_for_timeout(1000 * arguments.seconds)
            rates = page.page.evaluate("window.rates")
            engine = page.text("#engine")
            if arguments.screenshot:
                page.page.screenshot(path=arguments.screenshot)
        server.close()
    numbers = [list(map(float, re.findall(r"[\d.]+", rate))) for rate in rates]
    if not numbers:
        sys.exit("error: the page said nothing of its frames: is it built (make web), and does the camera play?")
    shown, looked = statistics.median(row[0] for row in numbers), statistics.median(row[-1] for row in numbers)
    print(f"{arguments.size}, {arguments.cores} core{'s' * (arguments.cores > 1)}, {engine}: {shown:.1f} frames a second shown, {looked:.1f} looked at")


if __name__ == "__main__":
    main()
