from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import FormatError
from mtmc.formats.parquet import read_parquet, write_parquet
from mtmc.formats.table import Table


def table(rows: int = 50) -> Table:
    rng = np.random.default_rng(5)
    return Table.of(
        rng.integers(1, 4, rows),
        rng.integers(1, 9, rows),
        rng.integers(0, 99, rows),
        rng.normal(size=(rows, 4)) * 100,
        score=rng.random(rows),
        class_id=rng.integers(0, 5, rows),
        track_id=np.arange(rows),
        time_s=np.where(rng.random(rows) < 0.3, np.nan, rng.random(rows)),
        ground_m=rng.normal(size=(rows, 2)),
    )


@pytest.mark.parametrize("rows", [0, 50])
def test_every_column_survives_exactly(tmp_path: Path, rows: int) -> None:
    write_parquet(table(rows), tmp_path / "run=1.parquet", {1: "north"})
    again = read_parquet(tmp_path / "run=1.parquet")
    for field in fields(Table):
        before, after = getattr(table(rows).sorted(), field.name), getattr(again, field.name)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    shuffled = table()[np.random.default_rng(0).permutation(50)]
    write_parquet(table(), tmp_path / "a.parquet")
    write_parquet(shuffled, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_cameras_go_by_their_names(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    write_parquet(Table.of([1, 6], [1, 1], [0, 0], [[0, 0, 1, 1]] * 2), tmp_path / "a.parquet", {1: "north"})
    assert pq.ParquetFile(tmp_path / "a.parquet").read()["camera_id"].to_pylist() == ["north", "c006"]
    cars = Table.of([1, 1], [1, 2], [0, 0], [[0, 0, 1, 1]] * 2, class_id=[4, 0])
    write_parquet(cars, tmp_path / "b.parquet")
    assert pq.ParquetFile(tmp_path / "b.parquet").read()["class"].to_pylist() == ["truck", "vehicle"]


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    with pytest.raises(FormatError, match="no such file"):
        read_parquet(tmp_path / "none.parquet")
    (tmp_path / "a.parquet").write_text("1,2,3\n")
    with pytest.raises(FormatError, match="expected a Parquet file"):
        read_parquet(tmp_path / "a.parquet")
    pq.write_table(pa.table({"camera": [1], "id": [1]}), tmp_path / "b.parquet")
    with pytest.raises(FormatError, match="got none named class_id, frame"):
        read_parquet(tmp_path / "b.parquet")
