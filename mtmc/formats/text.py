"""Tables of numbers in text files: fast when the file is well formed, exact about the line when it is not.

What other programs write around the numbers is skipped: blank lines, lines that begin with ``#``, a line of column
titles at the top, and a comma at the end of a line. Line numbers in messages are those of the file all the same.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from mtmc.errors import FormatError
from mtmc.types import Array

__all__ = ["fail_where", "line_of", "number_text", "read_numbers", "read_text"]

_SEPARATORS = re.compile(r"[ \t]*,[ \t]*|[ \t]+")
_COMMENT = re.compile(rb"(?m)^[ \t]*#[^\n]*$")
_LAST_COMMA = re.compile(rb"(?m)[ \t]*,[ \t]*$")

#: Titles that other programs give to the columns of a layout.
_TITLES = {
    "frame": ("frame", "frame_id", "frameid", "frame_number", "fn", "image_id"),
    "id": ("id", "track_id", "trackid", "identity", "object_id", "target_id"),
    "left": ("left", "bb_left", "bbox_left", "x", "x1", "xmin", "x_min"),
    "top": ("top", "bb_top", "bbox_top", "y", "y1", "ymin", "y_min"),
    "width": ("width", "bb_width", "bbox_width", "w"),
    "height": ("height", "bb_height", "bbox_height", "h"),
    "score": ("score", "conf", "confidence"),
    "camera": ("camera", "camera_id", "cam", "cam_id"),
}
_COLUMN_OF_TITLE = {title: column for column, titles in _TITLES.items() for title in titles}
_CORNER_TITLES = ("x2", "y2", "xmax", "ymax", "x_max", "y_max", "right", "bottom")


def read_text(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a text file.

    Raises:
        FormatError: There is no such file, it cannot be read, or it is not text.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise FormatError("there is no such file", path=path, remedy="check the path") from None
    except IsADirectoryError:
        raise FormatError("expected a text file, got a folder", path=path, remedy="name a file in it") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FormatError(f"cannot read this file ({reason})", path=path, remedy="check its permissions") from error
    if b"\0" in data:
        remedy = "give a text file in UTF-8, not a video, an image, Parquet or UTF-16"
        raise FormatError("expected lines of text, got a binary file", path=path, remedy=remedy)
    return data


def read_numbers(path: str | os.PathLike[str], columns: Collection[int], layout: str) -> Array:
    """Rows of finite numbers separated by commas, tabs or spaces: float64 (R, C), C the same in every line.

    Args:
        path: The file. Blank lines, comments and titles are skipped; without rows the shape is (0, min(columns)).
        columns: The numbers of columns that will do.
        layout: What a line should look like, for the error message.

    Raises:
        FormatError: The file cannot be read, or a line is not such a row.
    """
    data = _rows_only(path, layout)
    if not data.strip():
        return np.zeros((0, min(columns)))
    table = _read_fast(data)
    if table is None or table.shape[1] not in columns or not np.isfinite(table).all():
        return _read_slowly(path, data, columns, layout)
    return table


def _rows_only(path: str | os.PathLike[str], layout: str) -> bytes:
    """The text of a file with every line that is no row made blank, so that lines keep their numbers.

    Raises:
        FormatError: The file cannot be read, or its titles name another order of columns than ``layout``.
    """
    data = read_text(path).removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"#" in data:
        data = _COMMENT.sub(b"", data)
    if any(ending in data for ending in (b",\n", b", \n", b",\t\n")) or data.rstrip().endswith(b","):
        data = _LAST_COMMA.sub(b"", data)
    filled = re.search(rb"[^\s][^\n]*", data)
    if filled is None:
        return b""
    words = _SEPARATORS.split(filled[0].decode("utf-8", "replace").strip())
    if any(_is_number(word) for word in words):
        return data
    _check_titles(words, path, data.count(b"\n", 0, filled.start()) + 1, layout)
    return data[: filled.start()] + data[filled.end() :]


def _check_titles(words: Sequence[str], path: str | os.PathLike[str], line: int, layout: str) -> None:
    """Raise if the titles of a file's columns contradict the layout, or each of several, that it is read in.

    Raises:
        FormatError: They give corners, or name a column of the layout at another place.
    """
    titles = [word.strip("\"'<>").lower() for word in words]
    wrong = [_misplaced(titles, _SEPARATORS.split(one)) for one in layout.split(" or ")]
    if all(position is not None for position in wrong):
        position = wrong[0] or 0
        message = (
            f"expected columns in the order {layout}, got the title {titles[position]!r} in column {position + 1}"
        )
        raise FormatError(message, path=path, line=line, remedy="write the columns in that order")


def _misplaced(titles: Sequence[str], columns: Sequence[str]) -> int | None:
    """Position of the first title that belongs to another place or to no such layout, None if there is none.

    A title may occur again further on: ``x`` and ``y`` are a corner, and a position in the world.
    """
    named = [_COLUMN_OF_TITLE.get(title) for title in titles]
    for position, (title, column) in enumerate(zip(titles, named, strict=True)):
        if title in _CORNER_TITLES:
            return position
        if column in columns and column not in named[columns.index(column) : columns.index(column) + 1]:
            return position
    return None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _read_fast(data: bytes) -> Array | None:
    """All rows when one character separates the fields, else None."""
    import pyarrow as pa
    import pyarrow.csv as csv

    first = data.lstrip().split(b"\n", 1)[0].strip()
    delimiter = next((mark for mark in (",", "\t", " ") if mark.encode() in first), ",")
    names = [f"f{i}" for i in range(first.count(delimiter.encode()) + 1)]
    try:
        table = csv.read_csv(
            io.BytesIO(data),
            read_options=csv.ReadOptions(use_threads=False, column_names=names),
            parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float64()), null_values=[]),
        )
    except pa.ArrowInvalid:
        return None
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


def _read_slowly(path: str | os.PathLike[str], data: bytes, columns: Collection[int], layout: str) -> Array:
    """All rows with any mixture of separators; raises at the first line that is not a row."""
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        remedy = "give a text file in UTF-8"
        raise FormatError("expected text, got bytes that are not", path=path, line=line, remedy=remedy) from None
    rows: list[list[float]] = []
    width = 0
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        fields = _SEPARATORS.split(text.strip())
        if len(fields) not in columns or (width and len(fields) != width):
            want = str(width) if width else " or ".join(str(c) for c in sorted(columns))
            message = f"expected {want} numbers, got {len(fields)} fields in {_shorten(text)}"
            raise FormatError(message, path=path, line=number, remedy=f"a line reads {layout}")
        width = len(fields)
        rows.append([_number(field, path, number, layout) for field in fields])
    return np.array(rows, np.float64).reshape(-1, width or min(columns))


def _number(field: str, path: str | os.PathLike[str], line: int, layout: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in field:
        remedy = f"a line reads {layout}"
        raise FormatError(f"expected a finite number, got {_shorten(field)}", path=path, line=line, remedy=remedy)
    return value


def fail_where(
    bad: Array, path: str | os.PathLike[str], values: Sequence[Array], expected: str, remedy: str, layout: str
) -> None:
    """Raise for the first row where ``bad`` (R,) holds, naming its line and its ``values``; else do nothing.

    Raises:
        FormatError: ``expected …, got …`` with the line of the file.
    """
    if not bad.any():
        return
    row = int(np.argmax(bad))
    got = " by ".join(number_text(float(v[row])) for v in values)
    raise FormatError(f"expected {expected}, got {got}", path=path, line=line_of(row, path, layout), remedy=remedy)


def line_of(row: int, path: str | os.PathLike[str], layout: str) -> int:
    """The line of a file, from 1, that holds the row of that index."""
    lines = enumerate(_rows_only(path, layout).split(b"\n"), start=1)
    return [number for number, text in lines if text.strip()][row]


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number: 5 rather than 5.0."""
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _shorten(text: str, limit: int = 60) -> str:
    """The text quoted, cut where a message would become unreadable."""
    return repr(text if len(text) <= limit else text[:limit] + "…")
