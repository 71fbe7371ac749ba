"""A folder with a drawn clip, for tests of programs that play it."""

import glob
import os
import shutil
import subprocess
import tempfile
import unittest


class ClipFolder(unittest.TestCase):
    """Whoever derives from it names DRAW (the program draw_video), SCENES and SIZE: SCENE.mp4 for each lies in `folder`."""

    DRAW = None
    SCENES = ("leave",)
    SIZE = (240, 180)

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for scene in cls.SCENES:
            clip = os.path.join(cls.folder, scene + ".mp4")
            command = [cls.DRAW, "-o", clip, "--scene", scene, "--width", str(cls.SIZE[0]), "--height", str(cls.SIZE[1])]
            subprocess.run(command, check=True, capture_output=True)
        cls.clip = os.path.join(cls.folder, cls.SCENES[0] + ".mp4")

    def remove_logs(self):
        """The next program would go on behind them."""
        for log in glob.glob(self.at("*.jsonl")):
            os.remove(log)

    def tearDown(self):
        self.remove_logs()

    def at(self, name):
        return os.path.join(self.folder, name)
