"""Videos whose names or texts a program for videos may stumble over."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mtmc.scene import load_scenes
from mtmc.scene.recording_dates import date_in_file
from mtmc.video.read import probe, read_frames
from mtmc.video.timestamps import presentation_times
from tests.builders import write_video

FRAMES = np.full((5, 24, 32, 3), 90, np.uint8)


@pytest.mark.parametrize("name", ["2026-05-12T07:00:00.mp4", "a:b.mp4", "file:c.mp4"])
def test_names_with_colons_are_no_addresses(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / name, FRAMES)
    assert probe(Path(name)).size_wh == (32, 24)
    times_s = presentation_times(Path(name))
    assert times_s is not None
    np.testing.assert_allclose(times_s, np.arange(5) / 10)
    [scene] = load_scenes(Path())
    assert [(camera.id, camera.size_wh) for camera in scene.cameras] == [(name[:-4], (32, 24))]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_texts_that_are_not_utf_8(tmp_path: Path, suffix: str) -> None:
    """A recorder's text in the encoding of its country, put in the place of one as long in ASCII."""
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        container.metadata.update(title="PLACEHOLDER", creation_time="2026-05-12T07:00:03Z")
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for picture in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.count(b"PLACEHOLDER") == 1
    path.write_bytes(content.replace(b"PLACEHOLDER", "Straße Nr 1".encode("latin-1")))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    [scene] = load_scenes(path)
    [camera] = scene.cameras
    assert (camera.problem, camera.size_wh) == ("", (32, 24))
    assert len(list(read_frames(path, "a", camera.clock))) == 5
    date = date_in_file(path)
    assert date is not None
    assert date.isoformat() == "2026-05-12T07:00:03+00:00"
