"""The rules of the challenge: every rule by a line that breaks it, and results that the project writes are valid."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.cli import main
from mtmc.errors import ConfigError, FormatError
from mtmc.evaluate.aicity import inside_roi, seen_by_several_cameras
from mtmc.evaluate.submission import SHOWN_LINES, Rules, check_submission, rules_of_scene
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1, write_track1

#: Identity 1 in two cameras: a file without a violation.
GOOD = ["6 1 1 10 20 30 40 -1 -1", "6 1 2 11 20 30 40 -1 -1", "7 1 1 10 20 30 40 -1 -1"]


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "track1.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_result_without_violations(tmp_path: Path) -> None:
    found = check_submission(written(tmp_path, *GOOD))
    assert (found.rows, found.vehicles, list(found.cameras), list(found.violations)) == (3, 1, [6, 7], [])
    assert found.is_valid
    assert found.text() == "valid: 3 rows, 1 vehicles, cameras 6, 7"


@pytest.mark.parametrize(
    ("line", "problem", "part"),
    [
        ("6,1,3,10,20,30,40,-1,-1", "columns are separated by commas or tabs instead of spaces", "6,1,3"),
        ("6\t1\t3\t10\t20\t30\t40\t-1\t-1", "columns are separated by commas or tabs instead of spaces", "6"),
        ("6 1 3 10 20 30 40", "a line has more or fewer than nine columns", "7 columns"),
        ("6 1 3 10 20 30 40 -1 -1 0.9", "a line has more or fewer than nine columns", "10 columns"),
        ("6 1 3 10.5 20 30 40 -1 -1", "one of the first seven columns is not a whole number", "left is '10.5'"),
        ("6 1 nan 10 20 30 40 -1 -1", "one of the first seven columns is not a whole number", "frame is 'nan'"),
        ("6 1_0 3 10 20 30 40 -1 -1", "one of the first seven columns is not a whole number", "id is '1_0'"),
        ("6 1 3 10 20 30 40 -1 inf", "xworld or yworld is not a number", "yworld is 'inf'"),
        ("6 1 0 10 20 30 40 -1 -1", "a frame number is less than 1", "frame 0"),
        (
            "6 1 101 10 20 30 40 -1 -1",
            "a frame is after the end of the video",
            "frame 101 of camera 6, which has 100",
        ),
        ("9 1 3 10 20 30 40 -1 -1", "a camera does not belong to the split", "camera 9"),
        ("6 0 3 10 20 30 40 -1 -1", "an identity is less than 1", "id 0"),
        ("6 1 3 10 20 0 40 -1 -1", "a box has no area", "width 0, height 40"),
        ("6 1 3 10 20 30 -4 -1 -1", "a box has no area", "width 30, height -4"),
        ("6 1 2 50 20 30 40 -1 -1", "an identity has a second box in a frame", "first in line 2"),
    ],
)
def test_every_rule_names_the_line(tmp_path: Path, line: str, problem: str, part: str) -> None:
    rules = Rules(cameras=(6, 7), frame_counts={6: 100})
    found = check_submission(written(tmp_path, *GOOD, "", line), rules)
    errors = [violation for violation in found.violations if violation.is_error]
    assert [(error.line, error.problem) for error in errors] == [(5, problem)]
    assert part in errors[0].found
    assert errors[0].remedy
    assert not found.is_valid
    assert found.rows == 4


def test_one_bad_line_does_not_hide_the_others(tmp_path: Path) -> None:
    found = check_submission(written(tmp_path, "6,1", *GOOD, "x", "6 1 0 1 2 3 4 -1 -1"))
    assert [violation.line for violation in found.violations] == [1, 5, 6]


def test_warnings_are_the_rows_that_the_evaluation_drops(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    corner = rng.integers(0, 60, (300, 2))
    size = rng.integers(1, 30, (300, 2))
    table = Table.of(
        rng.integers(6, 9, 300), rng.integers(1, 120, 300), np.arange(300), np.hstack([corner, corner + size])
    )
    path = tmp_path / "track1.txt"
    write_track1(table, path)
    roi = np.ones((50, 50), bool)
    roi[20:30, 20:40] = False
    found = check_submission(path, Rules(rois={6: roi}))
    assert found.is_valid

    rows = read_track1(path)
    kept_by_cameras = set(seen_by_several_cameras(rows).id.tolist())
    one_camera = {v.line - 1 for v in found.violations if v.problem == "an identity is in one camera only"}
    assert {int(rows.id[row]) for row in one_camera} == set(rows.id.tolist()) - kept_by_cameras

    outside = sorted(
        v.line - 1 for v in found.violations if v.problem == "a box reaches out of the region of interest"
    )
    kept = inside_roi(rows, {6: roi}, skip_missing=True)
    assert len(outside) == len(rows) - len(kept) > 0
    assert set(rows.frame[outside].tolist()).isdisjoint(kept.frame.tolist())


def test_the_text_groups_by_problem_and_shows_the_first_lines(tmp_path: Path) -> None:
    bad = [f"6 {identity} 0 10 20 30 40 -1 -1" for identity in range(1, SHOWN_LINES + 4)]
    text = check_submission(written(tmp_path, *GOOD, *bad)).text()
    assert text.startswith(f"NOT valid: {3 + len(bad)} rows")
    assert text.count("error: a frame number is less than 1 (8 lines)") == 1
    assert text.count("frame 0") == SHOWN_LINES
    assert "… and 3 more" in text
    assert "remedy: count frames from 1" in text
    assert text.index("error:") < text.index("warning: an identity is in one camera only")


def test_a_file_without_rows_and_one_that_is_no_text(tmp_path: Path) -> None:
    empty = check_submission(written(tmp_path))
    assert not empty.is_valid
    assert "error: the file has no rows (1 line)\n  line 1: the end of the file" in empty.text()
    (tmp_path / "video.mp4").write_bytes(b"\0\1")
    with pytest.raises(FormatError, match="got a binary file"):
        check_submission(tmp_path / "video.mp4")


def test_rules_from_a_scene_folder_and_from_a_scenario(tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    roi = np.full((480, 640), 255, np.uint8)
    roi[:, 320:] = 0
    cv2.imwrite(str(scene / "east_roi.png"), roi)
    (scene / "east.txt").write_text("1,-1,0,0,9,9,1,-1,-1,-1\n")
    (scene / "scene.yaml").write_text(
        "cameras:\n  - {id: east, number: 4, detections: [east.txt], fps: 10, frame_count: 60,"
        " size_wh: [640, 480], roi: east_roi.png}\n"
    )
    rules = rules_of_scene(scene)
    assert (rules.cameras, dict(rules.frame_counts)) == ((4,), {4: 60})
    assert rules.rois[4].sum() == 480 * 320
    assert rules_of_scene(scene, cameras="S02,east").cameras == (4, 6, 7, 8, 9)
    assert rules_of_scene(cameras="S06") == Rules((41, 42, 43, 44, 45, 46))
    assert rules_of_scene() == Rules()
    with pytest.raises(ConfigError, match="expected cameras for the regions of interest"):
        rules_of_scene(roi=scene)


def test_the_command_says_so_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, *GOOD)
    assert main(["validate", str(path), "--cameras", "S02"]) == 0
    assert capsys.readouterr().out.startswith("valid: 3 rows")
    assert main(["validate", str(path), "--cameras", "S01"]) == 2
    assert "remedy: leave out rows of other cameras than 1, 2, 3, 4, 5" in capsys.readouterr().out
