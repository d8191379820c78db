"""When recordings began, by their names (``north_2026-05-12_07-00-00.mp4``) or the metadata of their files.

Recorders name files after the moment in which they begin. Where all recordings of a place have such a name, cameras
that were not started at one moment are on one clock, and the date of its second 0 is known. Names are trusted only if
the recordings have a moment in common by them: pieces of one recording and clips of several days have none.

Most programs that export or cut videos write the time of the export into the metadata, and that of a recording has
the same form. Dates in metadata count only where ``scene.yaml`` asks for them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import av
import numpy as np

from mtmc.errors import VideoError
from mtmc.scene.scene import Camera
from mtmc.video.container import open_container
from mtmc.video.read import probe
from mtmc.video.timestamps import presentation_times

__all__ = ["date_in_file", "date_in_name", "with_named_starts"]

_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)[-_.]?(?P<month>\d\d)[-_.]?(?P<day>\d\d)"
    r"[-_.T ]{0,3}"
    r"(?P<hour>\d\d)[-_.:h]?(?P<minute>\d\d)[-_.:m]?(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d{1,6})\d{0,3})?"
    r"(?:(?P<zone>Z)|(?P<offset>[+-](?:00[-_.:]?00|(?:0[1-9]|1[0-4])[-_.:]?(?:00|30|45))(?!x|[-_.:]\d\d(?!\d))))?(?!\d)"
)

_PARTS = ("year", "month", "day", "hour", "minute", "second")

#: Keys of metadata, the one with the camera's own time zone first (QuickTime).
_KEYS = ("com.apple.quicktime.creationdate", "creation_time")

#: Years of a clock that was never set: zero in QuickTime's and in Unix time.
_UNSET = (1904, 1970)

_log = logging.getLogger(__name__)


def date_in_name(name: str) -> datetime | None:
    """The first date and time in a name, to the second at least; None if there is none.

    Without a time zone it is taken to be UTC. Digits behind it that are no time zone in use are something else: a
    serial number, the size of the pictures or the end of the recording.

    >>> date_in_name("north_2026-05-12_07-00-01.5").isoformat(), date_in_name("ch01_20260512070000+0200").isoformat()
    ('2026-05-12T07:00:01.500000+00:00', '2026-05-12T07:00:00+02:00')
    >>> date_in_name("625_201707211410"), date_in_name("serial_20269912070000")
    (None, None)
    """
    return _in_utc_unless_stated(_moment_in(name))


def _in_utc_unless_stated(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc) if moment else None


def date_in_file(path: Path) -> datetime | None:
    """The date in the metadata of a video, those of the container before those of its pictures; None without one.

    Source: ``creation_time`` as FFmpeg reads it from MP4, QuickTime (``mvhd``) and Matroska (``DateUTC``). Without a
    time zone it is taken to be UTC. A text that holds more than a date says nothing: what follows may be a time zone.
    """
    try:
        with open_container(path) as container:
            found = [container.metadata, *(stream.metadata for stream in container.streams.video)]
    except (av.FFmpegError, OSError):
        return None  # whatever is wrong with the file is reported when its frames are read
    for text in (metadata[key] for metadata in found for key in _KEYS if key in metadata):
        date = _DATE.fullmatch(text.strip())
        moment = _in_utc_unless_stated(_moment_of(date)) if date else None
        if moment is not None and moment.astimezone(timezone.utc).year not in _UNSET:
            return moment
    return None


def _moment_in(name: str) -> datetime | None:
    """The same, without a time zone where the name has none."""
    moments = (_moment_of(found) for found in _DATE.finditer(name))
    return next((moment for moment in moments if moment is not None), None)


def _moment_of(found: re.Match[str]) -> datetime | None:
    """The moment of digits in the form of a date; None if they are none."""
    year, month, day, hour, minute, second = (int(found[part]) for part in _PARTS)
    microseconds = int((found["fraction"] or "").ljust(6, "0"))
    own = timezone.utc if found["zone"] else _zone_of(found["offset"]) if found["offset"] else None
    try:
        return datetime(year, month, day, hour, minute, second, microseconds, own)
    except ValueError:
        return None


def _zone_of(offset: str) -> timezone:
    """The zone of +0200 or -03-30."""
    minutes = 60 * int(offset[1:3]) + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def with_named_starts(
    cameras: Sequence[Camera], start_utc: datetime | None = None
) -> tuple[tuple[Camera, ...], datetime | None]:
    """The cameras on one clock by the names of their recordings, and the date of its second 0.

    Nothing changes unless the names of all recordings have a date, all or none with a time zone, and the recordings
    have a moment in common by them; recordings that are missing are left out. Second 0 is then the earliest date.
    Cameras with a stated clock keep it and need no date; if they have one it counts for second 0, so that a
    correction of one camera moves no other. Learning may correct the others: names are exact to a second at best.

    Args:
        cameras: Of one place.
        start_utc: The date of second 0, where it is stated.
    """
    names = {camera.id: _name_of(camera) for camera in cameras}
    have_zone = {moment.tzinfo is not None for name in names.values() if (moment := _moment_in(name)) is not None}
    dates = {key: date for key, name in names.items() if (date := date_in_name(name)) is not None}
    there = [camera for camera in cameras if camera.video is not None or not camera.problem]  # others have no name
    open_clocks = {camera.id for camera in there if not camera.clock_is_stated}
    dated = [camera for camera in cameras if camera.id in dates]
    are_named = bool(open_clocks) and open_clocks <= dates.keys() and len(have_zone) == 1
    if not are_named or not _have_a_moment_in_common(dated, dates):
        return tuple(cameras), start_utc
    origin = min(dates.values())
    _log.info("starts of %d recordings by their names, the first one at %s", len(open_clocks), origin.isoformat())
    return tuple(_started(camera, dates, origin) for camera in cameras), start_utc or origin


def _name_of(camera: Camera) -> str:
    if camera.video is None:
        return ""
    return camera.video.name if camera.video.is_dir() else camera.video.stem


def _started(camera: Camera, dates: Mapping[str, datetime], origin: datetime) -> Camera:
    if camera.clock_is_stated or camera.id not in dates:
        return camera
    first_s = float(camera.clock.time_s(np.array(0)))  # a recording may lack its first frames
    return replace(camera, clock=camera.clock.starting_at(first_s + (dates[camera.id] - origin).total_seconds()))


def _have_a_moment_in_common(cameras: Sequence[Camera], dates: Mapping[str, datetime]) -> bool:
    """Whether the last recording begins before the first one ends; False where a length is unknown."""
    ends = []
    for camera in cameras:
        assert camera.video is not None
        try:
            frames = _frame_count(camera.video)
        except VideoError:
            continue  # it is reported when it is read
        if frames is None:
            return False
        first_s, last_s = camera.clock.time_s(np.array([0, frames])).tolist()
        ends.append(dates[camera.id] + timedelta(seconds=last_s - first_s))
    return bool(ends) and max(dates.values()) < min(ends)


def _frame_count(video: Path) -> int | None:
    """Frames of a recording; counted by timestamps where the container has no count (Matroska, MPEG-TS)."""
    frames = probe(video).frames
    times_s = presentation_times(video) if frames is None else None
    return frames if times_s is None else len(times_s)
