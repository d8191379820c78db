"""The models of a run, loaded once per process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, cast

from mtmc.config import RunConfig
from mtmc.detect import DetectConfig, Detector, SupportsBackgroundFit, load_detector
from mtmc.embed import EmbedConfig, Embedder, load_embedder, with_appearance
from mtmc.errors import VideoError
from mtmc.pipeline.cache import file_sha256
from mtmc.scene import Camera
from mtmc.types import Frame
from mtmc.video.read import probe, read_frames

__all__ = ["make_detector", "make_embedder", "weights_hash"]

#: How much of a video, and how many of its frames, a detector learns the empty street from.
_STREET_S, _STREET_FRAMES = 300.0, 64

_MODELS: dict[str, Any] = {}


def make_detector(config: RunConfig, threads: int, camera: Camera | None = None) -> Detector:
    """The run's detector, describing every box at once where the configuration says so.

    A detector that learns the empty street first looks at ``camera``'s first minutes.
    """
    detector = _detector(config.detect, threads)
    if isinstance(detector, SupportsBackgroundFit) and camera is not None:
        with suppress(VideoError):  # which will be met again, and reported, when its frames are read
            detector.fit_background(camera.id, _sampled_frames(camera))
    if config.embed.per_detection:
        return with_appearance(detector, make_embedder(config.embed, threads), config.embed)
    return detector


def _sampled_frames(camera: Camera) -> Iterator[Frame]:
    if camera.video is None:
        return
    stop = int(_STREET_S * camera.clock.fps)
    stop = min(stop, camera.frame_count or probe(camera.video).frames or stop)
    wanted = range(0, stop, max(1, stop // _STREET_FRAMES))
    yield from islice(read_frames(camera.video, camera.id, camera.clock, wanted=wanted), len(wanted))


def _detector(config: DetectConfig, threads: int) -> Detector:
    """A detector, loaded once per process unless it remembers what it saw."""
    name = f"detect {threads} {config.model_dump_json()}"
    if name not in _MODELS:
        detector = load_detector(config, threads)
        if detector.stateful:
            return detector
        _MODELS[name] = detector
    return cast(Detector, _MODELS[name])


def make_embedder(config: EmbedConfig, threads: int) -> Embedder | None:
    """The run's embedder, loaded once per process; None where the configuration asks for none."""
    name = f"embed {threads} {config.model_dump_json()}"
    if name not in _MODELS:
        _MODELS[name] = load_embedder(config, threads)
    return cast("Embedder | None", _MODELS[name])


def weights_hash(weights: str, card: Path | None = None) -> str:
    """What a model's name stands for: the bytes of a file and of its card, else the name itself."""
    path = Path(weights)
    return (file_sha256(path) or weights) + file_sha256(card or path.with_suffix(".json"))
