"""A finished run made worse in one respect at a time: what association is given, and what it is scored against.

Detection and tracking stay as they were, and so do the boxes that are scored: what is lost is lost by association.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmc.embed import locate_again
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Scene
from mtmc.types import Array, Passage, Tracklet

__all__ = ["PERTURBATIONS", "Case", "case_of", "placed", "withheld"]

_OFFSET_S = 3.0
_DROPPED = 0.02
_MOVED = (0.05, 0.03)  # of the picture's width and height
_SPLIT = 0.20


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What association is given, and what its result is scored by.

    Attributes:
        scene: The place as association believes it to be.
        passages: What it may look at.
        shown: For each passage the tracklet that is scored in its place: of equal length, in the video's own frames
            and pixels.
        truth: Ground truth in those frames and pixels.
    """

    scene: Scene
    passages: tuple[Passage, ...]
    shown: tuple[Tracklet, ...]
    truth: Table


def case_of(scene: Scene, passages: Sequence[Passage]) -> Case:
    """A run as it was.

    Args:
        scene: Every camera that has ground truth counts.
        passages: Of all its cameras.
    """
    truth = [read_mot(c.ground_truth, c.number) for c in scene.cameras if c.ground_truth is not None]
    return Case(scene, tuple(passages), tuple(p.tracklet for p in passages), Table.concatenate(truth))


def withheld(scene: Scene, *, ground: bool = True) -> Scene:
    """The scene without zones, links and plane_alignments, and, unless ``ground`` is false, without homographies.

    Its clocks stay, but they may be corrected.
    """
    cameras = [
        replace(
            camera, zones=(), ground_from_image=None if ground else camera.ground_from_image, clock_is_stated=False
        )
        for camera in scene.cameras
    ]
    return replace(scene, cameras=tuple(cameras), links=(), plane_alignments=(), origins=())


def placed(passages: Sequence[Passage], scene: Scene) -> tuple[Passage, ...]:
    """The passages with the times, zones and places on the ground that a scene gives them."""
    return tuple(locate_again(passage, scene.camera(passage.tracklet.camera_id)) for passage in passages)


def _unchanged(case: Case, rng: np.random.Generator) -> Case:
    return case


def _clock_offsets(case: Case, rng: np.random.Generator) -> Case:
    """Every camera's clock is wrong by up to 3 s either way."""
    cameras = tuple(replace(c, clock=_later(c.clock, rng.uniform(-_OFFSET_S, _OFFSET_S))) for c in case.scene.cameras)
    scene = replace(case.scene, cameras=cameras)
    return replace(case, scene=scene, passages=placed(case.passages, scene))


def _later(clock: Clock, offset_s: float) -> Clock:
    return Clock(
        clock.fps,
        clock.start_s + offset_s,
        tuple((frame, seconds + offset_s) for frame, seconds in clock.time_map),
    )


def _dropped_frames(case: Case, rng: np.random.Generator) -> Case:
    """2 % of every camera's frames are missing and no clock says so: times fall behind, boxes are gone."""
    keep = np.ones(len(case.truth), bool)
    gone = {}
    for camera in case.scene.cameras:
        frames = _length(case, camera)
        gone[camera.id] = np.sort(rng.choice(frames, round(_DROPPED * frames), replace=False))
        keep &= (case.truth.camera != camera.number) | ~np.isin(case.truth.frame, gone[camera.id])
    case = _only(case, lambda t: ~np.isin(t.frame, gone[t.camera_id]), case.truth[keep])
    passages = []
    for passage in case.passages:
        tracklet = passage.tracklet
        frame = tracklet.frame - np.searchsorted(gone[tracklet.camera_id], tracklet.frame)
        time_s = case.scene.camera(tracklet.camera_id).clock.time_s(frame)
        passages.append(replace(passage, tracklet=replace(tracklet, frame=frame, time_s=time_s)))
    return replace(case, passages=tuple(passages))


def _dead_camera(case: Case, rng: np.random.Generator) -> Case:
    """The busiest camera sees nothing in the second half; vehicles left to a single camera do not count."""
    camera = _busiest(case)
    half = _length(case, camera) // 2
    truth = case.truth[(case.truth.camera != camera.number) | (case.truth.frame < half)]
    seen = np.unique(np.stack([truth.id, truth.camera], axis=1), axis=0)[:, 0]
    ids, cameras = np.unique(seen, return_counts=True)
    truth = truth[np.isin(truth.id, ids[cameras > 1])]
    return _only(case, lambda t: (t.frame < half) | (t.camera_id != camera.id), truth)


