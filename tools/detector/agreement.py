"""Labels for real pictures by agreement of several detectors, none of which is asked alone.

Where at least two detectors find a vehicle at the same place there is one; what only one of them finds may be or may
not be, and is left out of the training: neither a vehicle nor background. Boxes that people drew are taken as they
are, and what the detectors find beside them is left out, too, since people do not draw every vehicle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mtmc.detect import DetectConfig, Detector, FilterConfig, load_detector
from mtmc.detect.nms import nms
from mtmc.geometry.boxes import area, iou_matrix
from mtmc.geometry.clock import Clock
from mtmc.types import CLASSES, Array, Frame
from mtmc.video.read import probe, read_frames
from tools.detector.clips import read_boxes
from tools.detector.dataset import IGNORED, Labels, write_example

__all__ = ["Proposals", "Source", "Voter", "agree", "label_clip", "load_voters", "look", "real_sources", "tiles_of"]

_VEHICLES = ("vehicle", "car", "van", "pickup", "truck", "bus", "motorcycle")
#: Detections with a lower score are no proposals.
_LEAST_SCORE = 0.15
#: What a find of background subtraction counts: with one sure detector it suffices, alone it does not.
_MOTION_SCORE = 0.5
_CAR = CLASSES.index("car")
#: Every so many frames of a clip are shown to background subtraction before the first.
_BACKGROUND_STEP = 12
#: Of boxes that people drew, those smaller than so many times the median are cars: detectors that are made for larger
#: pictures call a third of them trucks.
_LARGE = 2.0
#: IoU from which two detectors mean the same vehicle.
_SAME = 0.5
#: IoU below which a find lies beside a box that people drew.
_BESIDE = 0.3
#: Sum of two detectors' scores from which they agree that there is a vehicle.
_LEAST_SUM = 0.6
#: A lone find below this score does not even make a region ambiguous.
_LEAST_ALONE = 0.25
#: No vehicle takes more of a picture than this, and no region that only one detector marks.
_MOST_AREA, _MOST_AREA_ALONE = 0.6, 0.1
#: Pixels from a seam within which a box counts as cut by it.
_SEAM_PX = 3.0
_OVERLAP = 0.2


@dataclass(frozen=True, slots=True)
class Proposals:
    """What one detector finds in a picture: boxes float (N, 4) in pixels, scores (N,), classes int64 (N,)."""

    xyxy: Array
    score: Array
    class_id: Array


@dataclass(frozen=True, slots=True)
class Voter:
    """A detector that is asked.

    Attributes:
        detect: The detector.
        tiled: It is applied to tiles, too, since it is made for larger vehicles than a picture shows.
        score: What each of its finds counts; None: its score.
    """

    detect: Detector
    tiled: bool = True
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A real clip to label.

    Attributes:
        name: Of its pictures.
        video: The file.
        frames: Those that are used, from 0.
        drawn: Boxes that people drew, by frame from 0; None where there are none.
        tiles: Columns and rows of the tiles into which detectors look beside the whole picture.
    """

    name: str
    video: Path
    frames: tuple[int, ...]
    drawn: dict[int, Array] | None = None
    tiles: tuple[int, int] = (1, 1)


def real_sources(clips: Path) -> list[Source]:
    """The clips whose licenses allow to train on them, without the parts that are kept for measuring.

    Of US-101 camera 1 is used and camera 2 kept; of "highway" frames 720 to 898 are kept, and a second around them.
    """
    drawn = {frame: boxes.vehicles for frame, boxes in read_boxes(clips / "us101" / "cam1_boxes.txt").items()}
    highway = (*range(0, 640, 10), *range(950, 1699, 15))
    return [
        Source("us101", clips / "us101" / "cam1.mp4", tuple(range(1, 178, 3)), drawn, tiles=(3, 2)),
        Source("highway", clips / "highway" / "highway.avi", highway, tiles=(2, 2)),
        Source("top_view", clips / "top_view" / "top_view_cars.mp4", tuple(range(0, 377, 6))),
    ]


