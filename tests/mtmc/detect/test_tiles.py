"""Tiles: they cover the picture and overlap, and a vehicle on a seam is one vehicle."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmc.detect import DetectConfig, load_detector
from mtmc.detect.tiles import OVERLAP, TiledDetector, View, merge_views, native_grid, tile_views
from mtmc.types import Detections, Frame
from tests.mtmc.detect.test_onnx import constant_model, yolo_output

WH = (400, 300)


class Eye:
    """Finds the bright vehicles of a view: what of each lies in the view, the larger part the surer.

    It sees no vehicle that is longer than ``most_px``, nor one that is shorter than ``least`` of the view.
    """

    stateful = False
    input_side = 100

    def __init__(self, vehicles: Sequence[tuple[float, ...]], least: float = 0.0, most_px: float = np.inf) -> None:
        self.vehicles, self.least, self.most_px = np.array(vehicles, np.float32), least, most_px
        self.batches: list[int] = []

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        self.batches.append(len(frames))
        return [self._look(frame) for frame in frames]

    def _look(self, frame: Frame) -> Detections:
        # The picture's pixels hold their own coordinates, so that a view knows where it is.
        x, y = frame.image[0, 0, 0] * 4.0, frame.image[0, 0, 1] * 4.0
        height, width = frame.image.shape[:2]
        view = np.array([x, y, x + width, y + height])
        low, high = np.maximum(self.vehicles[:, :2], view[:2]), np.minimum(self.vehicles[:, 2:], view[2:])
        side = (high - low).max(axis=1)
        seen = (high > low).all(axis=1) & (side >= self.least * width) & (side <= self.most_px)
        boxes = np.concatenate([low - view[:2], high - view[:2]], axis=1)[seen]
        whole = (self.vehicles[:, 2:] - self.vehicles[:, :2]).prod(axis=1)[seen]
        share = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / whole
        return Detections.of(boxes.astype(np.float32), (0.3 + 0.6 * share).astype(np.float32))


def picture() -> Frame:
    image = np.zeros((WH[1], WH[0], 3), np.uint8)
    image[..., 0] = np.arange(WH[0])[None, :] // 4
    image[..., 1] = np.arange(WH[1])[:, None] // 4
    return Frame("c", 3, 0.5, image)


@given(st.integers(20, 3000), st.integers(20, 3000), st.integers(1, 7), st.integers(1, 7))
def test_tiles_cover_the_picture_and_overlap(width: int, height: int, columns: int, rows: int) -> None:
    whole, *tiles = tile_views((width, height), (columns, rows))
    assert whole == View(0, 0, width, height)
    assert len(tiles) == (columns * rows if columns * rows > 1 else 0)
    assert len({(t.x2 - t.x1, t.y2 - t.y1) for t in tiles}) <= 1
    across = sorted({(t.x1, t.x2) for t in tiles})
    if tiles:
        assert (across[0][0], across[-1][1]) == (0, width)
        assert min(t.y1 for t in tiles) == 0
        assert max(t.y2 for t in tiles) == height
    for (_, end), (start, _) in pairwise(across):
        assert end - start >= OVERLAP * (across[0][1] - across[0][0]) - 1.5


@pytest.mark.parametrize("size", [(1920, 1080), (640, 480), (641, 480), (3840, 2160), (100, 2000)])
@pytest.mark.parametrize("side", [320, 640])
def test_the_automatic_grid_shrinks_no_tile_and_is_the_least_that_does_not(size: tuple[int, int], side: int) -> None:
    columns, rows = native_grid(size, side)
    view = tile_views(size, (columns, rows))[-1]
    assert view.x2 - view.x1 <= side + 1
    assert view.y2 - view.y1 <= side + 1
    if columns > 1:
        assert (
            tile_views(size, (columns - 1, max(rows, 2)))[-1].x2
            - tile_views(size, (columns - 1, max(rows, 2)))[-1].x1
            > side
        )
    assert native_grid((side, side // 2), side) == (1, 1)


def test_vehicles_on_seams_are_given_once_and_whole() -> None:
    vehicles = [(5, 5, 25, 20), (190, 20, 222, 40), (100, 140, 130, 160), (180, 130, 220, 170), (300, 200, 340, 240)]
    [found] = TiledDetector(Eye(vehicles), (2, 2))([picture()])
    assert found.xyxy[np.lexsort(found.xyxy.T)].tolist() == sorted(
        (list(map(float, v)) for v in vehicles), key=lambda v: v[::-1]
    )
    assert np.allclose(found.score, 0.9)


def test_small_vehicles_are_seen_in_tiles_alone() -> None:
    eye = Eye([(30, 30, 60, 50)], least=0.1)
    assert len(eye([picture()])[0]) == 0
    [found] = TiledDetector(eye, (2, 2))([picture()])
    assert found.xyxy.tolist() == [[30, 30, 60, 50]]


def test_a_vehicle_larger_than_a_tile_is_not_given_in_parts() -> None:
    vehicle = (20.0, 20.0, 380.0, 280.0)
    [found] = TiledDetector(Eye([vehicle]), (3, 3))([picture()])
    assert found.xyxy.tolist() == [list(vehicle)]


def test_parts_that_nothing_explains_are_kept() -> None:
    """A vehicle that is whole in no view, since the model sees none so large: better a part than nothing."""
    [found] = TiledDetector(Eye([(100, 140, 300, 160)], most_px=150), (2, 1))([picture()])
    assert len(found) >= 1


def test_neighbors_that_overlap_are_two_vehicles() -> None:
    vehicles = [(100, 100, 140, 140), (125, 100, 165, 140)]
    [found] = TiledDetector(Eye(vehicles), (2, 2))([picture()])
    assert len(found) == 2


def test_within_a_view_the_models_own_suppression_decides() -> None:
    close = Detections.of([[10, 10, 50, 50], [12, 10, 52, 50]], [0.9, 0.8])
    assert len(merge_views([(View(0, 0, 100, 100), close)], (100, 100))) == 2
    other = Detections.of([[11, 10, 51, 50]], [0.85])
    merged = merge_views([(View(0, 0, 100, 100), close), (View(0, 0, 60, 60), other)], (100, 100))
    np.testing.assert_allclose(merged.score, [0.9, 0.8])


def test_merging_equals_the_greedy_loop() -> None:
    rng = np.random.default_rng(2)
    views = tile_views((200, 100), (2, 1))
    parts = []
    for view in views:
        corner = rng.uniform(0, (view.x2 - view.x1 - 30, 60), (15, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 40, (15, 2))], axis=1)
        boxes[:, 2] = np.minimum(boxes[:, 2], view.x2 - view.x1)
        parts.append((view, Detections.of(boxes.astype(np.float32), rng.random(15).astype(np.float32))))
    rows = []
    for number, (view, found) in enumerate(parts):
        for box, score in zip(found.xyxy.tolist(), found.score.tolist(), strict=True):
            left, right = box[0] + view.x1, box[2] + view.x1
            margin = 0.01 * (view.x2 - view.x1)
            cut = (view.x1 > 0 and left <= view.x1 + margin) or (view.x2 < 200 and right >= view.x2 - margin)
            rows.append((cut, -score, number, left, box[1], right, box[3]))
    kept: list[tuple[float, ...]] = []
    for row in sorted(rows):
        if all(not same(row, other) for other in kept):
            kept.append(row)
    assert 5 < len(kept) < len(rows)
    merged = merge_views(parts, (200, 100))
    np.testing.assert_allclose(merged.score, sorted((-row[1] for row in kept), reverse=True), rtol=1e-6)


def same(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    width, height = min(a[5], b[5]) - max(a[3], b[3]), min(a[6], b[6]) - max(a[4], b[4])
    common = max(width, 0) * max(height, 0)
    sizes = [(r[5] - r[3]) * (r[6] - r[4]) for r in (a, b)]
    share = common / min(sizes) if a[0] or b[0] else common / (sum(sizes) - common)
    return a[2] != b[2] and share > 0.5


def test_all_views_of_all_frames_go_to_the_model_together() -> None:
    eye = Eye([(5, 5, 25, 20)])
    assert len(TiledDetector(eye, (2, 2))([picture(), picture()])) == 2
    assert eye.batches == [10]
    assert TiledDetector(eye, None).views(picture().image) == tile_views(WH, native_grid(WH, 100))


def test_the_setting(tmp_path: Path) -> None:
    path = str(constant_model(tmp_path / "m.onnx", [yolo_output()], ["dog", "car", "bus"]))
    frame = Frame("c", 0, 0.0, np.zeros((128, 192, 3), np.uint8))
    one = load_detector(DetectConfig(weights=path))([frame])[0]
    # The model sees the same thing in the middle of every input: of four tiles and of the whole.
    several = load_detector(DetectConfig(weights=path, tiles="2x2"))([frame])[0]
    assert (len(one), len(several)) == (1, 5)
    automatic = load_detector(DetectConfig(weights=path, tiles="auto"))
    assert isinstance(automatic, TiledDetector)
    assert len(automatic.views(frame.image)) == 1 + 3 * 2
    for wrong in ("0x2", "2", "2x", "many"):
        with pytest.raises(ValueError, match="tiles"):
            DetectConfig(weights=path, tiles=wrong)
