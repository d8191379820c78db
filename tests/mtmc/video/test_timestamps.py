"""Clocks from presentation timestamps, on videos written with timestamps chosen here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.video.read import probe, read_frames
from mtmc.video.timestamps import clock_from_times, presentation_times, video_clock

CONSTANT = np.arange(40) / 10
GAP = np.where(np.arange(40) < 21, CONSTANT, CONSTANT + 5.0)
HALVED = np.concatenate([np.arange(30) / 10, 3 + np.arange(20) / 5])
DRIFTING = np.arange(400) / 9.9


def write(path: Path, times_s: np.ndarray, *, options: dict[str, str] | None = None, b_frames: int = 2) -> Path:
    """A small H.264 video whose frame ``i`` is to be shown at ``times_s[i]``."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": str(b_frames), "g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), (number * 7) % 250, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("times_s", [CONSTANT, GAP, HALVED, DRIFTING], ids=["constant", "gap", "halved", "drifting"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_have_their_own_times(tmp_path: Path, times_s: np.ndarray, suffix: str) -> None:
    path = write(tmp_path / f"v{suffix}", times_s)
    fps = probe(path).fps
    assert fps is not None
    clock = video_clock(path, fps)
    with av.open(str(path)) as container:
        shown = np.array([frame.time for frame in container.decode(video=0)])
    came = np.array([frame.time_s for frame in read_frames(path, "c", clock)])
    np.testing.assert_allclose(came, shown - shown[0], atol=0.051)


def test_a_constant_rate_stays_the_nominal_rate(tmp_path: Path) -> None:
    assert video_clock(write(tmp_path / "v.mkv", CONSTANT), 10.0) == Clock(10.0)
    jitter = np.random.default_rng(0).uniform(-0.02, 0.02, 40)
    assert clock_from_times(CONSTANT + jitter, 10.0) == Clock(10.0)
    rounded = np.round(np.arange(3000) * 1001 / 30000, 3)  # 29.97 frames per second in milliseconds
    assert clock_from_times(rounded, 30000 / 1001) == Clock(30000 / 1001)


def test_a_gap_is_a_jump_between_neighbors() -> None:
    clock = clock_from_times(GAP, 40 / 8.9)
    assert clock.fps == pytest.approx(10)
    assert clock.time_map == ((0, 0.0), (20, 2.0), (21, 7.1), (39, 8.9))


def test_a_drift_needs_two_knots() -> None:
    clock = clock_from_times(DRIFTING, 10.0)
    assert clock.fps == pytest.approx(9.9)
    assert [frame for frame, _ in clock.time_map] == [0, 399]


def test_the_time_map_is_close_everywhere() -> None:
    rng = np.random.default_rng(3)
    times_s = np.cumsum(rng.choice([0.04, 0.1, 0.5], 500, p=[0.6, 0.3, 0.1]))
    clock = clock_from_times(times_s - times_s[0], 25.0)
    error = np.abs(clock.time_s(np.arange(500)) - (times_s - times_s[0]))
    assert error.max() < 0.05
    assert len(clock.time_map) < 500


def test_a_late_start_counts_from_half_a_second(tmp_path: Path) -> None:
    late = presentation_times(write(tmp_path / "late.mkv", CONSTANT + 2.0))
    assert late is not None
    assert late[0] == pytest.approx(2.0)
    delayed = presentation_times(write(tmp_path / "delayed.mkv", CONSTANT + 0.2))
    assert delayed is not None
    assert delayed[0] == 0


def test_transport_streams_start_anywhere(tmp_path: Path) -> None:
    times_s = presentation_times(write(tmp_path / "v.ts", CONSTANT + 100.0))
    assert times_s is not None
    np.testing.assert_allclose(times_s, CONSTANT, atol=1e-3)


def test_frames_that_an_edit_list_hides_do_not_count(tmp_path: Path) -> None:
    """As ``ffmpeg -ss 1.5 -i a.mp4 -c copy b.mp4`` cuts: frames before the cut are stored, but not shown."""
    source, cut = write(tmp_path / "a.mp4", CONSTANT, b_frames=0), tmp_path / "b.mp4"
    with av.open(str(source)) as old, av.open(str(cut), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None and packet.pts * packet.time_base >= 1.2:
                packet.pts -= round(1.5 / packet.time_base)
                packet.dts -= round(1.5 / packet.time_base)
                packet.stream = stream
                new.mux(packet)
    came = [frame.index for frame in read_frames(cut, "c", Clock(10.0))]  # no complaint about its length
    times_s = presentation_times(cut)
    assert times_s is not None
    assert came == list(range(len(times_s))) == list(range(25))
    np.testing.assert_allclose(times_s, np.arange(25) / 10, atol=1e-3)


def test_nothing_trustworthy(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "folder").mkdir()
    assert presentation_times(tmp_path / "broken.mp4") is None
    assert video_clock(tmp_path / "broken.mp4", 12.5) == Clock(12.5)
    assert video_clock(tmp_path / "folder", 12.5) == Clock(12.5)
    assert video_clock(tmp_path / "missing.mp4", 12.5) == Clock(12.5)
