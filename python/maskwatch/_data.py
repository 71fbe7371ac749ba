"""Where the models lie that ship."""

from __future__ import annotations

import os
import pathlib
import site
import sysconfig


def _folders() -> list[pathlib.Path]:
    given = os.environ.get("MASKWATCH_DATA")
    folders = [pathlib.Path(given)] if given else []
    package = pathlib.Path(__file__).resolve().parent
    for base in (sysconfig.get_path("data"), site.getuserbase()):
        folders.append(pathlib.Path(base) / "share" / "maskwatch")
        folders.append(pathlib.Path(base) / "maskwatch")  # a wheel has no folder share/
    # pip install --target, and a distribution's or meson's own layout: PREFIX/lib/python3*/*-packages/maskwatch.
    folders += [above / "share" / "maskwatch" for above in package.parents]
    # The source tree, where the package is used from there.
    folders.append(package.parent.parent / "data")
    return folders


def _find(name: str) -> str:
    """The path of a model that ships, or "": the library then looks in its own folders, and says where it did."""
    return next((str(folder / name) for folder in _folders() if (folder / name).is_file()), "")


def model_file() -> str:
    return _find("models/mask_detector.safetensors")


def face_detector_file() -> str:
    return _find("models/face_detector.safetensors") or "ours"
