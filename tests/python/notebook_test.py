"""Runs notebooks in a kernel of this Python, in a folder of their own, and compares the texts that they print with those
they were saved with. Usage: notebook_test.py NOTEBOOK..."""

import logging
import re
import sys
import tempfile
import unittest

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sys.argv[1:]
logging.getLogger("traitlets").setLevel(logging.ERROR)


def texts(notebook):
    """Of each cell of code: what it printed and the value that it shows, without folders and figures: those depend on the
    models that ship and, in the last digits, on the processor."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            said = "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
            said = re.sub(r"/\S*/tmp\w+/|/tmp/\w+/", "", said)
            yield re.sub(r"[\d.%]+", "#", said)


class Notebooks(unittest.TestCase):
    def test_they_run_and_show_what_was_saved(self):
        self.assertTrue(NOTEBOOKS)
        for file in NOTEBOOKS:
            saved = nbformat.read(file, as_version=4)
            fresh = nbformat.from_dict(saved)
            with tempfile.TemporaryDirectory() as folder:
                NotebookClient(fresh, timeout=240, resources={"metadata": {"path": folder}}).execute()
            for cell, (before, now) in enumerate(zip(texts(saved), texts(nbformat.from_dict(fresh)), strict=True)):
                self.assertEqual(re.sub(r"\s+", " ", before), re.sub(r"\s+", " ", now), f"{file}, cell of code {cell + 1}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
