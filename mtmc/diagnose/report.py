"""A diagnosis as text, as JSON and as a page."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from mtmc.diagnose.faults import REASONS, Fault, View
from mtmc.diagnose.oracles import Oracle
from mtmc.diagnose.picture import waterfall_svg
from mtmc.diagnose.waterfall import PARTS, Step
from mtmc.evaluate import Scores
from mtmc.files import atomic_path
from mtmc.render.style import clock_text
from mtmc.types import Array

__all__ = ["WORST", "Diagnosis"]

#: How many faults are shown with pictures.
WORST = 20
_JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """What a run lost, where, and by which links.

    Attributes:
        scene: Name of the place.
        protocol: ``aicity`` or ``plain``.
        steps: The waterfall; the first is the run as it is.
        oracles: One stage perfect at a time.
        faults: Wrong and missing links, the costliest first.
    """

    scene: str
    protocol: str
    steps: Sequence[Step]
    oracles: Sequence[Oracle]
    faults: Sequence[Fault]

    @property
    def explained(self) -> float:
        """Share of the lost IDF1 that the named parts sum to, 1 unless something is wrong with them."""
        lost = 1 - self.steps[0].scores.idf1
        return sum(step.gain for step in self.steps[1:]) / lost if lost > 0 else 1.0

    @property
    def ceiling(self) -> float:
        """IDF1 that the truth itself gets as an answer: what the protocol's filters leave possible."""
        last = [step.name for step in self.steps].index("region of interest")
        return self.steps[last - 1].scores.idf1

    def causes(self) -> list[tuple[str, str, int, int]]:
        """Faults by kind and reason: (kind, reason, how many, boxes at stake), most boxes first."""
        found: dict[tuple[str, str], list[int]] = {}
        for fault in self.faults:
            found.setdefault((fault.kind, fault.reason), []).append(fault.boxes)
        rows = [(kind, reason, len(boxes), sum(boxes)) for (kind, reason), boxes in found.items()]
        return sorted(rows, key=lambda row: (-row[3], row))

    def text(self) -> str:
        """What ``mtmc diagnose`` prints."""
        now = self.steps[0].scores
        lost = 1 - now.idf1
        lines = [
            f"{self.scene}: IDF1 {100 * now.idf1:.2f}, IDP {100 * now.idp:.2f}, IDR {100 * now.idr:.2f} "
            f"(protocol {self.protocol})",
            "",
            f"Where the missing {100 * lost:.2f} points went ({100 * self.explained:.1f} % explained)",
            f"  {'part':<22}{'lost':>8}{'share':>8}{'IDF1 then':>11}",
        ]
        for step in self.steps[1:]:
            if abs(step.gain) >= 5e-5:
                share = step.gain / lost if lost > 0 else 0.0
                lines.append(
                    f"  {step.name:<22}{100 * step.gain:>8.2f}{100 * share:>7.1f}%{100 * step.scores.idf1:>11.2f}"
                    f"  {PARTS[step.name]}"
                )
        lines.append(f"  The truth itself would score {100 * self.ceiling:.2f} by this protocol")
        lines += ["", "One stage perfect at a time, all else as it was", f"  {'':<42}{'IDF1':>8}{'gain':>8}"]
        for oracle in self.oracles:
            if oracle.scores is None:
                lines.append(f"  {oracle.name:<42}{'–':>8}{'–':>8}  {oracle.problem}")
            else:
                lines.append(f"  {oracle.name:<42}{100 * oracle.scores.idf1:>8.2f}{100 * oracle.gain:>+8.2f}")
        if self.faults:
            lines += ["", "Wrong and missing links", f"  {'kind':<18}{'reason':<18}{'links':>7}{'boxes':>9}"]
            lines += [
                f"  {kind:<18}{reason:<18}{n:>7}{boxes:>9}  {_meaning(reason)}"
                for kind, reason, n, boxes in self.causes()
            ]
            lines += ["", f"The worst {min(WORST, len(self.faults))}"]
            lines += [
                f"  {fault.boxes:>5} boxes  {fault.kind}, {fault.reason}: {fault.text}"
                for fault in self.faults[:WORST]
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
            "faults": [
                {
                    "kind": f.kind,
                    "reason": f.reason,
                    "boxes": f.boxes,
                    "value": _number(f.value),
                    "text": f.text,
                    "first": _view(f.first),
                    "second": None if f.second is None else _view(f.second),
                }
                for f in self.faults
            ],
        }

    def write_json(self, path: Path) -> None:
        """Write :meth:`as_dict`.

        Raises:
            MtmcError: The file cannot be written.
        """
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def write_page(self, path: Path, pictures: Mapping[int, Sequence[Array]]) -> None:
        """Write a page that needs nothing beside it: the waterfall, the tables, and the worst faults with pictures.

        Args:
            path: HTML file.
            pictures: By ``id`` of a fault's view, uint8 (h, w, 3) RGB each.

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
                "fault": fault,
                "views": [
                    {"view": view, "crops": [_data_url(picture) for picture in pictures.get(id(view), [])]}
                    for view in (fault.first, fault.second)
                    if view is not None
                ],
            }
            for fault in self.faults[:WORST]
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


def _view(view: View) -> dict[str, Any]:
    return {
        "camera": view.camera_id,
        "track": view.track_id or None,
        "vehicle": None if view.vehicle < 0 else view.vehicle,
        "identity": view.identity or None,
        "start_s": round(float(view.time_s[0]), 3),
        "end_s": round(float(view.time_s[-1]), 3),
    }


def _data_url(image: Array) -> str:
    bgr = np.ascontiguousarray(image[..., ::-1])
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")
