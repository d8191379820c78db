"""The files a run leaves: tables, manifest, and what it says about them."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import mtmc
from mtmc.associate import Association
from mtmc.config import RunConfig
from mtmc.files import atomic_path
from mtmc.formats.mot import write_mot
from mtmc.formats.parquet import write_parquet
from mtmc.formats.table import Table
from mtmc.formats.track1 import write_track1
from mtmc.pipeline.cache import file_sha256
from mtmc.pipeline.camera import CameraResult, save_result
from mtmc.pipeline.links import write_links
from mtmc.pipeline.models import models_in_use
from mtmc.scene import Scene
from mtmc.scene.write import content_of

__all__ = [
    "earlier_outputs",
    "evidence_paths",
    "passages_path",
    "remove_outputs",
    "write_evidence",
    "write_json",
    "write_manifest",
    "write_passages",
    "write_tables",
]

_VERSIONS_OF = ("numpy", "scipy", "av", "opencv-python", "onnxruntime", "openvino", "torch", "ultralytics")


def write_tables(table: Table, scene: Scene, out: Path) -> list[Path]:
    """``track1.txt``, ``tracks.parquet`` and ``mot/CAMERA.txt`` for every camera, those without vehicles too.

    Raises:
        MtmcError: The folder cannot be written to.
    """
    write_track1(table, out / "track1.txt")
    write_parquet(table, out / "tracks.parquet", {camera.number: camera.id for camera in scene.cameras})
    paths = [out / "track1.txt", out / "tracks.parquet"]
    for camera in scene.cameras:
        path = out / "mot" / f"{camera.id}.txt"
        write_mot(table[table.camera == camera.number], path)
        paths.append(path)
    return paths


def passages_path(out: Path, camera_id: str) -> Path:
    """Where the passages of a camera lie; docs/results.md describes the arrays."""
    return out / "results" / "passages" / f"{camera_id}.npz"


def write_passages(results: Sequence[CameraResult], out: Path) -> list[Path]:
    """``results/passages/CAMERA.npz`` of every camera that was processed: what later commands read.

    Raises:
        MtmcError: The folder cannot be written to.
    """
    return [save_result(result, passages_path(out, result.camera_id)) for result in results if result.key]


def evidence_paths(out: Path) -> tuple[Path, Path]:
    """Where the pairs of association and its scene model lie; docs/results.md describes both."""
    return out / "results" / "links.parquet", out / "results" / "scene_model.npz"


def write_evidence(association: Association, out: Path) -> list[Path]:
    """``results/links.parquet`` and ``results/scene_model.npz``, where the method of association has them.

    Raises:
        MtmcError: The folder cannot be written to.
    """
    links_path, model_path = evidence_paths(out)
    written = []
    if association.links is not None:
        write_links(association.links, links_path)
        written.append(links_path)
    if association.model is not None:
        association.model.save(model_path)
        written.append(model_path)
    return written


def earlier_outputs(out: Path) -> set[str]:
    """The files that an earlier run wrote into this folder, by its ``run.json``: paths below ``out``."""
    try:
        manifest = json.loads((out / "run.json").read_text(encoding="utf-8"))
        return set(manifest["outputs_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # no run, or one that did not come so far


def remove_outputs(out: Path, names: Iterable[str]) -> None:
    """Remove files of an earlier run, so that none stands beside the results of this one as if it were of it."""
    for name in names:
        path = out / name
        if path.resolve().is_relative_to(out.resolve()):
            path.unlink(missing_ok=True)


def write_manifest(
    out: Path,
    given: Scene,
    scene: Scene,
    config: RunConfig,
    results: Sequence[CameraResult],
    outputs: Sequence[Path],
    problems: Sequence[str],
    warnings: Sequence[str],
    seconds: Mapping[str, tuple[float, float]],
    how: Mapping[str, Any],
) -> Path:
    """``run.json``: everything needed to say what was run on what, and to run it again.

    Args:
        out: The run's folder.
        given: The place as it was given.
        scene: The place with what was learned.
        config: All choices, defaults included.
        results: What became of each camera.
        outputs: Files the run wrote, below ``out``.
        problems: Sentences about what went wrong.
        warnings: Sentences about settings without effect.
        seconds: (wall, CPU) seconds of the stages that belong to no camera.
        how: Runner, workers, threads.
    """
    stages: dict[str, tuple[float, float]] = dict(seconds)
    for result in results:
        for stage, (wall, cpu) in result.seconds.items():
            before = stages.get(stage, (0.0, 0.0))
            stages[stage] = (before[0] + wall, before[1] + cpu)
    manifest = {
        "mtmc": mtmc.__version__,
        "scene": scene.name,
        "place": {
            "folder": str(scene.root.resolve()),
            "given": content_of(given, given.root),
            "stated_clocks": [camera.id for camera in given.cameras if camera.clock_is_stated],
            "scene": content_of(scene, scene.root),
        },
        "config": config.model_dump(mode="json"),
        "models": {task: model.as_dict() for task, model in models_in_use(scene, config).items()},
        "cameras": {
            result.camera_id: {
                "counts": dict(result.counts),
                "results": {stage: f"{result.camera_id}-{key}.npz" for stage, key in result.stage_keys.items()},
                "match_similarity": result.match_similarity,
                "inputs_sha256": dict(result.inputs),
                "problem": result.problem,
                "seconds": _seconds(result.seconds),
            }
            for result in results
        },
        "problems": list(problems),
        "warnings": list(warnings),
        "outputs_sha256": {path.relative_to(out).as_posix(): file_sha256(path) for path in sorted(outputs)},
        "seconds": _seconds(stages),
        "run": {**how, "python": platform.python_version(), "machine": platform.machine(), "versions": _versions()},
    }
    return write_json(manifest, out / "run.json")


def write_json(data: Any, path: Path) -> Path:
    """Indented JSON, whole or not at all. Paths that are not UTF-8 are escaped, and read back as the same paths."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data, indent=2, ensure_ascii=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def _seconds(stages: Mapping[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    return {stage: {"wall": round(wall, 3), "cpu": round(cpu, 3)} for stage, (wall, cpu) in stages.items()}


def _versions() -> dict[str, str]:
    found = {}
    for package in _VERSIONS_OF:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
