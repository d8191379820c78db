"""A diagnosis as text, JSON and HTML page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mtmc.diagnose.link_errors import REASONS, LinkError, TrackletView
from mtmc.diagnose.oracles import Oracle
from mtmc.diagnose.waterfall import PARTS, Step
from mtmc.diagnose.waterfall_plot import waterfall_svg
from mtmc.evaluate import Scores
from mtmc.files import atomic_path
from mtmc.render.data_url import jpeg_data_url
from mtmc.render.style import clock_text
from mtmc.types import Array

__all__ = ["SHOWN_ERRORS", "Diagnosis"]

#: The number of link errors that are shown with image crops.
SHOWN_ERRORS = 20
_JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """The losses of a run by stage, and its link errors.

    Attributes:
        scene: Name of the scene.
        protocol: ``aicity`` or ``plain``.
        steps: The waterfall; the first is the run as it is.
        oracles: Oracle experiments, one stage perfect at a time.
        link_errors: Wrong and missing links, those with most boxes first.
    """

    scene: str
    protocol: str
    steps: Sequence[Step]
    oracles: Sequence[Oracle]
    link_errors: Sequence[LinkError]

    @property
    def explained(self) -> float:
        """The fraction of the lost IDF1 that the parts sum to; 1 by construction."""
        lost = 1 - self.steps[0].scores.idf1
        return sum(step.gain for step in self.steps[1:]) / lost if lost > 0 else 1.0

    @property
    def ceiling(self) -> float:
        """IDF1 of the truth as a result: the maximum under the filters of the protocol."""
        last = [step.name for step in self.steps].index("region of interest")
        return self.steps[last - 1].scores.idf1

    def causes(self) -> list[tuple[str, str, int, int]]:
        """Link errors by kind and reason: (kind, reason, errors, boxes), most boxes first."""
        boxes_of: dict[tuple[str, str], list[int]] = {}
        for error in self.link_errors:
            boxes_of.setdefault((error.kind, error.reason), []).append(error.boxes)
        rows = [(kind, reason, len(boxes), sum(boxes)) for (kind, reason), boxes in boxes_of.items()]
        return sorted(rows, key=lambda row: (-row[3], row))

    def text(self) -> str:
        """The text that ``mtmc diagnose`` prints."""
        now = self.steps[0].scores
        lost = 1 - now.idf1
        lines = [
            f"{self.scene}: IDF1 {100 * now.idf1:.2f}, IDP {100 * now.idp:.2f}, IDR {100 * now.idr:.2f} "
            f"(protocol {self.protocol})",
            "",
            f"Loss of {100 * lost:.2f} points by part ({100 * self.explained:.1f} % explained)",
            f"  {'part':<22}{'lost':>8}{'share':>8}{'IDF1 then':>11}",
        ]
        for step in self.steps[1:]:
            if abs(step.gain) >= 5e-5:
                share = step.gain / lost if lost > 0 else 0.0
                lines.append(
                    f"  {step.name:<22}{100 * step.gain:>8.2f}{100 * share:>7.1f}%{100 * step.scores.idf1:>11.2f}"
                    f"  {PARTS[step.name]}"
                )
        lines.append(f"  The truth itself scores {100 * self.ceiling:.2f} by this protocol")
        lines += ["", "Oracle experiments: one stage perfect at a time", f"  {'':<42}{'IDF1':>8}{'gain':>8}"]
        for oracle in self.oracles:
            if oracle.scores is None:
                lines.append(f"  {oracle.name:<42}{'–':>8}{'–':>8}  {oracle.problem}")
            else:
                lines.append(f"  {oracle.name:<42}{100 * oracle.scores.idf1:>8.2f}{100 * oracle.gain:>+8.2f}")
        if self.link_errors:
            lines += ["", "Wrong and missing links", f"  {'kind':<18}{'reason':<18}{'links':>7}{'boxes':>9}"]
            lines += [
                f"  {kind:<18}{reason:<18}{n:>7}{boxes:>9}  {_meaning(reason)}"
                for kind, reason, n, boxes in self.causes()
            ]
            lines += ["", f"The {min(SHOWN_ERRORS, len(self.link_errors))} errors with most boxes"]
            lines += [
                f"  {error.boxes:>5} boxes  {error.kind}, {error.reason}: {error.text}"
                for error in self.link_errors[:SHOWN_ERRORS]
            ]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ratios in [0, 1]."""
        return {
            "scene": self.scene,
            "protocol": self.protocol,
            "run": _scores(self.steps[0].scores),
            "explained": self.explained,
            "ceiling_idf1": self.ceiling,
            "parts": [
                {"name": s.name, "meaning": PARTS[s.name], "lost_idf1": s.gain, "then": _scores(s.scores)}
                for s in self.steps[1:]
            ],
            "oracles": [
                {
                    "name": o.name,
                    "meaning": o.meaning,
                    "gain_idf1": _number(o.gain),
                    "scores": None if o.scores is None else _scores(o.scores),
                    "problem": o.problem,
                }
                for o in self.oracles
            ],
            "causes": [
                {"kind": kind, "reason": reason, "links": n, "boxes": boxes}
                for kind, reason, n, boxes in self.causes()
            ],
            "link_errors": [
                {
                    "kind": f.kind,
                    "reason": f.reason,
                    "boxes": f.boxes,
                    "score": _number(f.score),
                    "text": f.text,
                    "first": _view(f.first),
                    "second": None if f.second is None else _view(f.second),
                }
                for f in self.link_errors
            ],
        }

    def write_json(self, path: Path) -> None:
        """Write :meth:`as_dict`.

        Raises:
            MtmcError: The file cannot be written.
        """
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def write_page(self, path: Path, crops: Mapping[int, Sequence[Array]]) -> None:
        """Write a self-contained page: the waterfall, the tables, and the errors with most boxes with image crops.

        Args:
            path: HTML file.
            crops: By ``id`` of an error's view, uint8 (h, w, 3) RGB each.

        Raises:
            MtmcError: The file cannot be written.
        """
        environment = Environment(
            loader=PackageLoader("mtmc", "diagnose"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        environment.filters["clock"] = clock_text
        environment.filters["meaning"] = _meaning
        environment.filters["points"] = lambda share: f"{100 * share:.1f}".replace("-", "−")
        worst = [
            {
                "error": error,
                "views": [
                    {"view": view, "crops": [jpeg_data_url(crop, _JPEG_QUALITY) for crop in crops.get(id(view), [])]}
                    for view in (error.first, error.second)
                    if view is not None
                ],
            }
            for error in self.link_errors[:SHOWN_ERRORS]
        ]
        page = environment.get_template("diagnosis.html.j2").render(
            d=self,
            now=self.steps[0].scores,
            parts=[(step, PARTS[step.name]) for step in self.steps[1:] if abs(step.gain) >= 5e-5],
            waterfall=waterfall_svg(self.steps),
            worst=worst,
        )
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8", newline="\n")


def _meaning(reason: str) -> str:
    return REASONS.get(reason) or PARTS.get(reason, "")


def _scores(scores: Scores) -> dict[str, float | int]:
    return {name: getattr(scores, name) for name in ("idf1", "idp", "idr", "idtp", "idfp", "idfn")}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _view(view: TrackletView) -> dict[str, Any]:
    return {
        "camera": view.camera_id,
        "track": view.track_id or None,
        "vehicle": None if view.vehicle < 0 else view.vehicle,
        "identity": view.identity or None,
        "start_s": round(float(view.time_s[0]), 3),
        "end_s": round(float(view.time_s[-1]), 3),
    }
