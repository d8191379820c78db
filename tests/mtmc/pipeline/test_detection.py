"""Batches within and across cameras, parts of results, and videos that break off."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from mtmc.config import load_config
from mtmc.errors import MtmcError
from mtmc.geometry.clock import Clock
from mtmc.pipeline import detection
from mtmc.pipeline.cache import StageCache
from mtmc.pipeline.detection import detect_videos, load_detections
from mtmc.types import Detections, Frame
from mtmc.video.source import Recording
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


def record(folder: Path, name: str, frames: int) -> Recording:
    return Recording(name, write_video(folder / f"{name}.mp4", traffic_frames(frames)), Clock(fps=10))


def lefts(found: detection.VideoDetections) -> list[int]:
    return [int(detections.xyxy[0, 0]) for _, detections in found]


def test_batches_take_turns_between_cameras(tmp_path: Path) -> None:
    cameras = [record(tmp_path, "a", 7), record(tmp_path, "b", 3)]
    detector = Counting()
    found = detect_videos(cameras, ["k", "k"], detector, 4, StageCache(tmp_path), silent)
    assert [lefts(f) for f in found] == [list(range(7)), list(range(3))]
    assert detector.batches[0] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [len(batch) for batch in detector.batches] == [4, 4, 2]


def test_what_is_saved_is_what_was_found(tmp_path: Path) -> None:
    camera = record(tmp_path, "a", 5)
    [found] = detect_videos([camera], ["k"], Counting(), 2, StageCache(tmp_path), silent)
    again = load_detections(StageCache(tmp_path), camera.name, "k")
    assert again is not None
    assert (lefts(again), again.problem) == (lefts(found), "")
    assert load_detections(StageCache(tmp_path), camera.name, "other") is None


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_an_interrupted_detection_goes_on_with_the_same_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(detection, "_PART", 4)
    camera, cache = record(tmp_path, "a", 14), StageCache(tmp_path)
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
    saved = {p.name for p in (tmp_path / "detect").iterdir()}
    parts = {f"a.from{start:07d}-{key}.npz" for start in range(0, 14, part) for key in ("k", "whole")}
    assert saved == {"a-k.npz", "a-whole.npz"} | parts


def test_a_detector_with_a_memory_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "_PART", 2)
    camera, cache = record(tmp_path, "a", 6), StageCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        detect_videos([camera], ["k"], Counting(stateful=True, die_after=4), 1, cache, silent)
    again = Counting(stateful=True)
    detect_videos([camera], ["k"], again, 1, cache, silent)
    assert again.batches[0] == [("a", 0)]


def test_a_video_that_breaks_off_keeps_what_came(tmp_path: Path) -> None:
    good, bad = record(tmp_path, "a", 12), record(tmp_path, "b", 60)
    bad.path.write_bytes(bad.path.read_bytes()[:-2000])
    found = detect_videos([good, bad], ["k", "k"], Counting(), 4, StageCache(tmp_path), silent)
    assert (found[0].frame_count, found[0].problem) == (12, "")
    assert 0 < found[1].frame_count < 60
    assert "b.mp4: expected a video that can be decoded to its end" in found[1].problem
    assert lefts(found[1]) == list(range(found[1].frame_count))


def test_detections_are_read_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second pass gives the same, and no more than one part is ever loaded at a time."""
    monkeypatch.setattr(detection, "_PART", 2)
    camera, cache = record(tmp_path, "a", 5), StageCache(tmp_path)
    [found] = detect_videos([camera], ["k"], Counting(), 1, cache, silent)
    assert lefts(found) == lefts(found) == [0, 1, 2, 3, 4]
    loads: list[str] = []
    real = StageCache.load
    monkeypatch.setattr(StageCache, "load", lambda self, *where: (loads.append(where[1]), real(self, *where))[1])
    again = load_detections(cache, "a", "k")
    assert again is not None
    frames = iter(again)
    assert next(frames)[0] == 0
    assert loads == ["a", "a.from0000000"]
    assert [index for index, _ in frames] == [1, 2, 3, 4]


def test_a_summary_says_what_the_frames_hold(tmp_path: Path) -> None:
    camera, cache = record(tmp_path, "a", 5), StageCache(tmp_path)
    [found] = detect_videos([camera], ["k"], Counting(), 2, cache, silent)
    again = load_detections(cache, "a", "k")
    assert again is not None
    for each in (found, again):
        assert (each.frame_count, each.detection_count, each.scored_count) == (5, 5, 5)
        assert each.extent_wh == (9, 5)
    given = detection.VideoDetections.of([(3, Detections.of([[0, 0, 7.5, 2]], [0.0])), (9, Detections.empty())])
    assert (given.frame_count, given.detection_count, given.scored_count, given.extent_wh) == (2, 1, 0, (8, 2))
    assert [index for index, _ in given] == [3, 9]


def test_a_lost_part_is_made_again_and_a_damaged_one_named(tmp_path: Path) -> None:
    camera, cache = record(tmp_path, "a", 5), StageCache(tmp_path)
    [found] = detect_videos([camera], ["k"], Counting(), 2, cache, silent)
    part = cache.path("detect", "a.from0000000", "k")
    part.write_bytes(b"damaged")
    with pytest.raises(
        MtmcError, match=r"a\.from0000000-k\.npz: expected detections .* got a damaged file; run again"
    ):
        list(found)
    assert load_detections(cache, "a", "k") is None


def test_a_source_without_a_key_leaves_no_file(tmp_path: Path) -> None:
    camera, cache = record(tmp_path, "a", 5), StageCache(tmp_path / "cache")
    [found] = detect_videos([camera], [""], Counting(), 2, cache, silent)
    assert lefts(found) == [0, 1, 2, 3, 4]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({}, False),
        ({"frame_count": 4}, True),
        ({"size_wh": (320, 180)}, True),
        ({"clock": Clock(5)}, True),  # the background model forgets by the second
        ({"name": "b"}, False),
    ],
    ids=str,
)
def test_the_key_holds_what_detections_depend_on(tmp_path: Path, change: dict[str, object], other: bool) -> None:
    camera, config = record(tmp_path, "a", 5), load_config(overrides=["detect.weights=motion"])
    changed = dataclasses.replace(camera, **change)  # type: ignore[arg-type]
    assert (detection.detection_key(changed, config) != detection.detection_key(camera, config)) == other


def test_the_key_holds_settings_of_the_detector_but_not_of_the_filter(tmp_path: Path) -> None:
    camera = record(tmp_path, "a", 5)

    def key(*overrides: str) -> str:
        return detection.detection_key(camera, load_config(overrides=overrides))

    assert key("detect.filter.min_area_px=900") == key("detect.filter.nms_iou=0.4") == key()
    settings = [
        "detect.batch=3",
        "detect.filter.min_confidence=0.6",
        "detect.filter.nms_iou=0.9",
        "detect.image_size=64",
    ]
    assert len({key(), *map(key, settings)}) == 5
    assert key("embed.batch=3") == key()
    assert key("embed.batch=3", "embed.per_detection=true") != key("embed.per_detection=true") != key()


def test_the_key_holds_the_bytes_of_the_weights(tmp_path: Path) -> None:
    camera, weights = record(tmp_path, "a", 5), tmp_path / "w.onnx"
    config = load_config(overrides=[f"detect.weights={weights}"])
    keys = []
    for file, data in (("w.onnx", b"1"), ("w.onnx", b"2"), ("w.json", b"{}")):
        (tmp_path / file).write_bytes(data)
        keys.append(detection.detection_key(camera, config))
    assert len(set(keys)) == 3
