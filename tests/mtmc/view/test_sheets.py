"""Contact sheets: the right picture in every cell, and where a tracklet leaves its path."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import VideoError
from mtmc.view.proxies import MAX_KEY_FRAME_DISTANCE, make_proxy
from mtmc.view.run_data import CameraView
from mtmc.view.sheets import CELL_WH, MOST_CELLS, motion_jumps, pictures_at, sheet_image, sheet_of
from tests.builders import tracklet
from tests.mtmc.render.builders import flat_video

SHADES = [20 + 8 * (k % 25) for k in range(140)]
WH = (160, 96)


@pytest.fixture(scope="module", params=[Fraction(10), Fraction(30000, 1001)], ids=["10 fps", "29.97 fps"])
def clean(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Path, Fraction]:
    home = tmp_path_factory.mktemp("clean")
    source = flat_video(home / "source.mp4", SHADES, fps=float(request.param))
    camera = CameraView("c001", 1, request.param, ((0, 0.0),), len(SHADES), WH, source, "")
    make_proxy(camera, home / "clean.mp4")
    return home / "clean.mp4", request.param


@pytest.mark.parametrize(
    "frames",
    [
        [0],
        [139],
        [0, 139],
        [11, 12, 13],
        [100, 7, 7, 60],
        [5, 5 + MAX_KEY_FRAME_DISTANCE, 6 + 2 * MAX_KEY_FRAME_DISTANCE],
    ],
)
def test_pictures_are_those_of_their_frames(clean: tuple[Path, Fraction], frames: list[int]) -> None:
    found = list(pictures_at(*clean, frames))
    assert [frame for frame, _ in found] == sorted(set(frames))
    for frame, picture in found:
        assert picture.shape == (WH[1], WH[0], 3)
        assert abs(picture.mean() - SHADES[frame]) < 4, frame


def test_every_picture_of_a_video_and_none_beyond_its_end(clean: tuple[Path, Fraction]) -> None:
    found = [frame for frame, _ in pictures_at(*clean, range(2 * len(SHADES)))]
    assert found == list(range(len(SHADES)))
    assert list(pictures_at(*clean, [5000])) == []


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "clean.mp4").write_text("no video")
    with pytest.raises(VideoError, match="clean video"):
        list(pictures_at(tmp_path / "clean.mp4", Fraction(10), [0]))


def test_cells_show_the_boxes_in_order_of_time(clean: tuple[Path, Fraction]) -> None:
    seen = tracklet("c001", 1, first=20, length=7, start=(10, 20), step=(12, 1))
    image = sheet_image(*clean, WH, seen)
    assert image.shape == (CELL_WH[1], 7 * CELL_WH[0], 3)
    shades = image.reshape(CELL_WH[1], 7, CELL_WH[0], 3).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(shades, SHADES[20:27], atol=4)
    assert sheet_of(seen).frames == tuple(range(20, 27))


@pytest.mark.parametrize(("size", "wide", "high"), [((48, 24), 64, 32), ((24, 48), 24, 48), ((32, 24), 64, 48)])
def test_the_middle_of_a_cell_is_the_box(tmp_path: Path, size: tuple[int, int], wide: int, high: int) -> None:
    """A white box on gray fills two thirds of its cell of 96 × 72 px, in the direction in which it is larger."""
    from tests.builders import write_video

    images = np.full((3, 96, 160, 3), 70, np.uint8)
    images[1, 40 : 40 + size[1], 60 : 60 + size[0]] = 255
    write_video(tmp_path / "source.mp4", images)
    camera = CameraView("c001", 1, Fraction(10), ((0, 0.0),), 3, WH, tmp_path / "source.mp4", "")
    make_proxy(camera, tmp_path / "clean.mp4")
    seen = tracklet("c001", 1, first=1, length=1, start=(60, 40), size=size)
    cell = sheet_image(tmp_path / "clean.mp4", Fraction(10), WH, seen)[..., 1] > 170
    rows, columns = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
    assert [columns[0], columns[-1] + 1] == pytest.approx([48 - wide / 2, 48 + wide / 2], abs=2)
    assert [rows[0], rows[-1] + 1] == pytest.approx([36 - high / 2, 36 + high / 2], abs=2)


def test_a_long_tracklet_is_shown_from_its_first_to_its_last_box() -> None:
    seen = tracklet("c001", 1, first=3, length=500, step=(1, 0))
    frames = sheet_of(seen).frames
    assert len(frames) == MOST_CELLS
    assert (frames[0], frames[-1]) == (3, 502)
    assert set(np.diff(frames)) <= {8, 9}


def test_jumps_by_hand() -> None:
    """Boxes 40 px high go 10 px a frame, then 30 px to the side at once."""
    seen = tracklet("c001", 1, length=5, start=(0, 0), step=(10, 0), size=(60, 40))
    seen.xyxy[3:, [1, 3]] += 30
    np.testing.assert_allclose(motion_jumps(seen), [0, 0, 0, 30 / 40, 30 / 40], atol=1e-5)
    seen.xyxy[3:, 1] -= 40  # from here on the boxes are 80 px high, and their centers 20 px higher
    np.testing.assert_allclose(motion_jumps(seen), [0, 0, 0, 10 / 80, 10 / 80], atol=1e-5)
    np.testing.assert_allclose(motion_jumps(seen[:1]), [0])
    np.testing.assert_allclose(motion_jumps(seen[:2]), [0, 0])


def test_a_jump_between_two_cells_is_not_lost() -> None:
    seen = tracklet("c001", 1, length=400, start=(0, 0), step=(1, 0), size=(60, 40))
    seen.xyxy[205:, [1, 3]] += 80  # both this box and the next one leave the path
    sheet = sheet_of(seen)
    marked = [k for k, jump in enumerate(sheet.jumps) if jump > 1]
    assert [sheet.frames[k] for k in marked] == [next(f for f in sheet.frames if f >= 206)]
