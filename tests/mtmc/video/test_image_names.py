"""Which digits of a picture's name are its number."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmc.errors import VideoError
from mtmc.video.images import list_images

ORDERED = {
    "counted": ["f9", "f10", "f100"],
    "camera in front": ["cam1_000009", "cam1_000010"],
    "camera behind": ["frame_00001_c006", "frame_00002_c006", "frame_00010_c006"],
    "hash behind": ["v_mp4-0000_jpg.rf.000ab54a98c", "v_mp4-0001_jpg.rf.000ab54a98d8de", "v_mp4-0002_jpg.rf.00a54a"],
    "milliseconds": ["cam1_20240501_120000_950", "cam1_20240501_120001_051", "cam1_20240501_120001_951"],
    "epoch": ["1714564800.05", "1714564800.5", "1714564800.95", "1714564801.1"],
    "depth behind": ["000001_rgb8", "000002_rgb8", "000010_rgb8"],
    "renamed by a file manager": ["img (1)", "img (2)", "img (10)"],
    "copies of all": ["img0003 (1)", "img0012 (1)"],
}


def folder_of(folder: Path, stems: list[str]) -> Path:
    for stem in reversed(stems):
        (folder / f"{stem}.jpg").touch()
    return folder


def test_hidden_files_and_folders_are_no_pictures(tmp_path: Path) -> None:
    stems = ["0001", "0002"]
    folder_of(tmp_path, stems)
    for stem in stems:
        (tmp_path / f"._{stem}.jpg").touch()  # as macOS leaves them on exFAT
    (tmp_path / "0003.jpg").mkdir()
    assert [path.stem for path in list_images(tmp_path)] == stems


@pytest.mark.parametrize("stems", ORDERED.values(), ids=ORDERED)
def test_order(tmp_path: Path, stems: list[str]) -> None:
    assert [path.stem for path in list_images(folder_of(tmp_path, stems))] == stems


@pytest.mark.parametrize(
    "stems",
    [["cam1_0001", "cam2_0001"], ["f3", "f3 (1)"], ["f_001", "f_01"], ["f_1_c1", "f_1_c2"]],
    ids=["two cameras", "a copy", "leading zeros", "camera behind"],
)
def test_a_number_twice(tmp_path: Path, stems: list[str]) -> None:
    with pytest.raises(VideoError, match=r"expected every number once, got .*\.jpg and .*\.jpg"):
        list_images(folder_of(tmp_path, stems))
