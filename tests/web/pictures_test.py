"""The page and pictures, in Chromium: what it finds is what the native program finds; every way in; what is saved; bad input.
Usage: pictures_test.py BUILD_FOLDER [TEST ...]"""

import os
import struct
import sys
import tempfile
import unittest
import zlib

from axe_playwright_python.sync_playwright import Axe

import browser as web

BUILD = os.path.abspath(sys.argv[1])
NO_SIMD = "WebAssembly.validate = () => false;"


def with_orientation(jpeg, orientation):
    """A JPEG with an EXIF block that says how it is turned."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


class Pictures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.server = web.QuietServer()
        cls.open = web.chromium()
        cls.browser = cls.open.__enter__()
        cls.files = web.pictures(30)

    @classmethod
    def tearDownClass(cls):
        cls.open.__exit__(None, None, None)
        cls.server.close()

    def page(self, **options):
        page = web.Page(self.browser, self.server.url, **options)
        self.addCleanup(page.close)
        return page

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def photograph(self):
        with open(self.files[0], "rb") as file:
            return file.read()

    def check_same(self, report, files):
        native = web.native(BUILD, self.folder, files)
        faces = 0
        for path in files:
            ours, theirs = report[os.path.basename(path)], native[path]
            with self.subTest(picture=path):
                self.assertEqual((ours["width"], ours["height"]), (theirs["width"], theirs["height"]))
                self.assertEqual([f["label"] for f in ours["faces"]], [f["label"] for f in theirs["faces"]])
                edges, shares = web.difference(ours["faces"], theirs["faces"])
                self.assertLess(edges, 0.01)
                self.assertLess(shares, 1e-3)
            faces += len(theirs["faces"])
        return faces

    def test_same_as_native(self):
        page = self.page().ready()
        page.open(*self.files)
        faces = self.check_same(page.report(), self.files)
        self.assertGreater(faces, 0)
        self.assertIn(f"{len(self.files)} pictures", page.text("#summary"))
        counts = page.page.locator("#counts dd").all_inner_texts()
        shown = page.page.locator("#faces li").count()
        self.assertEqual(sum(map(int, counts)), shown)
        self.assertEqual(page.faults, [])
        print(f"{len(self.files)} pictures, {faces} faces: as the native program")

    def test_one_thread_alone(self):
        server = web.QuietServer(plain=True)
        self.addCleanup(server.close)
        page = web.Page(self.browser, server.url, service_workers="block")
        self.addCleanup(page.close)
        page.ready()
        self.assertIn("1 thread", page.text("#engine"))
        page.open(*self.files[:5])
        self.check_same(page.report(), self.files[:5])

    def test_turned(self):
        path = self.write("turned.jpg", with_orientation(self.photograph(), 6))
        page = self.page().ready()
        page.open(path)
        self.check_same(page.report(), [path])
        native = web.native(BUILD, self.folder, [path])[path]
        width, height = page.page.evaluate("(({width, height}) => [width, height])(document.querySelector('#view'))")
        self.assertAlmostEqual(width / height, native["width"] / native["height"], delta=0.02)

    def test_browser_reads_webp(self):
        page = self.page().ready()
        page.open(self.files[0])
        before = page.text("#faces")
        data = page.page.evaluate(
            """async file => {
              const picture = await createImageBitmap(document.querySelector('#view'));
              const canvas = new OffscreenCanvas(picture.width, picture.height);
              canvas.getContext('2d').drawImage(picture, 0, 0);
              const blob = await canvas.convertToBlob({type: 'image/webp', quality: 0.95});
              return Array.from(new Uint8Array(await blob.arrayBuffer()));
            }""", None)
        page.open(self.write("small.webp", bytes(data)))
        self.assertTrue(page.page.locator("#fault").is_hidden())
        self.assertEqual(len(page.text("#faces").splitlines()), len(before.splitlines()))

    def test_drop_and_paste(self):
        page = self.page().ready()
        transfer = """([bytes, name]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/jpeg'}));
          return transfer;
        }"""
        handle = page.page.evaluate_handle(transfer, [list(self.photograph()), "dropped.jpg"])
        page.page.dispatch_event("#stage", "dragover", {"dataTransfer": handle})
        self.assertIn("dropping", page.page.get_attribute("#stage", "class"))
        page.page.dispatch_event("#stage", "drop", {"dataTransfer": handle})
        page.wait_for_results(1)
        self.assertIn("dropped.jpg", page.report())
        handle = page.page.evaluate_handle(transfer, [list(self.photograph()), "pasted.jpg"])
        page.page.evaluate("transfer => document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true}))", handle)
        page.until("document.querySelector('#pictures .name')?.textContent === 'pasted.jpg'")
        page.wait_for_results(1)
        self.assertIn("pasted.jpg", page.report())

    def test_folder(self):
        for name in ("a/2.jpg", "a/10.jpg", "a/.hidden.jpg", "b/1.jpg"):
            self.write("album/" + name, self.photograph())
        self.write("album/notes.txt", b"no picture")
        page = self.page().ready()
        page.page.set_input_files("#folders", os.path.join(self.folder, "album"))
        page.wait_for_results(3)
        self.assertEqual(list(page.report()), ["album/a/2.jpg", "album/a/10.jpg", "album/b/1.jpg"])
        self.assertIn("1 file is not a picture", page.text("#fault"))

    def test_keyboard(self):
        page = self.page().ready()
        with page.page.expect_file_chooser() as chooser:
            page.page.keyboard.press("Tab")
            self.assertEqual(page.page.evaluate("document.activeElement.tagName"), "SUMMARY")
            for name in ("camera", "open"):
                page.page.keyboard.press("Tab")
                self.assertEqual(page.page.evaluate("document.activeElement.id"), name)
            page.page.keyboard.press("Enter")
        chooser.value.set_files(self.files[:3])
        page.wait_for_results(3)
        page.page.focus("#pictures button")
        page.page.keyboard.press("ArrowRight")
        self.assertEqual(page.page.locator("#pictures [aria-current]").inner_text().splitlines()[0], os.path.basename(self.files[1]))

    def test_accessible(self):
        for scheme in ("light", "dark"):
            page = self.page(color_scheme=scheme).ready()
            page.open(*self.files[:2])
            page.page.click("summary")
            found = Axe().run(page.page)
            self.assertEqual(found.violations_count, 0, found.generate_report())

    def test_picture_is_saved_with_boxes(self):
        page = self.page().ready()
        page.open(self.files[0])
        native = web.native(BUILD, self.folder, self.files[:1])[self.files[0]]
        with page.page.expect_download() as download:
            page.page.click("#save")
        self.assertEqual(download.value.suggested_filename, os.path.splitext(os.path.basename(self.files[0]))[0] + "_detected.jpg")
        with open(download.value.path(), "rb") as file:
            saved = file.read()
        page.page.set_input_files("#files", {"name": "saved.jpg", "mimeType": "image/jpeg", "buffer": saved})
        page.until("document.querySelector('#pictures .name')?.textContent === 'saved.jpg'")
        page.wait_for_results(1)
        again = page.report()["saved.jpg"]
        self.assertEqual((again["width"], again["height"]), (native["width"], native["height"]))
        self.assertNotEqual(saved, self.photograph())

    def test_bad_pictures(self):
        header = struct.pack(">4sIIBBBBB", b"IHDR", 200000, 200000, 8, 2, 0, 0, 0)
        png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        bad = [
            self.write("text.jpg", b"no picture at all"),
            self.write("empty.jpg", b""),
            self.write("cut.jpg", self.photograph()[:500]),
            self.write("huge.png", png + bytes(100)),
            self.write("<img src=x onerror=alert(1)>.jpg", b"?"),
        ]
        page = self.page().ready()
        page.open(*bad, self.files[0])
        lines = page.fault().splitlines()
        self.assertEqual(len(lines), len(bad), lines)
        for path in bad:
            self.assertTrue(any(line.startswith(os.path.basename(path) + ": ") for line in lines), (path, lines))
        for why in ("text.jpg: not a picture", "cut.jpg: truncated", "huge.png: its size 200000x200000"):
            self.assertTrue(any(line.startswith(why) for line in lines), (why, lines))
        self.assertIn("5 could not be read", page.text("#summary"))
        report = page.report()
        self.assertIn("error", report["empty.jpg"])
        self.check_same(report, self.files[:1])
        page.open(bad[0])  # nothing else: nothing is shown
        self.assertIn("text.jpg", page.fault())
        self.assertTrue(page.page.locator("#save").is_disabled())

    def test_no_picture_by_its_name(self):
        page = self.page().ready()
        page.page.set_input_files("#files", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"?"})
        self.assertIn("None of these files is a picture", page.fault())

    def test_old_browsers(self):
        for script, part in ((NO_SIMD, "SIMD"), ("delete globalThis.WebAssembly;", "WebAssembly"), ("delete globalThis.OffscreenCanvas;", "OffscreenCanvas")):
            page = self.page(script=script)
            self.assertRegex(page.fault(), f"too old.*{part}")
            self.assertTrue(page.page.locator("#open").is_disabled())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
