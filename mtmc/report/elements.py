"""Tables and SVG elements. All text is escaped: names of cameras and zones come from files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from mtmc.render.style import hex_color, vehicle_color

__all__ = ["color_of", "rectangle", "svg", "table", "text"]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], words: Sequence[int] = ()) -> Markup:
    """An HTML table; numbers are aligned to the right.

    Args:
        columns: Headings.
        rows: A cell for each column.
        words: Indices of columns that hold words, aligned to the left.
    """

    def cells(tag: str, values: Sequence[object]) -> Markup:
        parts = [
            Markup("<{0}{1}>{2}</{0}>").format(
                Markup(tag), Markup(' class="words"') if k in words else Markup(""), value
            )
            for k, value in enumerate(values)
        ]
        return Markup("<tr>") + Markup("").join(parts) + Markup("</tr>")

    body = Markup("\n").join(cells("td", row) for row in rows)
    return (
        Markup('<div class="wide"><table><thead>')
        + cells("th", columns)
        + Markup("</thead>\n<tbody>\n")
        + body
        + Markup("\n</tbody></table></div>")
    )


def svg(width: float, height: float, label: str, elements: Iterable[Markup]) -> Markup:
    """A picture that is as wide as the page, without outside resources."""
    head = Markup('<div class="wide"><svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">\n')
    return head.format(width, height, label) + Markup("\n").join(elements) + Markup("\n</svg></div>")


def text(x: float, y: float, content: object, kind: str = "", anchor: str = "start") -> Markup:
    """A line of text; ``kind`` is a class of the page's style sheet."""
    element = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return element.format(kind, x, y, anchor, content)


def rectangle(x: float, y: float, width: float, height: float, fill: str, title: object) -> Markup:
    """A filled rectangle whose title appears where it is pointed at."""
    element = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"><title>{}</title></rect>')
    return element.format(x, y, width, height, fill, title)


def color_of(index: int) -> str:
    """The color of the camera or place with this index."""
    return hex_color(vehicle_color(index + 1))
