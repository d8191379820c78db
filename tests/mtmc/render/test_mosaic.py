"""Every tile shows what its camera saw at that moment: shades of gray tell which frame it is."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.errors import VideoError
from mtmc.geometry.clock import Clock
from mtmc.render.config import RenderConfig
from mtmc.render.mosaic import write_mosaic
from mtmc.scene import Camera
from mtmc.video.read import probe
from tests.mtmc.render.builders import camera, flat_video, images, scene

CONFIG = RenderConfig(crf=4)
SHADES = [60 + 10 * i for i in range(16)]


def center(picture: np.ndarray, column: int, row: int, columns: int, rows: int) -> float:
    """Mean shade a little below the middle of a tile, where no writing is."""
    height, width = picture.shape[0] / rows, picture.shape[1] / columns
    y, x = round((row + 0.8) * height), round((column + 0.5) * width)
    return float(picture[y - 4 : y + 4, x - 8 : x + 8].mean())


def test_offsets_and_rates_meet_on_one_clock(tmp_path):
    fast = camera(1, fps=10, start_s=2.0)
    slow = camera(2, fps=4, start_s=2.55)
    videos = {
        "c001": flat_video(tmp_path / "1.mp4", SHADES[:12], 10),
        "c002": flat_video(tmp_path / "2.mp4", SHADES[:4], 4),
    }
    write_mosaic(scene(fast, slow), videos, tmp_path / "m.mp4", CONFIG)
    pictures = images(tmp_path / "m.mp4")
    assert probe(tmp_path / "m.mp4").fps == 10
    assert len(pictures) == 16  # from 2.0 s until the slow camera's last frame has had its quarter of a second: 3.55
    for k, picture in enumerate(pictures):
        time_s = 2.0 + k / 10
        left, right = center(picture, 0, 0, 2, 1), center(picture, 1, 0, 2, 1)
        assert left == pytest.approx(SHADES[k] if k < 12 else SHADES[11] // 3, abs=3)
        if time_s < 2.55 - 1e-9:
            assert right == pytest.approx(0, abs=3)
        else:
            assert right == pytest.approx(SHADES[int((time_s - 2.55) * 4 + 1e-6)], abs=3)


def test_lost_frames_are_waited_for(tmp_path):
    jump = Clock(fps=10, time_map=((0, 0.0), (3, 0.3), (4, 0.8)))
    videos = {"c001": flat_video(tmp_path / "1.mp4", SHADES[:6])}
    write_mosaic(scene(Camera("c001", 1, jump)), videos, tmp_path / "m.mp4", CONFIG)
    shades = [center(p, 0, 0, 1, 1) for p in images(tmp_path / "m.mp4")]
    assert shades == pytest.approx([60, 70, 80, 90, 90, 90, 90, 90, 100, 110], abs=3)


def test_rate_is_capped_and_frames_are_skipped(tmp_path):
    videos = {"c001": flat_video(tmp_path / "1.mp4", SHADES[:12], 60)}
    cam = camera(1, fps=60)
    write_mosaic(scene(cam), videos, tmp_path / "m.mp4", RenderConfig(crf=4, mosaic_max_fps=20))
    assert [center(p, 0, 0, 1, 1) for p in images(tmp_path / "m.mp4")] == pytest.approx([60, 90, 120, 150], abs=3)


def test_grid_of_five_with_other_shapes_and_one_missing(tmp_path):
    sizes = [(160, 96), (160, 96), (160, 96), (96, 160)]
    videos = {f"c00{i}": flat_video(tmp_path / f"{i}.mp4", [200] * 2, wh=wh) for i, wh in enumerate(sizes, 1)}
    cameras = [camera(i) for i in range(1, 6)]
    write_mosaic(scene(*cameras), videos, tmp_path / "m.mp4", RenderConfig(crf=4, mosaic_width_px=400))
    picture = images(tmp_path / "m.mp4")[0]
    assert picture.shape == (2 * 78 + 4, 3 * 130 + 2 * 4, 3)
    assert [center(picture, c, r, 3, 2) for r in (0, 1) for c in (0, 1, 2)] == pytest.approx(
        [200, 200, 200, 200, 0, 22], abs=5
    )
    height = picture.shape[0] // 2
    assert picture[height + height * 4 // 5, 6].max() < 10  # the upright picture has black beside it


def test_tiles_are_never_enlarged(tmp_path):
    videos = {"c001": flat_video(tmp_path / "1.mp4", [99]), "c002": flat_video(tmp_path / "2.mp4", [99])}
    write_mosaic(scene(camera(1), camera(2)), videos, tmp_path / "m.mp4", CONFIG)
    assert probe(tmp_path / "m.mp4").size_wh == (324, 96)


def test_progress_and_bytes(tmp_path):
    videos = {"c001": flat_video(tmp_path / "1.mp4", SHADES[:5])}
    seen = []
    for name in ("a.mp4", "b.mp4"):
        write_mosaic(scene(camera(1)), videos, tmp_path / name, CONFIG, lambda *now: seen.append(now))
    assert seen == [(n, 5) for n in range(1, 6)] * 2
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_no_video_at_all(tmp_path):
    with pytest.raises(VideoError, match="expected a video of at least one camera of scene Crossing, got none; set"):
        write_mosaic(scene(camera(1)), {}, tmp_path / "m.mp4", CONFIG)


def test_labels_are_not_repeated_and_the_legend_lies_below(tmp_path):
    """Videos that show name and time themselves keep their own corner; the strip adds to the height alone."""
    videos = {"c001": flat_video(tmp_path / "1.mp4", [99] * 3, wh=(640, 360))}
    write_mosaic(scene(camera(1)), videos, tmp_path / "a.mp4", CONFIG)
    write_mosaic(scene(camera(1)), videos, tmp_path / "b.mp4", CONFIG, labeled=True, legend="gray: one camera")
    plain, labeled = images(tmp_path / "a.mp4")[0], images(tmp_path / "b.mp4")[0]
    assert plain[:10, :10].mean() < 50  # the tile's own label
    assert labeled[:10, :10].mean() == pytest.approx(99, abs=3)
    assert labeled.shape[1] == plain.shape[1]
    strip = labeled[plain.shape[0] :]
    assert 10 <= len(strip) <= 40
    assert len(strip) % 2 == 0
    assert strip.mean() < 60
    assert strip.max() > 200  # the words
    assert (strip.max(axis=(0, 2)) > 120).sum() > 40  # all along the words
