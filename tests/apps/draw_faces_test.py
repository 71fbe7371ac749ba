"""draw_faces as a user runs it. Usage: draw_faces_test.py DRAW_FACES"""

import os
import subprocess
import sys
import tempfile
import unittest

DRAW = os.path.abspath(sys.argv[1])


class DrawFaces(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def draw(self, *arguments):
        return subprocess.run([DRAW, *arguments, "--size", "64"], cwd=self.folder, capture_output=True, text=True)

    def drawn(self):
        return {folder: sorted(os.listdir(os.path.join(self.folder, "out", folder))) for folder in ("with_mask", "without_mask")}

    def test_as_many_as_asked(self):
        done = self.draw("-o", "out", "-n", "3")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "3 faces in out, 1 with a mask\n", ""))
        self.assertEqual(self.drawn(), {"with_mask": ["000001.jpg"], "without_mask": ["000000.jpg", "000002.jpg"]})
        self.assertEqual(self.draw("-o", "\x1bone", "-n", "1").stdout, "1 face in \\x1bone, 0 with a mask\n")

    def test_pictures_that_are_there_stay(self):
        os.makedirs(os.path.join(self.folder, "out/with_mask"))
        os.makedirs(os.path.join(self.folder, "out/without_mask"))
        own = os.path.join(self.folder, "out/with_mask/000001.jpg")
        with open(own, "w") as file:
            file.write("mine")
        done = self.draw("-o", "out", "-n", "2")
        self.assertEqual((done.returncode, done.stderr.count("\n"), "not an empty folder" in done.stderr), (2, 1, True), done.stderr)
        with open(own) as file:
            self.assertEqual(file.read(), "mine")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
