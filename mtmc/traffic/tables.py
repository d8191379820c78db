"""Traffic tables from movements.

Each table is a list of rows of one frozen type, whose fields are the columns of the file. Times of bins are seconds
on the scene's clock. A vehicle is counted in the bin in which it enters. Estimates and their 90 % intervals come from
samples of the movements (:mod:`mtmc.traffic.samples`), and are NaN without them.

Counts have a row per class. Means and percentiles of classes cannot be added up, so that their tables have a row of
:data:`ALL_CLASSES` beside those of each class.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import TypeVar

import numpy as np
from scipy import stats

from mtmc.scene import Link
from mtmc.traffic.bins import QUARTERS, Bins
from mtmc.traffic.estimates import MISCOUNT_RATE, MISROUTE_RATE, UNKNOWN, Estimate, estimate_counts, estimate_median
from mtmc.traffic.ground_paths import STANDING_MPS
from mtmc.traffic.movements import Movement
from mtmc.traffic.outlines import SIZE_M

__all__ = [
    "ALL_CLASSES",
    "Delay",
    "Headway",
    "ODCount",
    "PeakHour",
    "Speed",
    "TravelTime",
    "TurningCount",
    "delays",
    "headways",
    "od_matrix",
    "peak_hours",
    "speeds",
    "travel_times",
    "turning_counts",
]

#: ``vehicle_class`` of rows that hold the vehicles of all classes.
ALL_CLASSES = "all"

_FREE_FLOW_PERCENTILE = 15.0
_LEAST_FREE = 5  # vehicles that determine free flow

_LEAST_ESTIMATE = 0.5  # vehicles; rows that the run has not are listed from this estimate on

#: The estimate of what no sample has.
_NONE = Estimate(0.0, 0.0, 0.0)

#: Camera and zone of leaving, camera and zone of entering, class, bin.
_Pair = tuple[str, str, str, str, str, float, float]

#: Scene time of a vehicle at a zone, its speed there, km/h, and its class.
_Passing = tuple[float, float, str]

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
        vehicles: Number of vehicles in the run.
        vehicles_estimate: Their estimated number, corrected for uncertain links and unknown zones.
        vehicles_low, vehicles_high: Its 90 % interval.
    """

    camera: str
    entry_zone: str
    exit_zone: str
    vehicle_class: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int
    vehicles_estimate: float
    vehicles_low: float
    vehicles_high: float


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
        vehicles: Number of vehicles in the run.
        vehicles_estimate: Their estimated number, corrected for uncertain links and unknown zones.
        vehicles_low, vehicles_high: Its 90 % interval.
    """

    from_camera: str
    from_zone: str
    to_camera: str
    to_zone: str
    vehicle_class: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int
    vehicles_estimate: float
    vehicles_low: float
    vehicles_high: float


@dataclass(frozen=True, slots=True)
class TravelTime:
    """Travel times from leaving one camera's view to entering the next one's, negative where the views overlap.

    Attributes:
        from_camera, from_zone: Where vehicles leave.
        to_camera, to_zone: Where they enter next.
        vehicle_class: Class of the vehicles, or :data:`ALL_CLASSES`.
        bin_start_s, bin_end_s: Bin of the time of leaving, scene seconds.
        vehicles: Number of vehicles in the run.
        vehicles_estimate: Their estimated number, corrected for uncertain links.
        vehicles_low, vehicles_high: Its 90 % interval.
        mean_s, sd_s: Mean and standard deviation, seconds; the latter is NaN for one vehicle.
        p5_s, p15_s, p50_s, p85_s, p95_s: Percentiles, seconds.
        p50_estimate_s: The median, corrected for uncertain links.
        p50_low_s, p50_high_s: Its 90 % interval, NaN below five vehicles.
        length_m: Length of the road, as the scene's links state it; NaN where they do not.
        harmonic_mean_kmh: Harmonic mean of the speeds on it, which is the space mean speed: the length divided by the
            mean travel time; NaN without a length, and where views overlap.
    """

    from_camera: str
    from_zone: str
    to_camera: str
    to_zone: str
    vehicle_class: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int
    vehicles_estimate: float
    vehicles_low: float
    vehicles_high: float
    mean_s: float
    sd_s: float
    p5_s: float
    p15_s: float
    p50_s: float
    p85_s: float
    p95_s: float
    p50_estimate_s: float
    p50_low_s: float
    p50_high_s: float
    length_m: float
    harmonic_mean_kmh: float


@dataclass(frozen=True, slots=True)
class Headway:
    """Times between consecutive vehicles at a zone of a camera.

    A headway is the time from one vehicle to the next, a gap that from the rear of the one to the front of the next:

        g = max(h − l / v, 0)

    with h the headway, v the speed of the first vehicle at the zone, and l the usual length of its class. A vehicle
    slower than 5 km/h stands at the zone: the gap behind it is unknown. A row of a class has the headways of its
    vehicles, behind vehicles of any class.

    Attributes:
        camera: Name of the camera.
        zone: Name of the zone.
        direction: "in" for vehicles that enter by the zone, "out" for vehicles that leave by it.
        vehicle_class: Class of the later vehicle, or :data:`ALL_CLASSES`.
        bin_start_s, bin_end_s: Bin of the later vehicle, scene seconds.
        headways: Number of headways.
        mean_s, min_s: Mean and minimum, seconds.
        p15_s, p50_s, p85_s: Percentiles, seconds.
        gaps: Number of gaps that are known: of calibrated cameras.
        mean_gap_s, min_gap_s: Mean and minimum of the gaps, seconds, NaN without any, as are the percentiles.
        p15_gap_s, p50_gap_s, p85_gap_s: Percentiles, seconds.
    """

    camera: str
    zone: str
    direction: str
    vehicle_class: str
    bin_start_s: float
    bin_end_s: float
    headways: int
    mean_s: float
    min_s: float
    p15_s: float
    p50_s: float
    p85_s: float
    gaps: int
    mean_gap_s: float
    min_gap_s: float
    p15_gap_s: float
    p50_gap_s: float
    p85_gap_s: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Mean speeds of vehicles on the ground, for one movement through the view of a calibrated camera.

    Attributes:
        camera: Name of the camera.
        entry_zone, exit_zone: Names of the zones, "" where unknown.
        vehicle_class: Class of the vehicles, or :data:`ALL_CLASSES`.
        bin_start_s, bin_end_s: Bin of the time of entry, scene seconds.
        vehicles: Number of vehicles.
        mean_kmh: Arithmetic mean.
        harmonic_mean_kmh: Harmonic mean, which is the space mean speed; NaN if a vehicle stands still throughout.
        p15_kmh, p50_kmh, p85_kmh: Percentiles.
    """

    camera: str
    entry_zone: str
    exit_zone: str
    vehicle_class: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int
    mean_kmh: float
    harmonic_mean_kmh: float
    p15_kmh: float
    p50_kmh: float
    p85_kmh: float


