"""One camera from pixels to passages: ``detect → track → clean → embed``, each stage with its result on disk.

A stage looks its result up by a key of all it depends on and computes it only when it is not there. The key of one
stage goes into the key of the next, so a changed setting repeats its own stage and those after it, no other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from mtmc.clean import clean
from mtmc.config import InputConfig, RunConfig
from mtmc.detect.filters import filter_detections
from mtmc.detect.precomputed import read_detections
from mtmc.embed import EmbeddedTracklets, embed_tracklets
from mtmc.errors import SceneError, VideoError
from mtmc.formats.convert import tracklets_of
from mtmc.formats.mot import read_mot
from mtmc.geometry.boxes import reaches_image
from mtmc.pipeline import serialize
from mtmc.pipeline.cache import StageCache, cache_key, code_version, file_sha256, read_arrays, write_arrays
from mtmc.pipeline.detection import VideoDetections, detect_cached, detection_key
from mtmc.pipeline.models import embedder_hash, make_attributes, make_embedder, weights_hash
from mtmc.progress import progress_bar
from mtmc.scene import Camera, read_roi
from mtmc.track import track
from mtmc.types import Array, Frame, Passage, Tracklet
from mtmc.video.source import Recording
from mtmc.video.timestamps import presentation_times

__all__ = [
    "CameraResult",
    "choose_source",
    "detect_together",
    "load_result",
    "match_similarity_of",
    "process_camera",
    "save_result",
    "wanted_frames",
]

T = TypeVar("T")

_log = logging.getLogger(__name__)
#: Stands for "for ever": a setting may be infinite.
_MOST_REMEMBERED_FRAMES = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class CameraResult:
    """What became of one camera.

    Attributes:
        camera_id: The camera.
        passages: Its vehicles; empty after a failure.
        thumbnails: A small RGB picture of some of them, by track id: uint8 (h, w, 3).
        match_similarity: Cosine that suggests one vehicle, by the embedder's card; None if it gives none.
        key: Names exactly this result.
        stage_keys: The key of every stage whose result is in the cache, in order; the last one is ``key``.
        problem: Why the camera failed or was read only in part, as a sentence; "" if all went well.
        counts: Frames, detections, tracklets before and after clean-up.
        seconds: Wall and CPU seconds per stage, ``{"detect": (wall, cpu), …}``; a reused stage takes next to none.
        inputs: SHA-256 of every file that was read.
        source: What its vehicles were made of: ``video``, ``detections`` or ``tracklets``.
    """

    camera_id: str
    passages: list[Passage] = field(default_factory=list)
    thumbnails: dict[int, Array] = field(default_factory=dict)
    match_similarity: float | None = None
    key: str = ""
    stage_keys: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


def match_similarity_of(results: Iterable[CameraResult]) -> float | None:
    """The cosine that suggests one vehicle in a run: the largest of its cameras', None if none has one."""
    known = [result.match_similarity for result in results if result.match_similarity is not None]
    return max(known, default=None)


def process_camera(camera: Camera, *, config: RunConfig, cache: StageCache, threads: int = 1) -> CameraResult:
    """Take one camera from its video (or its detections, or its tracklets) to passages.

    Args:
        camera: The camera.
        config: All choices of the run.
        cache: Where stage results are kept.
        threads: Threads each model may use.

    Raises:
        MtmcError: A file or a model of this camera cannot be used at all. A video that breaks off half-way is no
            such case: what came before is used and the result's ``problem`` says so.
    """
    pipeline = CameraPipeline(camera, config, cache, threads)
    source, path = choose_source(camera, config.input)
    problem = ""
    if source == "tracklets":
        tracklets, key = pipeline.read_tracklets(path)
    else:
        found, key = pipeline.detect(path) if source == "video" else pipeline.read_detections(path)
        problem = found.problem
        tracklets, key = pipeline.track(found, key)
    tracklets, key = pipeline.clean(tracklets, key)
    embedded, key = pipeline.embed(tracklets, key)
    _log.info("%s: %s", camera.id, ", ".join(f"{count} {name}" for name, count in pipeline.counts.items()))
    return CameraResult(
        camera_id=camera.id,
        source=source,
        passages=list(embedded.passages),
        thumbnails=dict(embedded.thumbnails),
        match_similarity=embedded.match_similarity,
        key=key,
        stage_keys=pipeline.keys,
        problem=problem,
        counts=pipeline.counts,
        seconds=pipeline.seconds,
        inputs=pipeline.inputs,
    )


