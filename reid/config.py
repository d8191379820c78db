"""A whole training as one configuration: method, network, data, schedule."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import Field, SerializeAsAny, field_validator, model_validator
from pydantic.fields import FieldInfo

from reid.data import DATASETS, DatasetSplit, load_dataset
from reid.methods import METHODS
from reid.methods.base import BaseConfig
from reid.networks import BACKBONES, TIMM_NAMES, family_of
from reid.settings import Settings, YamlFile, parse_settings, read_yaml, settings_without_effect
from reid.training.schedule import Schedule

__all__ = [
    "DataConfig",
    "SpeedConfig",
    "TrainConfig",
    "ValidationConfig",
    "commented_yaml",
    "load_config",
    "load_split",
    "make_config",
]

_LOG = logging.getLogger(__name__)


def _one_of(known: Collection[str], name: str) -> str:
    if name not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    return name


class DataConfig(Settings):
    """A data set."""

    name: str = Field(..., description="key of reid.data.DATASETS")
    root: Path = Field(..., description="folder it lies in")
    options: dict[str, Any] = Field(default_factory=dict, description="what else its loader takes")

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return _one_of(DATASETS, name)


class ValidationConfig(Settings):
    """What a training is scored on while it runs; the test parts of its own data sets if nothing is given."""

    held_out: float = Field(0.0, ge=0, lt=1, description="share of the training identities kept out of training")
    data: tuple[DataConfig, ...] = Field((), description="data sets whose test parts are used")


class SpeedConfig(Settings):
    """How the device computes; none of it changes what is learned but by rounding."""

    channels_last: bool = Field(False, description="images and convolutions with the channels last in memory")
    compile: bool = Field(False, description="compile the training step by torch.compile")
    cudnn_benchmark: bool = Field(
        False, description="let cuDNN time its algorithms; an interrupted training may then end in other bits"
    )


class TrainConfig(Settings):
    """A training. Made by :func:`make_config`, which fills in what the method recommends for the backbone."""

    method: str = Field(..., description="key of reid.methods.METHODS")
    backbone: str = Field(..., description="a name that reid.networks.build knows")
    pretrained: bool = Field(True, description="start from published ImageNet weights")
    weights: Path | None = Field(
        None,
        description="local file to start from instead, or weights of a package by name: "
        "imagenet-lite0, imagenet-lite1, imagenet-lite2, imagenet-mobilenetv2",
    )
    data: tuple[DataConfig, ...] = Field(..., min_length=1, description="one data set, or a list of several")
    options: SerializeAsAny[BaseConfig] = Field(..., description="the method's own choices")
    schedule: Schedule = Field(..., description="length, batches, optimizer and learning rate")
    evaluate_every: int = Field(
        0, ge=0, description="epochs between scores on validation data; the best network is kept too. 0 for none"
    )
    validation: ValidationConfig = Field(ValidationConfig(), description="what evaluate_every scores")
    speed: SpeedConfig = Field(SpeedConfig(), description="how the device computes")
    output: Path = Field(..., description="folder for checkpoint and log")
    seed: int = Field(0, ge=0, description="root of all randomness")
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps; auto takes the best there is")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="of the networks, never of losses; auto is bf16 where the device is a GPU that has it"
    )
    workers: int = Field(4, ge=0, description="processes that read images; 0 reads in the training process")
    save_every: int = Field(1, ge=1, description="epochs between checkpoints")
    check_every: int = Field(50, ge=1, description="steps between checks of the loss; each waits for the device")
    tensorboard: bool = Field(False, description="also log for TensorBoard")
    wandb: str | None = Field(None, description="project of Weights & Biases that is also logged to")

    @field_validator("data", mode="before")
    @classmethod
    def _may_be_one(cls, data: Any) -> Any:
        return (data,) if isinstance(data, (Mapping, DataConfig)) else data

    @model_validator(mode="after")
    def _validation_is_used(self) -> TrainConfig:
        if not self.evaluate_every and self.validation != ValidationConfig():
            raise ValueError("validation has no effect with evaluate_every 0; set evaluate_every to 1 or more")
        return self


def make_config(data: Mapping[str, Any], *, file: YamlFile | None = None) -> TrainConfig:
    """A configuration from nested mappings; the method's schedule for the backbone's family stands behind them.

    Args:
        data: The choices.
        file: Where they came from, for the file and line of a message.

    Raises:
        ConfigError: A key is unknown or missing, or a value impossible.
    """
    unknown = {key: value for key, value in data.items() if key not in TrainConfig.model_fields}
    if unknown:
        parse_settings(TrainConfig, unknown, file=file)
    choices = parse_settings(_Choices, {k: v for k, v in data.items() if k in _Choices.model_fields}, file=file)
    config = METHODS[choices.method].config
    options = parse_settings(config, choices.options, file=file, prefix=("options",), group="options")
    recommended = config.schedules[family_of(choices.backbone)].model_dump()
    schedule = parse_settings(
        Schedule, {**recommended, **choices.schedule}, file=file, prefix=("schedule",), group="schedule"
    )
    made = {"options": options, "schedule": schedule}
    if isinstance(data.get("data"), Mapping):  # parsed by itself, so that a mistake is named without a position
        made["data"] = parse_settings(DataConfig, data["data"], file=file, prefix=("data",), group="data")
    return parse_settings(TrainConfig, {**data, **made}, file=file)


class _Choices(Settings):
    """What must be known before the rest of a configuration can be read."""

    method: str
    backbone: str
    options: dict[str, Any] = Field(default_factory=dict)
    schedule: dict[str, Any] = Field(default_factory=dict)

    @field_validator("method")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return _one_of(METHODS, name)

    @field_validator("backbone")
    @classmethod
    def _can_be_built(cls, name: str) -> str:
        return name if name.startswith("timm:") else _one_of((*BACKBONES, *TIMM_NAMES, "timm:NAME"), name)

    @field_validator("options", "schedule", mode="before")
    @classmethod
    def _may_be_empty(cls, group: Any) -> Any:
        return {} if group is None else group


def load_config(path: Path, assignments: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration from YAML and apply ``key.inner=value`` assignments.

    A warning names each given key that changes nothing beside the other ones.

    Raises:
        ConfigError: The file or an assignment is no good.
    """
    file = read_yaml(path).override(assignments)
    config = make_config(file.data, file=file)
    given = {
        name: {key: value for key, value in (file.data.get(name) or {}).items() if not _is_default(group, key)}
        for name, group in (("options", config.options), ("schedule", config.schedule))
    }
    for sentence in settings_without_effect(config, given):
        _LOG.warning("%s: %s", path, sentence)
    return config


