"""Scores as a text table, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mtmc.evaluate.scores import Scores
from mtmc.files import atomic_path
from mtmc.scene.names import shown

__all__ = ["Evaluation"]

_RATIOS = ("idf1", "idp", "idr", "hota", "deta", "assa", "mota")
_COUNTS = ("idtp", "idfp", "idfn", "switches")
_TITLES = {"hota": "HOTA", "deta": "DetA", "assa": "AssA", "switches": "switches"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome of an evaluation.

    Attributes:
        overall: Scores over all cameras together, with global identities.
        per_camera: Scores of each camera by itself, by camera number.
        protocol: ``aicity`` or ``plain``.
        min_iou: Least IoU of two boxes of one vehicle.
        notes: What was done to the data before the comparison, one sentence each.
        names: The cameras' own names by number; ``c006`` stands for a 6 without.
        reference: What motmetrics says of all cameras together, by field of :class:`Scores`; None if not asked.
    """

    overall: Scores
    per_camera: Mapping[int, Scores]
    protocol: str
    min_iou: float
    notes: tuple[str, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    reference: Mapping[str, float] | None = None

    def text(self) -> str:
        """A table in percent, one line for each camera and one for all, and the notes."""
        header = ["camera", *(_TITLES.get(name, name.upper()) for name in (*_RATIOS, *_COUNTS))]
        lines = [[name, *_cells(scores)] for name, scores in self._rows()]
        widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
        table = [
            "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
            for line in [header, *lines]
        ]
        title = f"Protocol {self.protocol}, IoU at least {self.min_iou:g}, in percent"
        parts = [title, *(f"- {note}" for note in self.notes), "", *table, *self._comparison()]
        return "\n".join(parts) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: ratios in [0, 1], null where a metric was not computed."""
        return {
            "protocol": self.protocol,
            "min_iou": self.min_iou,
            "notes": list(self.notes),
            "overall": _plain(self.overall),
            "per_camera": {
                str(camera): {"name": shown(camera, self.names), **_plain(scores)}
                for camera, scores in sorted(self.per_camera.items())
            },
            **({} if self.reference is None else {"reference": {"motmetrics": dict(self.reference)}}),
        }

    def csv(self) -> str:
        """One row for each camera and one for ``all``; ratios in [0, 1] in full precision."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["camera", *(f.name for f in fields(Scores))])
        for name, scores in self._rows():
            writer.writerow([name, *("" if v is None else v for v in _plain(scores).values())])
        return buffer.getvalue()

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`as_dict`."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`csv`."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.csv(), encoding="utf-8")

    def _rows(self) -> list[tuple[str, Scores]]:
        cameras = [(shown(n, self.names), scores) for n, scores in sorted(self.per_camera.items())]
        return [*cameras, ("all", self.overall)]

    def _comparison(self) -> list[str]:
        """The scores of all cameras beside the reference's, in percent or in boxes, and their difference."""
        if self.reference is None:
            return []
        lines = ["", f"{'all cameras':<12}{'mtmc':>12}{'motmetrics':>12}{'difference':>12}"]
        own = _plain(self.overall)
        for name, reference in self.reference.items():
            title = _TITLES.get(name, name.upper())
            value = own[name]
            factor, digits = (1, 0) if name in _COUNTS else (100, 4)
            if value is None:
                lines.append(f"{title:<12}{'–':>12}{factor * reference:>12.{digits}f}{'–':>12}")
                continue
            cells = (factor * value, factor * reference, factor * (value - reference) + 0.0)
            lines.append(f"{title:<12}" + "".join(f"{cell:>12.{digits}f}" for cell in cells))
        return lines


def _plain(scores: Scores) -> dict[str, float | int | None]:
    """Field by field, None for what was not computed."""
    computed = {"switches": not math.isnan(scores.mota)}
    computed |= dict.fromkeys(("idtp", "idfp", "idfn"), not math.isnan(scores.idf1))
    return {
        name: value if computed.get(name, not math.isnan(value)) else None for name, value in asdict(scores).items()
    }


def _cells(scores: Scores) -> list[str]:
    values = _plain(scores)
    ratios = ["–" if values[name] is None else f"{100 * getattr(scores, name):.2f}" for name in _RATIOS]
    return ratios + ["–" if values[name] is None else f"{values[name]}" for name in _COUNTS]
