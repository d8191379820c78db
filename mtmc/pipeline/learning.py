"""The place of a run, learned from its own tracklets before cameras are associated.

What the scene file states stays; the rest is learned as ``mtmc site learn`` learns it. A second run with the written
file finds the same vehicles, since the file says all that was learned and turns learning off.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.embed import locate_again
from mtmc.pipeline.cache import StageCache, cache_key, code_version
from mtmc.pipeline.camera import CameraResult
from mtmc.scene import Scene, write_scene
from mtmc.scene.sceneyaml import restore
from mtmc.scene.write import content_of
from mtmc.site.config import LearnConfig
from mtmc.site.learn import is_complete, learn_scene
from mtmc.site.report import heading, summary

__all__ = ["LearnedPlace", "learn_place", "learned_scene_path", "located", "with_learned", "write_learned_scene"]

_log = logging.getLogger(__name__)

#: Overrides in a written scene file: it is complete, so a run with it learns nothing more.
_COMPLETE: dict[str, Any] = {"learn": {"enabled": False}}


@dataclass(frozen=True, slots=True, eq=False)
class LearnedPlace:
    """What a run learned about its place.

    Attributes:
        scene: The given scene with what was learned.
        key: Of the cached result; it depends on all that was learned from.
        summary: A short table of what was learned, with its evidence.
        heading: Lines for the top of the written scene.
    """

    scene: Scene
    key: str
    summary: str
    heading: str


def learn_place(
    scene: Scene, results: Sequence[CameraResult], config: LearnConfig, cache: StageCache
) -> LearnedPlace | None:
    """Learn from the passages of all cameras; None where nothing is learned.

    A failure is a line of the log: association then works with the scene as it was given.

    Args:
        scene: As given.
        results: Passages on the given clocks.
        config: The settings.
        cache: Where the result is kept.
    """
    reason = _reason_against(scene, results, config)
    if reason:
        _log.info("nothing is learned about the place: %s", reason)
        return None
    key = cache_key(
        code=code_version("mtmc.site", "mtmc.multiview", "mtmc.geometry", "mtmc.scene"),
        passages=[(result.camera_id, result.key) for result in results],
        scene=content_of(scene, scene.root),
        stated_clocks=[camera.id for camera in scene.cameras if camera.clock_is_stated],
        learn=config.model_dump(),
    )
    arrays = cache.load("learn", "scene", key)
    if arrays is not None:
        texts = {name: str(array) for name, array in arrays.items()}
        learned = restore(json.loads(texts["scene"]), scene.root)
        return LearnedPlace(with_learned(scene, learned), key, texts["summary"], texts["heading"])
    try:
        found = learn_scene(scene, [p for result in results for p in result.passages], config)
    except Exception as error:  # whatever fails here, the run goes on without
        _log.warning("learning the place failed, so the scene is used as given: %s: %s", type(error).__name__, error)
        _log.debug("where it failed", exc_info=True)
        return None
    place = LearnedPlace(found.scene, key, summary(found), heading(found))
    texts = {
        "scene": json.dumps(content_of(found.scene, scene.root)),
        "summary": place.summary,
        "heading": place.heading,
    }
    cache.save("learn", "scene", key, {name: np.array(text) for name, text in texts.items()})
    return place


def _reason_against(scene: Scene, results: Sequence[CameraResult], config: LearnConfig) -> str:
    """Why nothing can or needs to be learned, or ""."""
    if not config.enabled:
        return "learn.enabled is false"
    seeing = [result.camera_id for result in results if result.passages]
    if len(seeing) < 2:
        return f"vehicles in {len(seeing)} of {len(scene.cameras)} cameras, where at least two are needed"
    if is_complete(scene, config):
        return "the scene file states all of it"
    return ""


def with_learned(scene: Scene, learned: Scene) -> Scene:
    """The given scene with clocks, ground planes, zones and links, as another description of it has them."""
    cameras = []
    for camera in scene.cameras:
        facts = learned.camera(camera.id)
        cameras.append(
            replace(
                camera,
                clock=facts.clock,
                ground_from_image=facts.ground_from_image,
                ground_plane=facts.ground_plane,
                zones=facts.zones,
            )
        )
    return replace(
        scene,
        cameras=tuple(cameras),
        links=learned.links,
        plane_alignments=learned.plane_alignments,
        origins=learned.origins,
        maps=learned.maps,
    )


def located(results: Sequence[CameraResult], scene: Scene) -> list[CameraResult]:
    """The cameras' results with passages on the clocks, zones and ground planes of a scene."""
    return [
        replace(result, passages=[locate_again(p, scene.camera(result.camera_id)) for p in result.passages])
        for result in results
    ]


def learned_scene_path(out: Path) -> Path:
    """Where a run keeps the scene with what it learned."""
    return out / "results" / "scene.learned.yaml"


def write_learned_scene(scene: Scene, path: Path, comment: str) -> Path:
    """Write a scene that says all that was learned: a run with it learns nothing more.

    Raises:
        MtmcError: The file cannot be written.
    """
    overrides = {**scene.overrides, **_COMPLETE}
    write_scene(replace(scene, overrides=overrides), path, comment)
    return path
