"""The run: cameras to passages, passages to vehicles, vehicles to files people use."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from mtmc.associate import Association, associate_with_evidence
from mtmc.associate.scene_model import SceneModel
from mtmc.associate.tracklet_links import TrackletLinks
from mtmc.config import RunConfig
from mtmc.errors import FormatError, MtmcError, SceneError, VideoError
from mtmc.evaluate import Evaluation
from mtmc.files import sweep
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.track1 import read_track1
from mtmc.log import plural
from mtmc.pipeline.cache import StageCache, cache_key, code_version
from mtmc.pipeline.camera import CameraResult, detect_together, match_similarity_of, process_camera
from mtmc.pipeline.learning import LearnedPlace, learn_place, learned_scene_path, located, write_learned_scene
from mtmc.pipeline.models import models_in_use, with_chosen_models, with_model_files
from mtmc.pipeline.outputs import (
    earlier_manifest,
    earlier_outputs,
    manifest_of,
    remove_outputs,
    set_aside_derived,
    write_evidence,
    write_json,
    write_passages,
    write_tables,
)
from mtmc.pipeline.paths import with_absolute_paths, with_absolute_weights
from mtmc.pipeline.render import render
from mtmc.pipeline.scoring import score_rows, score_scene
from mtmc.postprocess import postprocess
from mtmc.scene import Camera, Scene
from mtmc.types import Array, GlobalTrack, Passage

__all__ = ["MapCameras", "RunResult", "run"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


class MapCameras(Protocol):
    """Where cameras are processed: ``[fn(camera) for camera in cameras]``, somewhere, in that order."""

    def __call__(self, fn: Callable[[Camera], T], cameras: Sequence[Camera]) -> list[T]:
        """Apply ``fn`` to every camera."""
        ...


def in_this_process(fn: Callable[[Camera], T], cameras: Sequence[Camera]) -> list[T]:
    """One camera after the other; ``mtmc.runners`` has others."""
    return [fn(camera) for camera in cameras]


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """What a run leaves.

    Attributes:
        out: Its folder.
        tracks: The vehicles.
        cameras: What became of each camera.
        scores: Official scores, if ground truth lay beside the videos.
        problems: Sentences about what went wrong although the run went on.
        warnings: Sentences about what was asked for and had no effect.
        learned: What was learned about the place; None if nothing was.
    """

    out: Path
    tracks: list[GlobalTrack]
    cameras: list[CameraResult]
    scores: Evaluation | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    learned: LearnedPlace | None = None


def run(
    scene: Scene,
    config: RunConfig,
    out: Path,
    *,
    map_cameras: MapCameras = in_this_process,
    threads: int = 1,
    strict: bool = False,
    how: dict[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> RunResult:
    """Take a scene from its videos to vehicles with one identity in all cameras.

    Args:
        scene: The place.
        config: All choices.
        out: Folder for the results; stage results below ``out/cache`` are reused.
        map_cameras: Where the cameras are processed.
        threads: Threads of each process, and of this one.
        strict: Stop at the first camera that fails instead of going on with the others.
        how: What the manifest says of the runner.
        warnings: Sentences about settings without effect, for the log, the manifest and the summary.

    Raises:
        MtmcError: No camera could be processed, or one failed and ``strict`` is set, or ``out`` cannot be written to.
    """
    if out.exists() and not out.is_dir():
        raise MtmcError(
            "expected a folder for the results, but it is a file", path=out, remedy="choose another --out"
        )
    sweep(out)
    config = with_chosen_models(scene, config)
    _log.info("%s: %s, results in %s", scene.name, plural(len(scene.cameras), "camera"), out)
    for warning in warnings:
        _log.warning("%s", warning)
    # A worker may have another working folder than this process, so no relative path reaches it.
    given_out, out, scene = out, out.absolute(), with_absolute_paths(scene)
    cache, clock = StageCache(out / "cache"), _Stopwatch()
    worker_config = with_absolute_weights(with_model_files(scene, config))

    if worker_config.detect.device != "cpu":  # on a CPU nothing is gained
        with clock("detect_together"):
            detect_together(scene.cameras, worker_config, cache, threads)
    results = map_cameras(
        partial(_camera_or_problem, config=worker_config, cache=cache, threads=threads, strict=strict), scene.cameras
    )
    problems = [f"{r.camera_id}: {r.problem}" for r in results if r.problem]
    if all(r.problem and not r.key for r in results):
        raise MtmcError(
            results[0].problem if len(results) == 1 else "no camera could be used:\n  " + "\n  ".join(problems)
        )

    given = scene
    with clock("learn"):
        learned = learn_place(scene, results, config.learn, cache)
        if learned is not None:
            scene = learned.scene
            results = located(results, scene)
    with clock("associate"):
        association = _associate(results, scene, config, cache)
    with clock("postprocess"):
        # It is not cached: a saved result would have as many boxes to read as this has to change.
        tracks = postprocess(association.tracks, scene, config.postprocess)
    if not tracks:
        problems.append(_nothing_found(results, config))
    table = table_of_tracks(tracks, {camera.id: camera.number for camera in scene.cameras})
    before = earlier_manifest(out)
    earlier = earlier_outputs(out)
    videos = {name for name in earlier if name.startswith("videos/")}  # reused where they would come out the same
    remove_outputs(out, earlier - videos)
    outputs = write_tables(table, scene, out) + write_passages(results, out) + write_evidence(association, out)
    if learned is not None:
        outputs.append(write_learned_scene(scene, learned_scene_path(out), learned.heading))
    with clock("score"):
        scores = None
        try:
            scores = score_scene(scene, read_track1(out / "track1.txt"))  # what people submit, whole pixels
        except FormatError as error:
            problems.append(str(error))
        outputs += _write_scores(scores, out)
    manifest = manifest_of(out, given, scene, config, results, outputs, problems, warnings, clock.seconds, how or {})
    for sentence in set_aside_derived(out, before, manifest):
        _log.warning("%s", sentence)
    write_json(manifest, out / "run.json")
    with clock("render"):
        outputs += render(
            scene,
            tracks,
            results,
            score_rows(scores, scene),
            problems,
            config.render,
            cache,
            out,
            map_cameras,
            _made_with(scene, config),
        )
    remove_outputs(out, videos - {path.relative_to(out).as_posix() for path in outputs})
    manifest = manifest_of(out, given, scene, config, results, outputs, problems, warnings, clock.seconds, how or {})
    write_json(manifest, out / "run.json")
    return RunResult(given_out, tracks, results, scores, tuple(problems), tuple(warnings), learned)


def _made_with(scene: Scene, config: RunConfig) -> dict[str, str]:
    """What the page says a result was made with."""
    models = models_in_use(scene, config)
    return {task: str(model) for task, model in models.items()} | {"association": config.associate.method}


def _write_scores(scores: Evaluation | None, out: Path) -> list[Path]:
    if scores is None:
        return []
    scores.write_json(out / "scores.json")
    scores.write_csv(out / "scores.csv")
    return [out / "scores.json", out / "scores.csv"]


def _camera_or_problem(
    camera: Camera, *, config: RunConfig, cache: StageCache, threads: int, strict: bool
) -> CameraResult:
    """One camera's result; a failure that lies in its own files is a result too, unless ``strict``.

    What is wrong with the configuration, the models or the disk is wrong for all cameras and stops the run.
    """
    try:
        result = process_camera(camera, config=config, cache=cache, threads=threads)
        if strict and result.problem:
            raise VideoError(result.problem)
        return result
    except (SceneError, FormatError, VideoError) as error:
        if strict:
            raise
        return CameraResult(camera_id=camera.id, problem=str(error))


def _associate(results: Sequence[CameraResult], scene: Scene, config: RunConfig, cache: StageCache) -> Association:
    """Cross-camera association, reused when neither passages nor settings have changed."""
    passages = [passage for result in results for passage in result.passages]
    match_similarity = match_similarity_of(results)
    key = cache_key(
        code=code_version("mtmc.associate", "mtmc.multiview", "mtmc.geometry"),
        passages=[(result.camera_id, result.key) for result in results],
        cameras=[
            (
                camera.id,
                camera.number,
                camera.size_wh,
                repr(camera.clock),
                None if camera.ground_from_image is None else camera.ground_from_image.tolist(),
                camera.ground_plane,
                [(zone.name, zone.role, zone.polygon.tolist()) for zone in camera.zones],
            )
            for camera in scene.cameras
        ],
        associate=config.associate.model_dump(),
        match_similarity=match_similarity,
        links=[repr(link) for link in scene.links],
        plane_alignments=[repr(alignment) for alignment in scene.plane_alignments],
    )
    arrays = cache.load("associate", "scene", key)
    if arrays is None:
        association = associate_with_evidence(passages, scene, config.associate, match_similarity)
        cache.save("associate", "scene", key, _pack_association(association, passages))
        return association
    return _unpack_association(arrays, passages)


def _pack_association(association: Association, passages: Sequence[Passage]) -> dict[str, Array]:
    arrays = _pack_identities(association.tracks, passages)
    if association.links is not None:
        arrays |= {f"links.{name}": column for name, column in association.links.arrays().items()}
    if association.model is not None:
        arrays |= {f"model.{name}": array for name, array in association.model.arrays().items()}
    return arrays


def _unpack_association(arrays: dict[str, Array], passages: Sequence[Passage]) -> Association:
    links, model = _with_prefix(arrays, "links."), _with_prefix(arrays, "model.")
    return Association(
        tracks=_unpack_identities(arrays, passages),
        links=TrackletLinks.of_arrays(links) if links else None,
        model=SceneModel.of_arrays(model) if model else None,
    )


def _with_prefix(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _pack_identities(tracks: Sequence[GlobalTrack], passages: Sequence[Passage]) -> dict[str, Array]:
    """Global id of every passage, 0 for those that belong to none, in the order of ``passages``."""
    place = {id(passage): i for i, passage in enumerate(passages)}
    global_id = np.zeros(len(passages), np.int64)
    for track in tracks:
        for passage in track.passages:
            global_id[place[id(passage)]] = track.global_id
    return {"global_id": global_id}


def _unpack_identities(arrays: dict[str, Array], passages: Sequence[Passage]) -> list[GlobalTrack]:
    members: dict[int, list[Passage]] = {}
    for global_id, passage in zip(arrays["global_id"].tolist(), passages, strict=True):
        if global_id:
            members.setdefault(global_id, []).append(passage)
    return [
        GlobalTrack(
            global_id,
            tuple(
                sorted(
                    members[global_id],
                    key=lambda p: (p.tracklet.start_s, p.tracklet.camera_id, p.tracklet.track_id),
                )
            ),
        )
        for global_id in sorted(members)
    ]


def _nothing_found(results: Sequence[CameraResult], config: RunConfig) -> str:
    """Why no vehicle came out: which step lost them all, and what to change."""
    used = [result for result in results if not result.problem or result.key]
    return f"no vehicle in {plural(len(results), 'camera')}: " + "; ".join(_reasons(used, config))


def _reasons(results: Sequence[CameraResult], config: RunConfig) -> list[str]:
    """One sentence for each kind of source, of the last step that still had something."""
    made = _total(results, "vehicles")
    if made:
        return [f"{made} vehicles of single cameras, all of which association and post-processing left out"]
    tracks = _total(results, "tracklets")
    sources = {result.source for result in results}
    # Boxes whose scores say that no detector saw them may make tracks, but none that clean-up keeps.
    unseen = sources == {"detections"} and not _total(results, "scored")
    if tracks and "tracklets" not in sources and not unseen:
        return [f"{tracks} tracks, all of which clean-up left out; see clean.filter"]
    return [
        reason(of_source, config)
        for source, reason in _REASONS.items()
        if (of_source := [result for result in results if result.source == source])
    ]


def _no_track_in_video(results: Sequence[CameraResult], config: RunConfig) -> str:
    frames, detections = _total(results, "frames"), _total(results, "detections")
    if not frames:
        return "no frame of a video could be read"
    return (
        f"{frames} frames, {detections} detections at confidence {config.detect.min_score} or more, none of which "
        "made a track; lower detect.filter.min_confidence or track.n_init, or check detect.classes and the regions "
        "of interest"
    )


def _no_track_of_detections(results: Sequence[CameraResult], config: RunConfig) -> str:
    detections, scored = _total(results, "detections"), _total(results, "scored")
    if not detections:
        return "the detection files hold no row of any frame; check input.file, input.frame_offset and frame counts"
    if not scored:
        return (
            f"{detections} detections were read, all with a score of 0 or below; a score of 0 marks boxes that no "
            "detector saw, so write scores between 0 and 1 into the seventh column"
        )
    return (
        f"{detections} detections were read, {scored} of them with a score above 0, and none made a track; lower "
        "track.high_score_threshold, track.new_track_threshold or track.n_init, or check detect.filter and the "
        "regions of interest"
    )


def _no_vehicle_of_tracklets(results: Sequence[CameraResult], config: RunConfig) -> str:
    rows, tracks, scored = (_total(results, name) for name in ("rows", "tracklets", "scored"))
    if not rows:
        return "the tracklet files hold no rows; check input.file and input.frame_offset"
    if not tracks:
        return (
            f"none of {rows} rows of tracklets has an identity, all are −1; write the tracks' numbers into the "
            "second column, or read the rows as detections"
        )
    if not scored:
        return (
            f"{tracks} tracks were read, whose {rows} rows all have a score of 0 or below; a score of 0 marks boxes "
            "that no detector saw, so write scores above 0, or -1 for unknown ones, into the seventh column"
        )
    return f"{tracks} tracks were read, all of which clean-up left out; see clean.filter"


_REASONS = {
    "video": _no_track_in_video,
    "detections": _no_track_of_detections,
    "tracklets": _no_vehicle_of_tracklets,
}


def _total(results: Sequence[CameraResult], name: str) -> int:
    return sum(result.counts.get(name, 0) for result in results)


class _Stopwatch:
    """(wall, CPU) seconds of named stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        _log.info("%s begins", stage)
        yield
        self.seconds[stage] = (time.perf_counter() - wall, time.process_time() - cpu)
        _log.info("%s ended after %.1f s", stage, self.seconds[stage][0])
