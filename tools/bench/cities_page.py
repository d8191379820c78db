"""The cities benchmark as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tools.markdown import table

__all__ = ["page"]


def page(scenes: Sequence[dict[str, Any]]) -> str:
    """Three tables: what was measured on each scene, how association fares, and how it fares when things are wrong.

    Args:
        scenes: What :func:`tools.bench.cities.measure_scene` returns, in order.
    """
    return "\n\n".join([_scenes(scenes), _methods(scenes), _robustness(scenes)]) + "\n"


def _scenes(scenes: Sequence[dict[str, Any]]) -> str:
    columns = [
        ("AP50", lambda s: s["detector"]["ap50"]),
        ("AP50–95", lambda s: s["detector"]["ap50_95"]),
        ("mAP", lambda s: s["embedder"]["map"]),
        ("rank-1", lambda s: s["embedder"]["rank1"]),
        ("mAP*", lambda s: s["embedder"]["map_apart"]),
        ("rank-1*", lambda s: s["embedder"]["rank1_apart"]),
        ("IDF1", lambda s: s["run"][0]),
        ("IDP", lambda s: s["run"][1]),
        ("IDR", lambda s: s["run"][2]),
    ]
    facts = ("name", "place", "weather", "seed", "cameras", "vehicles", "boxes")
    rows = [[*(f"{s['scene'][f]}" for f in facts), *(_figure(get(s)) for _, get in columns)] for s in scenes]
    mean = [_figure(_mean(get(s) for s in scenes)) for _, get in columns]
    rows.append(["mean", *[""] * (len(facts) - 1), *mean])
    return (
        table([*facts, *(name for name, _ in columns)], rows)
        + "\n\nmAP\\*, rank-1\\*: without lookalikes in the gallery"
    )


def _methods(scenes: Sequence[dict[str, Any]]) -> str:
    plain = [next(iter(s["contest"].values())) for s in scenes]
    rows = []
    for name in plain[0]:
        scores = [p[name] for p in plain]
        each = ["–" if s is None else _figure(s[0]) for s in scores]
        known = [s for s in scores if s is not None]
        rows.append([name, *each, *(_figure(_mean(s[k] for s in known)) for k in range(3))])
    titles = [s["scene"]["name"] for s in scenes]
    return table(["association", *titles, "mean IDF1", "IDP", "IDR"], rows)


def _robustness(scenes: Sequence[dict[str, Any]]) -> str:
    kinds = list(scenes[0]["contest"])
    names = list(scenes[0]["contest"][kinds[0]])
    rows = [[name, *(_mean_or_dash([s["contest"][kind][name] for s in scenes]) for kind in kinds)] for name in names]
    return table(["mean IDF1", *kinds], rows)


def _mean_or_dash(scores: Sequence[Sequence[float] | None]) -> str:
    known = [s[0] for s in scores if s is not None]
    return _figure(_mean(known)) if len(known) == len(scores) else "–"


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _figure(value: float) -> str:
    return f"{value:.3f}"
