"""A recording as a source of frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmc.errors import VideoError
from mtmc.geometry.clock import Clock
from mtmc.video.source import FrameSource, Recording
from tests.builders import traffic_frames, write_video


def test_a_recording_gives_its_frames_again_and_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", traffic_frames(12))
    source: FrameSource = Recording("north", path, Clock(10, start_s=3.0))
    assert (source.name, source.length) == ("north", 12)
    for _ in range(2):
        frames = list(source.frames(start=2, wanted={1, 2, 7}))
        assert [(f.camera_id, f.index) for f in frames] == [("north", 2), ("north", 7)]
        assert [f.time_s for f in frames] == pytest.approx([3.2, 3.7])


def test_the_frame_count_is_held_against_what_comes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", traffic_frames(12))
    source = Recording("north", path, Clock(10), frame_count=20)
    assert source.length == 20
    with pytest.raises(VideoError, match="expected 20 frames, got 12"):
        list(source.frames())


def test_the_size_is_held_against_what_comes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", traffic_frames(3))
    with pytest.raises(VideoError, match="expected frames of 8×8 pixels"):
        next(Recording("north", path, Clock(10), size_wh=(8, 8)).frames())


def test_a_missing_file_has_no_length(tmp_path: Path) -> None:
    assert Recording("north", tmp_path / "none.mp4", Clock(10)).length is None
