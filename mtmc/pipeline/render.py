"""The run's videos and page, made again only when what they show has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.errors import VideoError
from mtmc.formats.convert import table_of_tracks
from mtmc.pipeline.cache import StageCache, cache_key, code_version, file_sha256
from mtmc.pipeline.camera import CameraResult
from mtmc.pipeline.detection import load_detections
from mtmc.progress import progress_bar
from mtmc.render.config import RenderConfig
from mtmc.scene import Camera, Scene
from mtmc.types import Array, GlobalTrack
from mtmc.video.blur import FrameRegions, blur_crop, regions_of, regions_of_detections

__all__ = ["hidden_in_run", "hidden_regions", "render", "thumbnails_of", "with_frame_counts"]


def render(
    scene: Scene,
    tracks: Sequence[GlobalTrack],
    results: Sequence[CameraResult],
    scores: Sequence[dict[str, Any]] | None,
    notes: Sequence[str],
    config: RenderConfig,
    cache: StageCache,
    out: Path,
    map_cameras: Callable[..., list[Any]],
    made_with: Mapping[str, str] | None = None,
) -> list[Path]:
    """Annotated video per camera, mosaic of all, and the page, which names ``made_with``. Returns the files."""
    videos: dict[str, Path] = {}
    if config.videos:
        cameras = [camera for camera in scene.cameras if camera.video is not None]
        inputs = {result.camera_id: dict(result.inputs) for result in results}
        cameras = [camera for camera in cameras if inputs[camera.id]]
        paths = map_cameras(
            partial(
                _annotate,
                tracks=_by_camera(tracks),
                results={result.camera_id: result for result in results},
                inputs=inputs,
                config=config,
                cache=cache,
                out=out,
                alone=not any(len(track.camera_ids) > 1 for track in tracks),
            ),
            cameras,
        )
        videos = {camera.id: path for camera, path in zip(cameras, paths, strict=True) if path is not None}
    made = list(videos.values())
    if config.mosaic and len(videos) > 1:
        is_shared = any(len(track.camera_ids) > 1 for track in tracks)
        made.append(_mosaic(scene, videos, LEGEND if is_shared else "", config, cache, out))
    if config.report:
        counted = with_frame_counts(scene, results)
        made.append(_report(counted, tracks, results, scores, notes, config, made, out, made_with or {}))
    return made


def with_frame_counts(scene: Scene, results: Sequence[CameraResult]) -> Scene:
    """The scene, its cameras knowing how many frames were read."""
    frames = {result.camera_id: result.counts.get("frames") for result in results}
    cameras = tuple(replace(camera, frame_count=frames[camera.id] or camera.frame_count) for camera in scene.cameras)
    return replace(scene, cameras=cameras)


#: What the page calls videos that are no camera's.
_TITLES = {"mosaic": "All cameras"}

#: What the boxes in the mosaic mean.
LEGEND = "color and number: seen by several cameras     gray: seen by one camera"

Drawn = dict[str, list[GlobalTrack]]


def _by_camera(tracks: Sequence[GlobalTrack]) -> Drawn:
    """The vehicles each camera sees; they keep their other passages, which decide how they are drawn."""
    seen: Drawn = {}
    for track in tracks:
        for camera_id in track.camera_ids:
            seen.setdefault(camera_id, []).append(track)
    return seen


def _annotate(
    camera: Camera,
    *,
    tracks: Drawn,
    results: Mapping[str, CameraResult],
    inputs: dict[str, dict[str, str]],
    config: RenderConfig,
    cache: StageCache,
    out: Path,
    alone: bool,
) -> Path | None:
    """The camera's video with its vehicles; None where nothing of it can be read."""
    from mtmc.render.annotate import annotate_camera

    path = out / "videos" / f"{camera.id}.mp4"
    shown = tracks.get(camera.id, [])
    hidden = hidden_regions(results[camera.id], config, cache)
    key = cache_key(
        code=code_version("mtmc.render", "mtmc.video"),
        inputs=inputs[camera.id],
        size_wh=camera.size_wh,
        clock=repr(camera.clock),
        render=config.model_dump(),
        tracks=_digest(shown, camera),
        hidden=_digest_of_regions(hidden),
        alone=alone,
    )

    def make() -> None:
        with progress_bar(f"{camera.id} video") as progress:
            annotate_camera(camera, shown, path, config, progress, alone=alone, hidden=hidden)

    try:
        _unless_made(cache, path, key, make)
    except VideoError:
        return None
    return path