def choose_source(camera: Camera, config: InputConfig) -> tuple[str, Path]:
    """Where the camera's vehicles come from: ("video" | "detections" | "tracklets", the file).

    Raises:
        SceneError: The camera has nothing of the kind that is asked for.
    """
    if camera.problem:
        raise SceneError(camera.problem)
    at_hand: dict[str, tuple[Path, ...]] = {
        "video": () if camera.video is None else (camera.video,),
        "detections": camera.detections,
        "tracklets": camera.tracklets,
    }
    kinds = [kind for kind, files in at_hand.items() if files]
    wanted = kinds if config.source == "auto" else [config.source]
    for kind in wanted:
        files = at_hand[kind]
        matching = files if kind == "video" else [f for f in files if config.file in f.name]
        if matching:
            return kind, matching[0]
    have = ", ".join(f"{kind} {' '.join(f.name for f in at_hand[kind])}" for kind in kinds) or "nothing"
    named = f" with {config.file!r} in its name" if config.file else ""
    raise SceneError(
        f"camera {camera.id}: expected {' or '.join(wanted) or 'a video'}{named}, found {have}",
        remedy="add the file, or change input.source or input.file",
    )


def wanted_frames(camera: Camera, wanted: Collection[int]) -> Iterator[Frame]:
    """Some frames of a camera's video, in order; where it breaks off has been reported by the detection stage."""
    if camera.video is not None:
        with suppress(VideoError):
            recording = Recording(camera.id, camera.video, camera.clock)
            yield from islice(recording.frames(wanted=wanted), len(wanted))