def _moved_camera(case: Case, rng: np.random.Generator) -> Case:
    """The busiest camera is knocked half-way: its picture shifts, its calibration, zones and links stay."""
    camera = _busiest(case)
    half = _length(case, camera) // 2
    corners = [p.tracklet.xyxy[:, 2:].max(axis=0) for p in case.passages if p.tracklet.camera_id == camera.id]
    step = np.array(camera.size_wh or np.max(corners, axis=0)) * _MOVED
    passages = []
    for passage in case.passages:
        tracklet = passage.tracklet
        if tracklet.camera_id == camera.id:
            shift = np.where(tracklet.frame[:, None] >= half, np.tile(step, 2), 0.0)
            passage = replace(passage, tracklet=replace(tracklet, xyxy=(tracklet.xyxy + shift).astype(np.float32)))
        passages.append(passage)
    return replace(case, passages=placed(passages, case.scene))


def _split_tracklets(case: Case, rng: np.random.Generator) -> Case:
    """20 % of the tracklets break in two somewhere in their middle half; both parts look like the whole."""
    able = [k for k, p in enumerate(case.passages) if len(p.tracklet) >= 4]
    chosen = set(rng.choice(able, round(_SPLIT * len(able)), replace=False).tolist()) if able else set()
    fresh = max((p.tracklet.track_id for p in case.passages), default=0)
    passages: list[Passage] = []
    shown: list[Tracklet] = []
    for k, (passage, tracklet) in enumerate(zip(case.passages, case.shown, strict=True)):
        length = len(tracklet)
        cut = int(rng.integers(length // 4, length - length // 4)) if k in chosen else length
        for part, rows in enumerate([np.arange(cut), np.arange(cut, length)][: 1 + (k in chosen)]):
            fresh += part
            track_id = fresh if part else tracklet.track_id
            passages.append(
                replace(_rows(passage, rows), tracklet=replace(passage.tracklet[rows], track_id=track_id))
            )
            shown.append(replace(tracklet[rows], track_id=track_id))
    return replace(case, passages=placed(passages, case.scene), shown=tuple(shown))


def _without_appearance(case: Case, rng: np.random.Generator) -> Case:
    blank = np.zeros(0, np.float32)
    return replace(case, passages=tuple(replace(p, embedding=blank) for p in case.passages))


def _without_geometry(case: Case, rng: np.random.Generator) -> Case:
    """No homographies; zones and links stay."""
    cameras = tuple(replace(c, ground_from_image=None) for c in case.scene.cameras)
    scene = replace(case.scene, cameras=cameras, origins=())
    return replace(case, scene=scene, passages=placed(case.passages, scene))


def _busiest(case: Case) -> Camera:
    ids = [p.tracklet.camera_id for p in case.passages]
    return max(case.scene.cameras, key=lambda c: (ids.count(c.id), c.id))


def _length(case: Case, camera: Camera) -> int:
    """Frames of a camera: as given, else as far as anything was seen."""
    last = [int(p.tracklet.frame[-1]) for p in case.passages if p.tracklet.camera_id == camera.id]
    return camera.frame_count or 1 + max(last, default=0)


def _only(case: Case, keep: Callable[[Tracklet], Array], truth: Table) -> Case:
    """The rows for which ``keep`` (of the tracklet that is shown) holds; passages without any are left out."""
    rows = [np.flatnonzero(keep(tracklet)) for tracklet in case.shown]
    left = [(p, t, r) for p, t, r in zip(case.passages, case.shown, rows, strict=True) if len(r)]
    cut = tuple(_rows(p, r) for p, _, r in left)
    return Case(case.scene, placed(cut, case.scene), tuple(t[r] for _, t, r in left), truth)


def _rows(passage: Passage, rows: Array) -> Passage:
    return replace(passage, tracklet=passage.tracklet[rows], ground_m=passage.ground_m[rows])


_KINDS: dict[str, Callable[[Case, np.random.Generator], Case]] = {
    "as it is": _unchanged,
    "clocks off by up to 3 s": _clock_offsets,
    "2 % of frames dropped": _dropped_frames,
    "one camera dead for half the time": _dead_camera,
    "one camera moved half-way": _moved_camera,
    "20 % of tracklets split": _split_tracklets,
    "no appearance": _without_appearance,
    "no geometry": _without_geometry,
}


def _seeded(name: str) -> Callable[[Case, int], Case]:
    def apply(case: Case, seed: int) -> Case:
        return _KINDS[name](case, np.random.default_rng([seed, zlib.crc32(name.encode())]))

    return apply


#: (case, seed) → the case made worse, by what is wrong with it.
PERTURBATIONS: dict[str, Callable[[Case, int], Case]] = {name: _seeded(name) for name in _KINDS}
