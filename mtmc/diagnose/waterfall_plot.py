"""The waterfall as a plot: the IDF1 of the run and the loss of each part, up to 100."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mtmc.diagnose.waterfall import PARTS, Step

__all__ = ["waterfall_svg"]

_WIDTH, _NAMES, _RIGHT = 1080, 210, 110  # units of the plot, and the widths for names and numbers
_ROW, _BAR, _TOP = 34, 20, 26


def waterfall_svg(steps: Sequence[Step]) -> Markup:
    """An SVG element without outside resources; classes ``have``, ``lost`` and ``back`` take colors from the page.

    Parts without a loss are left out.
    """
    shown = [steps[0], *(step for step in steps[1:] if abs(step.gain) >= 5e-5)]
    height = _TOP + _ROW * (len(shown) + 1)

    def x(share: float) -> float:
        return _NAMES + (_WIDTH - _NAMES - _RIGHT) * share

    lines = [
        Markup('<svg class="waterfall" viewBox="0 0 {} {}" role="img" aria-label="Loss by part">').format(
            _WIDTH, height
        )
    ]
    for tick in range(0, 101, 20):
        lines.append(
            Markup('<line class="tick" x1="{0:.1f}" x2="{0:.1f}" y1="18" y2="{1}"/>').format(
                x(tick / 100), height - 8
            )
            + Markup('<text class="tick" x="{:.1f}" y="12">{}</text>').format(x(tick / 100), tick)
        )
    level = 0.0
    for row, step in enumerate(shown):
        first = row == 0
        start, stop = (0.0, step.scores.idf1) if first else (level, level + step.gain)
        kind = "have" if first else "lost" if step.gain > 0 else "back"
        name, number = ("IDF1 of the run", f"{100 * stop:.1f}") if first else (step.name, f"{100 * -step.gain:+.1f}")
        lines.append(_bar(row, name, number.replace("-", "−"), kind, x(start), x(stop), step))
        level = stop
    lines.append(Markup("</svg>"))
    return Markup("\n").join(lines)


def _bar(row: int, name: str, number: str, kind: str, x1: float, x2: float, step: Step) -> Markup:
    left, wide, top = min(x1, x2), max(abs(x2 - x1), 1.5), _TOP + _ROW * row
    link = Markup('<line class="link" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
        x2, top + _BAR, top + _ROW
    )
    return (
        Markup('<text class="name" x="{}" y="{}">{}</text>').format(_NAMES - 14, top + 15, name)
        + Markup(
            '<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}" rx="2"><title>{}</title></rect>'
        ).format(kind, left, top, wide, _BAR, PARTS.get(step.name, "the result of the run"))
        + Markup('<text class="number" x="{:.1f}" y="{}">{}</text>').format(max(x1, x2) + 8, top + 15, number)
        + link
    )
