"""The values that travel between stages: one frozen, checked type for each.

::

    Frame ─► Detections ─► Tracklet ─► Passage ─► GlobalTrack

Letters in shapes: N detections in a frame, L observations of a tracklet, D size of an embedding. Boxes are
half-open floats in pixels of the original image, ``(x1, y1, x2, y2)``, width = x2 − x1, origin at the top left
corner of the top left pixel. Frames count from 0. Times are seconds on the scene's clock, common to all cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CLASSES",
    "COLORS",
    "Array",
    "Detections",
    "Frame",
    "GlobalTrack",
    "Passage",
    "TrackedDetections",
    "Tracklet",
    "class_index",
]

Array = NDArray[Any]

#: The project's own vocabulary; a ``class_id`` is an index into it. Detectors are adapted to it by name.
CLASSES: tuple[str, ...] = (
    "vehicle",
    "car",
    "van",
    "pickup",
    "truck",
    "bus",
    "motorcycle",
    "bicycle",
    "person",
)

#: Colors of vehicles, as far as a network tells them apart.
COLORS: tuple[str, ...] = ("white", "gray", "yellow", "red", "green", "blue", "black")

_SYNONYMS = {
    "motorbike": "motorcycle",
    "lorry": "truck",
    "box truck": "truck",
    "sedan": "car",
    "hatchback": "car",
    "estate": "car",
    "suv": "car",
}


def class_index(name: str) -> int:
    """Index of a class name (or a common synonym) in :data:`CLASSES`; −1 for a class we do not speak of.

    >>> CLASSES[class_index("Motorbike")]
    'motorcycle'
    """
    key = name.strip().lower()
    key = _SYNONYMS.get(key, key)
    return CLASSES.index(key) if key in CLASSES else -1


def _check(owner: object, name: str, dtype: type, shape: tuple[int | None, ...]) -> None:
    """Raise unless field ``name`` is an array of that dtype and shape (None is any length)."""
    value = getattr(owner, name)
    # The usual case first: a tracker checks many small arrays per frame.
    if type(value) is np.ndarray and value.shape == shape and value.dtype == dtype:
        return
    kind = type(owner).__name__
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{kind}.{name}: expected an array, got {type(value).__name__}")
    fits = value.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, value.shape, strict=True)
    )
    if value.dtype != dtype or not fits:
        want_text = "(" + ", ".join("·" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{kind}.{name}: expected {np.dtype(dtype)} {want_text}, got {value.dtype} {value.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture of one camera.

    Attributes:
        camera_id: The camera it comes from.
        index: Frame number, counted from 0.
        time_s: Seconds on the scene's clock.
        image: uint8 (H, W, 3), RGB.
    """

    camera_id: str
    index: int
    time_s: float
    image: Array

    def __post_init__(self) -> None:
        _check(self, "image", np.uint8, (None, None, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The vehicles found in one frame, as parallel columns.

    Attributes:
        xyxy: float32 (N, 4), pixels of the original image.
        score: float32 (N,), in [0, 1].
        class_id: int64 (N,), index into :data:`CLASSES`.
        appearance: float32 (N, D); D = 0 where no model describes the boxes.
    """

    xyxy: Array
    score: Array
    class_id: Array
    appearance: Array

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        _check(self, "xyxy", np.float32, (None, 4))
        _check(self, "score", np.float32, (n,))
        _check(self, "class_id", np.int64, (n,))
        _check(self, "appearance", np.float32, (n, None))

    @classmethod
    def of(cls, xyxy: Any, score: Any, class_id: Any | None = None, appearance: Any | None = None) -> Detections:
        """Build from anything array-like, converting dtypes; the class defaults to "vehicle"."""
        boxes = np.asarray(xyxy, np.float32).reshape(-1, 4)
        n = len(boxes)
        return cls(
            xyxy=boxes,
            score=np.asarray(score, np.float32).reshape(n),
            class_id=np.zeros(n, np.int64) if class_id is None else np.asarray(class_id, np.int64).reshape(n),
            appearance=np.zeros((n, 0), np.float32) if appearance is None else np.asarray(appearance, np.float32),
        )

    @classmethod
    def empty(cls, dim: int = 0) -> Detections:
        """No detections, with room for appearance vectors of that size."""
        return cls.of(np.zeros((0, 4)), np.zeros(0), appearance=np.zeros((0, dim), np.float32))

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """All rows of ``parts`` in order; appearance sizes must agree."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([p.xyxy for p in parts]),
            np.concatenate([p.score for p in parts]),
            np.concatenate([p.class_id for p in parts]),
            np.concatenate([p.appearance for p in parts]),
        )

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: Array | slice | list[int]) -> Detections:
        """The chosen rows (boolean mask, indices or slice), all columns together."""
        return Detections(self.xyxy[rows], self.score[rows], self.class_id[rows], self.appearance[rows])


