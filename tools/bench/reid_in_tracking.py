"""What an embedder is worth in tracking: the same detections, tracks and association, only the embedder swapped.

    python -m tools.bench.reid_in_tracking runs/cities/H0? --embed runs/bench_reid/*_s0.onnx --out runs/swap
    python -m tools.bench.reid_in_tracking runs/cities/H01 --embed color_histogram a.onnx --config x.yaml --out runs/x

The first embedder is what the others are compared with. Detection and tracking of a scene are done once; a finished
run's ``cache`` folder put below ``OUT/SCENE`` is used, too. Association is told each embedder's own
``match_similarity``. Results are kept in ``OUT/SCENE.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtmc.commands import run_command
from mtmc.errors import MtmcError
from mtmc.pipeline.cache import cache_key, file_sha256
from tools import markdown
from tools.bench.cities import Notebook

__all__ = ["Counts", "measure", "table"]

_NO_PICTURES = ("render.videos=false", "render.mosaic=false", "render.report=false")

#: Boxes with the right identity, with a wrong one, and true boxes without theirs: IDTP, IDFP, IDFN.
Counts = tuple[int, int, int]


def measure(scene: Path, embedders: Sequence[str], configs: Sequence[Path], out: Path) -> dict[str, Counts]:
    """Run a scene once with every embedder.

    Args:
        scene: Folder with ground truth.
        embedders: What ``embed.weights`` takes.
        configs: Configuration files of the run.
        out: Its folder ``<scene>`` becomes the last run, and ``<scene>.json`` keeps the results.

    Raises:
        MtmcError: A run failed.
    """
    notes = Notebook(out / f"{scene.name}.json")
    shared = [file_sha256(path) for path in (scene / "scene.yaml", *configs)]
    found: dict[str, Counts] = {}
    for weights in embedders:
        path = Path(weights)
        about = [file_sha256(p) for p in (path, path.with_suffix(".json")) if p.is_file()]

        def compute(weights: str = weights) -> list[int]:
            run_command(
                videos=scene,
                out=out / scene.name,
                config_files=configs,
                overrides=(*_NO_PICTURES, f"embed.weights={weights}"),
                runner="local",
                workers=1,
                strict=True,
            )
            scores = json.loads((out / scene.name / "scores.json").read_text(encoding="utf-8"))["overall"]
            return [scores[name] for name in ("idtp", "idfp", "idfn")]

        kept = notes.keep(weights, cache_key(shared=shared, weights=weights, about=about), compute)
        found[weights] = (kept[0], kept[1], kept[2])
    return found


def table(found: Mapping[str, Mapping[str, Counts]]) -> str:
    """IDF1/IDP/IDR in percent of scene → embedder → counts, and of all scenes together, as a Markdown table.

    The gain is that of the last column's IDF1 over the first embedder.
    """
    scenes = list(found)
    embedders = list(found[scenes[0]])
    lines: list[list[str]] = []
    first = None
    for name in embedders:
        rows = [found[scene][name] for scene in scenes]
        whole: Counts = (sum(r[0] for r in rows), sum(r[1] for r in rows), sum(r[2] for r in rows))
        idf1 = _shares(whole)[0]
        first = idf1 if first is None else first
        cells = ["/".join(f"{100 * share:.1f}" for share in _shares(counts)) for counts in (*rows, whole)]
        lines.append([Path(name).stem, *cells, f"{100 * (idf1 - first):+.1f}"])
    return markdown.table(["embedder", *scenes, "all", "gain"], lines)


def _shares(counts: Counts) -> tuple[float, float, float]:
    right, wrong, missed = counts
    return (
        2 * right / max(1, 2 * right + wrong + missed),
        right / max(1, right + wrong),
        right / max(1, right + missed),
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path, help="folders of scenes with ground truth")
    parser.add_argument("--embed", nargs="+", required=True, help="ONNX files with cards, color_histogram or none")
    parser.add_argument("--config", type=Path, action="append", default=[], help="configuration of the run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    options = parser.parse_args(arguments)
    try:
        print(table({s.name: measure(s, options.embed, options.config, options.out) for s in options.scenes}))
    except MtmcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
