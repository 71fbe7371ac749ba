"""Tells the library where pip put the models that came with this package; it finds whole installs and source trees itself."""

from __future__ import annotations

import pathlib
import site
import sysconfig

from maskwatch import _core


def data_folder() -> str | None:
    """The folder of this package's data in a wheel that is installed, or None."""
    package = pathlib.Path(__file__).resolve().parent
    bases = (pathlib.Path(sysconfig.get_path("data")), pathlib.Path(site.getuserbase()), package.parent)
    return next((str(base / "maskwatch") for base in bases if (base / "maskwatch" / "models").is_dir()), None)


if (_folder := data_folder()) is not None:
    _core.add_data_folder(_folder)
