"""A file written here, and a real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mtmc.detect import precomputed, read_detections
from mtmc.geometry.clock import Clock
from mtmc.track import TrackConfig, track

LINES = "3,-1,10,20,30,40,0.5,-1,-1,-1\n1,-1,0,0,5,5,0.9,-1,-1,-1\n3,-1,1,2,3,4,0.75,-1,-1,-1\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "det.txt"
    path.write_text(LINES)
    return path


def test_frames_count_from_zero_and_empty_ones_are_there(file: Path) -> None:
    found = dict(read_detections(file))
    assert [(index, len(d)) for index, d in found.items()] == [(0, 1), (1, 0), (2, 2)]
    assert found[2].xyxy.tolist() == [[10, 20, 40, 60], [1, 2, 4, 6]]
    assert found[2].score.tolist() == [0.5, 0.75]


def test_the_video_says_how_many_frames_there_are(file: Path) -> None:
    assert [len(d) for _, d in read_detections(file, frames=5)] == [1, 0, 2, 0, 0]
    assert [len(d) for _, d in read_detections(file, frames=2)] == [1, 0]


@pytest.mark.parametrize(("offset", "want"), [(1, [0, 1, 0, 2]), (-1, [0, 2]), (-3, [])])
def test_frames_can_be_moved(file: Path, offset: int, want: list[int]) -> None:
    assert [len(d) for _, d in read_detections(file, frame_offset=offset)] == want


def test_an_empty_file_has_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    path.write_text("")
    assert list(read_detections(path)) == []
    assert [len(d) for _, d in read_detections(path, frames=3)] == [0, 0, 0]


def test_no_row_of_a_real_file_is_lost(shared: Callable[[str], Path]) -> None:
    path = shared("data/aicity/S03/det/c013/det_ssd512.txt")
    rows = path.read_text().split()
    found = list(read_detections(path))
    assert sum(len(d) for _, d in found) == len(rows)
    assert len(found) == max(int(row.split(",")[0]) for row in rows)


def test_long_gaps_are_skipped_and_short_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    starts = (1_683_000_000, 1_683_000_003, 1_700_000_000)
    path.write_text("".join(f"{frame},-1,10,20,30,40,0.5\n" for frame in starts))
    found = {index: len(d) for index, d in read_detections(path)}
    assert [index for index, boxes in found.items() if boxes] == [frame - 1 for frame in starts]
    assert list(found)[:5] == [1_683_000_000 - 1 + k for k in range(5)]
    assert len(found) == 3 + 2 + 10_000
    assert list(found) == sorted(found)
    path.write_text("9000,-1,10,20,30,40,0.5\n")
    assert [index for index, _ in read_detections(path)] == list(range(9000))
    assert len(list(read_detections(path, frames=10**9))) == 9000 + 10_000


def test_times_in_place_of_frame_numbers_cost_no_more_than_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    path.write_text("".join(f"{10**15 + 100_000 * k},-1,10,20,30,40,0.5\n" for k in range(60)))
    found = [(index, len(d)) for index, d in read_detections(path, remembered_frames=30)]
    assert [index for index, boxes in found if boxes] == [10**15 + 100_000 * k - 1 for k in range(60)]
    assert len(found) == 60 + 59 * 31
    path.write_text("".join(f"{1 + 100_000 * k},-1,10,20,30,40,0.5\n" for k in range(20)))
    assert len(list(read_detections(path, remembered_frames=30))) == 20 + 19 * 10_000, "few rows: as before"


def test_skipping_a_gap_that_no_track_survives_changes_no_track(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precomputed, "_MOST_EMPTY_FRAMES", 1000)
    path = tmp_path / "det.txt"
    starts = [200 * k + 1 for k in range(10)]
    rows = [(start + k, 10 + 3 * k + start // 200) for start in starts for k in range(8)]
    path.write_text("".join(f"{frame},-1,{left},20,30,40,0.9\n" for frame, left in rows))
    config = TrackConfig(max_age_s=2, stationary_max_age_s=5)
    clock = Clock(fps=10)
    short = track(read_detections(path, remembered_frames=50), "c001", clock, config)
    whole = track(read_detections(path), "c001", clock, config)
    assert [t.frame.tolist() for t in short] == [list(range(start - 1, start + 7)) for start in starts]
    for one, other in zip(short, whole, strict=True):
        assert (one.xyxy == other.xyxy).all()
        assert (one.frame == other.frame).all()


def test_rows_beyond_the_last_frame_are_named(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(list(read_detections(file, frames=2))) == 2
    assert "2 of 3 rows left out: beyond the camera's 2 frames" in caplog.text