@dataclass(frozen=True, slots=True)
class Delay:
    """Delays of the vehicles of one movement through the view of a calibrated camera.

    The delay of a vehicle is its time in view beyond the time at free flow; it is negative for fast vehicles.

    Attributes:
        camera: Name of the camera.
        entry_zone, exit_zone: Names of the zones.
        vehicle_class: Class of the vehicles, or :data:`ALL_CLASSES`.
        bin_start_s, bin_end_s: Bin of the time of entry, scene seconds.
        vehicles: Number of vehicles.
        free_flow_s: Time in view at free flow: 15th percentile, over all bins and classes, of vehicles of the
            movement that do not stand; NaN for fewer than five of them.
        mean_delay_s, p50_delay_s, p85_delay_s: Mean and percentiles of the delays, NaN without ``free_flow_s``.
        standing_vehicles: Number of vehicles that stand.
        mean_standing_s: Mean time for which a vehicle stands, over all vehicles.
    """

    camera: str
    entry_zone: str
    exit_zone: str
    vehicle_class: str
    bin_start_s: float
    bin_end_s: float
    vehicles: int
    free_flow_s: float
    mean_delay_s: float
    p50_delay_s: float
    p85_delay_s: float
    standing_vehicles: int
    mean_standing_s: float


@dataclass(frozen=True, slots=True)
class PeakHour:
    """The hour with most vehicles in a camera's view, among hours that start at a quarter of an hour.

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


def turning_counts(
    movements: Iterable[Movement], bins: Bins = QUARTERS, samples: Sequence[Sequence[Movement]] = ()
) -> list[TurningCount]:
    """Count the movements of each camera by zones, class and bin.

    Args:
        movements: Of the run.
        bins: The bins.
        samples: What the movements may have been, their zones completed.
    """

    def count(movements: Iterable[Movement]) -> Counter[tuple[str, str, str, str, float, float]]:
        return Counter((m.camera, m.entry_zone, m.exit_zone, m.vehicle_class, *bins.of(m.enter_s)) for m in movements)

    rows = _counted(count, movements, samples, MISCOUNT_RATE)
    return [TurningCount(*key, vehicles, *estimate) for key, vehicles, estimate in rows]


def od_matrix(
    movements: Iterable[Movement], bins: Bins = QUARTERS, samples: Sequence[Sequence[Movement]] = ()
) -> list[ODCount]:
    """Count vehicles by the place where they are first seen and the place where they are last seen.

    Arguments as of :func:`turning_counts`.
    """

    def count(movements: Iterable[Movement]) -> Counter[tuple[str, str, str, str, str, float, float]]:
        counts: Counter[tuple[str, str, str, str, str, float, float]] = Counter()
        for route in _routes(movements):
            first, last = route[0], max(route, key=lambda m: m.leave_s)
            origin, destination = (first.camera, first.entry_zone), (last.camera, last.exit_zone)
            counts[(*origin, *destination, first.vehicle_class, *bins.of(first.enter_s))] += 1
        return counts

    rows = _counted(count, movements, samples, MISROUTE_RATE)
    return [ODCount(*key, vehicles, *estimate) for key, vehicles, estimate in rows]


def travel_times(
    movements: Iterable[Movement],
    bins: Bins = QUARTERS,
    samples: Sequence[Sequence[Movement]] = (),
    links: Sequence[Link] = (),
) -> list[TravelTime]:
    """Travel times between consecutive movements of each vehicle, for all classes and for each.

    Args:
        movements: Of the run.
        bins: The bins.
        samples: What the movements may have been, their zones as they were seen.
        links: Those of the scene, for the lengths of the roads.
    """
    times_s = _times_between(movements, bins)
    sampled_s = [_times_between(sample, bins) for sample in samples]
    sampled_counts = [{key: len(values) for key, values in sample.items()} for sample in sampled_s]
    counts = estimate_counts(sampled_counts, MISROUTE_RATE)
    rows = []
    for key, values in sorted(times_s.items()):
        p5, p15, p50, p85, p95 = np.percentile(values, [5, 15, 50, 85, 95]).tolist()
        sd_s = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        mean_s = float(np.mean(values))
        vehicles = len(values), *_cells(counts.get(key, _NONE) if samples else UNKNOWN)
        median = estimate_median([sample[key] for sample in sampled_s if key in sample] or [values])
        length_m = _length_m(key[:4], links)
        speed_kmh = 3.6 * length_m / mean_s if min(values) > 0 else math.nan
        times = mean_s, sd_s, p5, p15, p50, p85, p95, *_cells(median)
        rows.append(TravelTime(*key, *vehicles, *times, length_m, speed_kmh))
    return rows


def _length_m(places: tuple[str, str, str, str], links: Iterable[Link]) -> float:
    """Length of the road between two places, meters: of the link with most of their zones; NaN without one."""
    known = [
        (bool(link.from_zone) + bool(link.to_zone), link.length_m)
        for link in links
        if link.length_m is not None and _leads(link, places)
    ]
    return max(known)[1] if known else math.nan


def _leads(link: Link, places: tuple[str, str, str, str]) -> bool:
    """Whether a link joins camera and zone of leaving with those of entering; the zone "" of a link is any zone."""
    ends = link.from_camera, link.from_zone, link.to_camera, link.to_zone
    is_zone = False, True, False, True
    return all(a == b or (zone and not a) for a, b, zone in zip(ends, places, is_zone, strict=True))


def _times_between(movements: Iterable[Movement], bins: Bins) -> dict[_Pair, list[float]]:
    """The travel times between consecutive movements by place, class and bin, seconds."""
    times_s: dict[_Pair, list[float]] = defaultdict(list)
    for route in _routes(movements):
        for earlier, later in pairwise(route):
            places = earlier.camera, earlier.exit_zone, later.camera, later.entry_zone
            for vehicle_class in (ALL_CLASSES, earlier.vehicle_class):
                times_s[(*places, vehicle_class, *bins.of(earlier.leave_s))].append(later.enter_s - earlier.leave_s)
    return times_s


def headways(movements: Sequence[Movement], bins: Bins = QUARTERS) -> list[Headway]:
    """Headways and gaps at every entry and exit zone, for all classes and for each.

    The first vehicle at a zone has none, nor do vehicles without a zone.
    """
    passings: dict[tuple[str, str, str], list[_Passing]] = defaultdict(list)
    for m in movements:
        if m.entry_zone:
            passings[m.camera, m.entry_zone, "in"].append((m.enter_s, m.entry_kmh, m.vehicle_class))
        if m.exit_zone:
            passings[m.camera, m.exit_zone, "out"].append((m.leave_s, m.exit_kmh, m.vehicle_class))

    rows = []
    for place, at_zone in sorted(passings.items()):
        pairs = list(pairwise(sorted(at_zone, key=itemgetter(0))))
        for key, in_bin in _grouped_by_class(pairs, lambda pair: pair[1][2], lambda pair: bins.of(pair[1][0])):
            headways_s = [later[0] - earlier[0] for earlier, later in in_bin]
            gaps_s = [gap_s for pair in in_bin if math.isfinite(gap_s := _gap_s(*pair))]
            counts = len(headways_s), len(gaps_s)
            rows.append(Headway(*place, *key, counts[0], *_spread(headways_s), counts[1], *_spread(gaps_s)))
    return rows


def _gap_s(earlier: _Passing, later: _Passing) -> float:
    """The gap of :class:`Headway`, seconds; NaN without a speed, and behind a vehicle that stands."""
    time_s, kmh, vehicle_class = earlier
    if not kmh / 3.6 >= STANDING_MPS:
        return math.nan
    length_m, _ = SIZE_M[vehicle_class]
    return max(later[0] - time_s - length_m / (kmh / 3.6), 0.0)


def _spread(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Mean, minimum, and 15th, 50th and 85th percentile; NaN without values."""
    if not values:
        return (math.nan,) * 5
    p15, p50, p85 = np.percentile(values, [15, 50, 85]).tolist()
    return float(np.mean(values)), min(values), p15, p50, p85