@dataclass(frozen=True, slots=True, eq=False)
class TrackedDetections:
    """The tracks of one camera in one frame, as parallel columns.

    Attributes:
        frame: Frame number.
        track_id: int64 (M,), id of the tracklet that the row will be part of, ≥ 1; 0 while the track is tentative.
        xyxy: float32 (M, 4), pixels of the original image.
        score: float32 (M,), score of the detection; 0 for a predicted box.
        class_id: int64 (M,), index into :data:`CLASSES`.
        detection: int64 (M,), row of the detection in the frame's :class:`Detections`; −1 for a predicted box. A
            predicted box becomes part of the tracklet only if the track is detected again.
    """

    frame: int
    track_id: Array
    xyxy: Array
    score: Array
    class_id: Array
    detection: Array

    def __post_init__(self) -> None:
        n = len(self.track_id)
        _check(self, "track_id", np.int64, (None,))
        _check(self, "xyxy", np.float32, (n, 4))
        _check(self, "score", np.float32, (n,))
        _check(self, "class_id", np.int64, (n,))
        _check(self, "detection", np.int64, (n,))

    @classmethod
    def empty(cls, frame: int) -> TrackedDetections:
        """A frame without tracks."""
        integers = np.zeros(0, np.int64)
        return cls(frame, integers, np.zeros((0, 4), np.float32), np.zeros(0, np.float32), integers, integers)

    def __len__(self) -> int:
        return len(self.track_id)

    def followed_by(self, others: TrackedDetections) -> TrackedDetections:
        """These rows and then the others of the same frame."""
        if not len(others):
            return self
        return TrackedDetections(
            frame=self.frame,
            track_id=np.concatenate([self.track_id, others.track_id]),
            xyxy=np.concatenate([self.xyxy, others.xyxy]),
            score=np.concatenate([self.score, others.score]),
            class_id=np.concatenate([self.class_id, others.class_id]),
            detection=np.concatenate([self.detection, others.detection]),
        )

    @property
    def confirmed(self) -> Array:
        """Whether the track is confirmed, so that its id is known: bool (M,)."""
        return np.asarray(self.track_id > 0)

    @property
    def detected(self) -> Array:
        """Whether the box was detected; otherwise it was predicted: bool (M,)."""
        return np.asarray(self.detection >= 0)


