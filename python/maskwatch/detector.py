"""Pictures: find the faces, say who wears a mask, draw it."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Iterable, NamedTuple, Sequence, Union

import numpy as np

from maskwatch import _core

ImageLike = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, np.ndarray, Any]


class Box(NamedTuple):
    """A rectangle in pixels of the image: left and top edge, width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class Face:
    """A face, and what it wears."""

    box: Box
    score: float
    """How sure it is that this is a face, 0 to 1 with the detector that ships."""
    label: str
    """The likeliest class of the likeliest meaning, as the model names it: "with_mask"."""
    meaning: str
    """What the label means: "mask", "no_mask", "worn_wrongly" or "other"."""
    probability: float
    """Of what the label means: classes of one meaning count together."""
    probabilities: dict[str, float]
    """Of all labels; they sum to 1."""

    def __repr__(self) -> str:
        x, y, width, height = self.box
        return f"<Face {self.label} {self.probability:.1%} at x {x:.0f}, y {y:.0f}, {width:.0f} x {height:.0f} pixels>"

    def to_dict(self) -> dict[str, Any]:
        """Flat, of plain values: `pandas.DataFrame(face.to_dict() for face in faces)`."""
        return {
            **self.box._asdict(),
            "score": self.score,
            "label": self.label,
            "meaning": self.meaning,
            "probability": self.probability,
            **{f"probability_{label}": value for label, value in self.probabilities.items()},
        }


def pixels_of(image: Any, *, bgr: bool = False) -> np.ndarray:
    """An array that the C++ side takes: uint8, height x width x 3 (RGB) or height x width (grey), no gaps within rows.

    Takes such an array as it is, and copies one of other strides, or what numpy makes one of (a PIL image in any mode).
    ValueError or TypeError say what is wrong with another one.
    """
    if hasattr(image, "convert") and hasattr(image, "mode"):  # a PIL image
        image = np.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB"))
    if not isinstance(image, np.ndarray):
        raise TypeError(
            "an image is a path, the bytes of a file, a numpy array or a PIL image, not " + type(image).__name__
        )
    shape = " x ".join(map(str, image.shape)) or "no dimension"
    if image.dtype != np.uint8:
        raise TypeError(f"an image array has dtype uint8, values 0 to 255, not {image.dtype} ({shape})")
    if image.size == 0:
        raise ValueError(f"the image is empty ({shape})")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 3 and image.shape[2] == 4:
        raise ValueError(f"an image has 3 channels or 1, not 4 ({shape}): leave alpha out with image[:, :, :3]")
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] == 3):
        raise ValueError(f"an image array is height x width x 3 or height x width, not {shape}")
    if bgr and image.ndim == 3:
        image = image[:, :, ::-1]
    height, width, *channels = image.shape
    pixel = channels[0] if channels else 1
    if image.strides[1:] == ((pixel, 1) if channels else (1,)) and image.strides[0] >= width * pixel:
        return image
    return np.ascontiguousarray(image)


