#!/usr/bin/env python3
"""The Python package as its users have it: pictures in every form, video, training, and README's lines.

Usage: package_test.py BUILD_FOLDER SOURCE_FOLDER [TEST...]
"""
import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest

BUILD, SOURCE = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
sys.path.insert(0, str(BUILD / "python"))
os.environ["PATH"] = f"{BUILD / 'apps'}{os.pathsep}{os.environ['PATH']}"

import maskwatch  # noqa: E402
import numpy as np  # noqa: E402

try:
    from PIL import Image
except ImportError:
    Image = None

PHOTOGRAPH = pathlib.Path("/usr/share/doc/opencv-doc/examples/data/messi5.jpg")


def program(name, *arguments):
    return subprocess.run([BUILD / "apps" / name, *map(str, arguments)], check=True, capture_output=True, text=True,
                          cwd=WORK).stdout


def setUpModule():
    global WORK, FACES, PICTURE
    folder = tempfile.TemporaryDirectory(prefix="maskwatch-python-")
    unittest.addModuleCleanup(folder.cleanup)
    WORK = pathlib.Path(folder.name)
    FACES = WORK / "faces"
    program("draw_faces", "-o", FACES, "-n", 40, "--size", 96, "--seed", 1)
    PICTURE = PHOTOGRAPH if PHOTOGRAPH.exists() else next(FACES.rglob("*.png"))


def boxes(faces):
    return [tuple(round(value, 3) for value in face.box) + (face.label, round(face.probability, 4)) for face in faces]


