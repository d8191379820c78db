"""Running a detector over videos: batches within and across cameras, kept on disk in parts.

The detections of an hour need not lie in memory: parts of some hundred frames are written as they are found, and read
one at a time. A killed run goes on after the last whole part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.config import RunConfig
from mtmc.detect import Detector
from mtmc.errors import MtmcError, VideoError
from mtmc.pipeline.cache import StageCache, cache_key, code_version, file_sha256
from mtmc.pipeline.models import embedder_hash, make_detector, weights_hash
from mtmc.pipeline.serialize import pack_detections, unpack_detections
from mtmc.progress import Progress, progress_bar
from mtmc.types import Array, Detections, Frame
from mtmc.video.source import FrameSource, Recording

__all__ = ["VideoDetections", "detect_cached", "detect_videos", "detection_key", "load_detections"]

#: Frames per part. What a killed run loses is at most one part per camera.
_PART = 256

IndexedDetections = tuple[int, Detections]


@dataclass(frozen=True, slots=True)
class VideoDetections:
    """The detections of one camera; iterating gives (frame index, detections) in order, any number of times.

    Attributes:
        frame_count: Frames that were read, or that the given file has.
        detection_count: Detections in all of them.
        scored_count: Those of a score above 0.
        extent_wh: Width and height that the boxes cover, pixels; (1, 1) without boxes.
        problem: Why the video could not be read to its end, as a sentence; "" if it could.
        read: Starts a new pass over the frames.
    """

    frame_count: int
    detection_count: int
    scored_count: int
    extent_wh: tuple[int, int]
    problem: str
    read: Callable[[], Iterator[IndexedDetections]]

    @classmethod
    def of(cls, frames: Iterable[IndexedDetections], problem: str = "") -> VideoDetections:
        """Detections that lie in memory."""
        kept = list(frames)
        summary = _Summary()
        for _, detections in kept:
            summary.add(detections)
        return summary.of(problem, lambda: iter(kept))

    def __iter__(self) -> Iterator[IndexedDetections]:
        return self.read()


def load_detections(cache: StageCache, camera_id: str, key: str) -> VideoDetections | None:
    """The finished detections of an earlier run; None if there are none, or a part of them is gone."""
    arrays = cache.load("detect", camera_id, key)
    if arrays is None or "part_start" not in arrays:
        return None
    names = [_part_name(camera_id, start) for start in arrays["part_start"].tolist()]
    if not all(cache.path("detect", name, key).is_file() for name in names):
        return None
    frames, detections, scored = arrays["counts"].tolist()
    summary = _Summary(frames, detections, scored, arrays["extent_wh"].tolist())
    return summary.of(str(arrays["problem"]), lambda: _read_parts(cache, names, key))


def detect_cached(
    recordings: Sequence[Recording], config: RunConfig, cache: StageCache, threads: int
) -> list[VideoDetections]:
    """The detections of some recordings, each from the cache where an earlier run has left them there.

    Args:
        recordings: Of one camera, or of all: batches are filled across them.
        config: All choices of the run.
        cache: Where the detections are kept.
        threads: Threads of the models.
    """
    keys = [detection_key(recording, config) for recording in recordings]
    saved = [load_detections(cache, recording.name, key) for recording, key in zip(recordings, keys, strict=True)]
    missing = [number for number, found in enumerate(saved) if found is None]
    made: dict[int, VideoDetections] = {}
    if missing:
        todo = [recordings[number] for number in missing]
        detector = make_detector(config, threads, todo)
        title = todo[0].name if len(todo) == 1 else f"{len(todo)} cameras"
        with progress_bar(f"{title} detect") as progress:
            results = detect_videos(
                todo, [keys[number] for number in missing], detector, config.detect.batch, cache, progress
            )
        made = dict(zip(missing, results, strict=True))
    return [made[number] if found is None else found for number, found in enumerate(saved)]


def detection_key(recording: Recording, config: RunConfig) -> str:
    """The cache key of a recording's detections: everything that they depend on."""
    per_detection = config.embed.per_detection
    forgets_by_time = config.detect.weights == "motion"
    return cache_key(
        code=code_version("mtmc.detect", "mtmc.video", *(["mtmc.embed"] if per_detection else [])),
        video=file_sha256(recording.path),
        frame_count=recording.frame_count,
        size_wh=recording.size_wh,
        detect=config.detect.model_dump(exclude={"filter", "weights"}),
        weights=weights_hash(config.detect.weights, "detector"),
        min_score=config.detect.min_score,
        suppression_iou=config.detect.suppression_iou,
        clock=repr(recording.clock) if forgets_by_time else "",
        embed=config.embed.model_dump(exclude={"weights", "card", "attributes"}) if per_detection else None,
        embed_weights=embedder_hash(config.embed) if per_detection else "",
    )


