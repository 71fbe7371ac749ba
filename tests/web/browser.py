"""The page in Chromium: a server for it, a browser with a fake camera, and what the native program says to compare with."""

import contextlib
import functools
import glob
import json
import os
import subprocess
import sys
import threading
import time

from playwright.sync_api import Error, sync_playwright

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PAGE_CLASSIFIER = os.path.join(ROOT, "data", "models", "mask_detector_small.safetensors")
SHARED = os.path.join(ROOT, "..", "shared")
SITE = os.path.join(ROOT, "build-web", "site")
PHOTOGRAPHS = "/usr/share/doc/opencv-doc/examples/data"  # Debian's opencv-doc, which make installs
sys.path.insert(0, os.path.join(ROOT, "web"))
import serve  # noqa: E402


class QuietServer:
    """A site on a port of its own, until it is closed."""

    def __init__(self, site=SITE, plain=False):
        self.server = serve.server(site, plain=plain, quiet=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_port
        self.url = f"http://localhost:{self.port}/"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def chromium(*arguments, camera=None):
    """`camera`: a .y4m or .mjpeg file that plays the camera; without it there is none."""
    fake = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}"] if camera else []
    with sync_playwright() as playwright:
        # As root, as containers run it, Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", *fake, *arguments])
        try:
            yield browser
        finally:
            browser.close()


class Page:
    """A page in a profile of its own, with what went wrong in it."""

    def __init__(self, browser, url, permissions=(), script=None, **options):
        self.context = browser.new_context(permissions=list(permissions), accept_downloads=True, **options)
        self.requests, self.faults = [], []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        self.page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        if script:
            self.page.add_init_script(script)
        self.page.goto(url)

    def ready(self):
        self.page.wait_for_selector("#open:enabled", timeout=60000)
        return self

    def text(self, selector):
        return self.page.inner_text(selector)

    def fault(self):
        self.page.wait_for_selector("#fault:visible", timeout=20000)
        return self.text("#fault")

    def until(self, condition, seconds=120):
        """Waits for a condition in JavaScript; the page's policy forbids Playwright's own way."""
        end = time.monotonic() + seconds
        while not self.holds(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.05)

    def holds(self, condition):
        try:
            return self.page.evaluate(condition)
        except Error as fault:
            if "context was destroyed" in str(fault):  # the page is being loaded anew
                return False
            raise

    def open(self, *files):
        """Chooses pictures and waits until all are looked at."""
        self.page.set_input_files("#files", list(files))
        self.wait_for_results(len(files))

    def wait_for_results(self, count):
        self.until(f"document.querySelectorAll('#pictures li').length === {count} && !document.querySelector('#status').textContent.startsWith('Looking')")

    def report(self):
        """What "Save results" saves, by the names of the pictures."""
        with self.page.expect_download() as download:
            self.page.click("#report")
        with open(download.value.path()) as file:
            return {entry["image"]: entry for entry in json.load(file)}

    def close(self):
        self.context.close()


def pictures(count):
    """Photographs with faces: of ../shared where that is there, else of opencv-doc."""
    found = []
    for folder, share in (("datasets/boxes/images", 0.45), ("faces/fddb_subset", 0.3), ("datasets/worn_wrongly/images", 0.15), ("images", 0.1)):
        files = sorted(glob.glob(os.path.join(SHARED, folder, "*.jpg")) + glob.glob(os.path.join(SHARED, folder, "*.png")) + glob.glob(os.path.join(SHARED, folder, "*.bmp")))
        found += files[:: max(1, len(files) // max(1, round(count * share)))][: round(count * share)]
    if not found:
        print("SKIPPED IN PART: ../shared is missing, so few pictures are compared", file=sys.stderr)
        found = [os.path.join(PHOTOGRAPHS, name) for name in ("messi5.jpg", "lena.jpg", "left14.jpg") if os.path.exists(os.path.join(PHOTOGRAPHS, name))]
        found += [os.path.join(ROOT, "docs", name) for name in ("masked_faces.jpg", "live_video.jpg")]
    return found


def native(build, folder, files):
    """What detect_mask_image says of these pictures with the models of the page, by their paths."""
    program = os.path.join(build, "apps", "detect_mask_image")
    done = subprocess.run([program, "--json", "-m", PAGE_CLASSIFIER, "-o", os.path.join(folder, "native"), "-i", *files], capture_output=True, text=True, check=False)
    return {entry["image"]: entry for entry in json.loads(done.stdout)}


@functools.cache
def has(program):
    return subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True, check=False).returncode == 0


def difference(ours, theirs):
    """The largest distance of edges in pixels, and of probabilities, between the faces of one picture in two answers."""
    edges = [abs(a - b) for mine, other in zip(ours, theirs) for a, b in zip(mine["box"], other["box"])]
    shares = [abs(mine["probability"] - other["probability"]) for mine, other in zip(ours, theirs)]
    return max(edges, default=0), max(shares, default=0)
