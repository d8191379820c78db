"""The journal of answers: a text file beside the run with one JSON object per line, which only ever grows.

The first line names the format and the run: a hash of its tracklets, so that a journal is never applied to the
tracklets of another run. Every other line is an :class:`Entry`. A line that a killed process left incomplete was
never acknowledged, and is dropped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

from mtmc.errors import FormatError, MtmcError
from mtmc.files import explain
from mtmc.types import Passage, class_index

__all__ = ["ACTIONS", "NUMBER_LIMIT", "Box", "Entry", "Journal", "StaleSequence", "Track", "Tracklets", "digest_of"]

_VERSION = 1
#: Numbers of vehicles and tracklets are less.
NUMBER_LIMIT = 2**31
ACTIONS = ("same", "different", "merge", "split", "assign", "cut", "delete", "class", "boxes", "check", "undo")

#: Edges of boxes are less than this, pixels: the limit of the format in which pages receive them.
EDGE_LIMIT_PX = 8192.0

#: (camera_id, track_id) of a tracklet.
Track = tuple[str, int]
#: (camera_id, track_id) of two tracklets.
Tracklets = tuple[str, int, str, int]
#: Frame and x1, y1, x2, y2 of a box, pixels.
Box = tuple[int, float, float, float, float]


class StaleSequence(MtmcError):
    """The journal has grown since the sender read it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision.

    Attributes:
        sequence: Its number, from 1 without gaps.
        action: One of :data:`ACTIONS`.
        must_link: Pairs of tracklets that are one vehicle.
        cannot_link: Pairs of tracklets that are two vehicles.
        tracks: Tracklets that are cut, deleted, of another class, given boxes, or that a vehicle's number belongs
            to; of ``check`` all those of a vehicle.
        frame: Of ``cut``: the first frame of the part that gets a new number.
        number: Of ``cut``: the new tracklet number; of ``boxes``: that of a tracklet which begins with them, else 0;
            of ``assign``: the number of the vehicle, 0 for any.
        class_name: Of ``class``: one of :data:`mtmc.types.CLASSES`.
        boxes: Of ``boxes``: what the tracklet is given, in order of their frames.
        undoes: The number of the decision that no longer counts; 0 for all actions but ``undo``.
        time_utc: When it was made, ISO 8601.
    """

    sequence: int
    action: str
    must_link: tuple[Tracklets, ...] = ()
    cannot_link: tuple[Tracklets, ...] = ()
    tracks: tuple[Track, ...] = ()
    frame: int = 0
    number: int = 0
    class_name: str = ""
    boxes: tuple[Box, ...] = ()
    undoes: int = 0
    time_utc: str = ""

    @property
    def is_possible(self) -> bool:
        """Whether the fields are those of the action, whatever the run: what is read may have been edited by hand."""
        if any(pair[:2] == pair[2:] for pair in (*self.must_link, *self.cannot_link)):
            return False
        if not all(0 <= value < NUMBER_LIMIT for value in (self.frame, self.number, self.undoes)):
            return False
        if self.action == "cut":
            return len(self.tracks) == 1 and self.number > 0
        if self.action == "boxes":
            return len(self.tracks) == 1 and self.number in (0, self.tracks[0][1]) and _are_possible(self.boxes)
        if self.action == "class":
            return class_index(self.class_name) >= 0
        return (self.undoes > 0) == (self.action == "undo") and self.undoes < self.sequence


def _are_possible(boxes: Sequence[Box]) -> bool:
    """Whether there are some, one for a frame, in order, each with an area and within what pages can show."""
    frames = [frame for frame, *_ in boxes]
    return (
        bool(boxes)
        and all(0 <= frame < NUMBER_LIMIT for frame in frames)
        and all(before < after for before, after in pairwise(frames))
        and all(max(map(abs, edges)) < EDGE_LIMIT_PX for _, *edges in boxes)
        and all(x1 < x2 and y1 < y2 for _, x1, y1, x2, y2 in boxes)
    )


def digest_of(passages: Sequence[Passage]) -> str:
    """A hash of the tracklets that a journal is about: cameras, numbers, first and last frames."""
    rows = [(p.tracklet.camera_id, p.tracklet.track_id, *p.tracklet.frame[[0, -1]].tolist()) for p in passages]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


class Journal:
    """The decisions of one run, in memory and on disk.

    Args:
        path: The file; made by the first decision.
        run: :func:`digest_of` the run.

    Raises:
        FormatError: The file is damaged, or belongs to other tracklets.
    """

    def __init__(self, path: Path, run: str) -> None:
        self.path, self.run = path, run
        self.entries: tuple[Entry, ...] = ()
        self.reload()

    @property
    def sequence(self) -> int:
        """The number of the last decision, 0 if there is none."""
        return len(self.entries)

    def reload(self) -> None:
        """Read what the file holds now."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise explain(error, self.path, "read") from error
        self.entries = self._parsed(data)

    def expect(self, sequence: int) -> None:
        """Refuse a sender who does not have all decisions.

        Raises:
            StaleSequence: ``sequence`` is not the number of the last decision.
        """
        if sequence != self.sequence:
            raise StaleSequence(
                f"expected the answer after number {self.sequence}, got one after number {sequence}",
                remedy="another window has answered meanwhile: load its answers, then answer again",
            )

    def append(self, sequence: int, action: str, **facts: Any) -> Entry:
        """Add a decision; it is on disk when this returns.

        Args:
            sequence: The number of the last decision that the sender knows.
            action: One of :data:`ACTIONS`.
            facts: The other fields of :class:`Entry`.

        Raises:
            StaleSequence: Somebody else has decided something since.
            MtmcError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # another server may show the same run
                file.seek(0)
                data = file.read()
                self.entries = self._parsed(data)
                self.expect(sequence)
                time_utc = datetime.now(timezone.utc).isoformat(timespec="seconds")
                entry = Entry(sequence + 1, action, **facts, time_utc=time_utc)
                self._write(file, data, entry)
        except OSError as error:
            raise explain(error, self.path) from error
        self.entries = (*self.entries, entry)
        return entry

    def _write(self, file: Any, data: bytes, entry: Entry) -> None:
        whole = data.rfind(b"\n") + 1
        file.truncate(whole)  # an incomplete line was never acknowledged
        lines = [] if whole else [{"journal": _VERSION, "run": self.run}]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [*lines, asdict(entry)])
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        os.fsync(file.fileno())

    def _parsed(self, data: bytes) -> tuple[Entry, ...]:
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        if not lines:
            return ()
        self._check_header(lines[0])
        return tuple(self._entry(line, number) for number, line in enumerate(lines[1:], start=1))

    def _check_header(self, line: bytes) -> None:
        header = self._json(line, 1)
        if header.get("journal") != _VERSION:
            raise FormatError("expected a journal of answers, got something else", path=self.path, line=1)
        if header.get("run") != self.run:
            raise FormatError(
                "holds answers about other tracklets: the run was repeated since with another result",
                path=self.path,
                remedy="move the file away to begin anew, or repeat the run as it was",
            )

    def _entry(self, line: bytes, sequence: int) -> Entry:
        data = self._json(line, sequence + 1)
        try:
            if data["sequence"] != sequence or data["action"] not in ACTIONS:
                raise ValueError
            entry = Entry(
                sequence=sequence,
                action=data["action"],
                must_link=tuple(_pair(pair) for pair in data["must_link"]),
                cannot_link=tuple(_pair(pair) for pair in data["cannot_link"]),
                # Journals of earlier versions have no repairs.
                tracks=tuple((str(camera), int(track)) for camera, track in data.get("tracks", ())),
                frame=int(data.get("frame", 0)),
                number=int(data.get("number", 0)),
                class_name=str(data.get("class_name", "")),
                boxes=tuple(_box(box) for box in data.get("boxes", ())),
                undoes=int(data["undoes"]),
                time_utc=str(data["time_utc"]),
            )
            if not entry.is_possible:
                raise ValueError
            return entry
        except (KeyError, TypeError, ValueError, OverflowError):
            raise FormatError(
                f"expected answer number {sequence}, got something else",
                path=self.path,
                line=sequence + 1,
                remedy="remove this line and those that follow it",
            ) from None

    def _json(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise FormatError(
                "cannot be read as JSON",
                path=self.path,
                line=number,
                remedy="remove this line and those that follow it",
            )
        return data


def _pair(value: Any) -> Tracklets:
    camera_a, track_a, camera_b, track_b = value
    return str(camera_a), int(track_a), str(camera_b), int(track_b)


def _box(value: Any) -> Box:
    frame, x1, y1, x2, y2 = value
    return int(frame), float(x1), float(y1), float(x2), float(y2)
