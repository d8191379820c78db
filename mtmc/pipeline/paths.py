"""Absolute paths for worker processes, which may run in another folder or on another machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mtmc.config import RunConfig
from mtmc.scene import Camera, Scene

__all__ = ["with_absolute_paths", "with_absolute_weights"]


def with_absolute_paths(scene: Scene) -> Scene:
    """The same scene, all files of which are named from the root of the file system."""
    cameras = tuple(_absolute_camera(camera) for camera in scene.cameras)
    return replace(scene, root=scene.root.absolute(), cameras=cameras)


def with_absolute_weights(config: RunConfig) -> RunConfig:
    """The same choices, the models' files named from the root; names that are no files stay as they are."""
    detect = config.detect.model_copy(update={"weights": _absolute_weights(config.detect.weights)})
    card = config.embed.card
    embed = config.embed.model_copy(
        update={
            "weights": _each_absolute(config.embed.weights),
            "attributes": _absolute_weights(config.embed.attributes),
            "card": None if card is None else card.absolute(),
        }
    )
    return config.model_copy(update={"detect": detect, "embed": embed})


def _absolute_camera(camera: Camera) -> Camera:
    return replace(
        camera,
        video=_absolute(camera.video),
        roi=_absolute(camera.roi),
        ground_truth=_absolute(camera.ground_truth),
        detections=tuple(path.absolute() for path in camera.detections),
        tracklets=tuple(path.absolute() for path in camera.tracklets),
    )


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _each_absolute(weights: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(weights, str):
        return _absolute_weights(weights)
    return tuple(_absolute_weights(name) for name in weights)


def _absolute_weights(weights: str) -> str:
    if Path(weights).exists():
        return str(Path(weights).absolute())
    name, colon, file = weights.partition(":")  # torchvision's NAME:FILE
    return f"{name}:{Path(file).absolute()}" if colon and Path(file).exists() else weights