class CameraPipeline:
    """The stages of one camera, and what they note on the way."""

    def __init__(self, camera: Camera, config: RunConfig, cache: StageCache, threads: int) -> None:
        self.camera, self.config, self.cache, self.threads = camera, config, cache, threads
        self.counts: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.seconds: dict[str, tuple[float, float]] = {}
        self.inputs: dict[str, str] = {}
        self.size_wh = camera.size_wh
        self.roi = None if camera.roi is None else read_roi(camera.roi, camera.size_wh)
        if self.roi is not None and self.size_wh is None:
            self.size_wh = (self.roi.shape[1], self.roi.shape[0])

    def detect(self, video: Path) -> tuple[VideoDetections, str]:
        """Detections of every frame of the video."""
        recording = _recording(self.camera, video)
        self._hash(video)  # noted for the manifest
        key = detection_key(recording, self.config)
        self.keys["detect"] = key
        with self._timed("detect"):
            [found] = detect_cached([recording], self.config, self.cache, self.threads)
        return self._counted(found), key

    def read_detections(self, path: Path) -> tuple[VideoDetections, str]:
        """Detections of a given file."""
        offset, frame_count = self.config.input.frame_offset, self._frame_count()
        key = cache_key(
            code=code_version("mtmc.detect.precomputed", "mtmc.formats"),
            file=self._hash(path),
            offset=offset,
            frame_count=frame_count,
        )
        with self._timed("detect"):
            frames = read_detections(path, frame_count, offset, self._remembered_frames())
            found = VideoDetections.of(frames)
        self.counts["scored"] = found.scored_count
        return self._counted(found), key

    def read_tracklets(self, path: Path) -> tuple[list[Tracklet], str]:
        """Tracklets of a given file: the rows of frames and places that the video has."""
        camera, offset, frame_count = self.camera, self.config.input.frame_offset, self._frame_count()
        key = cache_key(
            code=code_version("mtmc.formats", "mtmc.geometry"),
            file=self._hash(path),
            number=camera.number,
            offset=offset,
            clock=repr(camera.clock),
            frame_count=frame_count,
            size_wh=self.size_wh,
        )
        with self._timed("track"):
            table = read_mot(path, camera.number, offset)
            shown = np.ones(len(table), bool) if frame_count is None else table.frame < frame_count
            if self.size_wh is not None:
                shown &= reaches_image(table.xyxy, self.size_wh)
            if not shown.all():
                left_out = int((~shown).sum())
                _log.warning(
                    "%s: %d of %d rows left out: outside the image or beyond the last frame",
                    path,
                    left_out,
                    len(table),
                )
            tracklets = tracklets_of(table[shown], camera.id, camera.clock)
        self.counts["rows"] = len(table)
        self.counts["scored"] = int((table.score > 0).sum())
        self.counts["tracklets"] = len(tracklets)
        return tracklets, key

    def track(self, found: VideoDetections, detect_key: str) -> tuple[list[Tracklet], str]:
        """Single-camera tracking of the detections that pass the filter."""
        camera, config = self.camera, self.config
        size_wh = self.size_wh or found.extent_wh
        key = cache_key(
            code=code_version("mtmc.detect.filters", "mtmc.detect.nms", "mtmc.track", "mtmc.geometry"),
            detect=detect_key,
            filter=config.detect.filter.model_dump(),
            track=config.track.model_dump(),
            clock=repr(camera.clock),
            roi=self._hash(camera.roi),
            size_wh=size_wh,
        )

        def compute() -> list[Tracklet]:
            rules = config.detect.filter
            frames = ((index, filter_detections(each, rules, size_wh, self.roi)) for index, each in found)
            return track(frames, camera.id, camera.clock, config.track, size_wh)

        tracklets = self._stage(
            "track",
            key,
            compute,
            serialize.pack_tracklets,
            partial(serialize.unpack_tracklets, camera_id=camera.id),
        )
        self.counts["tracklets"] = len(tracklets)
        return tracklets, key

    def clean(self, tracklets: list[Tracklet], track_key: str) -> tuple[list[Tracklet], str]:
        """Split, join, interpolate and drop."""
        camera = self.camera
        key = cache_key(
            code=code_version("mtmc.clean", "mtmc.geometry"),
            track=track_key,
            clean=self.config.clean.model_dump(),
            clock=repr(camera.clock),
            roi=self._hash(camera.roi),
        )
        cleaned = self._stage(
            "clean",
            key,
            lambda: clean(tracklets, camera, self.config.clean, self.roi),
            serialize.pack_tracklets,
            partial(serialize.unpack_tracklets, camera_id=camera.id),
        )
        self.counts["vehicles"] = len(cleaned)
        return cleaned, key

    def embed(self, tracklets: list[Tracklet], clean_key: str) -> tuple[EmbeddedTracklets, str]:
        """Embeddings from the best crops, zones and ground positions."""
        camera, config = self.camera, self.config
        ground = camera.ground_from_image
        key = cache_key(
            code=code_version("mtmc.embed", "mtmc.video", "mtmc.geometry"),
            clean=clean_key,
            video=self._hash(camera.video),
            size_wh=camera.size_wh,
            embed=config.embed.model_dump(exclude={"weights", "card", "attributes"}),
            attributes=weights_hash(config.embed.attributes, "attributes") if camera.video else "",
            weights=embedder_hash(config.embed) if camera.video else "",
            ground=None if ground is None else ground.tolist(),
            plane=camera.ground_plane,
            zones=[(zone.name, zone.role, zone.polygon.tolist()) for zone in camera.zones],
        )

        def compute() -> EmbeddedTracklets:
            embedder = make_embedder(config.embed, self.threads) if camera.video else None
            attributes = make_attributes(config.embed, self.threads) if camera.video else None
            with progress_bar(f"{camera.id} embed") as progress:
                frames = None if camera.video is None else partial(wanted_frames, camera)
                return embed_tracklets(tracklets, camera, config.embed, embedder, frames, progress, attributes)

        return self._stage("embed", key, compute, _pack_embedded, partial(_unpack_embedded, camera.id)), key

    def _stage(
        self,
        name: str,
        key: str,
        compute: Callable[[], T],
        pack: Callable[[T], dict[str, Array]],
        unpack: Callable[[dict[str, Array]], T],
    ) -> T:
        """The saved result of a stage, or a new one that is saved."""
        self.keys[name] = key
        with self._timed(name):
            arrays = self.cache.load(name, self.camera.id, key)
            if arrays is not None:
                return unpack(arrays)
            result = compute()
            self.cache.save(name, self.camera.id, key, pack(result))
            return result

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        _log.info("%s: %s begins", self.camera.id, stage)
        yield
        self.seconds[stage] = (time.perf_counter() - wall, time.process_time() - cpu)
        _log.info("%s: %s ended after %.1f s", self.camera.id, stage, self.seconds[stage][0])

    def _hash(self, path: Path | None) -> str:
        if path is None:
            return ""
        name = "/".join(path.parts[-2:])  # folder and file: det/ and mtsc/ may hold files of one name
        if name not in self.inputs:
            self.inputs[name] = file_sha256(path)
        return self.inputs[name]

    def _counted(self, found: VideoDetections) -> VideoDetections:
        self.counts["frames"] = found.frame_count
        self.counts["detections"] = found.detection_count
        return found

    def _remembered_frames(self) -> int:
        """For how many frames, at most, the tracker keeps a track without detections."""
        track, fps = self.config.track, self.camera.clock.fps
        longest_s = max(track.memory_s(fps, has_features=True), track.stationary_max_age_s)
        return int(min(longest_s * fps, _MOST_REMEMBERED_FRAMES)) + 1

    def _frame_count(self) -> int | None:
        """Number of frames that there are, by the scene or by the video; None where neither says so."""
        camera = self.camera
        if camera.frame_count is not None or camera.video is None:
            return camera.frame_count
        times_s = presentation_times(camera.video) if camera.video.is_file() else None
        return _recording(camera, camera.video).length if times_s is None else len(times_s)


