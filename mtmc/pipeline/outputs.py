"""The files a run leaves: tables, manifest, and what it says about them."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

import mtmc
from mtmc.associate import Association
from mtmc.config import RunConfig
from mtmc.files import atomic_path, explain, remove
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
    "VIEW_FOLDER",
    "earlier_manifest",
    "earlier_outputs",
    "evidence_paths",
    "manifest_of",
    "note_derived",
    "passages_path",
    "remove_outputs",
    "set_aside_derived",
    "write_evidence",
    "write_json",
    "write_passages",
    "write_tables",
]

#: The folder of ``mtmc view`` below that of the run.
VIEW_FOLDER = "view"

#: What ``mtmc view`` exports into it, which holds the answers of a person.
_EXPORTS = ("track1.txt", "truth", "truth.zip", "crops", "crops.zip")

_DERIVED = "results/derived.json"

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


def earlier_manifest(out: Path) -> dict[str, Any]:
    """The ``run.json`` of an earlier run in this folder; empty if there is none, or one that did not get so far."""
    return _object_in(out / "run.json")


def earlier_outputs(out: Path) -> set[str]:
    """The files that an earlier run wrote into this folder, by its ``run.json``: paths below ``out``."""
    return set(_hashes(earlier_manifest(out)))


def _hashes(manifest: Mapping[str, Any]) -> dict[str, Any]:
    found = manifest.get("outputs_sha256")
    return found if isinstance(found, dict) else {}


def _object_in(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def remove_outputs(out: Path, names: Iterable[str]) -> None:
    """Remove files of an earlier run, so that none stands beside the results of this one as if it were of it."""
    for name in names:
        if _is_file_below(out, name):
            remove(out / name)


def _is_file_below(out: Path, name: str) -> bool:
    """Whether a name, which a person may have edited, is that of a file in a folder; links out of it are not."""
    try:
        return (out / name).is_file() and (out / name).resolve().is_relative_to(out.resolve())
    except (OSError, ValueError, RuntimeError):  # no possible name; a loop of links before Python 3.13
        return False


def note_derived(out: Path, paths: Iterable[Path]) -> None:
    """Note files that a later command has computed from a run: they go with its result (:func:`set_aside_derived`).

    Args:
        out: The run's folder.
        paths: The files; those outside ``out`` are left out.

    Raises:
        MtmcError: The note cannot be written.
    """
    folder = out.resolve()
    inside = [path.resolve() for path in paths if path.resolve().is_relative_to(folder)]
    if inside:
        own = {path.relative_to(folder).as_posix(): file_sha256(path) for path in inside}
        write_json(_object_in(out / _DERIVED) | own, out / _DERIVED)


def set_aside_derived(out: Path, earlier: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """Remove or move what was made from an earlier result; nothing is done if the result is the same.

    Files that later commands have computed (reports, traffic tables, diagnoses) are removed, since the same command
    makes them anew: those that are still as they were written. What ``mtmc view`` has exported holds the answers of a
    person, and is moved to a folder ``earlier-1``, ``earlier-2`` … beside it. The journal stays where it is.

    Args:
        out: The run's folder.
        earlier: ``run.json`` of the earlier run; empty if there is none.
        present: ``run.json`` of this one.

    Returns:
        Sentences about what was done.

    Raises:
        MtmcError: A file cannot be removed or moved.
    """
    if not earlier or _result_of(earlier) == _result_of(present):
        return []
    noted = _object_in(out / _DERIVED)
    files = [name for name in noted if _is_file_below(out, name)]
    removed = [name for name in files if file_sha256(out / name) == noted[name]]
    for name in [*removed, _DERIVED]:
        remove(out / name)
    for folder in {(out / name).parent for name in removed} - {out}:
        with suppress(OSError):  # it holds other files
            folder.rmdir()
    said = [f"removed, as computed from the earlier result here: {_listed(removed)}"] if removed else []
    moved = _move_exports(out / VIEW_FOLDER)
    return [*said, f"exports of the earlier result are in {moved} now"] if moved else said


def _result_of(manifest: Mapping[str, Any]) -> str:
    """What later commands compute from, as JSON: place, settings, and all files of a run but its videos and page."""
    is_shown = {name: name.startswith("videos/") or name == "report.html" for name in _hashes(manifest)}
    results = {name: sha256 for name, sha256 in _hashes(manifest).items() if not is_shown[name]}
    return json.dumps([manifest.get("place"), manifest.get("config"), results], sort_keys=True)


def _listed(names: Sequence[str]) -> str:
    """Files, those of one folder counted: ``full_report.html, traffic/ (24 files)``."""
    folders = Counter(name.rpartition("/")[0] for name in names)
    whole = [f"{folder}/ ({count} files)" for folder, count in sorted(folders.items()) if folder]
    return ", ".join([*(name for name in sorted(names) if "/" not in name), *whole])


def _move_exports(folder: Path) -> Path | None:
    """Where the exports of ``mtmc view`` in a folder are now; None if there are none."""
    exports = [folder / name for name in _EXPORTS if (folder / name).exists()]
    if not exports:
        return None
    target = next(place for k in count(1) if not (place := folder / f"earlier-{k}").exists())
    try:
        target.mkdir()
        for path in exports:
            path.rename(target / path.name)
    except OSError as error:
        raise explain(error, target) from error
    return target


def manifest_of(
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
) -> dict[str, Any]:
    """The content of ``run.json``: everything needed to say what was run on what, and to run it again.

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
    return {
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
