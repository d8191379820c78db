"""Clean proxies: one picture per source frame, quick to seek in, kept until the source changes."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mtmc.view.proxies import Proxies, ProxyState, make_proxy
from mtmc.view.run_data import CameraView
from tests.mtmc.render.builders import flat_video

SHADES = [20 + 8 * (k % 25) for k in range(60)]


def camera(video: Path | None, fps: Fraction = Fraction(10)) -> CameraView:
    return CameraView("c001", 1, fps, ((0, 0.0),), len(SHADES), (160, 96), video, "")


def ready(proxies: Proxies) -> ProxyState:
    proxies.request(0)
    until = time.monotonic() + 60
    while (state := proxies.state(0)).state in ("waiting", "making"):
        assert time.monotonic() < until
        time.sleep(0.01)
    return state


@pytest.mark.parametrize("fps", [Fraction(10), Fraction(2), Fraction(30000, 1001)])
def test_one_picture_per_frame_key_frames_and_no_b_frames(tmp_path: Path, fps: Fraction) -> None:
    source = flat_video(tmp_path / "source.mp4", SHADES, fps=float(fps))
    state = make_proxy(camera(source, fps), tmp_path / "proxy.mp4")
    assert state == ProxyState("ready", len(SHADES), len(SHADES))
    with av.open(str(tmp_path / "proxy.mp4")) as container:
        [stream] = container.streams.video
        assert stream.codec_context.name == "h264"
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert all(
            packet.pts == packet.dts for packet in packets
        )  # no B-frames: order of decoding is that of showing
        keys = [k for k, packet in enumerate(packets) if packet.is_keyframe]
        assert keys[0] == 0
        assert max(np.diff([*keys, len(packets)])) <= max(1, min(12, int(fps)))
        container.seek(0)
        frames = list(container.decode(stream))
    for k, (frame, shade) in enumerate(zip(frames, SHADES, strict=True)):
        assert float(frame.pts * frame.time_base) == pytest.approx(float(k / fps), abs=1e-4)
        assert abs(frame.to_ndarray(format="rgb24").mean() - shade) < 4


def test_a_large_picture_becomes_960_wide(tmp_path: Path) -> None:
    source = flat_video(tmp_path / "source.mp4", SHADES[:2], wh=(1280, 722))
    make_proxy(camera(source), tmp_path / "proxy.mp4")
    with av.open(str(tmp_path / "proxy.mp4")) as container:
        [stream] = container.streams.video
        assert (stream.width, stream.height) == (960, 542)


def test_a_proxy_is_kept_until_its_source_changes(tmp_path: Path) -> None:
    source = flat_video(tmp_path / "source.mp4", SHADES)
    first = Proxies([camera(source)], tmp_path / "proxies")
    assert first.state(0).state == "absent"
    assert ready(first) == ProxyState("ready", len(SHADES), len(SHADES))
    first.close()
    written = first.path(0).stat().st_mtime_ns
    again = Proxies([camera(source)], tmp_path / "proxies")
    assert again.state(0).state == "ready"
    assert again.path(0).stat().st_mtime_ns == written
    flat_video(source, SHADES[:20])
    assert Proxies([camera(source)], tmp_path / "proxies").state(0).state == "absent"
    source.unlink()  # what was made of it is still good
    assert Proxies([camera(source)], tmp_path / "proxies").state(0).state == "ready"


def test_the_part_before_a_damaged_frame_is_used(tmp_path: Path) -> None:
    source = flat_video(tmp_path / "source.mkv", SHADES)
    source.write_bytes(source.read_bytes()[:-800])
    proxies = Proxies([camera(source)], tmp_path / "proxies")
    state = ready(proxies)
    proxies.close()
    assert state.state == "ready"
    assert 0 < state.frames < len(SHADES)
    assert "source.mkv" in state.problem


def test_no_video_and_no_readable_video_are_states(tmp_path: Path) -> None:
    assert Proxies([camera(None)], tmp_path).state(0).state == "failed"
    (tmp_path / "source.mp4").write_bytes(b"nothing")
    proxies = Proxies([camera(tmp_path / "source.mp4")], tmp_path / "proxies")
    assert ready(proxies).state == "failed"
    assert "cannot be opened" in proxies.state(0).problem
    proxies.close()
    gone = Proxies([replace(camera(tmp_path / "gone.mp4"))], tmp_path / "proxies")
    assert ready(gone).state == "failed"
    gone.close()


def test_a_server_that_stops_leaves_no_half_proxy(tmp_path: Path) -> None:
    source = flat_video(tmp_path / "source.mp4", SHADES * 40)
    proxies = Proxies([camera(source)], tmp_path / "proxies")
    proxies.request(0)
    while proxies.state(0).done < 1:
        time.sleep(0.001)
    proxies.close()
    assert list((tmp_path / "proxies").iterdir()) == []


def test_what_a_killed_server_left_is_removed_and_made_anew(tmp_path: Path) -> None:
    source = flat_video(tmp_path / "source.mp4", SHADES * 20)
    folder = tmp_path / "proxies"
    program = """
import sys, time
from pathlib import Path
from tests.mtmc.view.test_proxies import Proxies, camera
Proxies([camera(Path(sys.argv[1]))], Path(sys.argv[2])).request(0)
time.sleep(600)
"""
    killed = subprocess.Popen(
        [sys.executable, "-c", program, str(source), str(folder)], cwd=Path(__file__).parents[3]
    )
    try:
        until = time.monotonic() + 120
        while not (folder.is_dir() and any(folder.iterdir())):
            assert killed.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        killed.kill()
        killed.wait()
    left = list(folder.iterdir())
    assert left
    assert not (folder / "c001.json").exists()  # it was not finished
    again = Proxies([camera(source)], folder)
    assert again.state(0).state == "absent"
    state = ready(again)
    again.close()
    assert (state.state, state.frames) == ("ready", 20 * len(SHADES))
    assert sorted(path.name for path in folder.iterdir()) == ["c001.json", "c001.mp4"]


def test_another_server_at_work_is_left_alone(tmp_path: Path) -> None:
    source = flat_video(tmp_path / "source.mp4", SHADES)
    first = Proxies([camera(source)], tmp_path / "proxies")
    ready(first)
    half_written = tmp_path / "proxies" / ".c002-0123456789ab.mp4"  # as mtmc.files.atomic_path names it
    half_written.write_bytes(b"in the making")
    second = Proxies([replace(camera(source), id="c003")], tmp_path / "proxies")
    ready(second)
    assert half_written.exists()
    second.close()
    first.close()
    third = Proxies([replace(camera(source), id="c004")], tmp_path / "proxies")
    ready(third)
    third.close()
    assert not half_written.exists()
