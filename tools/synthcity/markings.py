"""Paint on the road: lane lines, stop lines, crossings."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array
from tools.synthcity.builder import Place, Road, Zebra
from tools.synthcity.ground import GroundMap
from tools.synthcity.mesh import Mesh
from tools.synthcity.network import LANE_WIDTH_M, offset_line, resample

__all__ = ["paint_lines"]

_HEIGHT_M = 0.012


def paint_lines(place: Place, ground: GroundMap) -> list[Mesh]:
    """All painted strips of a place, as flat meshes just above the road."""
    strips: list[Mesh] = []
    for road in place.roads:
        if road.lanes == (0, 0):
            continue
        strips += _motorway_lines(road) if road.motorway else _street_lines(road)
    for zebra in place.zebras:
        strips += _zebra(zebra)
    if place.kind == "roundabout":
        strips += _give_way(place)
    return [strip for strip in strips if ground.kerb_distance(strip.points[:, :2]).max() < 0]


def _strip(line: Array, half_m: float) -> Mesh:
    left, right = offset_line(line, -half_m), offset_line(line, half_m)
    n = len(line)
    points = np.concatenate([left, right])
    points = np.concatenate([points, np.full((2 * n, 1), _HEIGHT_M)], axis=1)
    a = np.arange(n - 1)
    faces = np.concatenate([np.stack([a, a + n, a + n + 1], 1), np.stack([a, a + n + 1, a + 1], 1)])
    return Mesh(points, np.tile([0, 0, 1.0], (2 * n, 1)), np.zeros((2 * n, 2)), faces)


def _part(road: Road, start: float, stop: float) -> Array:
    """The centre line between two stations."""
    line = resample(road.points, 1.0)
    station = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    return line[(station >= start) & (station <= stop)]


def _line(line: Array, aside_m: float, half_m: float, dash: tuple[int, int] | None = None) -> list[Mesh]:
    """A line beside another: unbroken in pieces, or dashes of so many metres on and off."""
    moved = offset_line(line, aside_m)
    on, off = dash or (12, 0)
    return [_strip(moved[i : i + on + 1], half_m) for i in range(0, len(moved) - on, on + off)]


def _street_lines(road: Road) -> list[Mesh]:
    out = []
    for start, stop in road.painted:
        line = _part(road, start, stop)
        if len(line) < 3:
            continue
        along, against = road.lanes
        middle = [(-0.12, None), (0.12, None)] if along > 1 else [(0.0, (3, 3))]
        for aside, dash in middle:
            out += _line(line, aside, 0.06, dash)
        for count, sign in ((along, 1), (against, -1)):
            for i in range(1, count):
                out += _line(line, sign * i * LANE_WIDTH_M, 0.06, (3, 6))
                out += _line(line[-30:] if sign > 0 else line[:30], sign * i * LANE_WIDTH_M, 0.06)
            edge = sign * (count * LANE_WIDTH_M + (0.05 if road.parking_m else -0.05))
            out += _line(line, edge, 0.05, (2, 2) if road.parking_m else None)
    return out


def _motorway_lines(road: Road) -> list[Mesh]:
    out = []
    line = _part(road, *road.painted[0])
    for sign in (1, -1):
        inner = sign * (road.half_width_m - 2.6 - 3 * LANE_WIDTH_M)
        out += _line(line, inner - sign * 0.15, 0.08)
        for i in (1, 2):
            out += _line(line, inner + sign * i * LANE_WIDTH_M, 0.075, (6, 12))
        out += _line(line, inner + sign * (3 * LANE_WIDTH_M + 0.1), 0.10)
    return out


def _zebra(zebra: Zebra) -> list[Mesh]:
    along = np.array([np.cos(zebra.heading_rad), np.sin(zebra.heading_rad)])
    right = np.array([along[1], -along[0]])
    centre = np.array([zebra.x, zebra.y])
    out = []
    for aside in np.arange(-zebra.half_width_m + 0.5, zebra.half_width_m - 0.3, 1.0):
        middle = centre + right * aside
        out.append(_strip(np.array([middle - along * 1.5, middle, middle + along * 1.5]), 0.25))
    start, stop = centre - along * 2.6, centre - along * 2.6 + right * zebra.stop_width_m
    out.append(_strip(np.linspace(start, stop, 4), 0.2))
    return out


def _give_way(place: Place) -> list[Mesh]:
    """Dashes where each entry of a roundabout meets the ring."""
    out = []
    for lane in place.network.lanes.values():
        if lane.gives_way_to:
            at = lane.at(0.45 * lane.length)
            ahead = lane.at(0.45 * lane.length + 1)
            along = np.subtract(ahead, at)
            right = np.array([along[1], -along[0]])
            for aside in (-1.3, -0.4, 0.5, 1.4):
                middle = np.array(at) + right * aside
                out.append(_strip(np.array([middle - right * 0.25, middle, middle + right * 0.25]), 0.2))
    return out
