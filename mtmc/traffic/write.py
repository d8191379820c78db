"""Rows of one frozen type as CSV and as Parquet: the fields are the columns, and their names give the units."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, get_type_hints

from mtmc.files import atomic_path

__all__ = ["write_csv", "write_parquet_rows"]


def write_csv(rows: Sequence[Any], row_type: type, path: Path) -> None:
    """Write a header and a line per row. NaN becomes an empty field, seconds and speeds have three decimals.

    Args:
        rows: Instances of ``row_type``.
        row_type: A dataclass.
        path: The file.

    Raises:
        MtmcError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(row_type))
        writer.writerows([_text(value) for value in astuple(row)] for row in rows)


def write_parquet_rows(rows: Sequence[Any], row_type: type, path: Path) -> None:
    """Write the same rows with their types; NaN becomes null.

    Args:
        rows: Instances of ``row_type``.
        row_type: A dataclass whose fields are ``str``, ``int`` or ``float``.
        path: The file.

    Raises:
        MtmcError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow_type = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    types = get_type_hints(row_type)
    columns = {
        field.name: pa.array([_none_for_nan(getattr(row, field.name)) for row in rows], arrow_type[types[field.name]])
        for field in fields(row_type)
    }
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def _text(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return value


def _none_for_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
