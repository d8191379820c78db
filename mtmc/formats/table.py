"""The one flat schema that every file format is read into and written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mtmc.types import Array

__all__ = ["Table"]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of boxes with identities, as parallel columns of length R.

    Attributes:
        camera: int64 (R,), camera number (c006 is 6). Files of a single camera hold one number throughout.
        id: int64 (R,), identity: global in a multi-camera result, else unique per camera; −1 for detections.
        frame: int64 (R,), counted from 0.
        xyxy: float64 (R, 4), pixels. Double precision, so that a file survives a round trip.
        score: float64 (R,); 1 where the file has none.
        class_id: int64 (R,), index into :data:`mtmc.types.CLASSES`.
        track_id: int64 (R,), the single-camera identity beneath ``id``.
        time_s: float64 (R,), seconds on the scene's clock, NaN where unknown.
        ground_m: float64 (R, 2), meters or whatever world unit the file uses, NaN where unknown.
    """

    camera: Array
    id: Array
    frame: Array
    xyxy: Array
    score: Array
    class_id: Array
    track_id: Array
    time_s: Array
    ground_m: Array

    def __post_init__(self) -> None:
        rows = len(self.camera)
        for field in fields(self):
            column = getattr(self, field.name)
            if len(column) != rows:
                raise ValueError(f"Table.{field.name}: expected {rows} rows, got {len(column)}")

    @classmethod
    def of(
        cls,
        camera: Any,
        id: Any,
        frame: Any,
        xyxy: Any,
        *,
        score: Any | None = None,
        class_id: Any | None = None,
        track_id: Any | None = None,
        time_s: Any | None = None,
        ground_m: Any | None = None,
    ) -> Table:
        """Build from anything array-like; ``camera`` may be one number. Missing columns take their neutral value."""
        ids = np.asarray(id, np.int64).reshape(-1)
        rows = len(ids)

        def column(value: Any | None, dtype: type, fill: float) -> Array:
            return np.full(rows, fill, dtype) if value is None else np.asarray(value, dtype).reshape(rows)

        return cls(
            camera=np.broadcast_to(np.asarray(camera, np.int64), (rows,)).copy(),
            id=ids,
            frame=np.asarray(frame, np.int64).reshape(rows),
            xyxy=np.asarray(xyxy, np.float64).reshape(rows, 4),
            score=column(score, np.float64, 1.0),
            class_id=column(class_id, np.int64, 0),
            track_id=ids.copy() if track_id is None else np.asarray(track_id, np.int64).reshape(rows),
            time_s=column(time_s, np.float64, np.nan),
            ground_m=np.full((rows, 2), np.nan)
            if ground_m is None
            else np.asarray(ground_m, np.float64).reshape(rows, 2),
        )

    @classmethod
    def empty(cls) -> Table:
        """A table without rows."""
        return cls.of([], [], [], np.zeros((0, 4)))

    @classmethod
    def concatenate(cls, parts: Sequence[Table]) -> Table:
        """All rows of ``parts`` in order."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def __len__(self) -> int:
        return len(self.camera)

    def __getitem__(self, rows: Array | slice) -> Table:
        """The chosen rows (boolean mask, indices or slice), all columns together."""
        return Table(*(getattr(self, f.name)[rows] for f in fields(self)))

    def with_columns(self, **columns: Array) -> Table:
        """A copy in which the named columns are replaced."""
        return replace(self, **columns)

    def sorted(self) -> Table:
        """Rows in the one order that files are written in: camera, frame, id, track_id."""
        return self[np.lexsort((self.track_id, self.id, self.frame, self.camera))]
