"""Boxes in their compact form, against a reading of the format that is written anew."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np

from mtmc.scene import Camera
from mtmc.types import Passage
from mtmc.view.run_data import FRAMES_PER_CHUNK, CameraView, ViewedRun, boxes_of
from tests.builders import tracklet
from tests.mtmc.view.town import VEHICLES, town


def unpacked(data: bytes) -> list[tuple[int, int, list[float]]]:
    """(frame, passage, box) of every box of a chunk, by the table in the documentation."""
    first, count = struct.unpack_from("<2I", data)
    offsets = struct.unpack_from(f"<{count + 1}I", data, 8)
    rows = offsets[-1]
    passages = struct.unpack_from(f"<{rows}I", data, 12 + 4 * count)
    edges = struct.unpack_from(f"<{4 * rows}h", data, 12 + 4 * count + 4 * rows)
    assert len(data) == 12 + 4 * count + 12 * rows
    return [
        (first + k, passages[row], [e / 4 for e in edges[4 * row : 4 * row + 4]])
        for k in range(count)
        for row in range(offsets[k], offsets[k + 1])
    ]


def test_every_box_comes_once_with_its_frame_and_passage() -> None:
    passages = [
        Passage(t, np.zeros(0, np.float32), "", "", np.full((len(t), 2), np.nan))
        for t in (
            tracklet("c", 1, first=1000, length=60, start=(10.25, 5), step=(3.5, 0)),
            tracklet("c", 2, first=1020, length=5, start=(-7.13, 1), size=(9000, 12.5)),
        )
    ]
    frames = 2 * FRAMES_PER_CHUNK
    boxes = boxes_of(passages, np.array([4, 9]), frames)
    rows = [row for first in range(0, frames, FRAMES_PER_CHUNK) for row in unpacked(boxes.packed(first))]
    expected = [
        (frame, index, np.clip(np.rint(box * 4) / 4, -8192, 8191.75).tolist())
        for passage, index in zip(passages, (4, 9), strict=True)
        for frame, box in zip(passage.tracklet.frame.tolist(), passage.tracklet.xyxy, strict=True)
    ]
    assert rows == sorted(expected)


def test_a_chunk_beyond_the_end_is_empty() -> None:
    boxes = boxes_of([], np.zeros(0, np.int64), 10)
    assert unpacked(boxes.packed(99)) == []
    assert len(boxes.packed(0)) == 8 + 4 * 11


def test_columns_follow_the_passages(tmp_path: Path) -> None:
    viewed = town(tmp_path)
    columns = viewed.columns()
    assert {len(column) for column in columns.values()} == {2 * VEHICLES}
    assert columns["camera"] == [0] * VEHICLES + [1] * VEHICLES
    assert columns["track"][VEHICLES + 3] == 4
    assert columns["start_s"][VEHICLES + 3] == 34.0
    assert columns["has_picture"] == ([True] + [False] * (VEHICLES - 1)) * 2
    assert [camera.as_dict()["has_video"] for camera in viewed.cameras] == [False, False]


def test_no_path_reaches_the_pages(tmp_path: Path) -> None:
    camera = CameraView("c", 1, Fraction(10), ((0, 0.0),), 1, (2, 2), tmp_path / "secret.mp4", "")
    assert "secret" not in str(camera.as_dict())


def test_an_image_size_that_nothing_says_is_that_of_all_boxes(tmp_path: Path) -> None:
    viewed = town(tmp_path)
    assert isinstance(viewed, ViewedRun)
    assert isinstance(viewed.run.scene.cameras[0], Camera)
    assert viewed.cameras[0].size_wh == (640, 480)