class Pictures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.detector = maskwatch.MaskDetector()
        cls.whole = maskwatch.MaskDetector(face="none")

    def test_every_form_of_a_picture_gives_the_same_faces(self):
        # The whole picture as the face, so that there is one for certain.
        expected = boxes(self.whole.detect(PICTURE))
        self.assertEqual(len(expected), 1)
        pixels = maskwatch._core.load_image(str(PICTURE))
        self.assertEqual(boxes(self.whole.detect(str(PICTURE))), expected)
        self.assertEqual(boxes(self.whole.detect(PICTURE.read_bytes())), expected)
        self.assertEqual(boxes(self.whole.detect(bytearray(PICTURE.read_bytes()))), expected)
        self.assertEqual(boxes(self.whole.detect(pixels)), expected)
        self.assertEqual(boxes(self.whole.detect(pixels[:, :, ::-1], bgr=True)), expected)
        wide = np.zeros((pixels.shape[0], 2 * pixels.shape[1], 3), np.uint8)
        wide[:, ::2] = pixels
        self.assertEqual(boxes(self.whole.detect(wide[:, ::2])), expected)
        self.assertEqual([boxes(faces) for faces in self.whole.detect_all([PICTURE, pixels])], [expected, expected])

    @unittest.skipIf(Image is None, "Pillow is not installed")
    def test_pillow_images_of_any_mode(self):
        with Image.open(PICTURE) as opened:
            color = opened.convert("RGB")
        self.assertEqual(boxes(self.whole.detect(color)), boxes(self.whole.detect(np.asarray(color))))
        grey = color.convert("L")
        self.assertEqual(boxes(self.whole.detect(grey)), boxes(self.whole.detect(np.asarray(grey))))
        self.assertEqual(boxes(self.whole.detect(color.convert("RGBA"))), boxes(self.whole.detect(color)))

    def test_the_same_as_the_program(self):
        for detector, face in ((self.detector, "ours"), (self.whole, "none")):
            told = json.loads(program("detect_mask_image", "-i", PICTURE, "--face", face, "--json"))
            told = told if isinstance(told, dict) else told[0]
            faces = detector.detect(PICTURE)
            self.assertEqual(len(faces), len(told["faces"]))
            for face, expected in zip(faces, told["faces"]):
                self.assertEqual(face.label, expected["label"])
                for value, wanted in zip(face.box, expected["box"]):
                    self.assertAlmostEqual(value, wanted, delta=.51)  # the program prints whole pixels
                self.assertAlmostEqual(sum(face.probabilities.values()), 1, places=5)

    def test_faces_read_well(self):
        (face,) = self.whole.detect(PICTURE)
        self.assertRegex(repr(face), r"^<Face \w+ \d+\.\d% at x 0, y 0, \d+ x \d+ pixels>$")
        flat = face.to_dict()
        self.assertEqual(flat["label"], face.label)
        self.assertEqual(flat[f"probability_{face.label}"], face.probability)
        self.assertTrue(all(isinstance(value, (str, float)) for value in flat.values()))
        self.assertIn(face.meaning, self.whole.meanings)
        self.assertIn("faces by none", repr(self.whole))
        self.assertIn("faces by ours", repr(self.detector))

    def test_draw_leaves_the_picture_alone_and_keeps_the_order_of_channels(self):
        pixels = maskwatch._core.load_image(str(PICTURE))
        before = pixels.copy()
        faces = self.whole.detect(pixels)
        drawn = maskwatch.draw(pixels, faces)
        self.assertTrue((pixels == before).all())
        self.assertEqual(drawn.shape, pixels.shape)
        self.assertTrue((drawn != pixels).any())
        swapped = maskwatch.draw(pixels[:, :, ::-1], faces, bgr=True)
        self.assertTrue((swapped[:, :, ::-1] == drawn).all())
        self.assertEqual(maskwatch.draw(pixels[:, :, 0], faces).shape, pixels.shape)
        self.assertTrue((maskwatch.draw(PICTURE, faces) == drawn).all())

    def test_what_is_no_picture_is_named(self):
        fine = np.zeros((8, 8, 3), np.uint8)
        for wrong, kind, words in (
            (fine.astype(np.float32), TypeError, "uint8.*float32"),
            (fine.astype(bool), TypeError, "uint8.*bool"),
            (np.zeros((8, 8, 4), np.uint8), ValueError, "not 4.*alpha"),
            (np.zeros((8, 8, 2), np.uint8), ValueError, "8 x 8 x 2"),
            (np.zeros((2, 8, 8, 3), np.uint8), ValueError, "2 x 8 x 8 x 3"),
            (np.zeros(8, np.uint8), ValueError, "not 8"),
            (np.zeros((0, 8, 3), np.uint8), ValueError, "empty"),
            (np.array(3, np.uint8), ValueError, "no dimension"),
            ([[1, 2], [3, 4]], TypeError, "not list"),
            (None, TypeError, "NoneType"),
            (b"", ValueError, "0 bytes"),
            (b"these bytes are no picture", maskwatch.Error, "picture|image|JPEG"),
            ("no/such/picture.jpg", FileNotFoundError, "no/such/picture.jpg"),
            (str(WORK), maskwatch.Error, ""),
        ):
            with self.subTest(wrong=repr(wrong)[:60]), self.assertRaisesRegex(kind, words):
                self.detector.detect(wrong)

    def test_what_is_no_detector_is_named(self):
        junk = WORK / "junk.safetensors"
        junk.write_bytes(b"junk")
        for arguments, kind, words in (
            ({"model": "no/such.safetensors"}, FileNotFoundError, "no/such"),
            ({"model": junk}, maskwatch.Error, "junk.safetensors"),
            ({"model": b"junk"}, maskwatch.Error, ""),
            ({"model": b""}, ValueError, "0 bytes"),
            ({"model": 3}, TypeError, "not int"),
            ({"face": "no/such.xml"}, FileNotFoundError, "no/such.xml"),
            ({"face": "nobody"}, (maskwatch.Error, ValueError), "nobody"),
            ({"confidence": 1.5}, ValueError, "1.5"),
            ({"confidence": float("nan")}, ValueError, ""),
            ({"face": "none", "detail": 0}, ValueError, "detail"),
            ({"device": "gpu"}, ValueError, 'no device "gpu": cpu, cuda, cuda:N or auto'),
            ({"device": "cuda:99"}, maskwatch.Error, "cuda:99"),
        ):
            with self.subTest(arguments=repr(arguments)), self.assertRaisesRegex(kind, words):
                maskwatch.MaskDetector(**arguments)

    def test_devices(self):
        self.assertEqual(self.detector.device, "cpu")
        chosen = maskwatch.MaskDetector(device="auto")
        self.assertRegex(chosen.device, r"^(cpu|cuda:0)$")
        self.assertEqual(len(chosen.detect(PICTURE)), len(self.detector.detect(PICTURE)))

    def test_arrays_of_any_strides(self):
        whole = maskwatch._core.load_image(str(PICTURE))
        part = whole[5:-7, 9:-3]
        self.assertIs(maskwatch.detector.pixels_of(part), part)  # rows that lie apart are not copied
        expected = boxes(self.detector.detect(part.copy()))
        self.assertEqual(len(expected), len(self.detector.detect(PICTURE)))
        self.assertEqual(boxes(self.detector.detect(part)), expected)
        self.assertEqual(boxes(self.detector.detect_all([part])[0]), expected)
        for other in (whole[::-1], whole[:, ::-1], whole[:, :, ::-1], whole[::2], whole[:, ::2], np.asfortranarray(whole), whole[:, :, 1],
                      whole[7:8], whole[:, 3:4], whole[::400][:1], whole[:, ::400][:, :1]):
            with self.subTest(shape=other.shape, strides=other.strides):
                self.assertEqual(boxes(self.detector.detect(other)), boxes(self.detector.detect(other.copy())))

    def test_models_from_bytes(self):
        models = SOURCE / "data/models"
        detector = maskwatch.MaskDetector((models / "mask_detector.safetensors").read_bytes(),
                                          face=(models / "face_detector.safetensors").read_bytes())
        self.assertEqual(boxes(detector.detect(PICTURE)), boxes(self.detector.detect(PICTURE)))

    def test_other_threads_run_while_a_detector_works(self):
        pixels = np.zeros((2000, 2000, 3), np.uint8)
        counted, done = 0, threading.Event()

        def detect():
            for _ in range(5):
                self.detector.detect(pixels)
            done.set()

        workers = [threading.Thread(target=detect) for _ in range(2)]
        for worker in workers:
            worker.start()
        while not done.is_set():
            counted += 1
            done.wait(.001)
        for worker in workers:
            worker.join()
        self.assertGreater(counted, 5)


