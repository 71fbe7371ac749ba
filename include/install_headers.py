#!/usr/bin/env python3
"""Installs the public headers and all that they include, called by meson install.

They keep their paths, below include/maskwatch, and name one another by them: <maskwatch/vision/image/image.h>. So a user
needs no include path but the usual one, and a folder "base" or "nn" of his own cannot come between.
Usage: install_headers.py SOURCE_ROOT INCLUDE_FOLDER HEADER...
"""
import os
import pathlib
import re
import sys

INCLUDE = re.compile(r'^(\s*#\s*include\s*)"([^"]+)"', re.MULTILINE)


def closure(root, headers):
    """The headers and what they include, directly or not; paths from the root."""
    found, waiting = {}, list(headers)
    while waiting:
        header = waiting.pop()
        if header not in found:
            found[header] = (root / header).read_text()
            waiting += [name for _, name in INCLUDE.findall(found[header])]
    return found


def main(root, folder, *headers):
    root = pathlib.Path(root)
    target = pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / folder / "maskwatch"
    forwarders = {path.name: path.read_text() for path in (root / "include" / "maskwatch").glob("*.h")}
    included = [name for text in forwarders.values() for _, name in INCLUDE.findall(text)]
    for path, text in {**forwarders, **closure(root, [*headers, *included])}.items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(INCLUDE.sub(r"\1<maskwatch/\2>", text))
        file.chmod(0o644)


main(*sys.argv[1:])