def _is_default(group: Settings, key: str) -> bool:
    """Whether a key has the value that it has where it is not given, as most have in a printed configuration."""
    return bool(getattr(group, key) == type(group).model_fields[key].default)


def load_split(data: DataConfig) -> DatasetSplit:
    """Read a data set that a configuration names.

    Raises:
        ConfigError: There is no such data set, or its loader has no such option.
        DataError: The data set is missing or incomplete.
    """
    return load_dataset(data.name, data.root, **data.options)


def commented_yaml(settings: Settings, indent: str = "") -> str:
    """A configuration as YAML with every key, its value and what it means; :func:`load_config` reads it back."""
    values = settings.model_dump(mode="json")
    lines = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        about = _about(field)
        if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], Settings):
            (value,) = value
        if isinstance(value, Settings):
            lines += ["", f"{indent}{name}:  # {about}", commented_yaml(value, f"{indent}  "), ""]
            continue
        entry = f"{indent}{name}: {_flow(values[name])}"
        fits = len(entry) + len(about) + len("  # ") <= _WIDTH
        lines += [f"{entry}  # {about}"] if fits else [f"{indent}# {about}", entry]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


_WIDTH = 118  # of a line of YAML with its comment


def _about(field: FieldInfo) -> str:
    """What a key means, and the words that it takes."""
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    listed = " | ".join(str(word) for word in words)
    return f"{field.description} ({listed})" if listed else str(field.description)


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix("...\n").strip()
    )
