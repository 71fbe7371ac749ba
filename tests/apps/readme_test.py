"""Runs the lines that README.md prints for the shell, as they stand there, in a folder with what they name.
Usage: readme_test.py BUILD_FOLDER SOURCE_FOLDER"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from virtual_display import display

BUILD, SOURCE = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
PHOTOGRAPH = pathlib.Path("/usr/share/doc/opencv-doc/examples/data/messi5.jpg")


def lines_below(words):
    """The commands of the first block for the shell that follows these words."""
    text = (SOURCE / "README.md").read_text()
    block = re.search(re.escape(words) + r".*?```sh\n(.*?)```", text, re.DOTALL)[1]
    return [line.split("  #")[0].strip() for line in block.splitlines()]


class FirstScreen(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "build").symlink_to(BUILD)
        pictures = self.folder / "pictures" / "more"
        subprocess.run([BUILD / "apps/draw_faces", "-o", pictures, "-n", "4", "--size", "96"], check=True, capture_output=True)
        photograph = PHOTOGRAPH if PHOTOGRAPH.exists() else next(pictures.rglob("*.jpg"))
        shutil.copy(photograph, self.folder / "photograph.jpg")
        clip = [BUILD / "apps/draw_video", "-o", self.folder / "film.mp4", "--scene", "one", "--fps", "10"]
        subprocess.run(clip, check=True, capture_output=True)

    def test_from_the_shell(self):
        commands = lines_below("**From the shell.**")
        self.assertEqual(len(commands), 3)
        with display() as shown:
            for command in commands:
                done = subprocess.run(command, shell=True, cwd=self.folder, env=shown, timeout=120,
                                      capture_output=True, text=True)  # fmt: skip
                self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        self.assertTrue((self.folder / "photograph_detected.png").exists())
        self.assertEqual(len(list((self.folder / "annotated").rglob("*.*"))), 4)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
