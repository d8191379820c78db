"""Traffic tables from movements.

Each table is a list of rows of one frozen type, whose fields are the columns of the file. Times of bins are
seconds on the scene's clock. A vehicle is counted in the bin in which it enters.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from scipy import stats

from mtmc.traffic.movements import Movement

__all__ = [
    "Headway",
    "ODCount",
    "PeakHour",
    "Speed",
    "TravelTime",
    "TurningCount",
    "headways",
    "median_interval",
    "od_matrix",
    "peak_hours",
    "speeds",
    "travel_times",
    "turning_counts",
]

#: The bin of traffic counts that manuals of traffic engineering use, seconds.
DEFAULT_BIN_S = 900.0

_HOUR_S, _QUARTER_S = 3600.0, 900.0

_Row = TypeVar("_Row")
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class TurningCount:
    """Vehicles of one movement through a camera's view: from an entry zone to an exit zone.

    Attributes:
        camera: Name of the camera.
        entry_zone, exit_zone: Names of the zones, "" where unknown.
        vehicle_class: Class of the vehicles.
        bin_start_s, bin_end_s: Bin of the time of entry, scene seconds.
        vehicles: Number of vehicles.
    """

    camera: str
    entry_zone: str
    exit_zone: str
    vehicle_class: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int


@dataclass(frozen=True, slots=True)
class ODCount:
    """Vehicles from an origin to a destination.

    The origin is the camera and entry zone where a vehicle is first seen, the destination the camera and exit
    zone where it is last seen.

    Attributes:
        from_camera, from_zone: The origin.
        to_camera, to_zone: The destination.
        vehicle_class: Class of the vehicles.
        bin_start_s, bin_end_s: Bin of the time at the origin, scene seconds.
        vehicles: Number of vehicles.
    """

    from_camera: str
    from_zone: str
    to_camera: str
    to_zone: str
    vehicle_class: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int


@dataclass(frozen=True, slots=True)
class TravelTime:
    """Travel times from leaving one camera's view to entering the next one's, negative where the views overlap.

    Attributes:
        from_camera, from_zone: Where vehicles leave.
        to_camera, to_zone: Where they enter next.
        bin_start_s, bin_end_s: Bin of the time of leaving, scene seconds.
        vehicles: Number of vehicles.
        mean_s, sd_s: Mean and standard deviation, seconds; the latter is NaN for one vehicle.
        p5_s, p15_s, p50_s, p85_s, p95_s: Percentiles, seconds.
        p50_low_s, p50_high_s: A 95 % confidence interval of the median, NaN below six vehicles.
    """

    from_camera: str
    from_zone: str
    to_camera: str
    to_zone: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int
    mean_s: float
    sd_s: float
    p5_s: float
    p15_s: float
    p50_s: float
    p85_s: float
    p95_s: float
    p50_low_s: float
    p50_high_s: float


@dataclass(frozen=True, slots=True)
class Headway:
    """Times between consecutive vehicles at a zone of a camera.

    Attributes:
        camera: Name of the camera.
        zone: Name of the zone.
        direction: "in" for vehicles that enter by the zone, "out" for vehicles that leave by it.
        bin_start_s, bin_end_s: Bin of the later vehicle, scene seconds.
        headways: Number of headways.
        mean_s, min_s: Mean and minimum, seconds.
        p15_s, p50_s, p85_s: Percentiles, seconds.
    """

    camera: str
    zone: str
    direction: str
    bin_start_s: float
    bin_end_s: float
    headways: int
    mean_s: float
    min_s: float
    p15_s: float
    p50_s: float
    p85_s: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Mean speeds of vehicles on the ground, for one movement through the view of a calibrated camera.

    Attributes:
        camera: Name of the camera.
        entry_zone, exit_zone: Names of the zones, "" where unknown.
        bin_start_s, bin_end_s: Bin of the time of entry, scene seconds.
        vehicles: Number of vehicles.
        mean_kmh: Arithmetic mean.
        harmonic_mean_kmh: Harmonic mean, which is the space mean speed; NaN if a vehicle stands still throughout.
        p15_kmh, p50_kmh, p85_kmh: Percentiles.
    """

    camera: str
    entry_zone: str
    exit_zone: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int
    mean_kmh: float
    harmonic_mean_kmh: float
    p15_kmh: float
    p50_kmh: float
    p85_kmh: float


@dataclass(frozen=True, slots=True)
class PeakHour:
    """The hour with most vehicles in a camera's view, among hours that start at a multiple of 15 minutes.

    Attributes:
        camera: Name of the camera.
        start_s, end_s: The hour, scene seconds.
        vehicles: Number of vehicles that enter in it.
        peak_hour_factor: Vehicles divided by four times the greatest number in 15 minutes of it, from 0.25 to 1.
    """

    camera: str
    start_s: float
    end_s: float
    vehicles: int
    peak_hour_factor: float


def turning_counts(movements: Iterable[Movement], bin_s: float = DEFAULT_BIN_S) -> list[TurningCount]:
    """Count the movements of each camera by zones, class and bin."""
    counts = Counter(
        (m.camera, m.entry_zone, m.exit_zone, m.vehicle_class, *_bin_of(m.enter_s, bin_s)) for m in movements
    )
    return [TurningCount(*key, vehicles=vehicles) for key, vehicles in sorted(counts.items())]


def od_matrix(movements: Iterable[Movement], bin_s: float = DEFAULT_BIN_S) -> list[ODCount]:
    """Count vehicles by the place where they are first seen and the place where they are last seen."""
    counts: Counter[tuple[str, str, str, str, str, float, float]] = Counter()
    for route in _routes(movements):
        first, last = route[0], max(route, key=lambda m: m.leave_s)
        origin, destination = (first.camera, first.entry_zone), (last.camera, last.exit_zone)
        counts[(*origin, *destination, first.vehicle_class, *_bin_of(first.enter_s, bin_s))] += 1
    return [ODCount(*key, vehicles=vehicles) for key, vehicles in sorted(counts.items())]