def load_voters(weights: Sequence[Path]) -> list[Voter]:
    """Detectors that look at pictures of their own size, 416 pixels or less, also look into tiles."""
    voters = []
    for path in weights:
        config = DetectConfig(weights=str(path), classes=_VEHICLES, filter=FilterConfig(min_confidence=_LEAST_SCORE))
        voters.append(Voter(load_detector(config), tiled=path.suffix == ".onnx"))
    return voters


def tiles_of(size_wh: tuple[int, int], columns: int, rows: int) -> list[tuple[int, int, int, int]]:
    """Tiles (x1, y1, x2, y2) that cover a picture and overlap by a fifth of their sides.

    >>> tiles_of((180, 100), 2, 1)
    [(0, 0, 100, 100), (80, 0, 180, 100)]
    """
    spans = []
    for length, count in zip(size_wh, (columns, rows), strict=True):
        side = length / (count - (count - 1) * _OVERLAP)
        starts = [round(k * side * (1 - _OVERLAP)) for k in range(count)]
        spans.append([(start, min(length, start + round(side))) for start in starts])
    return [(x1, y1, x2, y2) for x1, x2 in spans[0] for y1, y2 in spans[1]]


def look(voter: Voter, frame: Frame, tiles: tuple[int, int]) -> Proposals:
    """Finds in the whole picture and in its tiles, without those that a seam cuts, each vehicle once."""
    height, width = frame.image.shape[:2]
    grids = ((1, 1), tiles) if voter.tiled and tiles != (1, 1) else ((1, 1),)
    found = []
    for columns, rows in grids:
        for tile in tiles_of((width, height), columns, rows):
            here = _look_into(voter, frame, tile)
            whole = np.logical_not(_cut_by_seam(here.xyxy, tile, (width, height)))
            found.append(_take(here, whole))
    joined = _join(found)
    joined = _take(joined, area(joined.xyxy) <= _MOST_AREA * width * height)
    return _take(joined, nms(joined.xyxy, joined.score, _SAME))


def agree(proposals: Sequence[Proposals], size_wh: tuple[int, int], drawn: Array | None = None) -> Labels:
    """Vehicles on which detectors agree, and regions where they do not.

    Args:
        proposals: One element per detector; within one each vehicle is found once.
        size_wh: Width and height of the picture, pixels.
        drawn: float (K, 4), boxes that people drew; with them agreement only says of what type a vehicle is.

    Returns:
        The vehicles' mean boxes and types, and ambiguous regions with class −1.
    """
    everything = _join(proposals)
    voter = np.repeat(np.arange(len(proposals)), [len(p.score) for p in proposals])
    order = np.argsort(-everything.score, kind="stable")
    everything, voter = _take(everything, order), voter[order]

    boxes = [] if drawn is None else list(drawn)
    kinds = [] if drawn is None else _types_of_drawn(drawn, everything)
    free = np.ones(len(voter), bool)
    if drawn is not None and len(drawn):
        free = iou_matrix(everything.xyxy, drawn).max(axis=1) < _BESIDE
    overlap = iou_matrix(everything.xyxy, everything.xyxy)
    small = area(everything.xyxy) <= _MOST_AREA_ALONE * size_wh[0] * size_wh[1]

    for best in range(len(voter)):
        if not free[best]:
            continue
        group = np.logical_and(overlap[best] >= _SAME, free)
        free &= np.logical_not(group)
        strongest = sorted(everything.score[group & (voter == one)].max() for one in np.unique(voter[group]))
        agreed = len(strongest) >= 2 and sum(strongest[-2:]) >= _LEAST_SUM
        if agreed and drawn is None:
            boxes.append(np.average(everything.xyxy[group], axis=0, weights=everything.score[group]))
            kinds.append(_type_of(everything, group))
        elif agreed or (strongest[-1] >= _LEAST_ALONE and small[best]):
            boxes.append(everything.xyxy[best])
            kinds.append(IGNORED)
    return Labels(np.array(boxes, float).reshape(-1, 4), np.array(kinds, np.int64))


