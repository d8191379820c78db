"""What is drawn is where it should be, in the vehicle's color, on every frame of the video."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.errors import VideoError
from mtmc.render.annotate import annotate_camera
from mtmc.render.config import RenderConfig
from mtmc.render.style import GRAY, vehicle_color
from tests.mtmc.render.builders import camera, flat_video, images, passage, track

CONFIG = RenderConfig(crf=8, min_width_px=16)


@pytest.fixture
def cam(tmp_path):
    return camera(1, flat_video(tmp_path / "in.mp4", [90] * 12, wh=(320, 240)), frame_count=12)


def near(pixel, rgb, tolerance=40) -> bool:
    return np.abs(pixel.astype(int) - rgb).max() < tolerance


def test_boxes_have_the_vehicles_color_while_it_is_there(tmp_path, cam):
    other = camera(2)
    tracks = [
        track(3, passage(cam, 1, 2, 5, box=(100, 100, 180, 180)), passage(other, 1, 0, 3)),
        track(4, passage(cam, 2, 0, 12, box=(200, 100, 280, 180))),
    ]
    annotate_camera(cam, tracks, tmp_path / "out.mp4", CONFIG)
    pictures = images(tmp_path / "out.mp4")
    assert len(pictures) == 12
    for index, picture in enumerate(pictures):
        assert near(picture[140, 100], vehicle_color(3)) == (2 <= index < 7)
        assert near(picture[140, 200], GRAY, 70)
        assert near(picture[140, 140], (90, 90, 90))


def test_a_label_keeps_clear_of_the_name_of_the_camera(tmp_path, cam):
    """The label would lie above the box, in the corner where the name is; it lies below the box instead."""
    tracks = [track(3, passage(cam, 1, 0, 12, box=(4, 26, 60, 70)), passage(camera(2), 1, 0, 3))]
    annotate_camera(cam, tracks, tmp_path / "out.mp4", CONFIG)
    picture = images(tmp_path / "out.mp4")[5]
    assert near(picture[2, 30], (18, 22, 28))
    assert near(picture[73, 6], vehicle_color(3))


def test_same_color_in_every_camera(tmp_path):
    one = camera(1, flat_video(tmp_path / "1.mp4", [90] * 3, wh=(320, 240)))
    two = camera(2, flat_video(tmp_path / "2.mp4", [90] * 3, wh=(320, 240)))
    box = (100, 100, 180, 180)
    tracks = [track(7, passage(one, 1, 0, 3, box), passage(two, 5, 0, 3, box))]
    pictures = []
    for cam in (one, two):
        annotate_camera(cam, tracks, tmp_path / f"{cam.id}.mp4", CONFIG)
        pictures.append(images(tmp_path / f"{cam.id}.mp4")[1])
    assert all(near(p[140, 100], vehicle_color(7)) for p in pictures)


def test_a_trail_follows_the_vehicle_and_fades(tmp_path, cam):
    way = passage(cam, 1, 0, 12, box=(0, 100, 40, 140))
    way.tracklet.xyxy[:, [0, 2]] += 20 * np.arange(12, dtype=np.float32)[:, None]
    tracks = [track(2, way, passage(camera(2), 1, 0, 3))]
    annotate_camera(cam, tracks, tmp_path / "out.mp4", RenderConfig(crf=8, min_width_px=16, trail_s=0.6))
    last = images(tmp_path / "out.mp4")[-1].astype(int)
    drawn = np.abs(last[140] - 90).max(axis=1)
    assert drawn[130:][:80].max() > 40  # the last 0.6 s: feet from x = 120 to 240
    assert drawn[150] < drawn[210]
    assert drawn[20:100].max() < 25


def test_wide_videos_are_made_smaller_and_boxes_with_them(tmp_path, cam):
    tracks = [track(3, passage(cam, 1, 0, 12, box=(100, 100, 180, 180)), passage(camera(2), 1, 0, 3))]
    annotate_camera(cam, tracks, tmp_path / "out.mp4", RenderConfig(crf=8, max_width_px=160))
    picture = images(tmp_path / "out.mp4")[3]
    assert picture.shape == (120, 160, 3)
    assert near(picture[70, 50], vehicle_color(3), 60)


def test_narrow_videos_are_made_larger_and_boxes_with_them(tmp_path, cam):
    tracks = [track(3, passage(cam, 1, 0, 12, box=(100, 100, 180, 180)), passage(camera(2), 1, 0, 3))]
    annotate_camera(cam, tracks, tmp_path / "out.mp4", RenderConfig(crf=8, min_width_px=480))
    picture = images(tmp_path / "out.mp4")[3]
    assert picture.shape == (360, 480, 3)
    assert near(picture[210, 150], vehicle_color(3), 60)
    assert near(picture[210, 200], (90, 90, 90))


def test_the_largest_width_counts_before_the_least(tmp_path, cam):
    annotate_camera(cam, [], tmp_path / "out.mp4", RenderConfig(crf=8, min_width_px=480, max_width_px=160))
    assert images(tmp_path / "out.mp4")[0].shape == (120, 160, 3)


def test_without_vehicles_of_several_cameras_all_have_their_color(tmp_path, cam):
    tracks = [track(3, passage(cam, 1, 0, 12, box=(100, 100, 180, 180)))]
    annotate_camera(cam, tracks, tmp_path / "out.mp4", CONFIG, alone=True)
    assert near(images(tmp_path / "out.mp4")[3][140, 100], vehicle_color(3))


def test_same_bytes_each_time_and_progress(tmp_path, cam):
    tracks = [track(3, passage(cam, 1, 0, 12), passage(camera(2), 1, 0, 3))]
    seen = []
    for name in ("a.mp4", "b.mp4"):
        annotate_camera(cam, tracks, tmp_path / name, CONFIG, lambda done, total: seen.append((done, total)))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert seen == [(n, 12) for n in range(1, 13)] * 2


def test_boxes_far_outside_and_frames_without_vehicles(tmp_path, cam):
    boxes = [(-500, -500, -400, -400), (310, 230, 900, 900), (5, 2, 5, 2), (-20, 20, 400, 260)]
    tracks = [track(i, passage(cam, i, 0, 4, b), passage(camera(2), i, 0, 3)) for i, b in enumerate(boxes, 1)]
    annotate_camera(cam, tracks, tmp_path / "out.mp4", CONFIG)
    assert len(images(tmp_path / "out.mp4")) == 12


@pytest.mark.parametrize("wh", [(16, 16), (33, 17), (640, 20)])
def test_tiny_pictures(tmp_path, wh):
    cam = camera(1, flat_video(tmp_path / "in.mp4", [90] * 2, wh=wh))
    annotate_camera(cam, [track(1, passage(cam, 1, 0, 2), passage(camera(2), 1, 0, 3))], tmp_path / "o.mp4", CONFIG)


def test_camera_without_video(tmp_path):
    with pytest.raises(VideoError, match="expected camera c001 to have a video to draw on, got none; add its video"):
        annotate_camera(camera(1), [], tmp_path / "out.mp4", CONFIG)
