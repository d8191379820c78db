"""Parquet: every column of the table, with its type, for analysis with other tools. Frames count from 0."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.errors import FormatError
from mtmc.files import atomic_path
from mtmc.formats.table import Table
from mtmc.types import CLASSES

__all__ = ["read_parquet", "write_parquet"]

_WHOLE = ("camera", "id", "frame", "class_id", "track_id")
_BOX = ("x1", "y1", "x2", "y2")
_GROUND = ("ground_x_m", "ground_y_m")


def write_parquet(table: Table, path: str | os.PathLike[str], camera_ids: Mapping[int, str] | None = None) -> None:
    """Write every column, sorted by camera, frame and id; the same table gives the same bytes.

    Args:
        table: The rows.
        path: The file.
        camera_ids: Number → name of each camera, for the column ``camera_id``; ``c006`` stands for a 6 not named.

    Raises:
        MtmcError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = table.sorted()
    names = camera_ids or {}
    columns: dict[str, Any] = {
        "camera_id": pa.array([names.get(n, f"c{n:03d}") for n in table.camera.tolist()], pa.string())
    }
    columns |= {name: getattr(table, name) for name in (*_WHOLE, "score", "time_s")}
    columns["class"] = pa.array([CLASSES[class_id] for class_id in table.class_id.tolist()], pa.string())
    columns |= {name: np.ascontiguousarray(table.xyxy[:, i]) for i, name in enumerate(_BOX)}
    columns |= {name: np.ascontiguousarray(table.ground_m[:, i]) for i, name in enumerate(_GROUND)}
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def read_parquet(path: str | os.PathLike[str]) -> Table:
    """Read what :func:`write_parquet` wrote.

    Raises:
        FormatError: There is no such file, it is not Parquet, or a column is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise FormatError("there is no such file", path=path, remedy="check the path")
    wanted = [*_WHOLE, "score", "time_s", *_BOX, *_GROUND]
    try:
        # ParquetFile and not read_table, which reads a part of the path such as "run=1" as one more column.
        with pq.ParquetFile(path) as file:
            missing = sorted(set(wanted) - set(file.schema_arrow.names))
            if missing:
                message = f"expected the columns of a table of boxes, got none named {', '.join(missing)}"
                raise FormatError(message, path=path, remedy="give a file that mtmc wrote")
            columns = {
                n: c.to_numpy() for n, c in zip(wanted, file.read(wanted, use_threads=False).columns, strict=True)
            }
    except (pa.ArrowInvalid, OSError) as error:
        remedy = "give a file that mtmc wrote"
        raise FormatError("expected a Parquet file, got something else", path=path, remedy=remedy) from error
    return Table.of(
        columns["camera"],
        columns["id"],
        columns["frame"],
        np.stack([columns[n] for n in _BOX], axis=1),
        score=columns["score"],
        class_id=columns["class_id"],
        track_id=columns["track_id"],
        time_s=columns["time_s"],
        ground_m=np.stack([columns[n] for n in _GROUND], axis=1),
    )
