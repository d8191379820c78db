"""Ground truth of a frame: boxes from geometry, visibility from the picture of ids."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.ndimage import find_objects

from mtmc.types import Array
from tools.synthcity.actors import Actor
from tools.synthcity.identity import Identity
from tools.synthcity.lens import View
from tools.synthcity.painter import Painter
from tools.synthcity.recipe import LabelRule

__all__ = ["Record", "amodal_box", "labelled", "observe"]

_NEAR_M = 0.6


@dataclass(frozen=True, slots=True)
class Record:
    """One vehicle in one frame of one camera.

    Attributes:
        camera, frame, time_s: Camera number, frame from 0, scene seconds.
        id, vehicle_class, shape, colour, parked: Who it is.
        x1, y1, x2, y2: Amodal box: all of the vehicle inside the picture, hidden parts too, pixels.
        vx1, vy1, vx2, vy2: Box of the visible pixels, whole numbers.
        visibility: Visible pixels as a share of those it would have with nothing before it.
        truncation: Share of the unclipped box outside the picture.
        east_m, north_m, heading_rad, speed_mps: Where its middle stands on the road.
        length_m, width_m, height_m: Its size.
    """

    camera: int
    frame: int
    time_s: float
    id: int
    vehicle_class: str
    shape: str
    colour: str
    parked: bool
    x1: float
    y1: float
    x2: float
    y2: float
    vx1: int
    vy1: int
    vx2: int
    vy2: int
    visibility: float
    truncation: float
    east_m: float
    north_m: float
    heading_rad: float
    speed_mps: float
    length_m: float
    width_m: float
    height_m: float

    @classmethod
    def names(cls) -> list[str]:
        """Column names, in order."""
        return [field.name for field in fields(cls)]


def labelled(record: Record | dict[str, Any], rule: LabelRule) -> bool:
    """Whether the ground truth lists a box."""
    row = record if isinstance(record, dict) else {name: getattr(record, name) for name in Record.names()}
    area = (row["x2"] - row["x1"]) * (row["y2"] - row["y1"])
    return bool(
        row["visibility"] >= rule.min_visibility
        and area >= rule.min_area_px
        and row["truncation"] <= rule.max_truncation
        and (rule.parked or not row["parked"])
    )


def amodal_box(actor: Actor, view: View) -> tuple[Array, float] | None:
    """The box (4,) of a whole vehicle clipped to the picture, and the share clipped away; None when it is outside.

    Of a vehicle that reaches behind the camera only the part ahead of it counts.
    """
    hull = actor.hull()
    ahead = (hull - view.eye) @ view.axes[2]
    if ahead.min() < _NEAR_M:
        hull = _part_ahead(hull, ahead)
        if not len(hull):
            return None
    pixels, _ = view.project(hull)
    full = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
    width, height = view.size_wh
    inside = np.clip(full, 0, [width, height, width, height])
    kept = (inside[2] - inside[0]) * (inside[3] - inside[1])
    if kept <= 0:
        return None
    return np.round(inside, 2), float(1 - kept / ((full[2] - full[0]) * (full[3] - full[1])))


def _part_ahead(hull: Array, ahead: Array) -> Array:
    """Corners of the part of a convex body that is at least ``_NEAR_M`` ahead: (H, 3), (H,) → (K, 3)."""
    front, back = ahead >= _NEAR_M, ahead < _NEAR_M
    share = (_NEAR_M - ahead[front, None]) / (ahead[None, back] - ahead[front, None])
    cut = hull[front, None] + share[..., None] * (hull[None, back] - hull[front, None])
    return np.concatenate([hull[front], cut.reshape(-1, 3)])


def observe(painter: Painter, view: View, actors: list[Actor], ids: Array) -> list[tuple[Actor, dict[str, Any]]]:
    """Boxes and visibility of all vehicles with at least one visible pixel.

    Args:
        painter: Has just painted ``actors``.
        view: The camera in delivered pixels.
        actors: All that was painted.
        ids: uint16 (h, w), the rendered picture of ids.
    """
    width, height = view.size_wh
    rows, columns = (_nearest(n, m) for n, m in ((ids.shape[0], height), (ids.shape[1], width)))
    small = ids[rows][:, columns]
    places = find_objects(small.astype(np.int32))
    seen = np.bincount(ids.ravel(), minlength=len(places) + 1)
    found, whole_boxes, vehicles = [], [], []
    scale = np.array([ids.shape[1] / width, ids.shape[0] / height] * 2)
    for actor in actors:
        place = places[actor.id - 1] if actor.id <= len(places) else None
        if place is None or not isinstance(actor.looks, Identity):
            continue
        boxed = amodal_box(actor, view)
        if boxed is None:
            continue
        box, truncation = boxed
        grown = box * scale + [-2, -2, 2, 2]
        limit = [ids.shape[1], ids.shape[0]] * 2
        x1, y1, x2, y2 = np.clip(np.round(grown), 0, limit).astype(int).tolist()
        whole_boxes.append((x1, y1, x2, y2))
        vehicles.append(actor)
        found.append(
            {
                **dict(zip(("x1", "y1", "x2", "y2"), map(float, box), strict=True)),
                "vx1": place[1].start, "vy1": place[0].start, "vx2": place[1].stop, "vy2": place[0].stop,
                "truncation": round(truncation, 4),
            }
        )  # fmt: skip
    alone = painter.tally.count(painter.view, vehicles, whole_boxes)
    for actor, facts, count in zip(vehicles, found, alone, strict=True):
        facts["visibility"] = round(min(1.0, float(seen[actor.id]) / max(count, 1)), 4)
    return list(zip(vehicles, found, strict=True))


def _nearest(rendered: int, delivered: int) -> Array:
    """For every delivered row the rendered one at its middle."""
    return ((np.arange(delivered) + 0.5) * rendered / delivered).astype(np.int64)
