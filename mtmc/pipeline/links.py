"""``results/links.parquet``: the pairs of tracklets that association joined or rejected."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtmc.associate.tracklet_links import TrackletLinks
from mtmc.errors import FormatError
from mtmc.files import atomic_path
from mtmc.types import Array

__all__ = ["read_links", "write_links"]

_TEXT = ("camera_a", "camera_b", "rule")


def write_links(links: TrackletLinks, path: Path) -> None:
    """Write every column; the same pairs give the same bytes.

    Raises:
        MtmcError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        name: pa.array(column.tolist(), pa.string()) if name in _TEXT else pa.array(column)
        for name, column in links.arrays().items()
    }
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def read_links(path: Path) -> TrackletLinks:
    """Read what :func:`write_links` wrote.

    Raises:
        FormatError: It is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # ParquetFile and not read_table, which reads a part of the path such as "run=1" as one more column.
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
        return TrackletLinks.of_arrays({name: _array(name, table.column(name)) for name in table.column_names})
    except (pa.ArrowInvalid, OSError, KeyError) as cause:
        raise FormatError(
            "expected the links of a run, got something else",
            path=path,
            remedy="repeat the run with the same --out; done stages are kept",
        ) from cause


def _array(name: str, column: object) -> Array:
    values = column.to_numpy()  # type: ignore[attr-defined]
    return values.astype(np.str_) if name in _TEXT else values  # type: ignore[no-any-return]
