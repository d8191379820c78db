"""What is fitted from the passages of a scene themselves, as one value that can be saved and applied to others."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mtmc.associate.transitions import LINK
from mtmc.associate.travel_times import TravelTimes
from mtmc.errors import FormatError
from mtmc.files import atomic_path
from mtmc.multiview.appearance import AppearanceModel, CameraMeans
from mtmc.multiview.categories import CategoryModel
from mtmc.multiview.clock_sync import ClockOffsets
from mtmc.multiview.registration import CalibrationCorrection
from mtmc.types import Array, Passage

__all__ = ["Positions", "SceneModel"]

_VERSION = 2


@dataclass(frozen=True, slots=True)
class Positions:
    """How precise positions are, and how many unrelated vehicles are around.

    Attributes:
        sigma_m: Standard deviation of a position, meters.
        per_m2: Unrelated vehicles per square meter.
    """

    sigma_m: float
    per_m2: float


@dataclass(frozen=True, slots=True, eq=False)
class SceneModel:
    """Everything about a scene that is learned from its passages. What is None has not been fitted, or is not used.

    Attributes:
        camera_ids: C names, sorted; all other fields count cameras by their place among them.
        clock_offsets: Applied one after the other.
        calibration: Correction of positions on the ground.
        positions: Their precision.
        camera_means: What all embeddings of a camera have in common.
        appearance: Log-likelihood ratio of a cosine.
        classes: Log-likelihood ratio of two classes.
        colors: Log-likelihood ratio of two colors.
        travel_times: What the tracklets show of each route.
    """

    camera_ids: tuple[str, ...]
    clock_offsets: tuple[ClockOffsets, ...] = ()
    calibration: CalibrationCorrection | None = None
    positions: Positions | None = None
    camera_means: CameraMeans | None = None
    appearance: AppearanceModel | None = None
    classes: CategoryModel | None = None
    colors: CategoryModel | None = None
    travel_times: TravelTimes | None = None

    def for_cameras(self, camera_ids: Sequence[str]) -> SceneModel:
        """The model with its cameras in another order, some missing or added; of those nothing is known."""
        names = tuple(camera_ids)
        if names == self.camera_ids:
            return self
        old = np.array([self.camera_ids.index(c) if c in self.camera_ids else -1 for c in names], np.int64)
        new = {k: names.index(c) for k, c in enumerate(self.camera_ids) if c in names}
        return replace(
            self,
            camera_ids=names,
            clock_offsets=tuple(
                ClockOffsets(o.origin_s, _columns(o.offset_s.T, old).T.copy()) for o in self.clock_offsets
            ),
            calibration=None if self.calibration is None else _reordered(self.calibration, old),
            camera_means=None if self.camera_means is None else _reordered_means(self.camera_means, old),
            classes=None if self.classes is None else _reordered_shares(self.classes, old),
            colors=None if self.colors is None else _reordered_shares(self.colors, old),
            travel_times=None if self.travel_times is None else _renumbered_routes(self.travel_times, new),
        )

    def save(self, path: Path) -> None:
        """Write the model as one ``.npz`` file, whole or not at all."""
        with atomic_path(path) as whole, whole.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **self.arrays())

    def arrays(self) -> dict[str, Array]:
        """The model as named arrays, for a file; :meth:`of_arrays` is the inverse."""
        columns: dict[str, Any] = {"version": np.array(_VERSION), "camera_ids": np.array(self.camera_ids, str)}
        for k, offsets in enumerate(self.clock_offsets):
            columns[f"clock_origin_s_{k}"] = np.array(offsets.origin_s)
            columns[f"clock_offset_s_{k}"] = offsets.offset_s
        if self.positions is not None:
            columns["positions"] = np.array([self.positions.sigma_m, self.positions.per_m2])
        parts = {name: getattr(self, name) for name in _PARTS}
        for name, part in parts.items():
            if part is not None:
                columns |= {f"{name}.{f.name}": np.asarray(getattr(part, f.name)) for f in fields(part)}
        return columns

    @classmethod
    def load(cls, path: Path) -> SceneModel:
        """Read a file that :meth:`save` wrote.

        Raises:
            FormatError: It is no such file.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                columns = {name: stored[name] for name in stored.files}
            return cls.of_arrays(columns)
        except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as cause:
            raise FormatError(
                f"expected a scene model of association, got {cause}",
                path=path,
                remedy="fit it again with fit_scene_model(...).save(path)",
            ) from cause

    @classmethod
    def of_arrays(cls, columns: Mapping[str, Array]) -> SceneModel:
        """The inverse of :meth:`arrays`.

        Raises:
            ValueError: Another version.
            KeyError: An array is missing.
        """
        if int(columns["version"]) != _VERSION:
            raise ValueError(f"version {int(columns['version'])}")
        offsets: list[ClockOffsets] = []
        while f"clock_origin_s_{len(offsets)}" in columns:
            k = len(offsets)
            offsets.append(ClockOffsets(float(columns[f"clock_origin_s_{k}"]), columns[f"clock_offset_s_{k}"]))
        parts = {}
        for name, kind in _PARTS.items():
            stored = {f.name: columns[f"{name}.{f.name}"] for f in fields(kind) if f"{name}.{f.name}" in columns}
            parts[name] = kind(**stored) if stored else None
        positions = Positions(*columns["positions"].tolist()) if "positions" in columns else None
        names = tuple(columns["camera_ids"].tolist())
        return cls(names, tuple(offsets), positions=positions, **parts)

    def clock_offset_of(self, passages: Sequence[Passage], camera: Array) -> Array:
        """Seconds to add to the times of each passage: float64 (N,)."""
        total = np.zeros(len(passages))
        middle_s = np.array([(p.tracklet.start_s, p.tracklet.end_s) for p in passages]).reshape(-1, 2)
        for offsets in self.clock_offsets:
            start_s, end_s = middle_s[:, 0] + total, middle_s[:, 1] + total
            total = total + offsets.at((start_s + end_s) / 2, camera)
        return total


#: Fields of a model that are dataclasses of arrays.
_PARTS: dict[str, Any] = {
    "calibration": CalibrationCorrection,
    "camera_means": CameraMeans,
    "appearance": AppearanceModel,
    "classes": CategoryModel,
    "colors": CategoryModel,
    "travel_times": TravelTimes,
}


def _columns(rows: Array, old: Array, missing: float | Array = 0.0) -> Array:
    """Rows in a new order, ``missing`` where the old index is −1."""
    shape = (len(old), *(1 for _ in rows.shape[1:]))
    return np.where(old.reshape(shape) >= 0, rows[np.maximum(old, 0)], missing).astype(rows.dtype)


def _reordered(correction: CalibrationCorrection, old: Array) -> CalibrationCorrection:
    return CalibrationCorrection(*(_columns(getattr(correction, f.name), old) for f in fields(correction)))


def _reordered_means(means: CameraMeans, old: Array) -> CameraMeans:
    return replace(means, mean=_columns(means.mean, old, missing=means.overall))


def _reordered_shares(model: CategoryModel, old: Array) -> CategoryModel:
    return replace(model, share=_columns(model.share, old, missing=model.overall))


def _renumbered_routes(times: TravelTimes, new: dict[int, int]) -> TravelTimes:
    """Travel times with other camera numbers; −1 stands for a camera that is not there."""
    key = times.route_key.copy()
    for row in key:
        if row[0] != LINK:
            row[1:] = [new.get(camera, -1) for camera in row[1:].tolist()]
    camera = np.array([new.get(c, -1) for c in times.camera.tolist()], np.int64)
    return replace(times, route_key=key, camera=camera)
