"""The optimizer of a training: groups of parameters with their rates and decay, and one update."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reid.errors import ConfigError
from reid.methods.base import BaseMethod
from reid.networks.layers import layers_of, undecayed
from reid.training.schedule import Schedule, full_rate, rate

__all__ = ["make_optimizer", "restore_optimizer", "set_learning_rates", "update"]


def make_optimizer(method: BaseMethod, schedule: Schedule) -> torch.optim.Optimizer:
    """The optimizer of a schedule.

    Raises:
        ConfigError: It cannot run in one kernel here, and the schedule asks for that.
    """
    groups = _groups(method, schedule)
    choices: dict[str, Any] = {"weight_decay": schedule.weight_decay}
    if schedule.fused:
        choices["fused"] = True
    if schedule.optimizer == "sgd":
        choices |= {"momentum": 0.9, "nesterov": schedule.nesterov}
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[schedule.optimizer]
    try:
        return kind(groups, **choices)
    except RuntimeError as cause:
        if not schedule.fused:
            raise
        device = next(method.parameters()).device.type
        raise ConfigError(
            f"schedule.fused: torch has no {schedule.optimizer} in one kernel for {device}",
            remedy="set schedule.fused to false",
        ) from cause


def _groups(method: BaseMethod, schedule: Schedule) -> list[dict[str, Any]]:
    """The trained parameters by learning rate and decay, in the order of their first parameters.

    The rate of the backbone's layer l of L is ``layer_decay^(L − l)`` of the full one, of all else ``new_layers``.
    """
    layers = layers_of(method.backbone) if schedule.layer_decay < 1 else [list(method.backbone.parameters())]
    depth = {parameter: len(layers) - number for number, layer in enumerate(layers, start=1) for parameter in layer}
    without_decay = set() if schedule.decay_all else undecayed(method, method.backbone)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in method.parameters():
        if parameter.requires_grad:
            is_new = parameter not in depth
            scale = schedule.new_layers if is_new else schedule.layer_decay ** depth[parameter]
            groups.setdefault((scale, parameter not in without_decay), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": schedule.learning_rate * scale,
            "lr_scale": scale,
            "weight_decay": schedule.weight_decay if decayed else 0.0,
        }
        for (scale, decayed), parameters in groups.items()
    ]


def set_learning_rates(
    optimizer: torch.optim.Optimizer, schedule: Schedule, epoch: int, iteration: int, *, processes: int = 1
) -> float:
    """Give every group of parameters its rate, ``full_rate · lr_scale · rate(epoch)``.

    Returns:
        The rate of the backbone's last layer.
    """
    learning_rate = full_rate(schedule, processes) * rate(schedule, epoch, iteration)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["lr_scale"]
    return learning_rate


def update(optimizer: torch.optim.Optimizer, scaler: Any, clip_norm: float | None) -> dict[str, Tensor]:
    """One step along the gradients, ``g · min(1, clip_norm / ‖g‖)`` where there is a limit; the norm for the log."""
    logs = {}
    if clip_norm is not None:
        scaler.unscale_(optimizer)
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        logs["gradient_norm"] = nn.utils.clip_grad_norm_(trained, clip_norm)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
    return logs


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state, its tensors laid out in memory as their parameters are: one kernel for all demands that."""
    optimizer.load_state_dict(state)
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
