"""A finished run as it was: scene, choices and the very passages it used, read from its folder and not computed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.associate.scene_model import SceneModel
from mtmc.associate.tracklet_links import TrackletLinks
from mtmc.config import RunConfig
from mtmc.errors import ConfigError, FormatError, MtmcError, SceneError
from mtmc.formats.parquet import read_parquet
from mtmc.pipeline.cache import StageCache
from mtmc.pipeline.camera import CameraResult, load_result
from mtmc.pipeline.links import read_links
from mtmc.pipeline.outputs import evidence_paths, passages_path
from mtmc.scene import Scene
from mtmc.scene.sceneyaml import restore
from mtmc.settings import parse_settings
from mtmc.types import GlobalTrack, Passage

__all__ = ["LoadedRun", "load_run", "read_manifest"]

_REPEAT = "repeat the run with the same --out; done stages are kept"


@dataclass(frozen=True, slots=True, eq=False)
class LoadedRun:
    """A finished run.

    Attributes:
        out: Its folder.
        scene: The place as association knew it, with what the run learned; the files it names may have moved since.
        given: The place without what the run learned.
        config: All its choices.
        results: What became of each camera, in the scene's order. Passages and pictures are those of the run; a
            camera that failed has a ``problem`` and no passages.
        tracks: The vehicles it found, in order of their number.
        links: Pairs of tracklets that association joined or rejected; None for methods other than ``graph``.
        scene_model: What association fitted to the passages; None for methods other than ``graph``.
    """

    out: Path
    scene: Scene
    given: Scene
    config: RunConfig
    results: tuple[CameraResult, ...]
    tracks: tuple[GlobalTrack, ...]
    links: TrackletLinks | None = None
    scene_model: SceneModel | None = None

    @property
    def passages(self) -> list[Passage]:
        """Of all cameras, in the scene's order."""
        return [passage for result in self.results for passage in result.passages]

    @property
    def cache(self) -> StageCache:
        """Its stage results; ``results[k].stage_keys`` names them."""
        return StageCache(self.out / "cache")


def load_run(folder: Path) -> LoadedRun:
    """Read the folder of a finished run. Videos are not needed.

    Raises:
        MtmcError: There is no ``run.json``, or it is damaged or of an older version, or passages below
            ``results/`` are gone.
    """
    path = folder / "run.json"
    manifest = read_manifest(path)
    place = manifest["place"]
    try:
        scene = restore(place["scene"], Path(place["folder"]))
        given = _with_stated_clocks(restore(place["given"], Path(place["folder"])), place["stated_clocks"])
        config = parse_settings(RunConfig, manifest["config"])
        facts = {name: _facts(written) for name, written in manifest["cameras"].items()}
    except (ConfigError, SceneError) as error:
        raise type(error)(error.message, path=path, remedy=error.remedy or _REPEAT) from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise FormatError("does not hold what a run writes into it", path=path, remedy=_REPEAT) from None
    results = [_camera(camera.id, facts.get(camera.id), folder) for camera in scene.cameras]
    links_path, model_path = evidence_paths(folder)
    return LoadedRun(
        out=folder,
        scene=scene,
        given=given,
        config=config,
        results=tuple(results),
        tracks=_tracks(folder, scene, results),
        links=read_links(links_path) if links_path.is_file() else None,
        scene_model=SceneModel.load(model_path) if model_path.is_file() else None,
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """The content of a run's ``run.json``.

    Raises:
        MtmcError: There is none, or it is damaged or of an older version.
    """
    if not path.is_file():
        raise MtmcError(
            "found no run.json, so this is not the folder of a finished run",
            path=path.parent,
            remedy="give the folder that 'mtmc run --out' wrote",
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise FormatError(
            "cannot be read as JSON", path=path, remedy="repeat the run; done stages are kept"
        ) from cause
    is_known = isinstance(manifest, dict) and {"place", "config", "cameras"} <= manifest.keys()
    if not is_known or "given" not in manifest["place"]:
        raise FormatError(
            "does not describe the place it was run on, so an older version wrote it",
            path=path,
            remedy=_REPEAT,
        )
    return dict(manifest)


def _with_stated_clocks(scene: Scene, stated: list[str]) -> Scene:
    cameras = [replace(camera, clock_is_stated=camera.id in stated) for camera in scene.cameras]
    return replace(scene, cameras=tuple(cameras))


def _facts(written: dict[str, Any]) -> dict[str, Any]:
    """What ``run.json`` says of a camera, as fields of :class:`CameraResult`.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: It does not say that.
    """
    return {
        "problem": str(written["problem"]),
        "stage_keys": {str(stage): str(name) for stage, name in written["results"].items()},
        "counts": {str(name): int(count) for name, count in written["counts"].items()},
        "inputs": dict(written["inputs_sha256"]),
        "seconds": {stage: (float(s["wall"]), float(s["cpu"])) for stage, s in written["seconds"].items()},
    }


def _camera(camera_id: str, facts: dict[str, Any] | None, folder: Path) -> CameraResult:
    if facts is None:
        return CameraResult(camera_id, problem="the run did not reach this camera")
    keys = {
        stage: name.removeprefix(f"{camera_id}-").removesuffix(".npz") for stage, name in facts["stage_keys"].items()
    }
    facts = facts | {"stage_keys": keys}
    if "embed" not in keys:  # it failed on the way
        return CameraResult(camera_id, **facts)
    path = passages_path(folder, camera_id)
    result = load_result(path, camera_id, keys)
    if result is None:
        name = path.relative_to(folder)
        raise MtmcError(
            f"the passages of camera {camera_id} are gone: "
            + (f"{name} is damaged" if path.exists() else f"there is no {name}"),
            path=folder,
            remedy="repeat the run with the same --out; what is left of its stages is used",
        )
    return replace(result, **facts)


def _tracks(folder: Path, scene: Scene, results: list[CameraResult]) -> tuple[GlobalTrack, ...]:
    """The vehicles of ``tracks.parquet``, as groups of the run's passages."""
    table = read_parquet(folder / "tracks.parquet")
    rows = np.unique(np.stack([table.id, table.camera, table.track_id], axis=1), axis=0)
    id_of = {camera.number: camera.id for camera in scene.cameras}
    passages = {(r.camera_id, p.tracklet.track_id): p for r in results for p in r.passages}
    members: dict[int, list[Passage]] = {}
    for global_id, camera, track_id in rows.tolist():
        passage = passages.get((id_of.get(camera, ""), track_id))
        if passage is None:
            raise FormatError(
                f"holds a track {track_id} of camera {camera} that is not among the run's passages",
                path=folder / "tracks.parquet",
                remedy=_REPEAT,
            )
        members.setdefault(global_id, []).append(passage)
    return tuple(
        GlobalTrack(
            number,
            tuple(sorted(group, key=lambda p: (p.tracklet.start_s, p.tracklet.camera_id, p.tracklet.track_id))),
        )
        for number, group in sorted(members.items())
    )
