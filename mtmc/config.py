"""The choices of a run: every stage's own settings, composed, and where they come from.

Later sources win: defaults ← ``overrides:`` of ``scene.yaml`` ← configuration files ← ``-o key=value``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import Field

from mtmc.associate import AssociateConfig
from mtmc.clean import CleanConfig
from mtmc.detect import DetectConfig
from mtmc.embed import EmbedConfig
from mtmc.errors import ConfigError
from mtmc.formats.mot import LARGEST
from mtmc.postprocess import PostprocessConfig
from mtmc.render.config import RenderConfig
from mtmc.scene import Scene
from mtmc.settings import Condition, Settings, UsedWhen, parse_settings, read_yaml, settings_without_effect
from mtmc.site.config import LearnConfig
from mtmc.track import TrackConfig
from mtmc.zoo import ModelsConfig

__all__ = ["InputConfig", "RunConfig", "find_config", "load_config", "warnings_of"]

#: Where configurations that can be given by name lie: in a checkout, and where a wheel installs them.
CONFIG_FOLDERS = (
    Path(__file__).resolve().parents[1] / "configs" / "run",
    Path(sys.prefix) / "share" / "mtmc" / "configs" / "run",
)


class InputConfig(Settings):
    """Where a camera's vehicles come from."""

    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        ("file", "frame_offset"), UsedWhen("input.source", "≠", "video")
    )

    source: Literal["auto", "video", "detections", "tracklets"] = Field(
        "auto",
        description="Source of a camera's vehicles. auto: the video where there is one, else the given detections, "
        "else the given tracklets.",
    )
    file: str = Field(
        "", description="Which of several detection or tracklet files is read: the first whose name contains this."
    )
    frame_offset: int = Field(
        0,
        ge=-LARGEST,
        le=LARGEST,
        description="Added to the frame numbers of detection and tracklet files, which count from 1; 1 reads files "
        "that count from 0.",
    )


class RunConfig(Settings):
    """All choices of a run. ``mtmc config`` prints them with their meaning."""

    renamed: ClassVar[Mapping[str, str]] = {
        "polish": "postprocess",
        "filter": "detect.filter",
        "seed": "leave it out: no stage of a run draws random numbers",
    }

    threads: int = Field(0, ge=0, description="Threads of each worker process; 0 shares the cores among the workers.")
    models: ModelsConfig = ModelsConfig()
    input: InputConfig = InputConfig()
    detect: DetectConfig = DetectConfig()
    track: TrackConfig = TrackConfig()
    clean: CleanConfig = CleanConfig()
    embed: EmbedConfig = EmbedConfig()
    learn: LearnConfig = LearnConfig()
    associate: AssociateConfig = AssociateConfig()
    postprocess: PostprocessConfig = PostprocessConfig()
    render: RenderConfig = RenderConfig()


def load_config(files: Sequence[Path] = (), overrides: Sequence[str] = (), scene: Scene | None = None) -> RunConfig:
    """Compose a run's configuration.

    Args:
        files: YAML files, later ones win; or names of those that come with the package, such as ``electricity``.
        overrides: ``dotted.key=value`` texts, values in YAML notation.
        scene: Whose ``overrides`` to start from.

    Raises:
        ConfigError: An unknown key (the nearest known one is named) or an impossible value, with file and line; faces
            to be blurred without people to be found.
    """
    merged: dict[str, Any] = {}
    if scene is not None and scene.overrides:
        _check_overrides(scene)
        merged = _merge(merged, scene.overrides)
    for path in map(find_config, files):
        file = read_yaml(path)
        parse_settings(RunConfig, file.data, file=file)
        merged = _merge(merged, file.data)
    for text in overrides:
        nested = _parse_override(text)
        try:
            parse_settings(RunConfig, nested)
        except ConfigError as cause:
            raise ConfigError(f"-o {text}: {cause}") from None
        merged = _merge(merged, nested)
    config = parse_settings(RunConfig, merged)
    _check_faces(config)
    return config


def _check_faces(config: RunConfig) -> None:
    """Faces are blurred in the boxes of people, so that people have to be looked for."""
    if "faces" in config.render.blur and "person" not in config.detect.classes:
        raise ConfigError(
            f"render.blur: faces: expected person among detect.classes, got {', '.join(config.detect.classes)}",
            remedy="add person to detect.classes, with a detector of persons, or leave faces out",
        )


def find_config(path: Path) -> Path:
    """The file of a configuration: the path itself, or the one of that name in the package's ``configs/run``."""
    if path.exists() or path.suffix or path.name != str(path):
        return path
    found = [folder / f"{path}.yaml" for folder in CONFIG_FOLDERS if (folder / f"{path}.yaml").is_file()]
    return found[0] if found else path


def warnings_of(config: RunConfig, files: Sequence[Path] = (), overrides: Sequence[str] = ()) -> list[str]:
    """A sentence for each key of the files and overrides that changes nothing under the composed configuration.

    The ``overrides:`` of a scene are not among them: they are written for its usual run, and another one may well
    have no use for some of them.
    """
    given: dict[str, Any] = {}
    for path in map(find_config, files):
        given = _merge(given, read_yaml(path).data)
    for text in overrides:
        given = _merge(given, _parse_override(text))
    return settings_without_effect(config, given)


def _check_overrides(scene: Scene) -> None:
    path = scene.root / "scene.yaml"
    file = read_yaml(path) if path.is_file() else None
    parse_settings(RunConfig, scene.overrides, file=file, prefix=("overrides",))


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _parse_override(text: str) -> dict[str, Any]:
    """``a.b=1`` → ``{"a": {"b": 1}}``.

    >>> _parse_override("detect.batch=4")
    {'detect': {'batch': 4}}
    """
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"-o {text}: expected dotted.key=value", remedy="for example -o detect.batch=4")
    try:
        nested: Any = yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError:
        nested = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return dict(nested)