def detect_together(cameras: Sequence[Camera], config: RunConfig, cache: StageCache, threads: int) -> None:
    """On an accelerator, detect in all videos from this process, batches running across cameras.

    The results wait in the cache for :func:`process_camera`.
    """
    recordings = []
    for camera in cameras:
        with suppress(SceneError):  # it is raised again, and reported, when the camera is processed
            kind, path = choose_source(camera, config.input)
            if kind == "video":
                recordings.append(_recording(camera, path))
    detect_cached(recordings, config, cache, threads)


def _recording(camera: Camera, video: Path) -> Recording:
    return Recording(camera.id, video, camera.clock, camera.frame_count, camera.size_wh)


def save_result(result: CameraResult, path: Path) -> Path:
    """Write passages and thumbnails where people and later commands find them (``results/passages/CAMERA.npz``).

    Raises:
        MtmcError: The disk is full or may not be written.
    """
    embedded = EmbeddedTracklets(tuple(result.passages), result.thumbnails, result.match_similarity)
    write_arrays(path, _pack_embedded(embedded))
    return path


def load_result(path: Path, camera_id: str, stage_keys: Mapping[str, str]) -> CameraResult | None:
    """What :func:`save_result` wrote; None if it is gone or damaged."""
    arrays = read_arrays(path)
    if arrays is None:
        return None
    embedded = _unpack_embedded(camera_id, arrays)
    return CameraResult(
        camera_id=camera_id,
        passages=list(embedded.passages),
        thumbnails=dict(embedded.thumbnails),
        match_similarity=embedded.match_similarity,
        key=stage_keys.get("embed", ""),
        stage_keys=dict(stage_keys),
    )


def _pack_embedded(embedded: EmbeddedTracklets) -> dict[str, Array]:
    similarity = embedded.match_similarity
    return {
        **serialize.pack_passages(embedded.passages),
        **serialize.pack_thumbnails(embedded.thumbnails),
        "match_similarity": np.array(np.nan if similarity is None else similarity),
    }


def _unpack_embedded(camera_id: str, arrays: Mapping[str, Array]) -> EmbeddedTracklets:
    similarity = float(arrays["match_similarity"])
    return EmbeddedTracklets(
        passages=tuple(serialize.unpack_passages(arrays, camera_id)),
        thumbnails=serialize.unpack_thumbnails(arrays),
        match_similarity=None if np.isnan(similarity) else similarity,
    )