def travel_times(movements: Iterable[Movement], bin_s: float = DEFAULT_BIN_S) -> list[TravelTime]:
    """Travel times between consecutive movements of each vehicle."""
    times_s: dict[tuple[str, str, str, str, float, float], list[float]] = defaultdict(list)
    for route in _routes(movements):
        for earlier, later in pairwise(route):
            key = (
                earlier.camera,
                earlier.exit_zone,
                later.camera,
                later.entry_zone,
                *_bin_of(earlier.leave_s, bin_s),
            )
            times_s[key].append(later.enter_s - earlier.leave_s)
    rows = []
    for key, values in sorted(times_s.items()):
        p5, p15, p50, p85, p95 = np.percentile(values, [5, 15, 50, 85, 95]).tolist()
        sd_s = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        mean_s = float(np.mean(values))
        rows.append(TravelTime(*key, len(values), mean_s, sd_s, p5, p15, p50, p85, p95, *median_interval(values)))
    return rows


def headways(movements: Sequence[Movement], bin_s: float = DEFAULT_BIN_S) -> list[Headway]:
    """Headways at every entry and exit zone. The first vehicle at a zone has none, nor do vehicles without a zone."""
    passings: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for movement in movements:
        if movement.entry_zone:
            passings[movement.camera, movement.entry_zone, "in"].append(movement.enter_s)
        if movement.exit_zone:
            passings[movement.camera, movement.exit_zone, "out"].append(movement.leave_s)

    rows = []
    for place, times_s in sorted(passings.items()):
        ordered = sorted(times_s)
        gaps = [(later, later - earlier) for earlier, later in pairwise(ordered)]
        for (start_s, end_s), in_bin in _grouped(gaps, lambda gap: _bin_of(gap[0], bin_s)):
            values = [headway_s for _, headway_s in in_bin]
            p15, p50, p85 = np.percentile(values, [15, 50, 85]).tolist()
            mean_s = float(np.mean(values))
            rows.append(Headway(*place, start_s, end_s, len(values), mean_s, min(values), p15, p50, p85))
    return rows


def speeds(movements: Iterable[Movement], bin_s: float = DEFAULT_BIN_S) -> list[Speed]:
    """Speeds of the movements through calibrated cameras; others are left out."""
    measured = [movement for movement in movements if math.isfinite(movement.speed_kmh)]
    rows = []
    for key, group in _grouped(measured, lambda m: (m.camera, m.entry_zone, m.exit_zone, *_bin_of(m.enter_s, bin_s))):
        values = [movement.speed_kmh for movement in group]
        harmonic_mean = float(stats.hmean(values)) if min(values) > 0 else math.nan
        p15, p50, p85 = np.percentile(values, [15, 50, 85]).tolist()
        rows.append(Speed(*key, len(values), float(np.mean(values)), harmonic_mean, p15, p50, p85))
    return rows


def peak_hours(movements: Sequence[Movement]) -> list[PeakHour]:
    """The peak hour of every camera with at least one hour between its first and last vehicle.

    With v_k the number of vehicles in the k-th quarter of an hour, the volume of the hour that starts with
    quarter k is V = v_k + v_{k+1} + v_{k+2} + v_{k+3}, and its peak hour factor V / (4 max v).
    """
    rows = []
    for camera, group in _grouped(movements, lambda m: m.camera):
        quarters = Counter(math.floor(movement.enter_s / _QUARTER_S) for movement in group)
        first, last = min(quarters), max(quarters)
        if last - first < 3:
            continue
        volume = {k: sum(quarters[k + step] for step in range(4)) for k in range(first, last - 2)}
        peak = max(volume, key=lambda k: (volume[k], -k))
        greatest = max(quarters[peak + step] for step in range(4))
        start_s = peak * _QUARTER_S
        rows.append(PeakHour(camera, start_s, start_s + _HOUR_S, volume[peak], volume[peak] / (4 * greatest)))
    return rows


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """A distribution-free confidence interval of the median, from order statistics.

    The number of values below the median is binomial with p = 1/2, so the interval from the k-th smallest to the
    k-th greatest value has coverage 1 − 2 P(B < k). The greatest k with at least the given coverage is taken;
    (NaN, NaN) where even k = 1 has less, which for 95 % is below six values.

    >>> median_interval([1, 2, 3, 4, 5, 6])
    (1.0, 6.0)
    """
    n = len(values)
    k = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    if k < 1:
        return math.nan, math.nan
    ordered = sorted(values)
    return float(ordered[k - 1]), float(ordered[n - k])


def _routes(movements: Iterable[Movement]) -> list[list[Movement]]:
    """The movements of each vehicle in order of time."""
    by_vehicle: dict[int, list[Movement]] = defaultdict(list)
    for movement in movements:
        by_vehicle[movement.vehicle].append(movement)
    return [sorted(route, key=lambda m: (m.enter_s, m.leave_s, m.camera)) for _, route in sorted(by_vehicle.items())]


def _bin_of(time_s: float, bin_s: float) -> tuple[float, float]:
    """Start and end of the bin that holds a time; bins start at multiples of their length."""
    start_s = math.floor(time_s / bin_s) * bin_s
    return start_s, start_s + bin_s


def _grouped(rows: Iterable[_Row], key_of: Callable[[_Row], _Key]) -> list[tuple[_Key, list[_Row]]]:
    """Rows by key, in order of the keys."""
    groups: dict[_Key, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[key_of(row)].append(row)
    return sorted(groups.items(), key=lambda item: item[0])  # type: ignore[arg-type, return-value]