def speeds(movements: Iterable[Movement], bins: Bins = QUARTERS) -> list[Speed]:
    """Speeds of the movements through calibrated cameras, for all classes and for each; others are left out."""
    measured = [movement for movement in movements if math.isfinite(movement.speed_kmh)]
    rows = []
    for way, group in _grouped(measured, lambda m: (m.camera, m.entry_zone, m.exit_zone)):
        for key, in_bin in _grouped_by_class(group, lambda m: m.vehicle_class, lambda m: bins.of(m.enter_s)):
            values = [movement.speed_kmh for movement in in_bin]
            harmonic_mean = float(stats.hmean(values)) if min(values) > 0 else math.nan
            p15, p50, p85 = np.percentile(values, [15, 50, 85]).tolist()
            rows.append(Speed(*way, *key, len(values), float(np.mean(values)), harmonic_mean, p15, p50, p85))
    return rows


def delays(movements: Iterable[Movement], bins: Bins = QUARTERS) -> list[Delay]:
    """Delays, for all classes and for each, of movements with known zones through calibrated cameras."""
    measured = [m for m in movements if m.entry_zone and m.exit_zone and math.isfinite(m.standing_s)]
    rows = []
    for way, group in _grouped(measured, lambda m: (m.camera, m.entry_zone, m.exit_zone)):
        free = [m.leave_s - m.enter_s for m in group if not m.standing_s]
        free_flow_s = float(np.percentile(free, _FREE_FLOW_PERCENTILE)) if len(free) >= _LEAST_FREE else math.nan
        for key, in_bin in _grouped_by_class(group, lambda m: m.vehicle_class, lambda m: bins.of(m.enter_s)):
            times_s = np.array([m.leave_s - m.enter_s for m in in_bin]) - free_flow_s
            p50, p85 = np.percentile(times_s, [50, 85]).tolist()
            standing_s = [m.standing_s for m in in_bin]
            rows.append(
                Delay(
                    *way,
                    *key,
                    vehicles=len(in_bin),
                    free_flow_s=free_flow_s,
                    mean_delay_s=float(times_s.mean()),
                    p50_delay_s=p50,
                    p85_delay_s=p85,
                    standing_vehicles=sum(value > 0 for value in standing_s),
                    mean_standing_s=float(np.mean(standing_s)),
                )
            )
    return rows


