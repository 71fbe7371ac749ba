"""crop_faces as a user runs it: what it writes, and one clear line for bad input.
Usage: crop_faces_test.py CROP_FACES"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

CROP = os.path.abspath(sys.argv[1])


def png(width, height):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = b"\0" + bytes((200, 150, 120)) * width
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")


class Cropping(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        entries = []
        for i, label in enumerate(("with_mask", "without_mask", "mask_worn_wrongly", "with_mask")):
            with open(self.at(f"{i}.png"), "wb") as file:
                file.write(png(60, 50))
            entries.append({"file": f"{i}.png", "faces": [{"box": [10, 10, 20, 20], "label": label}]})
        self.write("boxes.json", entries)

    def at(self, name):
        return os.path.join(self.temporary.name, name)

    def write(self, name, value):
        with open(self.at(name), "w") as file:
            json.dump(value, file)

    def crop(self, *arguments, output="out"):
        return subprocess.run([CROP, "-d", self.at("boxes.json"), "-o", self.at(output), *arguments], capture_output=True, text=True)

    def written(self, output):
        folder = self.at(output)
        return sorted(os.path.relpath(os.path.join(root, name), folder) for root, _, names in os.walk(folder) for name in names)

    def test_help_names_the_margin_of_the_detector_that_ships(self):
        said = subprocess.run([CROP, "--help"], capture_output=True, text=True, check=True).stdout
        self.assertIn("default: 0.15]", said)

    def test_all_pictures_or_those_of_a_history(self):
        done = self.crop()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.written("out"), ["mask_worn_wrongly/2_0.jpg", "with_mask/0_0.jpg", "with_mask/3_0.jpg", "without_mask/1_0.jpg"])
        self.assertIn("with_mask 2, without_mask 1, mask_worn_wrongly 1", done.stdout)
        self.write("history.json", {"validation_files": ["1.png", "3.png"]})
        for option, expected in (("--only", ["with_mask/3_0.jpg", "without_mask/1_0.jpg"]), ("--without", ["mask_worn_wrongly/2_0.jpg", "with_mask/0_0.jpg"])):
            done = self.crop(option, self.at("history.json"), output=option)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.written(option), expected)

    def test_bad_input_is_one_line_and_exit_code_2(self):
        os.mkdir(self.at("full"))
        self.write("full/older.json", {})
        self.write("other.json", {"validation_files": ["1.png", "elsewhere.png"]})
        self.write("no_list.json", {"epochs": []})
        self.write("one.json", {"validation_files": ["1.png"]})
        twin = tempfile.TemporaryDirectory()
        self.addCleanup(twin.cleanup)
        for name in ("1.png", "boxes.json"):
            shutil.copy(self.at(name), twin.name)
        for arguments, output, expected in (
            ([], "full", "not an empty folder"),
            ([], "boxes.json", "not an empty folder"),
            (["--only", self.at("other.json")], "out", "1 of 2 pictures that it names are not in the data set: elsewhere.png"),
            (["--without", self.at("other.json")], "out", "elsewhere.png"),
            (["--without", self.at("one.json"), "-d", twin.name], "out", "have the same"),
            (["--without", self.at("no_list.json")], "out", "validation_files"),
            (["--without", self.at("nowhere.json")], "out", "nowhere.json"),
            (["--without", self.at("other.json"), "--only", self.at("other.json")], "out", "exclude"),
            (["--least-side", "21"], "out", "21 pixels"),
            (["--margin", "-1"], "out", "--margin"),
            (["--least-score", "0.3"], "out", "--least-score needs --background"),
            (["--background", "none", "--least-score", "0.3"], "out", "--least-score is not for --background none"),
            (["--background", "dog"], "out", "dog"),
            (["--background", self.at("lost.xml")], "out", "lost.xml"),
        ):
            with self.subTest(expected):
                done = self.crop(*arguments, output=output)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertRegex(done.stderr, r"\Aerror: .*\n\Z")
                self.assertIn(expected, done.stderr)
                self.assertFalse(os.path.exists(self.at("out")))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
