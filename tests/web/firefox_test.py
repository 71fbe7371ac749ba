"""The page in Debian's Firefox, headless: it loads, and finds in pictures what the native program finds.
Usage: firefox_test.py BUILD_FOLDER [TEST ...]"""

import json
import os
import sys
import tempfile
import time
import unittest

from marionette_driver.by import By
from marionette_driver.marionette import Marionette

import browser as web

BUILD = os.path.abspath(sys.argv[1])
LOOKED = "return document.querySelectorAll('#pictures li').length + ' ' + document.querySelector('#status').textContent"


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(condition)
        time.sleep(0.1)
    return found


@unittest.skipUnless(web.has("firefox-esr"), "SKIPPED, NOT TESTED: firefox-esr is not installed")
class Firefox(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.server = web.QuietServer()
        self.addCleanup(self.server.close)
        saved = {
            "browser.download.folderList": 2,
            "browser.download.dir": self.folder,
            "browser.helperApps.neverAsk.saveToDisk": "application/json",
        }
        self.firefox = Marionette(bin="/usr/bin/firefox-esr", headless=True, prefs=saved, gecko_log=os.path.join(self.folder, "gecko.log"))
        self.addCleanup(self.firefox.cleanup)
        self.firefox.start_session()
        self.firefox.navigate(self.server.url)
        wait_for(lambda: self.find("#open").is_enabled(), 60)

    def find(self, selector):
        return self.firefox.find_element(By.CSS_SELECTOR, selector)

    def open(self, files):
        """Chooses pictures, and waits until all have been looked at."""
        # What WebDriver may type into must be visible; people see a button in its place.
        self.firefox.execute_script("document.querySelector('#files').hidden = false")
        self.find("#files").send_keys("\n".join(map(os.path.abspath, files)))
        wait_for(lambda: (said := self.firefox.execute_script(LOOKED)).startswith(f"{len(files)} ") and "Looking" not in said)

    def report(self):
        self.find("#report").click()
        name = wait_for(lambda: [name for name in os.listdir(self.folder) if name.endswith(".json")])[0]
        # Firefox writes into a file of another name first.
        wait_for(lambda: not any(other.endswith(".part") for other in os.listdir(self.folder)) and os.path.getsize(os.path.join(self.folder, name)))
        with open(os.path.join(self.folder, name)) as file:
            return {entry["image"]: entry for entry in json.load(file)}

    def test_same_as_native(self):
        files = web.pictures(5)
        self.open(files)
        report, native, faces = self.report(), web.native(BUILD, self.folder, files), 0
        for path in files:
            ours, theirs = report[os.path.basename(path)]["faces"], native[path]["faces"]
            with self.subTest(picture=path):
                self.assertEqual([face["label"] for face in ours], [face["label"] for face in theirs])
                edges, shares = web.difference(ours, theirs)
                self.assertLess(edges, 0.01)
                self.assertLess(shares, 1e-3)
            faces += len(theirs)
        self.assertGreater(faces, 0)
        if "SCREENSHOT" in os.environ:
            with open(os.environ["SCREENSHOT"], "wb") as file:
                file.write(self.firefox.screenshot(format="binary", full=False))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], warnings="ignore")
