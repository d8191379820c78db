"""Sections about traffic: counts over time, origins and destinations, travel times."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

from mtmc.render.report import Section
from mtmc.report.charts import Range, bars_svg, ranges_svg
from mtmc.report.elements import table
from mtmc.report.sankey import most_frequent, sankey_svg
from mtmc.traffic.bins import Bins
from mtmc.traffic.count import TrafficTables
from mtmc.traffic.movements import Movement
from mtmc.traffic.tables import ALL_CLASSES, ODCount, TravelTime

__all__ = ["traffic_sections"]

_BINS_S = (10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86_400.0)
_MOST_BINS = 60
_PLACES = 10  # origins and destinations that are shown by name
_ROWS = 20


def traffic_sections(tables: TrafficTables) -> list[Section]:
    """The sections; none of them where there are no vehicles.

    Args:
        tables: With a single bin that holds the whole recording.
    """
    if not tables.movements:
        return []
    sections = [_counts(tables.movements, tables.start_utc), _origins_and_destinations(tables.od_matrix)]
    if tables.travel_times:
        sections.append(_travel_times(tables.travel_times))
    return sections


def _counts(movements: Sequence[Movement], start_utc: datetime | None) -> Section:
    times_s = [movement.enter_s for movement in movements]
    span_s = max(times_s) - min(times_s)
    bin_s = next((size for size in _BINS_S if span_s / size < _MOST_BINS), _BINS_S[-1])
    bins = Bins.on_the_clock(bin_s, start_utc)
    first, last = (bins.number_of(time_s) for time_s in (min(times_s), max(times_s)))
    counts = Counter((movement.camera, bins.number_of(movement.enter_s)) for movement in movements)
    cameras = sorted({movement.camera for movement in movements})
    rows = {camera: [counts[camera, k] for k in range(first, last + 1)] for camera in cameras}
    lead = f"Vehicles by the time at which they come into view, in bins of {bin_s:g} s; on the right their sum."
    return Section("Counts over time", lead, bars_svg(rows, bins.start_s(first), bin_s, start_utc))


def _origins_and_destinations(rows: Sequence[ODCount]) -> Section:
    flows: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        pair = _place(row.from_camera, row.from_zone), _place(row.to_camera, row.to_zone)
        flows[pair] += row.vehicles
    shown = most_frequent({pair: vehicles for pair, vehicles in flows.items() if vehicles}, _PLACES)
    most = sorted(rows, key=lambda row: (-row.vehicles, row.from_camera, row.from_zone, row.to_camera, row.to_zone))
    cells = [
        (
            _place(row.from_camera, row.from_zone),
            _place(row.to_camera, row.to_zone),
            row.vehicle_class,
            row.vehicles,
            _number(row.vehicles_estimate),
            _interval(row.vehicles_low, row.vehicles_high),
        )
        for row in most[:_ROWS]
    ]
    columns = ("Origin", "Destination", "Class", "Vehicles", "Estimate", "90 % interval")
    lead = (
        "From the camera and zone where a vehicle is first seen to those where it is last seen. Estimates are "
        "corrected for uncertain links and missing zones; – no estimate."
    )
    return Section("Origins and destinations", lead, sankey_svg(shown) + table(columns, cells, words=(1, 2)))


def _travel_times(rows: Sequence[TravelTime]) -> Section:
    of_all = [row for row in rows if row.vehicle_class == ALL_CLASSES]
    most = sorted(of_all, key=lambda row: (-row.vehicles, row.from_camera, row.from_zone, row.to_camera, row.to_zone))
    ranges = [
        Range(
            name=f"{_place(row.from_camera, row.from_zone)} → {_place(row.to_camera, row.to_zone)}",
            low=row.p15_s,
            middle=row.p50_s,
            high=row.p85_s,
            interval=None if math.isnan(row.p50_low_s + row.p50_high_s) else (row.p50_low_s, row.p50_high_s),
            count=row.vehicles,
        )
        for row in most[:_ROWS]
    ]
    lead = (
        f"From leaving one view to entering the next, negative where views overlap; the {len(ranges)} pairs of "
        "places with most vehicles. Bars go from the 15th to the 85th percentile, dots are medians, lines their 90 % "
        "interval."
    )
    return Section("Travel times", lead, ranges_svg(ranges, "s"))


def _place(camera: str, zone: str) -> str:
    return f"{camera}, {zone}" if zone else camera


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.0f} to {high:.0f}"
