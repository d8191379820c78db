"""MOT and nine-column files: round trips, and the message for every kind of broken line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.errors import FormatError
from mtmc.formats.any import read_any
from mtmc.formats.mot import read_mot, write_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1, write_track1

Find = Callable[[str], Path]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "a.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


Write = Callable[[str | bytes], Path]


def test_mot_columns_are_named(file: Write) -> None:
    table = read_mot(file("3,7,10,20,30.5,40,0.25,1.5,2.5,0\n1,-1,1,2,3,4,-1,-1,-1,-1\n"), camera=6)
    assert table.camera.tolist() == [6, 6]
    assert table.frame.tolist() == [2, 0]
    assert table.id.tolist() == [7, -1]
    assert table.xyxy.tolist() == [[10, 20, 40.5, 60], [1, 2, 4, 6]]
    assert table.score.tolist() == [0.25, 1.0]
    np.testing.assert_array_equal(table.ground_m, [[1.5, 2.5], [np.nan, np.nan]])
    assert np.isnan(table.time_s).all()


@pytest.mark.parametrize("extra", ["", ",1", ",0.5,1", ",1,3,0.5"])
def test_shorter_mot_rows_have_no_position(file: Write, extra: str) -> None:
    table = read_mot(file(f"1,7,10,20,30,40{extra}\n"))
    assert table.xyxy.tolist() == [[10, 20, 40, 60]]
    assert np.isnan(table.ground_m).all()


@pytest.mark.parametrize(
    "text",
    [
        "1 34 55 1581 346 339 158 -1 -1\n1 34 56 1509 347 411 160 -1 -1\n",
        "1,34,55,1581,346,339,158,-1,-1\r\n1,34,56,1509,347,411,160,-1,-1",
        "1\t34\t55\t1581\t346\t339\t158\t-1\t-1\n1\t34\t56\t1509\t347\t411\t160\t-1\t-1",
        "\n 1  34 55 1581 346\t339, 158 -1 -1 \n\n1 34 56 1509.0 347 411 160 -1 -1\n \n",
        "\ufeff1 34 55 1581 346 339 158 -1 -1\n1 34 56 1509 347 411 160 -1 -1\n",
    ],
)
def test_track1_separators(file: Write, text: str) -> None:
    for read in (read_track1, read_any):
        table = read(file(text))
        assert table.camera.tolist() == [1, 1]
        assert table.id.tolist() == [34, 34]
        assert table.frame.tolist() == [54, 55]
        assert table.xyxy.tolist() == [[1581, 346, 1920, 504], [1509, 347, 1920, 507]]
        assert np.isnan(table.ground_m).all()


def test_an_empty_file_is_an_empty_table(file: Write) -> None:
    for read in (read_mot, read_track1, read_any):
        assert len(read(file(""))) == 0
        assert len(read(file("\n \n"))) == 0


GOOD = "1,7,10,20,30,40,1,-1,-1,-1\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,7,10,20,30", r"a\.txt:3: expected 10 numbers, got 5 fields in '1,7,10,20,30'; a line reads frame,id"),
        ("1,7,10,20,30,40,1", r":3: expected 10 numbers, got 7 fields"),
        ("1,7,ten,20,30,40,1,-1,-1,-1", r":3: expected a finite number, got 'ten'"),
        ("1,7,,20,30,40,1,-1,-1,-1", r":3: expected a finite number, got ''"),
        ("1,7,nan,20,30,40,1,-1,-1,-1", r":3: expected a finite number, got 'nan'"),
        ("1,7,10,-inf,30,40,1,-1,-1,-1", r":3: expected a finite number, got '-inf'"),
        ("0,7,10,20,30,40,1,-1,-1,-1", r":3: expected a whole frame number from 1, got 0; frames count from 1"),
        ("1e18,7,10,20,30,40,1,-1,-1,-1", r":3: expected a frame number up to 9007199254740992, got 1e\+18"),
        ("1.5,7,10,20,30,40,1,-1,-1,-1", r":3: expected a whole frame number from 1, got 1\.5"),
        ("1,7.5,10,20,30,40,1,-1,-1,-1", r":3: expected a whole id, got 7\.5"),
        ("1,1e300,10,20,30,40,1,-1,-1,-1", r":3: expected a whole id"),
    ],
)
def test_a_broken_mot_line_is_named(file: Write, line: str, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_mot(file(GOOD + "\n" + line + "\n" + GOOD))
    assert caught.value.line == 3
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 7 5 10 20 30 40 -1", r":2: expected 9 numbers, got 8 fields"),
        ("-1 7 5 10 20 30 40 -1 -1", r":2: expected a whole camera number from 0, got -1"),
        ("1 7 0 10 20 30 40 -1 -1", r":2: expected a whole frame number from 1, got 0"),
        ("c001 7 5 10 20 30 40 -1 -1", r":2: expected a finite number, got 'c001'"),
    ],
)
def test_a_broken_track1_line_is_named(file: Write, line: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_track1(file("1 7 5 10 20 30 40 -1 -1\n" + line + "\n"))


def test_other_files_are_told_apart(file: Write, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.txt: there is no such file; check the path"):
        read_mot(tmp_path / "none.txt")
    with pytest.raises(FormatError, match="got a folder"):
        read_track1(tmp_path)
    with pytest.raises(FormatError, match="got a binary file"):
        read_any(file(b"\x89PNG\0\0\1"))
    with pytest.raises(FormatError, match=r"a\.txt:2: expected text, got bytes that are not"):
        read_mot(file(GOOD.encode() + b"1,7,\xff\xfe,20,30,40,1,-1,-1,-1\n"))


def test_sniffing_tells_mot16_truth_from_track1(file: Write) -> None:
    assert read_any(file("1,7,10,20,30,40,1,3,0.5\n"), camera=4).camera.tolist() == [4]
    assert read_any(file("1,7,10,20,30,40,50,-1,-1\n")).camera.tolist() == [1]
    assert read_any(file("1,7,10,20,30,40,50,42.49,-90.7\n")).frame.tolist() == [9]
    assert read_any(file(GOOD), camera=4).camera.tolist() == [4]


def eighths(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low * 8, high * 8).map(lambda v: v / 8)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(0, 6))
    column = lambda strategy: draw(st.lists(strategy, min_size=rows, max_size=rows))  # noqa: E731
    corner = np.array(column(st.tuples(eighths(-50, 5000), eighths(-50, 5000))), float).reshape(rows, 2)
    size = np.array(column(st.tuples(eighths(1, 900), eighths(1, 900))), float).reshape(rows, 2)
    place = st.one_of(st.just((np.nan, np.nan)), st.tuples(st.floats(-180, 180), st.floats(0, 90)))
    return Table.of(
        3,
        column(st.integers(-1, 10**9)),
        column(st.integers(0, 10**6)),
        np.concatenate([corner, corner + size], axis=1),
        score=column(st.floats(0, 1)),
        ground_m=np.array(column(place), float).reshape(rows, 2),
    )


def same(a: Table, b: Table, *columns: str) -> None:
    for name in columns:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@settings(max_examples=60, deadline=None)
@given(tables())
def test_mot_survives_a_round_trip(tmp_path_factory: pytest.TempPathFactory, table: Table) -> None:
    path = tmp_path_factory.mktemp("mot") / "a.txt"
    write_mot(table, path)
    again = read_mot(path, camera=3)
    same(again, table.sorted(), "camera", "id", "frame", "xyxy", "score", "ground_m")
    text = path.read_bytes()
    write_mot(again, path)
    assert path.read_bytes() == text


@settings(max_examples=60, deadline=None)
@given(tables())
def test_track1_survives_a_round_trip_to_whole_pixels(tmp_path_factory: pytest.TempPathFactory, table: Table) -> None:
    path = tmp_path_factory.mktemp("track1") / "a.txt"
    write_track1(table, path)
    again = read_track1(path)
    same(again, table.sorted(), "camera", "id", "frame", "ground_m")
    assert (np.abs(again.xyxy - table.sorted().xyxy) <= 0.5).all()
    text = path.read_bytes()
    write_track1(again, path)
    assert path.read_bytes() == text


def test_writing_track1(tmp_path: Path) -> None:
    boxes = [[10.5, 20.4, 30.49, 40.5], [-0.6, 5.2, -0.55, 5.3]]
    write_track1(Table.of([2, 1], [5, 9], [0, 9], boxes, ground_m=[[1.5, 2.0], [np.nan, np.nan]]), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "1 9 10 -1 5 1 1 -1 -1\n2 5 1 11 20 19 21 1.5 2\n"


def test_mot_holds_one_camera(tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match="expected the rows of one camera, got 2 cameras; write one file per camera"
    ):
        write_mot(Table.of([1, 2], [1, 1], [0, 0], [[0, 0, 1, 1]] * 2), tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["ground_truth_train_v2.txt", "submissions/S01_a.txt"])
def test_real_track1_files_survive_byte_for_byte(shared: Find, tmp_path: Path, name: str) -> None:
    source = shared("data/aicity/" + name)
    table = read_any(source)
    write_track1(table, tmp_path / "a.txt")
    assert sorted((tmp_path / "a.txt").read_text().split("\n")) == sorted(source.read_text().split("\n"))


@pytest.mark.parametrize(
    "name",
    [
        "aicity/S01/mtsc_deep_sort/c001.txt",
        "aicity/S01/det_fasterrcnn/c003.txt",
        "aicity/S03/det/c010/det_yolo3.txt",
        "aicity/S03/mtsc/c012/mtsc_deepsort_mask_rcnn.txt",
        "mot/TUD-Stadtmitte/gt.txt",
    ],
)
def test_real_mot_files_keep_their_numbers(shared: Find, tmp_path: Path, name: str) -> None:
    source = shared("data/" + name)
    write_mot(read_any(source, camera=1), tmp_path / "a.txt")
    numbers = [np.loadtxt(path, delimiter=",")[:, :7] for path in (source, tmp_path / "a.txt")]
    before, after = (rows[np.lexsort(rows.T[::-1])] for rows in numbers)
    np.testing.assert_array_equal(before, after)
