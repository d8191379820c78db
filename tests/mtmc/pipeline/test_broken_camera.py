"""One broken camera does not stop the others, and what came before the trouble is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmc.cli import main
from mtmc.video.read import probe
from tests.builders import traffic_frames, write_video

COLORS = ((220, 40, 40), (40, 60, 220))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_everything_is_made_of_what_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    folder, out = tmp_path / "town", tmp_path / "out"
    for name in ("c001", "c002", "c003"):
        write_video(folder / f"{name}.mp4", traffic_frames(60, colors=COLORS))
    half = (folder / "c002.mp4").read_bytes()
    (folder / "c002.mp4").write_bytes(half[: int(len(half) * 0.8)])
    (folder / "c003.mp4").write_bytes(b"")
    command = ["run", "--videos", str(folder), "--out", str(out), "--workers", workers]
    assert main([*command, "-o", "detect.weights=motion", "-o", "clean.filter.enabled=false"]) == 2
    said = capsys.readouterr().out
    assert f"mtmc: c002: {folder}/c002.mp4: expected a video that can be decoded to its end" in said
    assert f"mtmc: c003: {folder}/c003.mp4: expected a video, got an empty file (0 bytes)" in said
    manifest = json.loads((out / "run.json").read_text())
    frames = {name: camera["counts"].get("frames", 0) for name, camera in manifest["cameras"].items()}
    assert frames["c001"] == 60
    assert 0 < frames["c002"] < 60
    assert frames["c003"] == 0
    assert (out / "mot" / "c001.txt").stat().st_size > 0
    assert probe(out / "videos" / "c002.mp4").frames == frames["c002"]
    assert not (out / "videos" / "c003.mp4").exists()
    assert (out / "videos" / "mosaic.mp4").exists()
    assert "c002.mp4: expected a video that can be decoded to its end" in (out / "report.html").read_text()
    assert str(tmp_path) not in (out / "track1.txt").read_text()
