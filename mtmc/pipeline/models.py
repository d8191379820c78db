"""The models of a run, loaded once per process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from mtmc.config import RunConfig
from mtmc.detect import DetectConfig, Detector, SupportsBackgroundFit, check_detector, load_detector
from mtmc.embed import (
    AttributeNetwork,
    EmbedConfig,
    Embedder,
    check_embedders,
    load_attributes,
    load_embedder,
    with_appearance,
)
from mtmc.errors import VideoError
from mtmc.pipeline.cache import file_sha256
from mtmc.scene import Scene
from mtmc.types import Frame
from mtmc.video.source import Recording
from mtmc.zoo import ModelsConfig, ModelSummary, Task, choose, describe, model_file

__all__ = [
    "embedder_hash",
    "make_detector",
    "make_embedder",
    "models_in_use",
    "weights_hash",
    "with_chosen_models",
    "with_model_files",
]

#: How much of a video, and how many of its frames, a background is fitted to.
_BACKGROUND_S, _BACKGROUND_FRAMES = 300.0, 64

_MODELS: dict[str, Any] = {}


def make_detector(config: RunConfig, threads: int, recordings: Sequence[Recording] = ()) -> Detector:
    """The run's detector, which embeds every detection where the configuration says so.

    A background model is first fitted to the first minutes of each of the recordings that are to come.
    """
    detector = _detector(config.detect, threads)
    if isinstance(detector, SupportsBackgroundFit):
        for recording in recordings:
            with suppress(VideoError):  # it comes again, and is reported, when the frames are read
                detector.fit_background(recording.name, _sampled_frames(recording))
    if config.embed.per_detection:
        return with_appearance(detector, make_embedder(config.embed, threads), config.embed)
    return detector


def _sampled_frames(recording: Recording) -> Iterator[Frame]:
    stop = int(_BACKGROUND_S * recording.clock.fps)
    stop = min(stop, recording.length or stop)
    wanted = range(0, stop, max(1, stop // _BACKGROUND_FRAMES))
    # Its size and number of frames are checked when all frames are read.
    unchecked = replace(recording, frame_count=None, size_wh=None)
    yield from islice(unchecked.frames(wanted=wanted), len(wanted))


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


def make_attributes(config: EmbedConfig, threads: int) -> AttributeNetwork | None:
    """The run's attribute network, loaded once per process; None where the configuration asks for none."""
    name = f"attributes {threads} {config.attributes} {config.runtime}"
    if name not in _MODELS:
        _MODELS[name] = load_attributes(config, threads)
    return cast("AttributeNetwork | None", _MODELS[name])


def with_chosen_models(scene: Scene, config: RunConfig) -> RunConfig:
    """The configuration with ``auto`` replaced by the name of a model, where the scene's cameras need one.

    A scene without videos needs neither detector nor embedder: its settings stay as they are, and nothing is
    downloaded.

    Raises:
        ConfigError: A setting names no model, or one embedder twice.
    """
    if _detects(scene, config):
        check_detector(config.detect)
    if _has_videos(scene):
        check_embedders(config.embed)
    chosen = _with_weights(scene, config, choose)
    if _has_videos(scene):
        check_embedders(chosen.embed)  # again: auto can stand for an embedder that is also named
    return chosen


def with_model_files(scene: Scene, config: RunConfig) -> RunConfig:
    """The configuration with names of models replaced by their files, where the scene's cameras need them.

    Raises:
        WeightsError: A model is not at hand and cannot be downloaded.
    """
    return _with_weights(scene, config, model_file)


def _with_weights(scene: Scene, config: RunConfig, name_of: Callable[[str, Task, ModelsConfig], str]) -> RunConfig:
    detect, embed = config.detect, config.embed
    if _detects(scene, config):
        detect = detect.model_copy(update={"weights": name_of(detect.weights, "detector", config.models)})
    if _has_videos(scene):
        files = {
            "weights": _each(embed.weights, lambda name: name_of(name, "embedder", config.models)),
            "attributes": name_of(embed.attributes, "attributes", config.models),
        }
        embed = embed.model_copy(update=files)
    return config.model_copy(update={"detect": detect, "embed": embed})


def models_in_use(scene: Scene, config: RunConfig) -> dict[str, ModelSummary]:
    """What a run of the scene uses as ``detector`` and as ``embedder``."""
    models = _tasks_in_use(scene, config)
    if _has_videos(scene) and config.embed.attributes != "none":
        models["attributes"] = describe(config.embed.attributes, "attributes")
    return models


def _tasks_in_use(scene: Scene, config: RunConfig) -> dict[str, ModelSummary]:
    given, without = ModelSummary("given files", ""), ModelSummary("none: no video to embed", "")
    return {
        "detector": describe(config.detect.weights, "detector") if _detects(scene, config) else given,
        "embedder": _describe_embedders(config.embed) if _has_videos(scene) else without,
    }


def _describe_embedders(config: EmbedConfig) -> ModelSummary:
    """What to say of one embedder, or of several as one."""
    found = [describe(name, "embedder") for name in config.names]
    if len(found) == 1:
        return found[0]
    return ModelSummary(
        " + ".join(model.name for model in found),
        ", ".join(dict.fromkeys(model.source for model in found if model.source)),
        ", ".join(dict.fromkeys(model.license for model in found if model.license)),
        sum(model.size_bytes for model in found),
    )


def _each(weights: str | tuple[str, ...], change: Callable[[str], str]) -> str | tuple[str, ...]:
    return change(weights) if isinstance(weights, str) else tuple(map(change, weights))


def _detects(scene: Scene, config: RunConfig) -> bool:
    """Whether the vehicles of some camera come from its video."""
    return config.input.source in ("auto", "video") and _has_videos(scene)


def _has_videos(scene: Scene) -> bool:
    return any(camera.video is not None for camera in scene.cameras)


def embedder_hash(config: EmbedConfig) -> str:
    """What the embedders of a configuration stand for; see :func:`weights_hash`."""
    return " ".join(weights_hash(name, "embedder", config.card) for name in config.names)


def weights_hash(weights: str, task: Task, card: Path | None = None) -> str:
    """What a model's name stands for: the bytes of its files and of its card, else the name itself.

    >>> weights_hash("motion", "detector")
    'motion'
    """
    weights = model_file(weights, task)
    name, _, file = weights.partition(":")  # torchvision's NAME:FILE
    path = Path(file) if file and not Path(weights).exists() else Path(weights)
    parts = [name if file else "", file_sha256(path) or weights, file_sha256(card or path.with_suffix(".json"))]
    if path.suffix == ".xml":  # OpenVINO keeps the numbers in a second file
        parts.append(file_sha256(path.with_suffix(".bin")))
    return "".join(parts)
