"""A folder of pictures to embeddings, and those to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.data.augment import resize
from reid.data.checks import PICTURES, need, pictures_below
from reid.data.images import read_image
from reid.errors import ConfigError, DataError
from reid.inference import Embedder
from reid.progress import progress

__all__ = ["embed_folder", "save"]


def embed_folder(folder: Path, embedder: Embedder) -> tuple[list[str], NDArray[Any]]:
    """Embed every picture of a folder and its subfolders.

    Returns:
        Paths relative to ``folder``, with slashes, sorted; and float32 (N, D), the network's own rows.

    Raises:
        DataError: There is no picture, one cannot be read, or links are broken.
        WeightsError: The network fails.
    """
    paths = pictures_below(need(folder, "a folder of pictures", "give the folder that holds them"))
    if not paths:
        kinds = ", ".join(sorted(PICTURES))
        raise DataError(f"expected a folder with pictures ({kinds}), got none in it", path=folder)
    rows = []
    for start in progress(range(0, len(paths), embedder.batch), "embed"):
        part = paths[start : start + embedder.batch]
        seen = [resize(read_image(path), embedder.size_hw, embedder.interpolation) for path in part]
        rows.append(embedder(np.stack(seen)))
    return [path.relative_to(folder).as_posix() for path in paths], np.concatenate(rows)


def save(path: Path, names: list[str], embeddings: NDArray[Any]) -> None:
    """Write ``path`` (N,) and ``embedding`` (N, D) as .npz or .parquet; the file is whole or not there.

    Raises:
        ConfigError: The file cannot be written.
        DataError: A name is not in UTF-8, which .parquet needs.
    """
    write = _write_parquet if path.suffix == ".parquet" else _write_npz
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(partial, names, embeddings)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write this file ({error.strerror or error})", path=path) from error


def _write_npz(path: Path, names: list[str], embeddings: NDArray[Any]) -> None:
    np.savez(path, path=np.array(names, np.str_), embedding=embeddings)


def _write_parquet(path: Path, names: list[str], embeddings: NDArray[Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        path_column = pa.array(names, pa.string())
    except UnicodeEncodeError as error:
        raise DataError(
            f"expected names in UTF-8, which Parquet holds, got {error.object!r}",
            remedy="rename this file, or write .npz",
        ) from None
    flat = pa.array(np.ascontiguousarray(embeddings).reshape(-1))
    rows = pa.FixedSizeListArray.from_arrays(flat, embeddings.shape[1])
    pa.parquet.write_table(pa.table({"path": path_column, "embedding": rows}), path)
