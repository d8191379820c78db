"""Rows of one frozen type as CSV and as Parquet: the fields are the columns, and their names give the units.

Where the date of the scene's clock is known, a column of UTC times follows every column of scene times:
``enter_utc`` follows ``enter_s``.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_type_hints

from mtmc.errors import SceneError
from mtmc.files import atomic_path

__all__ = ["SCENE_TIMES", "columns_of", "utc_of", "write_csv", "write_parquet_rows"]

#: Columns of seconds on the scene's clock; all others in seconds are durations.
SCENE_TIMES = ("enter_s", "leave_s", "bin_start_s", "bin_end_s", "start_s", "end_s", "at_s")


def columns_of(rows: Sequence[Any], row_type: type, start_utc: datetime | None = None) -> dict[str, list[Any]]:
    """The columns of a table by name, with columns of UTC times where ``start_utc`` is known.

    Args:
        rows: Instances of ``row_type``.
        row_type: A dataclass.
        start_utc: Date and time of second 0 of the scene's clock.

    Raises:
        SceneError: A time is no date, see :func:`utc_of`.
    """
    columns: dict[str, list[Any]] = {}
    for field in fields(row_type):
        values = [getattr(row, field.name) for row in rows]
        columns[field.name] = values
        if start_utc is not None and field.name in SCENE_TIMES:
            columns[field.name.removesuffix("_s") + "_utc"] = [utc_of(start_utc, value) for value in values]
    return columns


def utc_of(start_utc: datetime, scene_s: float) -> datetime:
    """Date and time, UTC, of a moment on the scene's clock.

    Args:
        start_utc: Date and time of second 0.
        scene_s: The moment, seconds.

    Raises:
        SceneError: It lies before the year 1 or after the year 9999.
    """
    try:
        return (start_utc + timedelta(seconds=scene_s)).astimezone(timezone.utc)
    except OverflowError:
        raise SceneError(
            f"second {scene_s:g} after {start_utc.isoformat()} is no date up to the year 9999",
            remedy="check start_utc and start_s in scene.yaml: start_s is in seconds after start_utc",
        ) from None


def write_csv(columns: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Write a header and a line per row.

    NaN becomes an empty field, seconds and speeds have three decimals, and UTC times are ISO 8601 with milliseconds.

    Args:
        columns: As from :func:`columns_of`.
        path: The file.

    Raises:
        MtmcError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(_text, row) for row in zip(*columns.values(), strict=True))


def write_parquet_rows(columns: Mapping[str, Sequence[Any]], row_type: type, path: Path) -> None:
    """Write the same columns with their types; NaN becomes null.

    Args:
        columns: As from :func:`columns_of`.
        row_type: The dataclass of the rows, whose fields are ``str``, ``int`` or ``float``.
        path: The file.

    Raises:
        MtmcError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow_type = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    types = get_type_hints(row_type)
    arrays = {}
    for name, values in columns.items():
        column_type = arrow_type[types[name]] if name in types else pa.timestamp("ms", "UTC")
        arrays[name] = pa.array([_none_for_nan(value) for value in values], column_type)
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(arrays), temporary, compression="zstd")


def _text(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return value


def _none_for_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
