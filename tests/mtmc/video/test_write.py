"""Videos come back as they were written, byte for byte the same each time, whole or not at all."""

from __future__ import annotations

import collections
import resource

import numpy as np
import pytest

from mtmc.errors import MissingDependency, MtmcError
from mtmc.geometry.clock import Clock
from mtmc.video.read import probe, read_frames
from mtmc.video.write import VideoWriter


def gradient(index: int, wh: tuple[int, int] = (96, 64)) -> np.ndarray:
    y, x = np.mgrid[: wh[1], : wh[0]]
    return np.stack([x + index, 2 * y + index, np.full_like(x, 4 * index)], -1).astype(np.uint8)


def write(path, count: int = 12, wh: tuple[int, int] = (96, 64), **options) -> None:
    with VideoWriter(path, wh, 10, **options) as video:
        for i in range(count):
            video.write(gradient(i, wh))


def write_then_fail(path) -> None:
    with VideoWriter(path, (96, 64), 10) as video:
        video.write(gradient(0))
        video.write(gradient(0)[:8])


def test_round_trip(tmp_path):
    write(tmp_path / "v.mp4")
    frames = list(read_frames(tmp_path / "v.mp4", "c", Clock(fps=10)))
    assert len(frames) == 12
    for frame in frames:
        assert np.abs(frame.image.astype(int) - gradient(frame.index)).mean() < 2


@pytest.mark.parametrize("rgb", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (90, 130, 170)])
def test_colors_survive(tmp_path, rgb):
    with VideoWriter(tmp_path / "v.mp4", (64, 64), 10) as video:
        video.write(np.full((64, 64, 3), rgb, np.uint8))
    [frame] = read_frames(tmp_path / "v.mp4", "c", Clock(fps=10))
    assert np.abs(frame.image.astype(int) - rgb).max() <= 4


def test_same_pictures_same_bytes(tmp_path):
    write(tmp_path / "a.mp4")
    write(tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_index_is_in_front(tmp_path):
    write(tmp_path / "v.mp4")
    data = (tmp_path / "v.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("wh", [(97, 64), (96, 65), (97, 65)])
def test_odd_sizes_grow_by_repeating_the_edge(tmp_path, wh):
    write(tmp_path / "v.mp4", 3, wh, crf=10)
    assert probe(tmp_path / "v.mp4").size_wh == (wh[0] + wh[0] % 2, wh[1] + wh[1] % 2)
    for frame in read_frames(tmp_path / "v.mp4", "c", Clock(fps=10)):
        want = gradient(frame.index, wh)
        assert np.abs(frame.image[: wh[1], : wh[0]].astype(int) - want).mean() < 2
        assert np.abs(frame.image[-1, -1].astype(int) - want[-1, -1]).max() < 16


@pytest.mark.parametrize("fps", [0.5, 8, 12.5, 30000 / 1001, 59.94])
def test_frame_rate_survives(tmp_path, fps):
    with VideoWriter(tmp_path / "v.mp4", (64, 64), fps) as video:
        for i in range(4):
            video.write(gradient(i, (64, 64)))
    assert probe(tmp_path / "v.mp4").fps == pytest.approx(fps, rel=1e-4)


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "v.mp4").write_text("old")
    with pytest.raises(ValueError, match="expected a picture"):
        write_then_fail(tmp_path / "v.mp4")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("v.mp4", "old")]


@pytest.mark.parametrize("limit", [100, 20_000])
def test_no_room_is_one_sentence(tmp_path, limit):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 256, (30, 240, 320, 3), np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(MtmcError) as caught, VideoWriter(tmp_path / "v.mp4", (320, 240), 10) as video:
            collections.deque(map(video.write, noise), maxlen=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value).startswith(f"{tmp_path / 'v.mp4'}: cannot write this file (File too large); ")
    assert list(tmp_path.iterdir()) == []


def test_encoder_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("av.codecs_available", set())
    with pytest.raises(MissingDependency, match=r"PyAV with the H.264 encoder libx264, got one without; pip"):
        write(tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []


def test_programming_errors(tmp_path):
    with pytest.raises(ValueError, match="expected a size and a frame rate above 0"):
        VideoWriter(tmp_path / "v.mp4", (0, 64), 10)
    with (
        pytest.raises(ValueError, match=r"expected a picture \(64, 96, 3\), got \(8, 8, 3\)"),
        VideoWriter(tmp_path / "v.mp4", (96, 64), 10) as video,
    ):
        video.write(gradient(0, (8, 8)))
    with (
        pytest.raises(ValueError, match="expected at least one picture"),
        VideoWriter(tmp_path / "v.mp4", (8, 8), 10),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
