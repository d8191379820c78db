"""What other programs write around the numbers, rows that cannot count, and files of nine columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import FormatError
from mtmc.formats.any import read_any
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1, write_track1
from mtmc.formats.truth import read_truth

Write = Callable[[str], Path]
ROWS = "1,7,10,20,30,40,1,-1,-1,-1\n2,7,12,20,30,40,1,-1,-1,-1\n"


@pytest.fixture
def file(tmp_path: Path) -> Write:
    def write(content: str) -> Path:
        path = tmp_path / "a.txt"
        path.write_text(content, newline="")
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "frame,id,left,top,width,height,conf,x,y,z\n" + ROWS,
        "\ufeffframe,id,bb_left,bb_top,bb_width,bb_height,score,a,b,c\n" + ROWS,
        "# made by a tracker\n" + ROWS + "  # the end\n",
        "\n# one\n\nFrame ID Left Top Width Height Score X Y Z\n# two\n" + ROWS,
        ROWS.replace("\n", ",\n"),
        ROWS.replace("\n", " , \r\n"),
        ROWS.rstrip("\n") + ",",
        ROWS.replace("\n", "\r"),
    ],
)
def test_titles_comments_and_last_commas_are_no_rows(file: Write, text: str) -> None:
    for read in (read_mot, read_any):
        table = read(file(text))
        assert table.frame.tolist() == [0, 1]
        assert table.xyxy.tolist() == [[10, 20, 40, 60], [12, 20, 42, 60]]


@pytest.mark.parametrize(
    ("titles", "wrong"),
    [
        ("id,frame,left,top,width,height,score,x,y,z", "'id' in column 1"),
        ("frame,id,x1,y1,x2,y2,score,a,b,c", "'x2' in column 5"),
        ("frame,id,left,top,right,bottom,score,a,b,c", "'right' in column 5"),
        ("frame,id,left,top,height,width,score,a,b,c", "'height' in column 5"),
    ],
)
def test_titles_of_another_order_are_refused(file: Write, titles: str, wrong: str) -> None:
    with pytest.raises(
        FormatError, match=rf"a\.txt:2: expected columns in the order frame,id.*got the title {wrong}"
    ):
        read_mot(file("# note\n" + titles + "\n" + ROWS))


def test_lines_are_counted_through_comments_and_titles(file: Write) -> None:
    with pytest.raises(FormatError, match=r"a\.txt:5: expected a whole id, got 7\.5"):
        read_mot(
            file(
                "# one\nframe,id,left,top,width,height,conf,x,y,z\n\n" + ROWS[:27] + ROWS[27:].replace(",7,", ",7.5,")
            )
        )
    with pytest.raises(FormatError, match=r"a\.txt:4: expected a finite number, got 'x'"):
        read_mot(file("# one\n" + ROWS + "3,x,1,2,3,4,1,-1,-1,-1,\n"))


@pytest.mark.parametrize("size", ["0,40", "30,0", "-3.5,4", "0,0"])
def test_a_box_without_area_is_left_out_with_a_note(file: Write, size: str, caplog: pytest.LogCaptureFixture) -> None:
    table = read_mot(file(f"1,7,10,20,30,40,1\n# comment\n2,7,10,20,{size},1\n3,7,10,20,30,40,1\n"))
    assert table.frame.tolist() == [0, 2]
    assert [record.getMessage().split("a.txt")[1] for record in caplog.records] == [
        ":3: 1 row is left out: no positive width and height"
    ]
    table = read_track1(file("1 7 1 10 20 30 40 -1 -1\n1 7 2 10 20 " + size.replace(",", " ") + " -1 -1\n"))
    assert table.frame.tolist() == [0]


def test_columns_that_are_no_sizes_are_refused(file: Write) -> None:
    with pytest.raises(FormatError, match=r":1: expected a box with positive width and height, got -5 by 40"):
        read_mot(file("1,7,15,20,-5,40\n2,7,15,20,-5,40\n3,7,15,20,5,40\n"))
    with pytest.raises(FormatError, match=r":1: expected a box with positive width and height, got 0 by 40"):
        read_track1(file("1 7 5 10 20 0 40 -1 -1\n"))


def test_the_offset_is_applied_before_frames_are_checked(file: Write) -> None:
    path = file("0,7,10,20,30,40,1\n3,7,10,20,30,40,1\n")
    assert read_mot(path, frame_offset=1).frame.tolist() == [0, 3]
    assert read_mot(path, frame_offset=-1).frame.tolist() == [1]
    with pytest.raises(FormatError, match=r":1: expected a whole frame number from 1, got 0.*input\.frame_offset=1"):
        read_mot(path)
    path = file("1 7 0 10 20 30 40 -1 -1\n1 7 1 10 20 30 40 -1 -1\n")
    assert read_track1(path, frame_offset=1).frame.tolist() == [0, 1]
    assert read_any(path, frame_offset=1).frame.tolist() == [0, 1]
    with pytest.raises(FormatError, match=r"a whole frame number, got 1\.5"):
        read_mot(file("1.5,7,10,20,30,40,1\n"), frame_offset=1)


def test_rows_of_truth_that_do_not_count(file: Write) -> None:
    path = file("1,1,0,0,9,9,1,1,1\n1,2,0,0,9,9,0,1,1\n1,-1,0,0,9,9,1,1,1\n2,1,0,0,9,9,-1,1,1\n")
    table = read_truth(path, 6)
    assert (table.camera.tolist(), table.id.tolist(), table.frame.tolist()) == ([6, 6], [1, 1], [0, 1])
    assert len(read_truth(file(""))) == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,1,0,0,9,9,0\n2,1,0,0,9,9,0\n", "got 2 rows that all have a 0 in the seventh column; 0 means 'do not"),
        ("1,-1,0,0,9,9,1\n", "got 1 rows that all have the identity −1; these look like detections"),
        ("1,-1,0,0,9,9,1\n1,4,0,0,9,9,0\n", "got 2 rows, each with a 0 in the seventh column or the identity −1"),
    ],
)
def test_truth_of_which_no_row_counts_says_why(file: Write, text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        read_truth(file(text))


def rows_of(score: Callable[[np.random.Generator], float], last: tuple[float, float], frames: int = 30) -> str:
    """Three vehicles of one camera: frame,id,left,top,width,height,score,A,B with whole coordinates."""
    rng = np.random.default_rng(3)
    return "".join(
        f"{frame},{track},{100 * track + 4 * frame},60,48,30,{score(rng):g},{last[0]:g},{last[1]:g}\n"
        for frame in range(1, frames + 1)
        for track in (1, 2, 3)
    )


@pytest.mark.parametrize("last", [(2, -1), (-1, -1), (0, -1), (1, 0.8), (7, 3), (1, 1)])
@pytest.mark.parametrize(
    "score",
    [
        lambda rng: rng.uniform(0.3, 0.95),
        lambda rng: 1.0,
        lambda rng: 0.0,
        lambda rng: -1.0,
        lambda rng: rng.integers(30, 100),  # in percent: could be heights
    ],
)
def test_nine_columns_of_one_camera(
    file: Write, last: tuple[float, float], score: Callable[[np.random.Generator], float]
) -> None:
    path = file(rows_of(score, last))
    for camera in (None, 6):
        table = read_any(path, camera)
        assert np.unique(table.camera).tolist() == [camera or 0]
        assert (len(table), int(table.frame.max())) == (90, 29)
        assert table.xyxy[0].tolist() == [104, 60, 152, 90]


@pytest.mark.parametrize("camera", [None, 6])
def test_detections_in_nine_columns_are_of_one_camera(file: Write, camera: int | None) -> None:
    path = file("".join(f"{f},-1,{10 + f},60,48,30,0.9,2,-1\n" for f in (1, 1, 2)))
    assert read_any(path, camera).camera.tolist() == [camera or 0] * 3


def test_a_few_rows_follow_the_path(file: Write) -> None:
    path = file("1,7,10,20,30,40,50,-1,-1\n")
    assert read_any(path, 4).camera.tolist() == [4]
    assert read_any(path).camera.tolist() == [1]


@pytest.mark.parametrize("lengths", [(2, 1), (5, 30), (1, 40)])
@pytest.mark.parametrize("camera", [None, 6])
def test_nine_columns_of_many_cameras(tmp_path: Path, lengths: tuple[int, int], camera: int | None) -> None:
    rows = [
        (number, identity, first + k)
        for number, first in ((6, 3), (7, 40))
        for identity, length in enumerate(lengths, start=1)
        for k in range(length)
    ]
    cameras, identities, frames = np.array(rows).T
    left = 40.0 * identities + frames
    write_track1(Table.of(cameras, identities, frames, np.stack([left, left, left + 9, left + 9], 1)), tmp_path / "t")
    table = read_any(tmp_path / "t", camera)
    assert np.unique(table.camera).tolist() == [6, 7]
    assert sorted(table.frame.tolist()) == sorted(frames.tolist())