class Films(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.film = WORK / "film.mp4"
        try:
            program("draw_video", "-o", cls.film, "--scene", "one", "--fps", 10)
        except subprocess.CalledProcessError as fault:
            if "built without" not in fault.stderr:
                raise
            raise unittest.SkipTest(fault.stderr)
        cls.detector = maskwatch.MaskDetector(face="haar")

    def test_frames_faces_and_people(self):
        with maskwatch.Video(self.film, self.detector) as video:
            self.assertIn("film.mp4", repr(video))
            frames = list(video)
            self.assertEqual(video.end_reason, "")
            self.assertEqual([frame.number for frame in frames], list(range(len(frames))))
            self.assertGreater(len(frames), 30)
            self.assertEqual(frames[0].image.shape, (video.height, video.width, 3))
            times = [frame.time for frame in frames]
            self.assertEqual(times, sorted(times))
            people = {person.number for frame in frames for person in frame.people}
            self.assertEqual(people, set(range(1, video.people_seen + 1)))
            self.assertGreaterEqual(video.people_seen, 1)
            image, faces, seen = frames[-1]
            self.assertIs(image, frames[-1].image)
            # A frame alone gives what the video gave.
            found = next(frame for frame in frames if frame.faces)
            self.assertEqual(boxes(self.detector.detect(found.image)), boxes(found.faces))
            self.assertTrue(all(person.label in self.detector.labels for person in seen))

    def test_threads_share_the_frames(self):
        with maskwatch.Video(self.film, self.detector) as video:
            frames = sum(1 for _ in video)
        video, numbers, faults = maskwatch.Video(self.film, self.detector), [], []

        def read():
            try:
                numbers.extend(frame.number for frame in video)
            except BaseException as fault:
                faults.append(fault)

        readers = [threading.Thread(target=read) for _ in range(6)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        self.assertEqual(faults, [])
        self.assertEqual(sorted(numbers), list(range(frames)))

    def test_close_ends_it(self):
        video = maskwatch.Video(self.film, self.detector)
        next(video)
        video.close()
        with self.assertRaises(StopIteration):
            for _ in range(3):
                next(video)

    def test_sources_that_cannot_be_opened(self):
        for source in ("no/such/film.mp4", WORK / "junk.mp4", 99):
            (WORK / "junk.mp4").write_bytes(b"junk")
            with self.subTest(source=source), self.assertRaises(maskwatch.Error):
                maskwatch.Video(source, self.detector)


class Training(unittest.TestCase):
    arguments = ["--size", "48", "--width", "0.1", "--batch-size", "8", "--seed", "1"]

    def test_progress_history_and_the_model(self):
        seen = []
        model = WORK / "small.safetensors"
        kept_history, plot = WORK / "kept.json", WORK / "kept.png"
        history = maskwatch.train(FACES, model, epochs=2, progress=seen.append,
                                  arguments=[*self.arguments, f"--history={kept_history}", f"--plot={plot}"])
        self.assertTrue(plot.exists())
        self.assertEqual(json.loads(kept_history.read_text()), history)
        self.assertEqual([figures["epoch"] for figures in seen], [1, 2])
        self.assertEqual({figures["epochs"] for figures in seen}, {2})
        for figures, kept in zip(seen, history["epochs"]):
            self.assertAlmostEqual(figures["loss"], kept["loss"], places=3)
        report = maskwatch.evaluate(FACES, model)
        self.assertIn("balanced_accuracy", report)
        self.assertEqual(set(maskwatch.MaskDetector(model, face="none").labels), {"with_mask", "without_mask"})

    def test_an_exception_in_progress_ends_it(self):
        def progress(figures):
            raise KeyboardInterrupt

        model = WORK / "ended.safetensors"
        with self.assertRaises(KeyboardInterrupt):
            maskwatch.train(FACES, model, epochs=50, progress=progress, arguments=self.arguments)
        self.assertFalse(model.exists())

    def test_errors_of_the_programs(self):
        with self.assertRaisesRegex(maskwatch.ProgramFailed, "no/such/folder") as caught:
            maskwatch.train("no/such/folder", WORK / "x.safetensors", epochs=1)
        self.assertEqual(caught.exception.returncode, 2)
        with self.assertRaisesRegex(maskwatch.ProgramFailed, "no/such/folder"):
            maskwatch.evaluate("no/such/folder")

    def test_the_originals_commands(self):
        for script in (SOURCE / "python/scripts").glob("*.py"):
            done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True,
                                  env={**os.environ, "PYTHONPATH": str(BUILD / "python")})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(done.stdout.startswith(f"Usage: {script.stem} "), done.stdout)


class Readme(unittest.TestCase):
    def test_the_lines_that_it_prints(self):
        text = (SOURCE / "README.md").read_text()
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        self.assertEqual(len(blocks), 1)
        folder = WORK / "readme"
        folder.mkdir()
        (folder / "people.jpg").write_bytes(PICTURE.read_bytes())
        program("draw_video", "-o", folder / "people.mp4", "--scene", "one", "--fps", 10)
        printed, here = io.StringIO(), os.getcwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(blocks[0], "README.md", "exec"), {})
        finally:
            os.chdir(here)
        self.assertTrue((folder / "who.png").exists())
        if PICTURE == PHOTOGRAPH:
            self.assertRegex(printed.getvalue(), r"without_mask 0\.\d")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
