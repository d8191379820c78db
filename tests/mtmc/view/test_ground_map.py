"""The map: positions by frame, planes aligned with each other, and the area in which a camera sees vehicles."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.view.ground_map import planes_of
from tests.mtmc.view.town import town


def test_positions_are_packed_in_the_order_of_the_boxes(tmp_path: Path) -> None:
    viewed = town(tmp_path, on_ground=True)
    boxes = viewed.boxes[0]
    data = boxes.packed_ground(0)
    first, count = np.frombuffer(data, "<u4", 2)
    offsets = np.frombuffer(data, "<u4", count + 1, offset=8)
    passage = np.frombuffer(data, "<u4", offsets[-1], offset=8 + 4 * (count + 1))
    place = np.frombuffer(data, "<f4", offset=8 + 4 * (count + 1) + 4 * offsets[-1]).reshape(-1, 2)
    assert first == 0
    for frame in (0, 39, 85, 500):
        for row in range(offsets[frame], offsets[frame + 1]):
            seen = viewed.passages[passage[row]]
            wanted = seen.ground_m[seen.tracklet.frame == frame][0]
            np.testing.assert_allclose(place[row], wanted, rtol=1e-6)


def test_areas_hold_all_positions_on_the_common_plane(tmp_path: Path) -> None:
    viewed = town(tmp_path, on_ground=True)
    [plane] = planes_of(viewed)
    assert [camera.camera for camera in plane.cameras] == [0, 1]
    first, second = (boxes.ground_m.astype(float) for boxes in viewed.boxes)
    # The second plane is turned by 90 degrees and moved by 100 m along the second axis.
    turned = np.stack([-second[:, 1], 100 + second[:, 0]], axis=1)
    for places, camera in zip((first, turned), plane.cameras, strict=True):
        area = np.array(camera.area, np.float32)
        np.testing.assert_allclose(area.min(axis=0), places.min(axis=0), atol=0.01)
        np.testing.assert_allclose(area.max(axis=0), places.max(axis=0), atol=0.01)
        assert all(cv2.pointPolygonTest(area, place, measureDist=True) > -0.02 for place in places.tolist())


def test_without_calibration_there_is_no_plane(tmp_path: Path) -> None:
    viewed = town(tmp_path)
    assert planes_of(viewed) == []
    assert np.isnan(viewed.boxes[0].ground_m).all()


def test_one_position_is_an_area(tmp_path: Path) -> None:
    viewed = town(tmp_path, vehicles=2, on_ground=True)
    only = viewed.boxes[0].ground_m[:1]
    viewed.boxes[0].ground_m[:] = only
    [camera, _] = planes_of(viewed)[0].cameras
    assert camera.area == (pytest.approx(tuple(only[0].tolist()), abs=0.01),)
