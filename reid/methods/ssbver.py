"""SSBVER: a re-identification network that also predicts its own moving average (Khorramshahi et al., 2023).

The student sees two large and several small crops of an image, its exponential moving average, the teacher, only the
large ones. Besides learning identities, the student learns to predict, from every crop, the teacher's output for
another crop of the same image. Only the teacher is deployed, so nothing is added when testing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from reid.data.loader import Batch
from reid.data.views import RECIPES
from reid.errors import ConfigError
from reid.losses.distillation import distillation, distillation_rmse, moved_center
from reid.methods.base import (
    BaseMethod,
    Logs,
    MethodContext,
    TrainingData,
    TripletOn,
    embedding_spread,
    resize_recipe,
    total,
    triplet_on,
)
from reid.methods.objectives import ObjectiveConfig, identity_loss, pair_loss
from reid.networks.base import Backbone, Family
from reid.networks.heads import BNNeck, DinoHead, Embedder
from reid.settings import Condition, UsedWhen
from reid.training import distributed
from reid.training.schedule import Schedule

__all__ = ["Config", "Method", "move_average", "teacher_temperature"]


class Config(ObjectiveConfig):
    """Choices of SSBVER. The paper's baseline: weight 0, the same moving average without anything to predict."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        **ObjectiveConfig.used_when,
        **dict.fromkeys(
            ("local_views", "local_size_hw", "objective", "outputs", "hidden", "center_momentum"),
            UsedWhen("options.weight", ">", 0),
        ),
        **dict.fromkeys(
            ("classifier", "pair_loss", "triplet_on", "smoothing"), UsedWhen("options.identities", "=", True)
        ),
        **dict.fromkeys(
            ("student_temperature", "teacher_temperatures", "temperature_epochs"),
            (UsedWhen("options.weight", ">", 0), UsedWhen("options.objective", "=", "cross_entropy")),
        ),
    }

    schedules: ClassVar[dict[Family, Schedule]] = {
        "cnn": Schedule(
            epochs=120,
            batch=128,
            learning_rate=5e-4,
            weight_decay=1e-3,
            warm_up_epochs=10,
            milestones=(40, 70, 100),
        ),
        "transformer": Schedule(
            epochs=120,
            batch=128,
            optimizer="adamw",
            learning_rate=1e-4,
            weight_decay=1e-4,
            warm_up_epochs=10,
            decay="cosine",
            cosine_end=0.16,
        ),
    }

    identities: bool = Field(
        True,
        description="learn from identities too; false: by the self-supervised loss alone, from unlabeled pictures",
    )
    recipe: Literal["ssbver", "video", "street"] = Field(
        "ssbver", description="how the large crops are changed: ssbver as published, others as the baseline"
    )
    local_views: int = Field(4, ge=0, description="small crops per image, L")
    local_size_hw: tuple[int, int] = Field((112, 112), description="height and width of the small crops, px")
    weight: float = Field(
        0.005, ge=0, description="λ_s of the self-supervised loss; 0 leaves out its head and the small crops"
    )
    objective: Literal["cross_entropy", "rmse"] = Field("cross_entropy", description="rmse is the paper's ablation")
    outputs: int = Field(1024, ge=2, description="E of the self-supervised head; 16384 beyond VeRi-776")
    hidden: int = Field(2048, ge=2, description="channels of that head's hidden layers")
    smoothing: float = Field(0.2, ge=0, lt=1, description="label smoothing ε")
    margin: float | None = Field(None, gt=0, description="of the triplets; null for the soft margin, as published")
    triplet_on: TripletOn = triplet_on()
    student_temperature: float = Field(0.1, gt=0, description="τ_s")
    teacher_temperatures: tuple[float, float] = Field((0.0005, 0.001), description="τ_t at first and finally")
    temperature_epochs: int = Field(10, ge=1, description="epochs in which τ_t rises")
    center_momentum: float = Field(0.9, ge=0, le=1, description="of the teacher's mean logit")
    average_momentum: float = Field(0.9995, ge=0, le=1, description="share of the teacher kept at each update")
    drop_path: float = Field(0.1, ge=0, lt=1, description="stochastic depth of a transformer student")
    stem_relu: bool = Field(True, description="false as the published plain ResNet-50")


