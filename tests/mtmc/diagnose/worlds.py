"""A small run made by hand: two cameras, three vehicles, one error of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtmc.config import RunConfig
from mtmc.diagnose.matched_run import MatchedRun
from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.pipeline.camera import CameraResult
from mtmc.pipeline.results import LoadedRun
from mtmc.scene import Camera, Scene
from mtmc.types import Array, GlobalTrack, Passage, Tracklet

__all__ = ["hand_made_losses", "hand_made_run", "run_of"]


def rows(
    camera: int, track: int, identity: int, vehicle: int, first: int, last: int, *, dx: float = 0, score: float = 0.9
) -> Table:
    """A vehicle in its own lane, 40 × 30 px, 5 px per frame, from one frame to another, both included."""
    frame = np.arange(first, last + 1)
    left, top = 100.0 + 5 * frame + dx, np.full(len(frame), 100.0 * vehicle)
    n = len(frame)
    xyxy = np.stack([left, top, left + 40, top + 30], axis=1)
    return Table.of(
        camera,
        np.full(n, identity),
        frame,
        xyxy,
        score=np.full(n, score),
        track_id=np.full(n, track),
        time_s=frame / 10,
    )


def hand_made_run() -> MatchedRun:
    """Vehicles 1 and 2 in both cameras, 3 in the first only, in frames 0 to 9.

    No vehicle drives in lane 9.
    """
    truth = Table.concatenate([rows(camera, v, v, v, 0, 9) for camera, v in ((1, 1), (2, 1), (1, 2), (2, 2), (1, 3))])
    written = Table.concatenate(
        [
            rows(1, 1, 1, 1, 0, 9),
            rows(1, 1, 1, 9, 10, 11),  # false detections at its end
            rows(1, 2, 2, 2, 0, 6),
            rows(1, 2, 2, 3, 7, 9),  # changes to vehicle 3 …
            rows(1, 2, 2, 9, 10, 10, score=0.0),  # and is interpolated after that
            rows(1, 3, 5, 3, 0, 6),
            rows(1, 3, 5, 2, 7, 9),  # … and this one to vehicle 2
            rows(2, 1, 1, 1, 0, 5),
            rows(2, 2, 3, 1, 6, 9),  # a fragment that kept an identity of its own
            rows(2, 3, 4, 2, 0, 5),
            rows(2, 3, 4, 2, 6, 7, dx=17),  # IoU 23 / 57 = 0.40
        ]
    )
    return MatchedRun.of(truth, written, Table.empty(), {}, "aicity")


def hand_made_losses(matched: MatchedRun) -> Array:
    """Two true boxes have no match: the detector missed frame 8 and the clean-up dropped frame 9."""
    missing = np.ones(len(matched.truth), bool)
    missing[matched.match[matched.match >= 0]] = False
    assert matched.truth.frame[missing].tolist() == [8, 9]
    lost = np.full(len(matched.truth), "", dtype="<U20")
    lost[missing] = ["detector", "clean-up"]
    return lost


def run_of(matched: MatchedRun, out: Path) -> LoadedRun:
    """A finished run with this result."""
    cameras = tuple(Camera(f"c{n:03d}", n, Clock(10.0)) for n in np.unique(matched.truth.camera).tolist())
    passages: dict[int, list[Passage]] = {}
    table = matched.written
    for camera, track, identity in np.unique(
        np.stack([table.camera, table.track_id, table.id], axis=1), axis=0
    ).tolist():
        own = table[(table.camera == camera) & (table.track_id == track)]
        n = len(own)
        tracklet = Tracklet(
            f"c{camera:03d}",
            track,
            own.frame,
            own.time_s,
            own.xyxy.astype(np.float32),
            own.score.astype(np.float32),
            1,
            np.zeros((n, 0), np.float32),
        )
        passage = Passage(tracklet, np.zeros(0, np.float32), "", "", np.full((n, 2), np.nan))
        passages.setdefault(identity, []).append(passage)
    every = [p for members in passages.values() for p in members]
    results = tuple(CameraResult(c.id, [p for p in every if p.tracklet.camera_id == c.id]) for c in cameras)
    tracks = tuple(GlobalTrack(identity, tuple(members)) for identity, members in sorted(passages.items()))
    scene = Scene("hand", out, cameras)
    return LoadedRun(out, scene, scene, RunConfig(), results, tracks)