@dataclass(frozen=True, slots=True, eq=False)
class Tracklet:
    """One vehicle in one camera, for as long as the tracker held on to it.

    Attributes:
        camera_id: The camera.
        track_id: int ≥ 1, unique within the camera.
        frame: int64 (L,), strictly increasing, from 0. Gaps are allowed.
        time_s: float64 (L,), seconds on the scene's clock.
        xyxy: float32 (L, 4).
        score: float32 (L,); 0 marks an interpolated box.
        class_id: Index into :data:`CLASSES`, the tracklet's majority.
        appearance: float32 (L, D); D = 0 when boxes were not described before tracking.
    """

    camera_id: str
    track_id: int
    frame: Array
    time_s: Array
    xyxy: Array
    score: Array
    class_id: int
    appearance: Array

    def __post_init__(self) -> None:
        length = len(self.frame)
        _check(self, "frame", np.int64, (None,))
        _check(self, "time_s", np.float64, (length,))
        _check(self, "xyxy", np.float32, (length, 4))
        _check(self, "score", np.float32, (length,))
        _check(self, "appearance", np.float32, (length, None))
        if length == 0:
            raise ValueError("Tracklet: expected at least one observation, got none")
        if length > 1 and not (np.diff(self.frame) > 0).all():
            raise ValueError("Tracklet.frame: expected strictly increasing frame numbers")

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Array | slice) -> Tracklet:
        """The same vehicle at the chosen observations only."""
        return Tracklet(
            self.camera_id,
            self.track_id,
            self.frame[rows],
            self.time_s[rows],
            self.xyxy[rows],
            self.score[rows],
            self.class_id,
            self.appearance[rows],
        )

    @property
    def start_s(self) -> float:
        """Scene time of the first observation."""
        return float(self.time_s[0])

    @property
    def end_s(self) -> float:
        """Scene time of the last observation."""
        return float(self.time_s[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A cleaned tracklet with all that cross-camera matching may look at.

    Attributes:
        tracklet: The vehicle in its camera.
        embedding: float32 (D,), unit length; D = 0 where there was no picture to describe.
        entry: Name of the zone it came in by, or "".
        exit: Name of the zone it left by, or "".
        ground_m: float64 (L, 2), meters on the ground plane, NaN where the camera is not calibrated.
        ground_plane: Name of that plane; places on planes of different names are not to be compared.
        class_probability: float32 (len(CLASSES),), by an attribute network; of size 0 without one.
        color_probability: float32 (len(COLORS),), likewise.
    """

    tracklet: Tracklet
    embedding: Array
    entry: str
    exit: str
    ground_m: Array
    ground_plane: str = ""
    class_probability: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    color_probability: Array = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        _check(self, "class_probability", np.float32, (len(CLASSES) if len(self.class_probability) else 0,))
        _check(self, "color_probability", np.float32, (len(COLORS) if len(self.color_probability) else 0,))
        _check(self, "embedding", np.float32, (None,))
        _check(self, "ground_m", np.float64, (len(self.tracklet), 2))
        if len(self.embedding) and not np.isclose(np.linalg.norm(self.embedding), 1.0, atol=1e-3):
            raise ValueError(f"Passage.embedding: expected unit length, got {np.linalg.norm(self.embedding):.4f}")


@dataclass(frozen=True, slots=True, eq=False)
class GlobalTrack:
    """One vehicle across the scene.

    Attributes:
        global_id: int ≥ 1, unique in the scene.
        passages: In order of (start time, camera_id, track_id).
    """

    global_id: int
    passages: tuple[Passage, ...]

    def __post_init__(self) -> None:
        if self.global_id < 1 or not self.passages:
            raise ValueError("GlobalTrack: expected an id from 1 and at least one passage")

    @property
    def class_id(self) -> int:
        """The class of most boxes; "vehicle" only where no passage has a more specific one."""
        boxes = np.zeros(len(CLASSES))
        for passage in self.passages:
            boxes[passage.tracklet.class_id] += len(passage.tracklet)
        specific = np.where(np.arange(len(CLASSES)) == CLASSES.index("vehicle"), 0, boxes)
        return int((specific if specific.any() else boxes).argmax())

    @property
    def color(self) -> str:
        """The color of most boxes, one of :data:`COLORS`; "" without an attribute network."""
        boxes = np.zeros(len(COLORS))
        for passage in self.passages:
            if len(passage.color_probability):
                boxes[passage.color_probability.argmax()] += len(passage.tracklet)
        return COLORS[int(boxes.argmax())] if boxes.any() else ""

    @property
    def camera_ids(self) -> tuple[str, ...]:
        """The cameras that saw it, each once, sorted."""
        return tuple(sorted({p.tracklet.camera_id for p in self.passages}))