class MaskDetector:
    """Finds the faces of a picture and says of each whether it wears a mask.

    model: a model file (path or bytes); None takes the one that ships.
    face: how faces are found: "ours", "haar", "ssd", "none" (the picture is the face), a cascade (.xml) or detector
        (.safetensors) by its path, or the bytes of one.
    confidence: least score of faces, 0 to 1.
    detail: looks for smaller faces in large pictures; 0: down to the smallest that can be told. None: as the programs do by default.
    threads: of the whole process; 0 leaves them as they are, at first one for each core.
    device: where the networks run: "cpu", "cuda" or "cuda:N" (a GPU, in a build that found nvcc), or "auto" (a GPU if one
        can be had). Faces by "haar" are found on the CPU.

    Reads its models at once: FileNotFoundError, or maskwatch.Error for a file that is damaged or of another kind, and for a
    GPU that cannot be had. May be used by several threads; they take turns.
    """

    def __init__(
        self,
        model: Union[str, "os.PathLike[str]", bytes, None] = None,
        *,
        face: Union[str, "os.PathLike[str]", bytes] = "ours",
        confidence: float = 0.5,
        detail: int | None = None,
        threads: int = 0,
        device: str = "cpu",
    ) -> None:
        model_path, model_bytes = ("", b"") if model is None else _path_or_bytes(model)
        face_path, face_bytes = _path_or_bytes(face)
        self._core = _core.Detector(model_path, model_bytes, face_path, face_bytes, confidence, detail, threads, device)
        if detail is not None and not self._core.heeds_detail:
            raise ValueError(f"detail makes no difference to the face detector {self._core.face_detector_name}")

    def __repr__(self) -> str:
        return f"<MaskDetector {', '.join(self.labels)}; faces by {self._core.face_detector_name}>"

    @property
    def device(self) -> str:
        """Where the networks run: "cpu" or "cuda:N"."""
        return self._core.device

    @property
    def labels(self) -> list[str]:
        """The classes of the model, as it names them."""
        return list(self._core.labels)

    @property
    def meanings(self) -> list[str]:
        """What each of them means: "mask", "no_mask", "worn_wrongly" or "other"."""
        return list(self._core.meanings)

    def detect(self, image: ImageLike, *, bgr: bool = False) -> list[Face]:
        """The faces of one picture, surest first.

        image: a path, the bytes of a file, a PIL image, or an array of uint8, height x width x 3 (RGB) or height x width
            (grey).
        bgr: the array's channels are blue, green, red, as cv2.imread gives them.
        """
        if isinstance(image, (str, os.PathLike)):
            found = self._core.detect_path(_existing(image))
        elif isinstance(image, (bytes, bytearray, memoryview)):
            if len(image) == 0:
                raise ValueError("the image has 0 bytes")
            found = self._core.detect_bytes(bytes(image))
        else:
            found = self._core.detect_array(pixels_of(image, bgr=bgr))
        return faces_of(found, self.labels)

    def detect_all(self, images: Iterable[ImageLike], *, bgr: bool = False) -> list[list[Face]]:
        """The faces of many pictures: the networks see several of them at once, which is faster.

        All of them are held in memory; pass a large collection in parts.
        """
        arrays = [pixels_of(_decoded(image), bgr=bgr) for image in images]
        labels = self.labels
        return [faces_of(found, labels) for found in self._core.detect_arrays(arrays)]


def draw(image: ImageLike, faces: Sequence[Face], *, bgr: bool = False) -> np.ndarray:
    """The picture (as MaskDetector.detect takes it; grey ones become RGB) with a box around each face and what it wears.

    Returns a new array, height x width x 3, with its channels in the order of those given.
    """
    pixels = pixels_of(_decoded(image), bgr=bgr)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    drawn = _core.draw(pixels, [(tuple(f.box), f.label, f.meaning, f.probability) for f in faces])
    return drawn[:, :, ::-1] if bgr else drawn


def faces_of(found: Iterable[tuple[Any, ...]], labels: Sequence[str]) -> list[Face]:
    """Of what the C++ side returns."""
    return [
        Face(Box(*box), score, label, meaning, probability, dict(zip(labels, probabilities)))
        for box, score, label, meaning, probability, probabilities in found
    ]


def model_file() -> str:
    """The path of the classifier that ships, which is also a backbone to train from. maskwatch.Error if it is not there."""
    return _core.shipped_file("the classifier that ships", "models/mask_detector.safetensors")


def _path_or_bytes(given: Any) -> tuple[str, bytes]:
    if isinstance(given, (bytes, bytearray, memoryview)):
        if len(given) == 0:
            raise ValueError("a model has 0 bytes")
        return "", bytes(given)
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"a model is a path or the bytes of a file, not {type(given).__name__}")
    path = os.fspath(given)
    if isinstance(given, os.PathLike) or "/" in path or path.endswith((".safetensors", ".xml")):
        _existing(path)
    return path, b""


def _existing(path: Any) -> str:
    path = os.fspath(path)
    os.stat(path)  # FileNotFoundError, PermissionError
    return path


def _decoded(image: Any) -> Any:
    if isinstance(image, (str, os.PathLike)):
        return _core.load_image(_existing(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        if len(image) == 0:
            raise ValueError("an image has 0 bytes")
        return _core.decode_image(bytes(image))
    return image