def _digest(tracks: Sequence[GlobalTrack], camera: Camera) -> str:
    """A hash of everything that is drawn in one camera."""
    numbers = {c: 0 if c == camera.id else 1 for track in tracks for c in track.camera_ids}
    table = table_of_tracks(tracks, numbers)
    table = table[table.camera == 0]
    shared = [(track.global_id, len(track.camera_ids) > 1) for track in tracks]
    columns = (table.id, table.frame, table.xyxy, table.class_id, np.array(shared, np.int64))
    return hashlib.sha256(b"".join(np.ascontiguousarray(column).tobytes() for column in columns)).hexdigest()


def _digest_of_regions(regions: FrameRegions) -> str:
    return hashlib.sha256(regions.frame.tobytes() + regions.xyxy.tobytes()).hexdigest()


def hidden_regions(result: CameraResult, config: RenderConfig, cache: StageCache) -> FrameRegions:
    """What is blurred in a camera's video: in the boxes of its vehicles, and in all that its detector found.

    Those of detections that no track has are known as long as they are in the cache.
    """
    tracked = regions_of(config.blur, (passage.tracklet for passage in result.passages))
    found = load_detections(cache, result.camera_id, result.stage_keys.get("detect", "")) if config.blur else None
    return tracked if found is None else tracked.joined(regions_of_detections(config.blur, found))


def hidden_in_run(
    results: Sequence[CameraResult], config: RenderConfig, cache: StageCache
) -> dict[str, FrameRegions]:
    """:func:`hidden_regions` of all cameras, by their names."""
    return {result.camera_id: hidden_regions(result, config, cache) for result in results}


def thumbnails_of(results: Sequence[CameraResult], config: RenderConfig) -> dict[tuple[str, int], Array]:
    """The pictures of tracklets by camera and track id, blurred as ``render.blur`` says."""
    class_id = {
        (result.camera_id, passage.tracklet.track_id): passage.tracklet.class_id
        for result in results
        for passage in result.passages
    }
    return {
        (result.camera_id, track): blur_crop(picture, class_id.get((result.camera_id, track), 0), config.blur)
        for result in results
        for track, picture in result.thumbnails.items()
    }


def _mosaic(
    scene: Scene, videos: dict[str, Path], legend: str, config: RenderConfig, cache: StageCache, out: Path
) -> Path:
    from mtmc.render.mosaic import write_mosaic

    path = out / "videos" / "mosaic.mp4"
    key = cache_key(
        code=code_version("mtmc.render", "mtmc.video"),
        videos={camera_id: file_sha256(video) for camera_id, video in videos.items()},
        clocks=[repr(camera.clock) for camera in scene.cameras],
        render=config.model_dump(),
        legend=legend,
    )

    def make() -> None:
        with progress_bar("mosaic") as progress:
            write_mosaic(scene, videos, path, config, progress, labeled=True, legend=legend)

    _unless_made(cache, path, key, make)
    return path


def _unless_made(cache: StageCache, path: Path, key: str, make: Callable[[], None]) -> None:
    """Make a file unless it is there, unchanged since it was made from the same things."""
    mark = cache.load("render", path.stem, key)
    if mark is not None and path.is_file() and file_sha256(path) == str(mark["sha256"]):
        return
    make()
    cache.save("render", path.stem, key, {"sha256": np.array(file_sha256(path))})


def _report(
    scene: Scene,
    tracks: Sequence[GlobalTrack],
    results: Sequence[CameraResult],
    scores: Sequence[dict[str, Any]] | None,
    notes: Sequence[str],
    config: RenderConfig,
    videos: Sequence[Path],
    out: Path,
    made_with: Mapping[str, str],
) -> Path:
    from mtmc.render.report import write_report

    path = out / "report.html"
    write_report(
        path,
        scene=scene,
        tracks=tracks,
        thumbnails=thumbnails_of(results, config),
        scores=scores,
        videos={_TITLES.get(video.stem, video.stem): video.relative_to(out).as_posix() for video in videos},
        notes=notes,
        made_with=made_with,
        config=config,
    )
    return path
