"""Files that other programs open.

::

    sumo_od.xml             origin–destination matrix for SUMO: od2trips --tazrelation-files
    otanalytics_counts.csv  turning counts as OTAnalytics writes them, where the date is known
    otanalytics_events.csv  its events: every vehicle that enters or leaves a view or passes a zone

SUMO reads no spaces and few other characters in names, so those of places are changed; comments say which is which.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

from mtmc.files import atomic_path
from mtmc.geometry.boxes import bottom_center
from mtmc.traffic.movements import movement_passages
from mtmc.traffic.tables import ODCount, TurningCount
from mtmc.traffic.write import utc_of
from mtmc.types import GlobalTrack, Tracklet

__all__ = ["write_otanalytics_counts", "write_otanalytics_events", "write_sumo_matrix"]

_COUNT_COLUMNS = "start time", "end time", "classification", "flow", "from section", "to section", "count"
_EVENT_COLUMNS = (
    *("road_user_id", "road_user_type", "hostname", "occurrence", "occurrence_day", "occurrence_time"),
    *("frame_number", "section_id", "section_name", "event_type"),
    *("coordinate_px_x", "coordinate_px_y", "vector_px_x", "vector_px_y", "video_name"),
)
_OCCURRENCE = _EVENT_COLUMNS.index("occurrence")


def write_sumo_matrix(rows: Iterable[ODCount], path: Path) -> None:
    """The matrix as SUMO's relations of traffic assignment zones; one interval for each class and bin.

    Zones are cameras with an entry or exit zone. Counts are those of the run. SUMO has no times before 0: the first
    bin, which may begin before the recording, begins at 0.

    Args:
        rows: The matrix.
        path: XML file.

    Raises:
        MtmcError: The file cannot be written.
    """
    taz = _SumoNames()
    intervals: dict[tuple[float, float, str], dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        places = taz.of(row.from_camera, row.from_zone), taz.of(row.to_camera, row.to_zone)
        intervals[row.bin_start_s, row.bin_end_s, row.vehicle_class][places] += row.vehicles

    root = ElementTree.Element("data")
    for name, place in taz.places.items():
        root.append(ElementTree.Comment(_comment(f" {name}: {place} ")))
    for (begin_s, end_s, vehicle_class), counts in sorted(intervals.items()):
        first_s = max(begin_s, 0.0) if end_s > 0 else begin_s
        bin_of_class = {"id": vehicle_class, "begin": f"{first_s:.2f}", "end": f"{end_s:.2f}"}
        interval = ElementTree.SubElement(root, "interval", bin_of_class)
        for (origin, destination), vehicles in sorted(counts.items()):
            if vehicles:
                relation = {"from": origin, "to": destination, "count": str(vehicles)}
                ElementTree.SubElement(interval, "tazRelation", relation)
    ElementTree.indent(root)
    with atomic_path(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _comment(text: str) -> str:
    """A text as a comment of XML may hold it: without two hyphens in a row, and without control characters."""
    return re.sub(r"-(?=-)", "- ", re.sub(r"[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text))


class _SumoNames:
    """Names of places that SUMO reads, one for each place."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}

    def of(self, camera: str, zone: str) -> str:
        if (camera, zone) not in self._names:
            base = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{camera}.{zone}" if zone else camera).strip("_") or "place"
            name, number = base, 2
            while name in self.places:
                name, number = f"{base}-{number}", number + 1
            self._names[camera, zone] = name
            self.places[name] = f"camera {camera}, zone {zone}" if zone else f"camera {camera}"
        return self._names[camera, zone]


def write_otanalytics_counts(rows: Sequence[TurningCount], start_utc: datetime, path: Path) -> None:
    """Turning counts in the columns of OTAnalytics' export of counts; zones are sections, pairs of zones are flows.

    Movements without a known entry or exit are no flow and are left out. Counts are those of the run.

    Args:
        rows: The counts.
        start_utc: Date and time of second 0 of the scene's clock.
        path: CSV file.

    Raises:
        MtmcError: The file cannot be written.
    """

    def moment(scene_s: float) -> str:
        return f"{utc_of(start_utc, scene_s):%Y-%m-%d %H:%M:%S}"

    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COUNT_COLUMNS)
        for row in rows:
            if row.entry_zone and row.exit_zone and row.vehicles:
                sections = f"{row.camera}: {row.entry_zone}", f"{row.camera}: {row.exit_zone}"
                times = moment(row.bin_start_s), moment(row.bin_end_s)
                writer.writerow((*times, row.vehicle_class, " --> ".join(sections), *sections, row.vehicles))


def write_otanalytics_events(
    tracks: Iterable[GlobalTrack], start_utc: datetime, videos: Mapping[str, str], path: Path
) -> None:
    """Events in the columns of OTAnalytics' export of events, in order of time.

    Every movement enters and leaves the scene, which is its camera's view, and passes the section of its entry zone
    and that of its exit zone where these are known. The place of an event is the bottom center of the box, its vector
    the displacement between two consecutive boxes there, both in pixels. Frames count from 1.

    Args:
        tracks: The vehicles of the run.
        start_utc: Date and time of second 0 of the scene's clock.
        videos: Name of each camera's video; its id where there is none.
        path: CSV file.

    Raises:
        MtmcError: The file cannot be written.
    """
    events: list[tuple[object, ...]] = []
    for movement, passages in movement_passages(tracks):
        first, last = passages[0].tracklet, max((p.tracklet for p in passages), key=lambda t: t.end_s)
        entry, leave = (
            f"{movement.camera}: {zone}" if zone else "" for zone in (movement.entry_zone, movement.exit_zone)
        )
        found = [
            (first, 0, "", "enter-scene"),
            (first, 0, entry, "section-enter"),
            (last, len(last) - 1, leave, "section-enter"),
            (last, len(last) - 1, "", "leave-scene"),
        ]
        for tracklet, row, section, kind in found:
            if section or kind != "section-enter":
                moment = utc_of(start_utc, float(tracklet.time_s[row]))
                times = f"{moment:%Y-%m-%d %H:%M:%S.%f}", f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S.%f}"
                user = movement.vehicle, movement.vehicle_class, movement.camera
                at = (*times, int(tracklet.frame[row]) + 1, section, section, kind, *_place_and_vector(tracklet, row))
                events.append((*user, *at, videos.get(movement.camera, movement.camera)))

    events.sort(key=lambda event: str(event[_OCCURRENCE]))
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_EVENT_COLUMNS)
        writer.writerows(events)


def _place_and_vector(tracklet: Tracklet, row: int) -> tuple[float, float, float, float]:
    """Bottom center of a box, and its displacement from the previous box or, of the first, to the next: pixels."""
    after = min(max(row, 1), len(tracklet) - 1)
    points = bottom_center(tracklet.xyxy[[row, max(after - 1, 0), after]].astype(float))
    x, y = points[0].round(2).tolist()
    vector_x, vector_y = (points[2] - points[1]).round(2).tolist()
    return x, y, vector_x, vector_y