def peak_hours(movements: Sequence[Movement], quarters: Bins = QUARTERS) -> list[PeakHour]:
    """The peak hour of every camera whose vehicles enter in a span of at least four quarters of an hour.

    With v_k the number of vehicles in the k-th quarter of an hour, the volume of the hour that starts with
    quarter k is V = v_k + v_{k+1} + v_{k+2} + v_{k+3}, and its peak hour factor V / (4 max v).

    Args:
        movements: Of the run.
        quarters: The quarters of an hour.
    """
    rows = []
    for camera, group in _grouped(movements, lambda m: m.camera):
        counts = Counter(quarters.number_of(movement.enter_s) for movement in group)
        first, last = min(counts), max(counts)
        if last - first < 3:
            continue
        volume = {k: sum(counts[k + step] for step in range(4)) for k in range(first, last - 2)}
        peak = max(volume, key=lambda k: (volume[k], -k))
        greatest = max(counts[peak + step] for step in range(4))
        hour = quarters.start_s(peak), quarters.start_s(peak + 4)
        rows.append(PeakHour(camera, *hour, volume[peak], volume[peak] / (4 * greatest)))
    return rows


def _counted(
    count: Callable[[Iterable[Movement]], Mapping[_Key, int]],
    movements: Iterable[Movement],
    samples: Sequence[Sequence[Movement]],
    miscount_rate: float,
) -> list[tuple[_Key, int, tuple[float, float, float]]]:
    """Key, count and estimate of everything that was counted or is estimated to at least half a vehicle, by key."""
    counts = count(movements)
    estimates = estimate_counts([count(sample) for sample in samples], miscount_rate)
    keys = {*counts, *(key for key, estimate in estimates.items() if estimate.value >= _LEAST_ESTIMATE)}
    unseen = _NONE if samples else UNKNOWN
    return [(key, counts.get(key, 0), _cells(estimates.get(key, unseen))) for key in sorted(keys)]  # type: ignore[type-var]