def detect_videos(
    sources: Sequence[FrameSource],
    keys: Sequence[str],
    detector: Detector,
    batch: int,
    cache: StageCache,
    progress: Progress,
) -> list[VideoDetections]:
    """Detect in all frames of some sources, taking turns between them to fill every batch.

    Args:
        sources: Where the frames come from.
        keys: Their cache keys; "" keeps the detections in memory, for a source that cannot be read again.
        detector: One for all of them.
        batch: Frames per call.
        cache: Where the detections are kept, part by part.
        progress: Called with the number of frames done, over all sources.

    Returns:
        One result per source. A broken video has a problem, and what came before the trouble.
    """
    resume = not detector.stateful
    feeds = [_Feed(source, key, cache, batch, resume=resume) for source, key in zip(sources, keys, strict=True)]
    lengths = [source.length for source in sources]
    total = sum(n for n in lengths if n) if all(lengths) else None
    while waiting := _next_batch(feeds, batch):
        for (feed, _), detections in zip(waiting, detector([frame for _, frame in waiting]), strict=True):
            feed.add(detections)
        progress(sum(feed.frame_count for feed in feeds), total)
    return [feed.finish() for feed in feeds]


def _next_batch(feeds: Sequence[_Feed], batch: int) -> list[tuple[_Feed, Frame]]:
    """Up to ``batch`` frames, one from each video in turn."""
    waiting: list[tuple[_Feed, Frame]] = []
    open_feeds = list(feeds)
    while open_feeds and len(waiting) < batch:
        for feed in list(open_feeds):
            if len(waiting) == batch:
                break
            frame = feed.next()
            if frame is None:
                open_feeds.remove(feed)
            else:
                waiting.append((feed, frame))
    return waiting


class _Summary:
    """What is known of a camera's detections without reading them again; it grows frame by frame."""

    def __init__(
        self, frames: int = 0, detections: int = 0, scored: int = 0, extent_wh: Sequence[int] = (1, 1)
    ) -> None:
        self.frames, self.detections, self.scored = frames, detections, scored
        self.extent_wh = np.array(extent_wh, np.int64)

    def add(self, detections: Detections) -> None:
        self.frames += 1
        self.detections += len(detections)
        self.scored += int((detections.score > 0).sum())
        if len(detections):
            farthest = np.ceil(detections.xyxy[:, 2:].max(axis=0)).astype(np.int64)
            self.extent_wh = np.maximum(self.extent_wh, farthest)

    def of(self, problem: str, read: Callable[[], Iterator[IndexedDetections]]) -> VideoDetections:
        width, height = self.extent_wh.tolist()
        return VideoDetections(self.frames, self.detections, self.scored, (width, height), problem, read)

    def pack(self, problem: str, part_starts: Sequence[int]) -> dict[str, Array]:
        return {
            "counts": np.array([self.frames, self.detections, self.scored], np.int64),
            "extent_wh": self.extent_wh,
            "problem": np.array(problem),
            "part_start": np.array(part_starts, np.int64),
        }


class _Feed:
    """One camera's frames on their way in and its detections on their way to disk."""

    def __init__(self, source: FrameSource, key: str, cache: StageCache, batch: int, *, resume: bool) -> None:
        self.source, self.key, self.cache = source, key, cache
        # Whole batches per part: a resumed run forms the same batches, hence the same bits.
        self.part_length = batch * max(1, _PART // batch)
        self.summary = _Summary()
        self.part_starts: list[int] = []
        self.pending: list[Detections] = []
        self.problem = ""
        self.frames: Iterator[Frame] | None = None
        if resume and key:
            self._skip_saved_parts()

    @property
    def frame_count(self) -> int:
        return self.summary.frames

    def next(self) -> Frame | None:
        if self.problem:
            return None
        if self.frames is None:
            self.frames = self.source.frames(start=self.frame_count)
        try:
            return next(self.frames, None)
        except VideoError as error:
            self.problem = str(error)
            return None

    def add(self, detections: Detections) -> None:
        self.summary.add(detections)
        self.pending.append(detections)
        if self.key and len(self.pending) == self.part_length:
            self._save_part()

    def finish(self) -> VideoDetections:
        if not self.key:
            kept = list(enumerate(self.pending))
            return self.summary.of(self.problem, lambda: iter(kept))
        if self.pending:
            self._save_part()
        name = self.source.name
        self.cache.save("detect", name, self.key, self.summary.pack(self.problem, self.part_starts))
        names = [_part_name(name, start) for start in self.part_starts]
        return self.summary.of(self.problem, lambda: _read_parts(self.cache, names, self.key))

    def _save_part(self) -> None:
        start = self.frame_count - len(self.pending)
        part = pack_detections(self.pending)
        self.cache.save("detect", _part_name(self.source.name, start), self.key, part)
        self.part_starts.append(start)
        self.pending = []

    def _skip_saved_parts(self) -> None:
        """Take over the whole parts of a killed run, one after the other, as far as they go."""
        while part := self.cache.load("detect", _part_name(self.source.name, self.frame_count), self.key):
            frames = unpack_detections(part)
            if len(frames) < self.part_length:  # the end of a video: its last batch has to be formed again
                return
            self.part_starts.append(self.frame_count)
            for detections in frames:
                self.summary.add(detections)


def _part_name(camera_id: str, start: int) -> str:
    return f"{camera_id}.from{start:07d}"


def _read_parts(cache: StageCache, names: Sequence[str], key: str) -> Iterator[IndexedDetections]:
    index = 0
    for name in names:
        part = cache.load("detect", name, key)
        if part is None:
            path = cache.path("detect", name, key)
            path.unlink(missing_ok=True)  # so that the next run finds it gone and makes it again
            raise MtmcError(
                "expected detections that an earlier run has saved, got a damaged file",
                path=path,
                remedy="run again: they are made again",
            )
        for detections in unpack_detections(part):
            yield index, detections
            index += 1
