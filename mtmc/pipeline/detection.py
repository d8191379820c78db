"""Running a detector over videos: batches within and across cameras, saved in parts so that little is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from mtmc.detect import Detector
from mtmc.errors import VideoError
from mtmc.pipeline.cache import StageCache
from mtmc.pipeline.serialize import pack_detections, unpack_detections
from mtmc.progress import Progress
from mtmc.scene import Camera
from mtmc.types import Array, Detections, Frame
from mtmc.video.read import probe, read_frames

__all__ = ["VideoDetections", "detect_videos", "load_detections"]

#: Frames per part. What a killed run loses is at most one part per camera.
_PART = 256


@dataclass(frozen=True, slots=True)
class VideoDetections:
    """What a detector found in one camera.

    Attributes:
        frames: Detections of every frame that could be read, from frame 0 on.
        indices: Index of each of these frames where some are skipped; None where they are 0, 1, 2, ….
        problem: Why the video could not be read to its end, as a sentence; "" if it could.
    """

    frames: list[Detections]
    problem: str = ""
    indices: list[int] | None = None


def load_detections(cache: StageCache, camera: Camera, key: str) -> VideoDetections | None:
    """The finished detections of an earlier run, if there are any."""
    arrays = cache.load("detect", camera.id, key)
    return None if arrays is None else _unpack(arrays)


def detect_videos(
    cameras: Sequence[Camera],
    keys: Sequence[str],
    detector: Detector,
    batch: int,
    cache: StageCache,
    progress: Progress,
) -> list[VideoDetections]:
    """Detect in all frames of some cameras, taking turns between them to fill every batch.

    Args:
        cameras: Cameras with a video.
        keys: Their cache keys.
        detector: One for all of them.
        batch: Frames per call.
        cache: Where results and parts of results are kept.
        progress: Told the number of frames done, over all cameras.

    Returns:
        One result per camera. A broken video has a problem, and what came before the trouble.
    """
    resume = not detector.stateful
    feeds = [_Feed(camera, key, cache, batch, resume=resume) for camera, key in zip(cameras, keys, strict=True)]
    totals = [_length(camera) for camera in cameras]
    total = sum(n for n in totals if n) if all(totals) else None
    while waiting := _next_batch(feeds, batch):
        for (feed, _), detections in zip(waiting, detector([frame for _, frame in waiting]), strict=True):
            feed.add(detections)
        progress(sum(len(feed.found) for feed in feeds), total)
    return [feed.finish() for feed in feeds]


def _length(camera: Camera) -> int | None:
    """How many frames to expect, as far as the scene or the video's header says."""
    if camera.frame_count is None and camera.video is not None:
        with suppress(VideoError):
            return probe(camera.video).frames
    return camera.frame_count


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


class _Feed:
    """One camera's frames on their way in and its detections on their way to disk."""

    def __init__(self, camera: Camera, key: str, cache: StageCache, batch: int, *, resume: bool) -> None:
        self.camera, self.key, self.cache, self.resume = camera, key, cache, resume
        # Whole batches per part: a resumed run forms the same batches, hence the same bits.
        self.part_length = batch * max(1, _PART // batch)
        self.found: list[Detections] = self._saved_parts() if resume else []
        self.saved = len(self.found)
        self.problem = ""
        self.frames: Iterator[Frame] | None = None

    def next(self) -> Frame | None:
        if self.problem:
            return None
        if self.frames is None:
            self.frames = self._open()
        try:
            return next(self.frames, None)
        except VideoError as error:
            self.problem = str(error)
            return None

    def _open(self) -> Iterator[Frame]:
        camera = self.camera
        if camera.video is None:
            raise ValueError(f"camera {camera.id} has no video to detect in")
        return read_frames(
            camera.video,
            camera.id,
            camera.clock,
            start=len(self.found),
            expected=camera.frame_count,
            size_wh=camera.size_wh,
        )

    def add(self, detections: Detections) -> None:
        self.found.append(detections)
        if self.resume and len(self.found) - self.saved == self.part_length:
            part = pack_detections(self.found[self.saved :])
            self.cache.save("detect", self._part_name(self.saved), self.key, part)
            self.saved = len(self.found)

    def finish(self) -> VideoDetections:
        found = VideoDetections(self.found, self.problem)
        self.cache.save("detect", self.camera.id, self.key, _pack(found))
        for start in range(0, self.saved, self.part_length):
            self.cache.path("detect", self._part_name(start), self.key).unlink(missing_ok=True)
        return found

    def _part_name(self, start: int) -> str:
        return f"{self.camera.id}.from{start:07d}"

    def _saved_parts(self) -> list[Detections]:
        found: list[Detections] = []
        while part := self.cache.load("detect", self._part_name(len(found)), self.key):
            found += unpack_detections(part)
        return found


def _pack(found: VideoDetections) -> dict[str, Array]:
    return {**pack_detections(found.frames), "problem": np.array(found.problem)}


def _unpack(arrays: dict[str, Array]) -> VideoDetections:
    return VideoDetections(unpack_detections(arrays), str(arrays["problem"]))
