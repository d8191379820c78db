"""Check a submission to the AI City Challenge (2021 Track 3, 2022 Track 1) against the rules of its server.

A line is ``camera id frame left top width height xworld yworld``, separated by spaces, with whole numbers in the
first seven columns and frames from 1. Errors are violations that make a row, or the file, invalid. Warnings are
rows that the official evaluation drops before it matches identities (:mod:`mtmc.evaluate.aicity`), so they cannot
score.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mtmc.errors import ConfigError
from mtmc.evaluate.aicity import is_inside_roi
from mtmc.evaluate.cameras import parse_cameras
from mtmc.evaluate.rois import read_rois
from mtmc.formats.text import read_text
from mtmc.formats.track1 import LAYOUT
from mtmc.scene import load_scenes
from mtmc.types import Array

__all__ = ["SHOWN_LINES", "Rules", "Submission", "Violation", "check_submission", "rules_of_scene"]

#: The number of lines of each violation that the text of a report shows.
SHOWN_LINES = 5

_COLUMNS = LAYOUT.split()
_WHOLE_COLUMNS = 7
_WHOLE = re.compile(r"[+-]?\d{1,15}\Z")
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\Z")
_REMEDY_OF_FORM = f"a line reads {LAYOUT}, such as 6 1 42 100 200 40 30 -1 -1"


@dataclass(frozen=True, slots=True)
class Rules:
    """The facts of a scene that a submission is checked against.

    Attributes:
        cameras: Numbers of the cameras of the split; None does not check them.
        frame_counts: Number of frames by camera number; cameras without an entry are not checked.
        rois: Regions of interest by camera number, bool (H, W), true inside.
    """

    cameras: Collection[int] | None = None
    frame_counts: Mapping[int, int] = field(default_factory=dict)
    rois: Mapping[int, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """One line that breaks a rule.

    Attributes:
        line: Line number in the file, from 1.
        problem: What is wrong, the same text for all lines that break the rule.
        found: What the line contains.
        remedy: How to correct it.
        is_error: Whether the row is invalid; otherwise the evaluation drops it.
    """

    line: int
    problem: str
    found: str
    remedy: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Submission:
    """The result of a check.

    Attributes:
        rows: Rows of the file.
        vehicles: Identities among the rows of correct form.
        cameras: Camera numbers among them, in order.
        violations: In order of their lines.
    """

    rows: int
    vehicles: int
    cameras: Sequence[int]
    violations: Sequence[Violation]

    @property
    def is_valid(self) -> bool:
        """Whether there is no error; warnings are allowed."""
        return not any(violation.is_error for violation in self.violations)

    def text(self) -> str:
        """A summary, then each problem with its first lines and its remedy."""
        cameras = ", ".join(map(str, self.cameras)) or "none"
        verdict = "valid" if self.is_valid else "NOT valid"
        parts = [f"{verdict}: {self.rows:,} rows, {self.vehicles:,} vehicles, cameras {cameras}"]
        by_problem: dict[tuple[bool, str], list[Violation]] = defaultdict(list)
        for violation in self.violations:
            by_problem[not violation.is_error, violation.problem].append(violation)
        for (is_warning, problem), violations in sorted(by_problem.items(), key=lambda item: item[0][0]):
            kind = "warning" if is_warning else "error"
            parts.append(f"\n{kind}: {problem} ({len(violations):,} {'line' if len(violations) == 1 else 'lines'})")
            parts += [f"  line {violation.line}: {violation.found}" for violation in violations[:SHOWN_LINES]]
            if len(violations) > SHOWN_LINES:
                parts.append(f"  … and {len(violations) - SHOWN_LINES:,} more")
            parts.append(f"  remedy: {violations[0].remedy}")
        return "\n".join(parts)


def rules_of_scene(
    scene: str | os.PathLike[str] | None = None,
    cameras: str | None = None,
    roi: str | os.PathLike[str] | None = None,
) -> Rules:
    """The rules for the cameras of a scene, of a scenario, or of both.

    Args:
        scene: Folder of a scene, from which cameras, frame counts and regions of interest are taken.
        cameras: The cameras of the split, as ``S06``, ``41-46`` or by name; those of the scene if None.
        roi: Folder of regions of interest (``NAME.png``, ``NAME/roi.jpg``) in place of the scene's.

    Raises:
        ConfigError: The list of cameras is malformed, or regions of interest are given without cameras.
        SceneError: The scene cannot be loaded, or a region of interest cannot be read.
    """
    members = [] if scene is None else [camera for part in load_scenes(Path(scene)) for camera in part.cameras]
    names = {camera.number: camera.id for camera in members}
    split = parse_cameras(cameras, names) if cameras is not None else tuple(sorted(names)) or None
    frame_counts = {camera.number: camera.frame_count for camera in members if camera.frame_count is not None}
    if roi is not None:
        if split is None:
            remedy = "name the cameras with --cameras, or the scene with --scene"
            raise ConfigError("expected cameras for the regions of interest, got none", remedy=remedy)
        return Rules(split, frame_counts, read_rois(roi, split, names))
    images = {camera.number: camera.roi for camera in members if camera.roi is not None}
    return Rules(split, frame_counts, read_rois(images, images, names, skip_missing=True) if images else {})


def check_submission(path: str | os.PathLike[str], rules: Rules | None = None) -> Submission:
    """Check every line of a file; one bad line does not hide those after it.

    Args:
        path: The file.
        rules: Facts of the scene; None checks the form of the file only.

    Raises:
        FormatError: The file cannot be read as text.
    """
    rules = Rules() if rules is None else rules
    text = read_text(path).decode("utf-8", "replace")
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]

    violations: list[Violation] = []
    rows: list[list[int]] = []
    for number, line in lines:
        problem = _form_problem(line)
        if problem is None:
            rows.append([number, *map(int, line.split()[:_WHOLE_COLUMNS])])
        else:
            violations.append(Violation(number, *problem, _REMEDY_OF_FORM, is_error=True))

    table = np.array(rows, np.int64).reshape(-1, 1 + _WHOLE_COLUMNS)
    violations += _value_violations(table, rules)
    violations += _repeat_violations(table)
    violations += _unscored_violations(table, rules)
    violations.sort(key=lambda violation: (violation.line, not violation.is_error))
    if not lines:
        remedy = "write at least one row; an empty result scores 0"
        violations.append(Violation(1, "the file has no rows", "the end of the file", remedy, is_error=True))

    _, camera, identity = table[:, 0], table[:, 1], table[:, 2]
    return Submission(len(lines), len(np.unique(identity)), np.unique(camera).tolist(), violations)


def _form_problem(line: str) -> tuple[str, str] | None:
    """What is wrong with the form of a line, and what the line contains; None for a line of correct form."""
    if "," in line or "\t" in line:
        return "columns are separated by commas or tabs instead of spaces", _quoted(line)
    fields = line.split()
    if len(fields) != len(_COLUMNS):
        return "a line has more or fewer than nine columns", f"{len(fields)} columns in {_quoted(line)}"
    for name, value in zip(_COLUMNS[:_WHOLE_COLUMNS], fields, strict=False):
        if not _WHOLE.match(value):
            return "one of the first seven columns is not a whole number", f"{name} is {_quoted(value)}"
    for name, value in zip(_COLUMNS[_WHOLE_COLUMNS:], fields[_WHOLE_COLUMNS:], strict=True):
        if not _REAL.match(value):
            return "xworld or yworld is not a number", f"{name} is {_quoted(value)}"
    return None


def _value_violations(table: Array, rules: Rules) -> Iterator[Violation]:
    """Values outside their range: camera, frame, identity, width and height."""
    for line, camera, identity, frame, _, _, width, height in table.tolist():
        if rules.cameras is not None and camera not in rules.cameras:
            known = ", ".join(map(str, sorted(rules.cameras)))
            yield Violation(
                line,
                "a camera does not belong to the split",
                f"camera {camera}",
                f"leave out rows of other cameras than {known}",
                is_error=True,
            )
        frame_count = rules.frame_counts.get(camera)
        if frame < 1:
            remedy = "count frames from 1"
            yield Violation(line, "a frame number is less than 1", f"frame {frame}", remedy, is_error=True)
        elif frame_count is not None and frame > frame_count:
            found = f"frame {frame} of camera {camera}, which has {frame_count}"
            remedy = "leave out rows after the last frame of the video; check the frame offset"
            yield Violation(line, "a frame is after the end of the video", found, remedy, is_error=True)
        if identity < 1:
            remedy = "number vehicles from 1"
            yield Violation(line, "an identity is less than 1", f"id {identity}", remedy, is_error=True)
        if width < 1 or height < 1:
            remedy = "write left, top, width, height rather than two corners, and leave out empty boxes"
            yield Violation(line, "a box has no area", f"width {width}, height {height}", remedy, is_error=True)


def _repeat_violations(table: Array) -> Iterator[Violation]:
    """Rows that give an identity a second box in one frame of a camera."""
    first_line: dict[tuple[int, int, int], int] = {}
    for line, camera, identity, frame, *_ in table.tolist():
        earlier = first_line.setdefault((camera, frame, identity), line)
        if earlier != line:
            found = f"id {identity} in frame {frame} of camera {camera} again, first in line {earlier}"
            remedy = "keep one box per identity and frame; the evaluation counts the first"
            yield Violation(line, "an identity has a second box in a frame", found, remedy, is_error=True)


def _unscored_violations(table: Array, rules: Rules) -> Iterator[Violation]:
    """Rows that the official evaluation drops: identities of one camera, and boxes outside the region of interest."""
    line, camera, identity = table[:, 0], table[:, 1], table[:, 2]
    views = np.unique(np.stack([identity, camera], axis=1), axis=0)
    identities, camera_count = np.unique(views[:, 0], return_counts=True)
    for only_one in identities[camera_count == 1].tolist():
        rows = np.flatnonzero(identity == only_one)
        found = f"id {only_one} has all of its {len(rows)} rows in camera {camera[rows[0]]}"
        remedy = "no correction is needed: the evaluation drops these rows"
        yield Violation(int(line[rows[0]]), "an identity is in one camera only", found, remedy, is_error=False)

    for number, roi in rules.rois.items():
        rows = np.flatnonzero(camera == number)
        boxes = table[rows, 4:8].astype(np.float64)
        xyxy = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        for row in rows[~is_inside_roi(xyxy, roi)].tolist():
            found = (
                f"a corner of the box {' '.join(map(str, table[row, 4:8].tolist()))} of camera {number} is outside"
            )
            remedy = "no correction is needed: the evaluation drops these rows"
            yield Violation(
                int(line[row]), "a box reaches out of the region of interest", found, remedy, is_error=False
            )


def _quoted(text: str, limit: int = 60) -> str:
    text = text.strip()
    return repr(text if len(text) <= limit else text[:limit] + "…")
