"""Detector, embedder, pipeline and every way of associating, on synthetic cities that nothing was trained on.

    python -m tools.bench.cities --cities DIR --render                     # held-out scenes, rendered where missing
    python -m tools.bench.cities --cities DIR --detect a.onnx --embed b.onnx --scenes H01 H02

What is done is kept in DIR/bench, one JSON per scene, and is done again only if weights, scene or code have changed.
Association is repeated on the passages of the run: pixels are looked at once.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mtmc.commands import run_command
from mtmc.config import load_config
from mtmc.errors import MtmcError, SceneError
from mtmc.files import atomic_path
from mtmc.pipeline.cache import cache_key, file_sha256
from mtmc.pipeline.camera import match_similarity_of
from mtmc.pipeline.models import embedder_hash
from mtmc.pipeline.results import LoadedRun, load_run
from mtmc.progress import progress_bar
from mtmc.scene import load_scenes
from mtmc.zoo import model_file
from tools.bench.cities_page import page
from tools.bench.contest import ENTRANTS, Entrant, compete, place_for
from tools.bench.perturb import PERTURBATIONS, Case, case_of

__all__ = ["HELD_OUT", "Notebook", "main", "measure_scene"]

_ROOT = Path(__file__).resolve().parents[2]
_RECIPES = _ROOT / "tools" / "synthcity" / "recipes"
HELD_OUT = tuple(f"H{n:02d}" for n in range(1, 7))
_CODE = (
    *(_ROOT / "mtmc" / part for part in ("associate", "site", "postprocess", "geometry", "evaluate")),
    _ROOT / "tools" / "bench" / "perturb.py",
)
_EVERY = 5  # frames, of which the detector is shown one
_NO_PICTURES = ("render.videos=false", "render.mosaic=false", "render.report=false")


class Notebook:
    """Results of one scene on disk: by name, each with a key of all it depends on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def keep(self, name: str, key: str, compute: Callable[[], Any]) -> Any:
        """The kept value, or a new one that is kept."""
        entry = self.entries.get(name)
        if entry is None or entry["key"] != key:
            entry = self.entries[name] = {"key": key, "value": compute()}
            with atomic_path(self.path) as temporary:
                temporary.write_text(json.dumps(self.entries, indent=1), encoding="utf-8")
        return entry["value"]


def measure_scene(
    folder: Path, config: Path, home: Path, names: Sequence[str] = tuple(PERTURBATIONS)
) -> dict[str, Any]:
    """Everything about one rendered scene.

    Args:
        folder: The scene.
        config: Settings of the run; they name the detector and the embedder on trial.
        home: Where results are kept.
        names: Which perturbations.

    Returns:
        ``scene``, ``detector``, ``embedder``, ``run`` (IDF1, IDP, IDR) and ``contest``: perturbation → entrant → the
        same three, or None where it cannot take part.
    """
    from tools.detector.evaluate import evaluate_scene as score_detector
    from tools.embedder.evaluate import evaluate_scene as score_embedder

    settings = load_config([config])
    detect = Path(model_file(settings.detect.weights, "detector"))
    notes = Notebook(home / f"{folder.name}.json")
    found: dict[str, Any] = {"scene": _facts(folder)}
    seen = cache_key(scene=_identity(folder), weights=file_sha256(detect))
    found["detector"] = notes.keep("detector", seen, lambda: asdict(score_detector(detect, folder, _EVERY)))
    seen = cache_key(scene=_identity(folder), weights=embedder_hash(settings.embed))
    found["embedder"] = notes.keep("embedder", seen, lambda: asdict(score_embedder(settings.embed.weights, folder)))
    run = _run(folder, config, home / folder.name)
    scores = json.loads((run.out / "scores.json").read_text(encoding="utf-8"))["overall"]
    found["run"] = [scores[name] for name in ("idf1", "idp", "idr")]
    found["contest"] = _contest(run, notes, names)
    return found


