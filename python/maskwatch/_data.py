"""Where the models lie that ship."""

from __future__ import annotations

import pathlib
import site
import sysconfig

from maskwatch import _core


def _in_wheel(name: str) -> str:
    """The path that pip gave the file of a wheel, or "". The library itself looks for whole installs and source trees."""
    package = pathlib.Path(__file__).resolve().parent
    bases = (pathlib.Path(sysconfig.get_path("data")), pathlib.Path(site.getuserbase()), package.parent)
    return next((str(base / "maskwatch" / name) for base in bases if (base / "maskwatch" / name).is_file()), "")


def model_file() -> str:
    """The classifier that ships, or "": the library then says where it looked."""
    name = "models/mask_detector.safetensors"
    return _core.find_data_file(name) or _in_wheel(name)


def face_detector() -> str:
    """What the option `face` of the library takes for the face detector that ships."""
    name = "models/face_detector.safetensors"
    return "ours" if _core.find_data_file(name) else _in_wheel(name) or "ours"
