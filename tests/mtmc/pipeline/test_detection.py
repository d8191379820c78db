"""Batches within and across cameras, parts of results, and videos that break off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.pipeline import detection
from mtmc.pipeline.cache import StageCache
from mtmc.pipeline.detection import detect_videos, load_detections
from mtmc.scene import Camera
from mtmc.types import Detections, Frame
from tests.builders import traffic_frames, write_video


class Counting:
    """Finds one box per frame whose left edge is the frame's number; remembers what came together."""

    def __init__(self, stateful: bool = False, die_after: int | None = None) -> None:
        self.stateful, self.die_after = stateful, die_after
        self.batches: list[list[tuple[str, int]]] = []

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        if self.die_after is not None and len(self.batches) == self.die_after:
            raise KeyboardInterrupt
        self.batches.append([(frame.camera_id, frame.index) for frame in frames])
        return [Detections.of([[frame.index, 0, frame.index + 5, 5]], [0.5]) for frame in frames]


def silent(done: int, total: int | None) -> None:
    pass


def make_camera(folder: Path, name: str, frames: int) -> Camera:
    video = write_video(folder / f"{name}.mp4", traffic_frames(frames))
    return Camera(id=name, number=1, clock=Clock(fps=10), video=video)


def lefts(found: detection.VideoDetections) -> list[int]:
    return [int(detections.xyxy[0, 0]) for detections in found.frames]


def test_batches_take_turns_between_cameras(tmp_path: Path) -> None:
    cameras = [make_camera(tmp_path, "a", 7), make_camera(tmp_path, "b", 3)]
    detector = Counting()
    found = detect_videos(cameras, ["k", "k"], detector, 4, StageCache(tmp_path), silent)
    assert [lefts(f) for f in found] == [list(range(7)), list(range(3))]
    assert detector.batches[0] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [len(batch) for batch in detector.batches] == [4, 4, 2]


def test_what_is_saved_is_what_was_found(tmp_path: Path) -> None:
    camera = make_camera(tmp_path, "a", 5)
    [found] = detect_videos([camera], ["k"], Counting(), 2, StageCache(tmp_path), silent)
    again = load_detections(StageCache(tmp_path), camera, "k")
    assert again is not None
    assert (lefts(again), again.problem) == (lefts(found), "")
    assert load_detections(StageCache(tmp_path), camera, "other") is None


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_an_interrupted_detection_goes_on_with_the_same_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(detection, "_PART", 4)
    camera, cache = make_camera(tmp_path, "a", 14), StageCache(tmp_path)
    whole = Counting()
    detect_videos([camera], ["whole"], whole, batch, cache, silent)
    first = Counting(die_after=3)
    with pytest.raises(KeyboardInterrupt):
        detect_videos([camera], ["k"], first, batch, cache, silent)
    second = Counting()
    [found] = detect_videos([camera], ["k"], second, batch, cache, silent)
    part = batch * max(1, 4 // batch)
    kept = part * (3 * batch // part)
    assert second.batches == whole.batches[kept // batch :]
    assert lefts(found) == list(range(14))
    assert sorted(p.name for p in (tmp_path / "detect").iterdir()) == ["a-k.npz", "a-whole.npz"]


def test_a_detector_with_a_memory_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "_PART", 2)
    camera, cache = make_camera(tmp_path, "a", 6), StageCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        detect_videos([camera], ["k"], Counting(stateful=True, die_after=4), 1, cache, silent)
    again = Counting(stateful=True)
    detect_videos([camera], ["k"], again, 1, cache, silent)
    assert again.batches[0] == [("a", 0)]


def test_a_video_that_breaks_off_keeps_what_came(tmp_path: Path) -> None:
    good, bad = make_camera(tmp_path, "a", 12), make_camera(tmp_path, "b", 60)
    assert bad.video is not None
    bad.video.write_bytes(bad.video.read_bytes()[:-2000])
    found = detect_videos([good, bad], ["k", "k"], Counting(), 4, StageCache(tmp_path), silent)
    assert (len(found[0].frames), found[0].problem) == (12, "")
    assert 0 < len(found[1].frames) < 60
    assert "b.mp4: expected a video that can be decoded to its end" in found[1].problem
    assert lefts(found[1]) == list(range(len(found[1].frames)))
    assert np.isfinite(found[1].frames[-1].score).all()
