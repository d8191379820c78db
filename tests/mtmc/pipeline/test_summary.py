"""What a run prints about its cameras."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmc.geometry.clock import Clock
from mtmc.pipeline.camera import CameraResult
from mtmc.pipeline.run import RunResult
from mtmc.pipeline.summary import summary_text
from mtmc.scene import Camera, Scene


def printed(tmp_path: Path, *names: str) -> list[str]:
    cameras = tuple(Camera(name, number, Clock(fps=10.0)) for number, name in enumerate(names, start=1))
    counts = {"frames": 265, "detections": 3421, "tracklets": 51, "vehicles": 48}
    results = [CameraResult(name, counts=counts, seconds={"detect": (2.0, 1.5)}) for name in names]
    scene = Scene(name="town", root=tmp_path, cameras=cameras)
    return summary_text(scene, RunResult(tmp_path, [], results, None, ())).splitlines()


@pytest.mark.parametrize("names", [("c1", "c2"), ("625_201707211410", "a")])
def test_columns_stand_below_their_titles(tmp_path: Path, names: tuple[str, ...]) -> None:
    _, titles, *rows = printed(tmp_path, *names)[: 2 + len(names)]
    assert [row.split() for row in rows] == [[name, "265", "3421", "51", "48", "0", "1.5"] for name in names]
    assert {len(row) for row in rows} == {len(titles)}
    assert all(row[titles.index(title) + len(title) - 1].isdigit() for row in rows for title in ("boxes", "kept"))


def test_one_camera_shares_no_vehicles(tmp_path: Path) -> None:
    assert printed(tmp_path, "c1")[0] == "town: 0 vehicles in 1 camera"
    assert printed(tmp_path, "c1", "c2")[0] == "town: 0 vehicles in 2 cameras, 0 seen by more than one"
