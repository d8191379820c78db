"""A whole training as one configuration: method, network, data, schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializeAsAny

from reid.data import DatasetSplit, load_dataset
from reid.errors import ConfigError
from reid.methods import METHODS
from reid.methods.base import BaseConfig
from reid.networks import family_of
from reid.schedule import Schedule
from reid.settings import Settings, override, parse_settings, read_yaml

__all__ = ["DataConfig", "TrainConfig", "load_config", "load_split", "make_config"]


class DataConfig(Settings):
    """The data set."""

    name: str = Field(..., description="key of reid.data.DATASETS")
    root: Path = Field(..., description="folder it lies in")
    options: dict[str, Any] = Field(default_factory=dict, description="what else its loader takes")


class TrainConfig(Settings):
    """A training. Made by :func:`make_config`, which fills in what the method recommends for the backbone."""

    method: str = Field(..., description="key of reid.methods.METHODS")
    backbone: str = Field(..., description="a name that reid.networks.build knows")
    pretrained: bool = Field(True, description="start from published ImageNet weights")
    weights: Path | None = Field(None, description="local file to start from instead")
    data: DataConfig
    options: SerializeAsAny[BaseConfig] = Field(..., description="the method's own choices")
    schedule: Schedule
    output: Path = Field(..., description="folder for checkpoint and log")
    seed: int = Field(0, ge=0, description="root of all randomness")
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto takes the best there is")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="of the networks, never of losses; auto is bf16 where the device is a GPU that has it"
    )
    workers: int = Field(4, ge=0, description="processes that read images; 0 reads in the training process")
    save_every: int = Field(1, ge=1, description="epochs between checkpoints")
    check_every: int = Field(50, ge=1, description="steps between looks at the loss; each waits for the device")
    tensorboard: bool = Field(False, description="also log for TensorBoard")


def make_config(data: Mapping[str, Any], *, path: Path | None = None) -> TrainConfig:
    """A configuration from nested mappings; the method's schedule for the backbone's family stands behind them.

    Raises:
        ConfigError: A key is unknown or missing, or a value impossible.
    """
    name, backbone = data.get("method"), data.get("backbone")
    if name not in METHODS:
        raise ConfigError(f"method: expected one of {', '.join(METHODS)}, got {name!r}", path=path)
    if not isinstance(backbone, str):
        raise ConfigError(f"backbone: expected a name such as resnet50, got {backbone!r}", path=path)
    config = METHODS[name].config
    options = parse_settings(config, data.get("options") or {}, prefix="options", path=path)
    recommended = config.schedules[family_of(backbone)].model_dump()
    schedule = parse_settings(Schedule, {**recommended, **(data.get("schedule") or {})}, prefix="schedule", path=path)
    return parse_settings(TrainConfig, {**data, "options": options, "schedule": schedule}, path=path)


def load_config(path: Path, assignments: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration from YAML and apply ``key.inner=value`` assignments.

    Raises:
        ConfigError: The file or an assignment is no good.
    """
    return make_config(override(read_yaml(path), assignments), path=path)


def load_split(data: DataConfig) -> DatasetSplit:
    """Read the data set that a configuration names.

    Raises:
        ConfigError: There is no such data set, or its loader has no such option.
        DataError: The data set is missing or incomplete.
    """
    return load_dataset(data.name, data.root, **data.options)