class Method(BaseMethod):
    """A student that is trained and a teacher that follows it."""

    center: Tensor

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        config: Config = context.config
        self.config = config
        if not (config.identities or config.weight):
            raise ConfigError(
                "identities: without them only the self-supervised loss is learned from, and its weight is 0",
                remedy="set weight above 0, or identities to true",
            )
        names = ("ssbver_first", "ssbver_second") if config.recipe == "ssbver" else (config.recipe, config.recipe)
        large = tuple(resize_recipe(RECIPES[name], config.size_hw) for name in names)
        local_views = config.local_views if config.weight else 0
        self.views = large + local_views * (resize_recipe(RECIPES["ssbver_local"], config.local_size_hw),)
        self.test_view = replace(resize_recipe(RECIPES["test"], config.size_hw), interpolation="cubic")
        sizes = [config.size_hw] + ([config.local_size_hw] if local_views else [])
        build = {"sizes": sizes, "last_stride": config.last_stride, "stem_relu": config.stem_relu}
        self.student = _Network(context.network(drop_path=config.drop_path, **build), context.classes, config)
        if not config.identities:
            self.student.head.requires_grad_(False)  # of it the running statistics alone are used
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        for layer in self.teacher.modules():
            if hasattr(layer, "drop_prob"):
                layer.drop_prob = 0.0
        self.register_buffer("center", torch.zeros(config.outputs))
        self.temperature = config.teacher_temperatures[0]
        self._teacher_mean: Tensor | None = None

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        """The student's."""
        return self.student.backbone

    @property
    def embedder(self) -> nn.Module:
        """The teacher, without its self-supervised head."""
        return Embedder(self.teacher.backbone, self.teacher.head.norm)

    def prepare(self, context: MethodContext) -> TrainingData:
        """Without identities every picture is a class of its own."""
        data = context.training_data
        return data if self.config.identities else TrainingData(data.records, np.arange(len(data.records)))

    def epoch_start(self, epoch: int, context: MethodContext) -> None:
        """Set the teacher's temperature."""
        self.temperature = teacher_temperature(self.config, epoch)

    def step(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Identity losses on the two large crops, distillation over all crops. B images, V crops, E outputs."""
        size = len(batch.label)
        large = torch.cat(batch.views[:2])  # (2B, 3, h, w), crop-major like everything below
        label = batch.label.repeat(2)
        x = self.student.backbone(large)
        small = [self.student.backbone(torch.cat(batch.views[2:]))] if len(batch.views) > 2 else []
        with torch.no_grad():
            t = self.teacher.backbone(large)
            self.teacher.head.norm(t)  # what is deployed keeps its own running statistics
        behind = self.student.head.norm(x)
        config, classify = self.config, self.student.head.classifier
        parts: Logs = {}
        if config.identities:
            parts["identity"] = identity_loss(config, classify, behind, label, config.smoothing)
            parts[config.pair_loss] = pair_loss(config, x, behind, label, on=config.triplet_on, margin=config.margin)
        if config.weight:
            student = self.student.ssl(torch.cat([x, *small])).view(-1, size, config.outputs)  # (V, B, E)
            with torch.no_grad():
                teacher = self.teacher.ssl(t).view(2, size, config.outputs)
            self._teacher_mean = teacher.flatten(0, 1).mean(0)
            parts["distillation"] = config.weight * self._distillation(student, teacher)
        loss, logs = total(parts)
        return loss, {**logs, "spread": embedding_spread(x)}

    def after_update(self) -> None:
        """Let the teacher follow the student."""
        move_average(self.teacher, self.student, self.config.average_momentum)

    def after_step(self, batch: Batch) -> None:
        """Let the center follow the mean of all processes' crops."""
        if self._teacher_mean is not None:
            mean = distributed.average(self._teacher_mean)
            self.center.copy_(moved_center(self.center, mean, self.config.center_momentum))

    def _distillation(self, student: Tensor, teacher: Tensor) -> Tensor:
        if self.config.objective == "rmse":
            return distillation_rmse(student, teacher)
        return distillation(
            student,
            teacher,
            self.center,
            student_temperature=self.config.student_temperature,
            teacher_temperature=self.temperature,
        )


class _Network(nn.Module):  # type: ignore[misc]
    """Backbone with one or both heads: what student and teacher have in common."""

    def __init__(self, backbone: Backbone, classes: int, config: Config) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = BNNeck(backbone.dim, classes)
        head = DinoHead(backbone.dim, config.outputs, config.hidden) if config.weight else nn.Identity()
        self.ssl: nn.Module = head


def teacher_temperature(config: Config, epoch: int) -> float:
    """τ_t: linear over the first epochs, then constant."""
    first, last = config.teacher_temperatures
    done = min(1.0, epoch / max(1, config.temperature_epochs - 1))
    return first + (last - first) * done


def move_average(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """``teacher ← momentum · teacher + (1 - momentum) · student``, running statistics included; counters are copied.

    The teacher computes its own running statistics as well, in its own passes; those move less than this replaces.
    """
    of_student = student.state_dict()
    pairs = [(t, of_student[name]) for name, t in teacher.state_dict().items()]
    floats = [(t, s) for t, s in pairs if t.is_floating_point()]
    with torch.no_grad():
        torch._foreach_lerp_([t for t, _ in floats], [s for _, s in floats], 1 - momentum)
        for t, s in pairs:
            if not t.is_floating_point():
                t.copy_(s)
