"""A display that nobody sees (Xvfb), for windows."""

import contextlib
import os
import subprocess


@contextlib.contextmanager
def display(screen="1024x768x24"):
    """The environment in which a window can be opened."""
    reader, writer = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-screen", "0", screen], pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as file:
        number = file.readline().strip()
    try:
        yield {**os.environ, "DISPLAY": ":" + number}
    finally:
        server.terminate()
        server.wait()
