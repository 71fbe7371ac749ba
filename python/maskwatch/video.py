"""Video: frames from a camera, a file or a stream, and the people in them."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Iterator, Union

import numpy as np

from maskwatch import _core
from maskwatch.detector import Box, Face, MaskDetector, faces_of


@dataclasses.dataclass(frozen=True)
class Person:
    """Someone who was followed from frame to frame."""

    number: int
    """From 1, in the order in which they appeared; kept while hidden for a moment."""
    box: Box
    label: str | None
    """What most looks of late said; None before the first."""
    confidence: float
    seen_since: float
    """Seconds of the video."""
    last_seen: float

    def __repr__(self) -> str:
        x, y, width, height = self.box
        return (
            f"<Person {self.number} {self.label} {self.confidence:.1%} at x {x:.0f}, y {y:.0f}, "
            f"{width:.0f} x {height:.0f} pixels>"
        )


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame and what was seen in it. Unpacks as `image, faces, people`."""

    image: np.ndarray
    """uint8, height x width x 3, RGB."""
    faces: list[Face]
    people: list[Person]
    time: float
    """Seconds since the source began."""
    number: int
    """0, 1, ...; a live source that is read slowly skips some."""

    def __iter__(self) -> Iterator[Any]:
        return iter((self.image, self.faces, self.people))

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"<Frame {self.number} at {self.time:.2f} s, {width} x {height}: {len(self.people)} people>"


class Video:
    """Frames of a source, one after the other, with the faces and people in them.

        >>> for image, faces, people in maskwatch.Video("people.mp4"):
        ...     print(people)

    source: a file, a camera ("0", "/dev/video0", a part of its name), a folder of pictures, or an address (rtsp, http...).
    detector: the MaskDetector to use; by default one of the models that ship.
    timeout: seconds without data after which a live source counts as lost.
    reconnect: to a live source that was lost, until close(); otherwise it ends there.

    maskwatch.Error says why a source cannot be opened. Ends with the source, or by close(); `end_reason` then says why, if
    that was no clean end. Also a context manager. Of several threads that read it, each gets frames that the others do not.
    """

    def __init__(
        self,
        source: Union[str, int, "os.PathLike[str]"],
        detector: MaskDetector | None = None,
        *,
        timeout: float = 5.0,
        reconnect: bool = True,
    ) -> None:
        if isinstance(source, int):
            source = str(source)
        self._detector = detector or MaskDetector()
        self._labels = self._detector.labels
        self._core = _core.Video(self._detector._core, os.fspath(source), timeout, reconnect)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        seen = self._core.next()
        if seen is None:
            raise StopIteration
        image, time, number, faces, tracks = seen
        people = [
            Person(track_number, Box(*box), self._labels[label] if label >= 0 else None, confidence, since, last)
            for track_number, box, label, confidence, since, last in tracks
        ]
        return Frame(image, faces_of(faces, self._labels), people, time, number)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Video {self._core.description}, {self.width} x {self.height}, {self.fps:g} frames a second>"

    def close(self) -> None:
        """Ends the iteration, from any thread."""
        self._core.close()

    @property
    def fps(self) -> float:
        """Nominal frames a second."""
        return self._core.fps

    @property
    def width(self) -> int:
        return self._core.width

    @property
    def height(self) -> int:
        return self._core.height

    @property
    def live(self) -> bool:
        """Whether frames are lost that nobody reads in time."""
        return self._core.live

    @property
    def people_seen(self) -> int:
        """How many people there have been until now."""
        return self._core.people

    @property
    def end_reason(self) -> str:
        """Why the source ended, or was lost; "" for a clean end."""
        return self._core.end_reason