def label_clip(source: Source, voters: Sequence[Voter], out: Path) -> tuple[int, int, int]:
    """Write the pictures of a clip and their labels, as training examples.

    Args:
        source: The clip. Where no boxes were drawn background subtraction is one voter more.
        voters: Detectors that are asked.
        out: Folder in the layout of :mod:`tools.detector.dataset`.

    Returns:
        How many pictures, vehicles and ambiguous regions there are.
    """
    asked = list(voters)
    if source.drawn is None:
        asked.append(_background_voter(source))
    counts = np.zeros(3, int)
    for frame in _read(source, source.frames):
        drawn = None if source.drawn is None else source.drawn.get(frame.index)
        if source.drawn is not None and drawn is None:
            continue
        size_wh = (frame.image.shape[1], frame.image.shape[0])
        labels = agree([look(voter, frame, source.tiles) for voter in asked], size_wh, drawn)
        write_example(out, "train", f"{source.name}_{frame.index:05d}", frame.image, labels)
        ignored = int((labels.class_id == IGNORED).sum())
        counts += [1, len(labels.class_id) - ignored, ignored]
    pictures, vehicles, regions = counts.tolist()
    return pictures, vehicles, regions


def _background_voter(source: Source) -> Voter:
    """Background subtraction, fitted to the whole clip."""
    from mtmc.detect.motion import MotionDetector

    detector = MotionDetector(DetectConfig(weights="motion"))
    detector.fit_background(source.name, _read(source, range(0, max(source.frames), _BACKGROUND_STEP)))
    return Voter(detector, tiled=False, score=_MOTION_SCORE)


def _read(source: Source, wanted: Sequence[int]) -> Iterator[Frame]:
    clock = Clock(probe(source.video).fps or 10.0)
    return islice(read_frames(source.video, source.name, clock, wanted=frozenset(wanted)), len(wanted))


def _look_into(voter: Voter, frame: Frame, tile: tuple[int, int, int, int]) -> Proposals:
    """Finds in a tile, in the picture's pixels."""
    x1, y1, x2, y2 = tile
    part = np.ascontiguousarray(frame.image[y1:y2, x1:x2])
    found = voter.detect([Frame(frame.camera_id, frame.index, frame.time_s, part)])[0]
    score = found.score.astype(float) if voter.score is None else np.full(len(found.score), voter.score)
    return Proposals(found.xyxy + np.array([x1, y1, x1, y1], float), score, found.class_id)


def _cut_by_seam(xyxy: Array, tile: tuple[int, int, int, int], size_wh: tuple[int, int]) -> Array:
    """Which boxes (N, 4) end at a side of the tile that is no side of the picture: bool (N,)."""
    x1, y1, x2, y2 = tile
    width, height = size_wh
    left = (xyxy[:, 0] < x1 + _SEAM_PX) & (x1 > 0)
    top = (xyxy[:, 1] < y1 + _SEAM_PX) & (y1 > 0)
    right = (xyxy[:, 2] > x2 - _SEAM_PX) & (x2 < width)
    bottom = (xyxy[:, 3] > y2 - _SEAM_PX) & (y2 < height)
    return np.asarray(left | top | right | bottom)


def _join(parts: Sequence[Proposals]) -> Proposals:
    return Proposals(
        np.concatenate([part.xyxy.reshape(-1, 4) for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.class_id for part in parts]),
    )


def _take(proposals: Proposals, rows: Array) -> Proposals:
    return Proposals(proposals.xyxy[rows], proposals.score[rows], proposals.class_id[rows])


def _types_of_drawn(drawn: Array, proposals: Proposals) -> list[int]:
    """Types of boxes that people drew: a car, or what detectors take a large one for."""
    sizes = area(drawn)
    same = iou_matrix(drawn, proposals.xyxy) >= _SAME
    large = sizes >= _LARGE * np.median(sizes)
    return [_type_of(proposals, same[k]) if large[k] else _CAR for k in range(len(drawn))]


def _type_of(proposals: Proposals, group: Array) -> int:
    """The class with the largest sum of scores among those that name a type; 0 ("vehicle") where none does."""
    sums = np.bincount(proposals.class_id[group], weights=proposals.score[group], minlength=len(CLASSES))
    sums[0] = 0.0
    return int(sums.argmax())