def _contest(run: LoadedRun, notes: Notebook, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    case = case_of(run.scene, run.passages)
    seed = zlib.crc32(run.scene.name.encode())
    key = cache_key(
        passages=[sorted(result.stage_keys.items()) for result in run.results],
        scene=file_sha256(run.scene.root / "scene.yaml"),
        config=[run.config.associate.model_dump(), run.config.postprocess.model_dump()],
        code=[file_sha256(path) for path in _CODE],
    )
    found: dict[str, dict[str, Any]] = {}
    with progress_bar(f"{run.scene.name} association", "table row") as progress:
        for name in names:
            found[name] = _enter_all(name, PERTURBATIONS[name](case, seed), run, notes, key)
            progress(len(found), len(names))
    return found


def _enter_all(name: str, case: Case, run: LoadedRun, notes: Notebook, key: str) -> dict[str, Any]:
    """Scores of all entrants on one case; a place is learned once for all that ask for it."""
    similar = match_similarity_of(run.results)
    places: dict[str, Case] = {}

    def enter(entrant: Entrant) -> Any:
        if entrant.place not in places:
            places[entrant.place] = place_for(case, entrant.place)
        return compete(places[entrant.place], entrant, run.config, similar)

    scores = {}
    for entrant in ENTRANTS:
        site = file_sha256(_ROOT / "mtmc" / "site") if "learned" in entrant.place else ""
        own = cache_key(base=key, settings=entrant.settings, place=entrant.place, site=site)
        scores[entrant.name] = notes.keep(f"{name} | {entrant.name}", own, partial(enter, entrant))
    return scores


def _run(folder: Path, config: Path, out: Path) -> LoadedRun:
    run_command(
        videos=folder,
        out=out,
        config_files=(config,),
        overrides=_NO_PICTURES,
        runner="local",
        workers=None,
        strict=True,
    )
    return load_run(out)


def _identity(folder: Path) -> list[str]:
    """What tells this scene's pictures and labels from another's."""
    files = [folder / "recipe.yaml", *sorted(folder.glob("c*/record.parquet"))]
    return [file_sha256(path) for path in files]


def _facts(folder: Path) -> dict[str, Any]:
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    rows = [np.loadtxt(path, delimiter=",", ndmin=2)[:, 1] for path in sorted(folder.glob("c*/gt/gt.txt"))]
    ids = np.concatenate(rows)
    return {
        **{key: recipe[key] for key in ("name", "place", "weather", "seed")},
        "cameras": len(rows),
        "vehicles": len(np.unique(ids)),
        "boxes": len(ids),
    }


def _folders(cities: Path, names: Sequence[str], render: bool) -> list[Path]:
    """Folders of the scenes; those that are not finished are rendered.

    Raises:
        SceneError: One is missing and may not be rendered.
    """
    for path in sorted(_RECIPES.glob("*.yaml")):
        name = str(yaml.safe_load(path.read_text(encoding="utf-8"))["name"])
        if name not in names or (cities / name / "scene.yaml").is_file():
            continue
        if not render:
            raise SceneError(
                f"expected a rendered scene {name}, found none", path=cities / name, remedy="add --render"
            )
        from tools.synthcity.recipe import load_recipe
        from tools.synthcity.render import render_scene

        render_scene(load_recipe(path), cities, len(os.sched_getaffinity(0)))
    return [cities / name for name in names]


def _settings(options: argparse.Namespace, home: Path) -> Path:
    """What the sample's run is set to, with other weights where they are given, as a configuration file."""
    models = dict(load_scenes(_ROOT / "sample_videos")[0].overrides)
    for stage, weights in (("detect", options.detect), ("embed", options.embed)):
        if weights is not None:
            models[stage] = {**models.get(stage, {}), "weights": str(weights.resolve())}
    with atomic_path(home / "models.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(models), encoding="utf-8")
    return home / "models.yaml"


def main() -> int:
    """Measure all scenes, print the page and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cities", type=Path, required=True, help="folder of rendered scenes")
    parser.add_argument("--render", action="store_true", help="render the scenes that are missing")
    parser.add_argument("--scenes", nargs="+", default=HELD_OUT, help="which of them")
    parser.add_argument("--detect", type=Path, help="detector instead of the one that is shipped")
    parser.add_argument("--embed", type=Path, help="embedder instead of the one that is shipped")
    parser.add_argument("--out", type=Path, help="Markdown file to write; by default DIR/bench/cities.md")
    options = parser.parse_args()
    home = options.cities / "bench"
    try:
        folders = _folders(options.cities, options.scenes, options.render)
        config = _settings(options, home)
        text = page([measure_scene(folder, config, home) for folder in folders])
    except MtmcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    out = options.out or home / "cities.md"
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
