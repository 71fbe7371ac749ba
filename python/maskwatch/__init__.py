"""Finds faces in pictures and in video, and says of each whether it wears a mask.

    >>> import maskwatch
    >>> detector = maskwatch.MaskDetector()
    >>> for face in detector.detect("people.jpg"):
    ...     print(face.label, face.probability, face.box)

Everything runs in C++, on the CPU unless `device` names a GPU; no other framework is needed. `MaskDetector` finds and classifies, `draw` shows the
result, `Video` follows people through a video, and `train` and `evaluate` run the project's own programs.
"""

from __future__ import annotations

from maskwatch import _data  # noqa: F401  (tells the library where the models lie)
from maskwatch._core import Error, __version__
from maskwatch.detector import Box, Face, ImageLike, MaskDetector, draw, model_file
from maskwatch.programs import ProgramFailed, evaluate, run_program, train
from maskwatch.video import Frame, Person, Video

__all__ = [
    "Box",
    "Error",
    "Face",
    "Frame",
    "ImageLike",
    "MaskDetector",
    "Person",
    "ProgramFailed",
    "Video",
    "__version__",
    "draw",
    "evaluate",
    "model_file",
    "run_program",
    "train",
]