def _cells(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _routes(movements: Iterable[Movement]) -> list[list[Movement]]:
    """The movements of each vehicle in order of time."""
    by_vehicle: dict[int, list[Movement]] = defaultdict(list)
    for movement in movements:
        by_vehicle[movement.vehicle].append(movement)
    return [sorted(route, key=lambda m: (m.enter_s, m.leave_s, m.camera)) for _, route in sorted(by_vehicle.items())]


def _grouped(rows: Iterable[_Row], key_of: Callable[[_Row], _Key]) -> list[tuple[_Key, list[_Row]]]:
    """Rows by key, in order of the keys."""
    groups: dict[_Key, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[key_of(row)].append(row)
    return sorted(groups.items(), key=lambda item: item[0])  # type: ignore[arg-type, return-value]


def _grouped_by_class(
    rows: Iterable[_Row], class_of: Callable[[_Row], str], bin_of: Callable[[_Row], tuple[float, float]]
) -> list[tuple[tuple[str, float, float], list[_Row]]]:
    """Rows by class and ends of the bin; each row is in the group of its class and in that of all classes."""
    twice = [(vehicle_class, row) for row in rows for vehicle_class in (ALL_CLASSES, class_of(row))]
    groups = _grouped(twice, lambda item: (item[0], *bin_of(item[1])))
    return [(key, [row for _, row in group]) for key, group in groups]
