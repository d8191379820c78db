"""From a finished run to the files of ``mtmc count``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from mtmc.errors import ConfigError
from mtmc.files import remove
from mtmc.log import plural
from mtmc.pipeline.outputs import note_derived
from mtmc.pipeline.results import LoadedRun, load_run
from mtmc.scene import Camera, Link
from mtmc.traffic.bins import QUARTERS, Bins
from mtmc.traffic.conflicts import Conflict, conflicts
from mtmc.traffic.exports import write_otanalytics_counts, write_otanalytics_events, write_sumo_matrix
from mtmc.traffic.ground_paths import with_sure_positions
from mtmc.traffic.movements import Movement, movements_of
from mtmc.traffic.queues import Queue, queues
from mtmc.traffic.samples import NO_SAMPLES, MovementSamples, View, sample_movements
from mtmc.traffic.tables import (
    Delay,
    Headway,
    ODCount,
    PeakHour,
    Speed,
    TravelTime,
    TurningCount,
    delays,
    headways,
    od_matrix,
    peak_hours,
    speeds,
    travel_times,
    turning_counts,
)
from mtmc.traffic.trajectory_files import ground_lines, on_earth, write_geojson, write_geoparquet
from mtmc.traffic.write import columns_of, write_csv, write_parquet_rows
from mtmc.types import GlobalTrack

__all__ = ["ROW_TYPES", "TrafficTables", "count_run", "counted_tracks", "run_tables", "tables_of", "views_of"]

#: Positions are averaged over a second, so that shorter bins tell nothing.
_LEAST_BIN_S = 1.0

#: Files for other programs.
_EXPORTS = (
    *("sumo_od.xml", "trajectories.parquet", "trajectories_wgs84.parquet", "trajectories.geojson"),
    *("otanalytics_counts.csv", "otanalytics_events.csv"),
)

#: The type of the rows of every table; the keys are the names of the files.
ROW_TYPES: dict[str, type] = {
    "movements": Movement,
    "turning_counts": TurningCount,
    "od_matrix": ODCount,
    "travel_times": TravelTime,
    "headways": Headway,
    "speeds": Speed,
    "delays": Delay,
    "queues": Queue,
    "peak_hours": PeakHour,
    "conflicts": Conflict,
}


@dataclass(frozen=True, slots=True)
class TrafficTables:
    """All tables of a run, in the order of :data:`ROW_TYPES`.

    Attributes:
        movements, turning_counts, od_matrix, travel_times, headways, speeds, delays, queues, peak_hours: The rows.
        conflicts: Those, too; None where they were not sought.
        start_utc: Date and time of second 0 of the scene's clock; None if unknown.
    """

    movements: Sequence[Movement]
    turning_counts: Sequence[TurningCount]
    od_matrix: Sequence[ODCount]
    travel_times: Sequence[TravelTime]
    headways: Sequence[Headway]
    speeds: Sequence[Speed]
    delays: Sequence[Delay]
    queues: Sequence[Queue]
    peak_hours: Sequence[PeakHour]
    conflicts: Sequence[Conflict] | None
    start_utc: datetime | None = None

    def write(self, folder: Path) -> list[Path]:
        """Write every table that there is as CSV and Parquet; returns the files.

        The files of a table that there is not are removed: an earlier count has written them, of other figures.

        Raises:
            MtmcError: A file cannot be written, or removed.
        """
        written = []
        for name, row_type in ROW_TYPES.items():
            rows, path = getattr(self, name), folder / f"{name}.csv"
            if rows is None:
                remove(path)
                remove(path.with_suffix(".parquet"))
                continue
            columns = columns_of(rows, row_type, self.start_utc)
            write_csv(columns, path)
            write_parquet_rows(columns, row_type, path.with_suffix(".parquet"))
            written += [path, path.with_suffix(".parquet")]
        return written

    def text(self) -> str:
        """A short summary: vehicles, movements per camera, and the most frequent travel times."""
        vehicles = {movement.vehicle for movement in self.movements}
        lines = [f"{plural(len(vehicles), 'vehicle')}, {plural(len(self.movements), 'movement')}"]
        lines += [f"{'camera':<16}{'vehicles':>9}{'by zones':>10}"]
        for camera in sorted({movement.camera for movement in self.movements}):
            of_camera = [movement for movement in self.movements if movement.camera == camera]
            with_zones = sum(bool(movement.entry_zone and movement.exit_zone) for movement in of_camera)
            lines.append(f"{camera:<16}{len(of_camera):>9}{with_zones / len(of_camera):>10.0%}")
        return "\n".join(lines)


def tables_of(
    tracks: Sequence[GlobalTrack],
    bin_s: float = QUARTERS.length_s,
    start_utc: datetime | None = None,
    samples: MovementSamples = NO_SAMPLES,
    conflict_cameras: Sequence[Camera] | None = None,
    links: Sequence[Link] = (),
) -> TrafficTables:
    """Compute all tables.

    Args:
        tracks: The vehicles of a run.
        bin_s: Length of a bin, seconds.
        start_utc: Date and time of second 0 of the scene's clock; None if unknown.
        samples: What the movements may have been; without them, nothing is estimated.
        conflict_cameras: Those whose conflicts are sought; None for no table of conflicts.
        links: Those of the scene, for the lengths of roads between cameras.

    Raises:
        ConfigError: ``bin_s`` is less than a second, or infinite.
    """
    if not _LEAST_BIN_S <= bin_s < math.inf:
        raise ConfigError(
            f"expected a bin of {_LEAST_BIN_S:g} s or more, and of an end, got {bin_s:g} s",
            remedy="give minutes, such as 15",
        )
    movements = movements_of(tracks)
    bins, quarters = (Bins.on_the_clock(length_s, start_utc) for length_s in (bin_s, QUARTERS.length_s))
    return TrafficTables(
        movements=movements,
        turning_counts=turning_counts(movements, bins, samples.completed),
        od_matrix=od_matrix(movements, bins, samples.completed),
        travel_times=travel_times(movements, bins, samples.seen, links),
        headways=headways(movements, bins),
        speeds=speeds(movements, bins),
        delays=delays(movements, bins),
        queues=queues(tracks, bins),
        peak_hours=peak_hours(movements, quarters),
        conflicts=None if conflict_cameras is None else conflicts(tracks, conflict_cameras),
        start_utc=start_utc,
    )


def count_run(
    run: Path, out: Path | None = None, bin_s: float = QUARTERS.length_s, *, with_conflicts: bool = False
) -> TrafficTables:
    """Compute the tables of a finished run and write them, with the files for other programs.

    Args:
        run: The folder that ``mtmc run`` wrote.
        out: Where to write; ``run/traffic`` if None.
        bin_s: Length of a bin, seconds.
        with_conflicts: Whether conflicts are sought.

    Raises:
        MtmcError: The run cannot be read, or a file cannot be written.
        ConfigError: ``bin_s`` is less than a second, or infinite.
    """
    loaded = load_run(run)
    tables = run_tables(loaded, bin_s, with_conflicts=with_conflicts)
    folder = run / "traffic" if out is None else out
    note_derived(run, tables.write(folder) + _export(loaded, tables, folder))
    return tables


def _export(run: LoadedRun, tables: TrafficTables, folder: Path) -> list[Path]:
    """Write the files for other programs, and remove those of an earlier count that this run does not give."""
    write_sumo_matrix(tables.od_matrix, folder / "sumo_od.xml")
    lines = ground_lines(counted_tracks(run), run.scene)
    write_geoparquet(lines, folder / "trajectories.parquet", is_on_earth=False)
    if run.scene.origins:
        lines = on_earth(lines, run.scene)
        write_geoparquet(lines, folder / "trajectories_wgs84.parquet", is_on_earth=True)
        write_geojson(lines, folder / "trajectories.geojson")
    else:
        remove(folder / "trajectories_wgs84.parquet")
        remove(folder / "trajectories.geojson")
    if tables.start_utc is not None:
        videos = {camera.id: camera.video.name for camera in run.scene.cameras if camera.video is not None}
        write_otanalytics_counts(tables.turning_counts, tables.start_utc, folder / "otanalytics_counts.csv")
        write_otanalytics_events(run.tracks, tables.start_utc, videos, folder / "otanalytics_events.csv")
    else:
        remove(folder / "otanalytics_counts.csv")
        remove(folder / "otanalytics_events.csv")
    return [path for name in _EXPORTS if (path := folder / name).exists()]


def run_tables(run: LoadedRun, bin_s: float = QUARTERS.length_s, *, with_conflicts: bool = False) -> TrafficTables:
    """The tables of a finished run, with estimates where its links have probabilities.

    Args:
        run: The run.
        bin_s: Length of a bin, seconds.
        with_conflicts: Whether conflicts are sought.

    Raises:
        ConfigError: ``bin_s`` is less than a second, or infinite.
    """
    tracks = counted_tracks(run)
    samples = NO_SAMPLES if run.links is None else sample_movements(tracks, run.links, views_of(run))
    conflict_cameras = run.scene.cameras if with_conflicts else None
    return tables_of(tracks, bin_s, run.scene.start_utc, samples, conflict_cameras, run.scene.links)


def counted_tracks(run: LoadedRun) -> list[GlobalTrack]:
    """The vehicles of a run with the positions that are sure."""
    return with_sure_positions(run.tracks, {camera.id: camera.size_wh for camera in run.scene.cameras})


def views_of(run: LoadedRun) -> dict[str, View]:
    """What each camera of a run recorded, as far as it is known."""
    views = {}
    for camera, result in zip(run.scene.cameras, run.results, strict=True):
        frames = result.counts.get("frames") or camera.frame_count
        if frames:
            first_s, last_s = camera.clock.time_s(np.array([0, frames - 1])).tolist()
            views[camera.id] = View(first_s, last_s, camera.size_wh)
    return views
