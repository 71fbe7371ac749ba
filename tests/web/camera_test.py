"""The page and a camera, in Chromium with a camera that plays a file: the boxes of the native program, and what is said
where there is no camera, none may be used, or it goes away.
Usage: camera_test.py BUILD_FOLDER [TEST ...]"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

import browser as web

BUILD = os.path.abspath(sys.argv[1])
# The next frame of the camera through the engine, as web/site/live.js does it, and the frame's pixels as PNG.
LOOK = """async () => {
  const {Engine} = await import('./engine.js');
  const {Camera} = await import('./camera.js');
  const engine = new Engine(), camera = new Camera(document.createElement('video'), () => {});
  camera.video.muted = true;
  await engine.load();
  await camera.start();
  const {bitmap, time} = await camera.frame();
  const found = await engine.follow(bitmap, time);
  camera.stop();
  const canvas = new OffscreenCanvas(found.width, found.height);
  canvas.getContext('2d').drawImage(found.bitmap, 0, 0);
  const png = await (await canvas.convertToBlob()).arrayBuffer();
  return {faces: found.faces, png: Array.from(new Uint8Array(png))};
}"""


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


def ffmpeg(*arguments):
    run("ffmpeg", "-y", "-loglevel", "error", *arguments)


def films(folder):
    """Films of one frame at 640x480 with faces in it, and that frame as a picture: [(film, picture, what native says)]."""
    drawn = os.path.join(folder, "drawn.mp4")
    run(os.path.join(BUILD, "apps", "draw_video"), "-o", drawn, "--scene", "crowd")
    sources = [drawn, *web.pictures(6)]
    found = []
    for i, source in enumerate(sources):
        picture, film = (os.path.join(folder, f"{i}.{ending}") for ending in ("png", "y4m"))
        ffmpeg("-i", source, "-frames:v", "1", "-vf", "scale=640:480:force_original_aspect_ratio=increase,crop=640:480", "-pix_fmt", "yuv420p", os.path.join(folder, f"{i}.yuv.y4m"))
        ffmpeg("-stream_loop", "9", "-i", os.path.join(folder, f"{i}.yuv.y4m"), "-r", "30", film)
        ffmpeg("-i", film, "-frames:v", "1", picture)
        found.append((film, picture))
    native = web.native(BUILD, folder, [picture for _, picture in found])
    return [(film, picture, native[picture]["faces"]) for film, picture in found]


@unittest.skipUnless(web.has("ffmpeg"), "SKIPPED, NOT TESTED: ffmpeg is not installed, so no film plays the camera")
class CameraWithFilm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.films = films(cls.temporary.name)
        cls.with_faces = [film for film in cls.films if film[2]]
        # Surely found: people whom the tracker confirms.
        cls.clear = [film for film in cls.with_faces if all(face["score"] > 0.8 for face in film[2])]
        cls.server = web.QuietServer()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.temporary.cleanup()

    def page(self, browser, **options):
        return web.Page(browser, self.server.url, permissions=["camera"], **options).ready()

    def test_same_boxes_as_native(self):
        """Of the very pixels that the camera gave, and nearly of the film's: a browser makes colours of it in its own way."""
        self.assertGreater(len(self.with_faces), 0)
        worst, worst_of_film = 0, 0
        for film, picture, of_film in self.with_faces[:4]:
            with self.subTest(picture=picture), web.chromium(camera=film) as browser:
                found = self.page(browser).page.evaluate(LOOK)
            frame = picture + ".camera.png"
            with open(frame, "wb") as file:
                file.write(bytes(found["png"]))
            theirs = web.native(BUILD, self.temporary.name, [frame])[frame]["faces"]
            for others in (theirs, of_film):
                self.assertEqual([face["label"] for face in found["faces"]], [face["label"] for face in others])
            worst = max(worst, web.difference(found["faces"], theirs)[0])
            worst_of_film = max(worst_of_film, web.difference(found["faces"], of_film)[0])
        self.assertLess(worst, 0.01)
        self.assertLess(worst_of_film, 2)
        print(f"boxes from the camera: within {worst:.5f} pixels of the native program's, {worst_of_film:.2f} of those in the film")

    def test_shows_counts_and_saves(self):
        film, _, theirs = self.clear[0]
        with web.chromium(camera=film) as browser:
            page = self.page(browser)
            page.page.click("summary")
            page.page.click("#camera")
            self.follow(page, theirs)
            self.assertEqual(page.text("#camera"), "Stop camera")
            self.check_counts(page, theirs)
            with page.page.expect_download() as download:
                page.page.click("#save")
            self.assertRegex(download.value.suggested_filename, r"^maskwatch_[\d-]+\.jpg$")
            self.assertTrue(page.page.locator("#turn").is_hidden())  # there is no other camera
            page.page.click("#camera")
            self.assertEqual(page.text("#camera"), "Start camera")
            self.assertTrue(page.page.locator("#rate").is_hidden())
            self.assertEqual(page.faults, [])

    def follow(self, page, theirs):
        page.until(f"document.querySelectorAll('#faces li').length === {len(theirs)}")
        page.page.wait_for_selector("#rate:visible", timeout=60000)
        print(f"camera, 640x480: {page.text('#rate')}, {page.text('#engine')}")
        lines = page.page.locator("#faces li").all_inner_texts()
        boxes = [list(map(int, re.search(r"x (-?\d+), y (-?\d+), (\d+) × (\d+)", line).groups())) for line in lines]
        for face in theirs:
            edges = min(max(abs(a - b) for a, b in zip(box, face["box"])) for box in boxes)
            self.assertLess(edges, 1.5)  # they are printed in whole pixels

    def check_counts(self, page, theirs):
        words = {"with_mask": "mask", "without_mask": "no_mask", "mask_worn_wrongly": "worn_wrongly"}
        for label, meaning in words.items():
            count = sum(face["label"] == label for face in theirs)
            self.assertEqual(page.text(f"#counts [data-meaning={meaning}] dd"), str(count))

    def test_camera_that_goes_away(self):
        with web.chromium(camera=self.clear[0][0]) as browser:
            page = self.page(browser)
            page.page.click("#camera")
            page.page.wait_for_selector("#rate:visible", timeout=60000)
            page.page.evaluate("document.querySelector('#video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
            self.assertEqual(page.fault(), "The camera is gone.")
            self.assertEqual(page.text("#camera"), "Start camera")
            page.page.click("#camera")  # and it is there again
            page.page.wait_for_selector("#rate:visible", timeout=60000)
            self.assertTrue(page.page.locator("#fault").is_hidden())

    def test_permission_denied(self):
        with web.chromium("--deny-permission-prompts", camera=self.films[0][0]) as browser:
            page = web.Page(browser, self.server.url).ready()
            page.page.click("#camera")
            self.assertIn("may not be used", page.fault())
            self.assertEqual(page.text("#camera"), "Start camera")


class CameraWithout(unittest.TestCase):
    def setUp(self):
        self.server = web.QuietServer()
        self.addCleanup(self.server.close)

    def test_no_camera(self):
        with web.chromium() as browser:
            page = web.Page(browser, self.server.url, permissions=["camera"]).ready()
            page.page.click("#camera")
            self.assertEqual(page.fault(), "No camera was found.")

    def test_two_cameras(self):
        device = "document.querySelector('#video').srcObject?.getVideoTracks()[0].getSettings().deviceId"
        with web.chromium("--use-fake-device-for-media-stream=device-count=2") as browser:
            page = web.Page(browser, self.server.url, permissions=["camera"]).ready()
            page.page.click("#camera")
            seen = []
            for _ in range(3):
                page.page.wait_for_selector("#rate:visible", timeout=60000)
                seen.append(page.page.evaluate(device))
                page.page.click("#turn")
                page.until("document.querySelector('#turn').disabled === false")
            self.assertNotEqual(seen[0], seen[1])
            self.assertEqual(seen[0], seen[2])
            self.assertEqual(page.faults, [])

    def test_page_that_is_not_secure(self):
        with web.chromium("--host-resolver-rules=MAP maskwatch.test 127.0.0.1") as browser:
            page = web.Page(browser, f"http://maskwatch.test:{self.server.port}/").ready()
            page.page.click("#camera")
            self.assertIn("secure page", page.fault())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
