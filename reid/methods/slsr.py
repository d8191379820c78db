"""SLSR: generated images, labeled with the identities of the cluster they imitate (Ainam et al., 2019).

Stages, each kept on disk: a classifier's features of the labeled images; k-means of these; one generative network
per cluster; generated images. A generated image counts as a little of every identity that has an image in its
cluster, and is learned from together with the real ones.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from reid.data.augment import resize
from reid.data.images import read_image
from reid.data.loader import Batch
from reid.data.records import Record
from reid.data.views import RECIPES
from reid.losses.identity import soft_cross_entropy
from reid.losses.sparse_labels import cluster_targets, uniform_targets
from reid.methods.base import (
    BaseConfig,
    BaseMethod,
    Logs,
    MethodContext,
    TrainingData,
    embedding_spread,
    resize_recipe,
)
from reid.methods.clustering import kmeans, silhouette
from reid.networks import gan
from reid.networks.base import Backbone, Family
from reid.networks.heads import BottleneckClassifier
from reid.progress import progress
from reid.settings import Condition, UsedWhen
from reid.training.device import mixed_precision
from reid.training.schedule import Schedule

__all__ = ["Config", "Method"]

_CANDIDATES = range(2, 6)  # numbers of clusters that the paper compares

_LOG = logging.getLogger(__name__)


class Config(BaseConfig):
    """Choices of SLSR. Baselines: generated 0; targets all, which is LSRO."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        **BaseConfig.used_when,
        **dict.fromkeys(
            ("targets", "clusters", "feature_epochs", "gan_epochs", "gan_batch", "gan_width", "gan_side"),
            UsedWhen("options.generated", ">", 0),
        ),
    }

    schedules: ClassVar[dict[Family, Schedule]] = {
        "cnn": Schedule(
            epochs=130,
            batch=32,
            images_per_identity=0,
            optimizer="sgd",
            nesterov=True,
            learning_rate=0.01,
            new_layers=5,
            weight_decay=5e-4,
            milestones=(40, 80, 120),
        ),
        "transformer": Schedule(
            epochs=130,
            batch=32,
            images_per_identity=0,
            optimizer="adamw",
            learning_rate=5e-5,
            new_layers=5,
            weight_decay=1e-4,
            warm_up_epochs=5,
            decay="cosine",
        ),
    }

    last_stride: int = Field(2, ge=1, le=2, description="of the backbone's last stage, where it has one")
    generated: int = Field(12_000, ge=0, description="number of generated images; 0 is the baseline without any")
    targets: Literal["cluster", "all"] = Field("cluster", description="identities a generated image stands for")
    clusters: Annotated[int, Field(ge=1)] | Literal["silhouette"] = Field(
        3, description="k, clusters and generative networks; silhouette takes the k of 2 … 5 with the highest one"
    )
    feature_epochs: int = Field(40, ge=1, description="epochs of the classifier whose features are clustered")
    gan_epochs: int = Field(30, ge=1, description="epochs of each generative network, after as many on all images")
    gan_batch: int = Field(64, ge=2, description="images per step of a generative network")
    gan_width: int = Field(64, ge=1, description="channels of the generative networks' largest map")
    gan_side: Literal[32, 64, 128] = Field(128, description="side of the generated images, px")
    noise_layer: Literal["none", "feature", "output"] = Field(
        "none", description="the paper's noise layer: absent as in the program, on the feature, or on probabilities"
    )
    flip_test: bool = Field(True, description="deploy the sum of the features of an image and its mirror image")


class Method(BaseMethod):
    """One view, one backbone, one classifier; what is new is in the data."""

    targets: Tensor
    cluster: Tensor

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        self.config: Config = context.config
        size = self.config.size_hw
        self.views = (resize_recipe(RECIPES["slsr"], size),)
        self.test_view = resize_recipe(RECIPES["test"], size)
        self.backbone = context.network(sizes=[size], last_stride=self.config.last_stride)
        dim, classes = self.backbone.dim, context.classes
        self.noise = _identity_layer(dim) if self.config.noise_layer == "feature" else nn.Identity()
        self.head = BottleneckClassifier(dim, classes)
        self.output_noise = _identity_layer(classes) if self.config.noise_layer == "output" else None
        self.classes = classes
        # Row c is the target of cluster c's images; the last row belongs to real images and is never read.
        self.register_buffer("targets", torch.zeros(1, classes), persistent=False)
        self.register_buffer("cluster", torch.zeros(0, dtype=torch.int64), persistent=False)

    @property
    def embedder(self) -> nn.Module:
        """The pooled feature, of the mirror image too."""
        return _Mirrored(self.backbone, self.config.flip_test)

    def prepare(self, context: MethodContext) -> TrainingData:
        """Features, clusters, generative networks and their images; then real and generated ones together."""
        training_data, config = context.training_data, self.config
        real = torch.full((len(training_data.records),), -1)
        generated: Sequence[Record] = ()
        made = torch.zeros(0, dtype=torch.int64)
        if config.generated:
            clusters = self._clusters(context)
            generated, made = self._generate(context, clusters)
            of_cluster = torch.from_numpy(clusters)
            labels = torch.from_numpy(training_data.labels)
            self.targets = (
                cluster_targets(labels, of_cluster, self.classes)
                if config.targets == "cluster"
                else uniform_targets(int(of_cluster.max()) + 1, self.classes)
            ).to(self.targets.device)
        self.cluster = torch.cat([real, made]).to(self.cluster.device)
        return TrainingData(
            (*training_data.records, *generated), np.concatenate([training_data.labels, np.full(len(generated), -1)])
        )

    def step(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Cross entropy of real images against their identity, of generated ones against their cluster's."""
        x = self.backbone(batch.views[0])
        logits = self.head(self.noise(x))
        if self.output_noise is not None:
            logits = self.output_noise(logits.float().softmax(1)).clamp(min=1e-7).log()
        cluster = self.cluster[batch.index]
        is_real = cluster < 0
        one_hot = nn.functional.one_hot(batch.label.clamp(min=0), self.classes).float()
        losses = soft_cross_entropy(logits, torch.where(is_real[:, None], one_hot, self.targets[cluster]))
        zero = torch.zeros_like(losses)
        logs = {
            "real": (torch.where(is_real, losses, zero).sum() / is_real.sum().clamp(min=1)).detach(),
            "generated": (torch.where(is_real, zero, losses).sum() / (~is_real).sum().clamp(min=1)).detach(),
        }
        return losses.mean(), {**logs, "spread": embedding_spread(x)}

    def _clusters(self, context: MethodContext) -> NDArray[np.int64]:
        """Stages 1 and 2: cluster (n,) of each real image."""
        config, records = self.config, context.training_data.records
        path = context.folder / "clusters.json"
        key = _key(
            [(str(r.path), r.vehicle_id) for r in records],
            context.network_facts,
            config.model_dump(
                mode="json", include={"size_hw", "last_stride", "noise_layer", "clusters", "feature_epochs"}
            ),
            context.seed,
        )
        kept = _kept(path, key)
        if kept is None:
            options = {**config.model_dump(), "generated": 0, "flip_test": False}
            schedule = {"epochs": config.feature_epochs, "learning_rate": 1e-3, "milestones": ()}
            _LOG.info("features to be clustered: a classifier of %d epochs", config.feature_epochs)
            network = context.train("slsr", options, schedule, context.folder / f"features_{key[:12]}")
            features = context.extract(network, records, self.test_view, network.backbone).numpy()
            kept = _divided(features, config.clusters, context.seed).tolist()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"key": key, "values": kept}), encoding="utf-8")
        return np.array(kept, np.int64)

    def _generate(self, context: MethodContext, clusters: NDArray[np.int64]) -> tuple[tuple[Record, ...], Tensor]:
        """Stage 3: generated images as records, and the cluster of each."""
        config, folder = self.config, context.folder / "generated"
        count = int(clusters.max()) + 1
        each = config.generated // count + 1
        made = np.repeat(np.arange(count), each)
        made = np.random.default_rng(context.seed).permutation(made)[: config.generated]
        size = [config.gan_epochs, config.gan_batch, config.gan_width, config.gan_side]
        names = [str(r.path) for r in context.training_data.records]
        key = _key(names, clusters.tolist(), config.generated, size, context.precision, context.seed)
        if _kept(folder / "done.json", key) is None:
            self._train_gans(context, clusters, made, folder)
            (folder / "done.json").write_text(json.dumps({"key": key, "values": made.tolist()}), encoding="utf-8")
        records = tuple(Record(folder / f"{i:06d}_{c}.png", -1, -1) for i, c in enumerate(made))
        return records, torch.from_numpy(made)

    def _train_gans(
        self, context: MethodContext, clusters: NDArray[np.int64], made: NDArray[Any], folder: Path
    ) -> None:
        import cv2

        config = self.config
        side = (config.gan_side, config.gan_side)
        records = context.training_data.records
        read = [resize(read_image(r.path), side) for r in progress(records, "pictures to imitate", unit="picture")]
        pictures = torch.from_numpy(np.stack(read))
        torch.manual_seed(context.seed)
        size = (config.gan_width, config.gan_side)
        start = gan.Generator(*size), gan.Discriminator(*size)
        # Half precision would need scaled losses.
        precision = "fp32" if context.precision == "fp16" else context.precision
        choices: dict[str, Any] = {
            "epochs": config.gan_epochs,
            "batch": config.gan_batch,
            "device": context.device,
            "mixed": partial(mixed_precision, precision, context.device),
            "progress": _LOG.info,
        }
        _LOG.info("generative network of all %d pictures", len(pictures))
        gan.train_gan(*start, pictures, seed=context.seed, **choices)
        folder.mkdir(parents=True, exist_ok=True)
        for c in range(int(clusters.max()) + 1):
            pair = copy.deepcopy(start)
            own = pictures[torch.from_numpy(clusters == c)]
            _LOG.info("generative network of cluster %d, %d pictures", c, len(own))
            gan.train_gan(*pair, own, seed=context.seed + 1 + c, **choices)
            numbers = np.flatnonzero(made == c)
            new = gan.generate(pair[0], len(numbers), seed=context.seed + 1 + c, device=context.device).numpy()
            _LOG.info("%d pictures of cluster %d are written", len(numbers), c)
            for i, picture in zip(numbers, new, strict=True):
                cv2.imwrite(str(folder / f"{i:06d}_{c}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def _divided(features: NDArray[Any], clusters: int | str, seed: int) -> NDArray[np.int64]:
    """k-means (N,) of features (N, d) with the given k, or with the one of the highest silhouette (Table 1)."""
    if isinstance(clusters, int):
        return kmeans(features, clusters, seed=seed)
    divisions = {k: kmeans(features, k, seed=seed) for k in _CANDIDATES}
    score = {k: silhouette(features, labels) for k, labels in divisions.items()}
    best = max(score, key=lambda k: score[k])
    _LOG.info("silhouettes %s: %d clusters", ", ".join(f"{k}: {s:.3f}" for k, s in score.items()), best)
    return divisions[best]


class _Mirrored(nn.Module):  # type: ignore[misc]
    """A backbone, or the sum of its features of an image and of the mirror image."""

    def __init__(self, backbone: Backbone, mirrored: bool) -> None:
        super().__init__()
        self.backbone, self.mirrored, self.dim = backbone, mirrored, backbone.dim

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) to (B, d)."""
        x = self.backbone(images)
        return x + self.backbone(images.flip(3)) if self.mirrored else x


def _identity_layer(dim: int) -> nn.Linear:
    """A linear layer that begins as the identity."""
    layer = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(layer.weight)
    return layer


def _key(*facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _kept(path: Path, key: str) -> list[int] | None:
    """Values kept at ``path`` by a stage whose facts were the same."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    values: list[int] | None = kept["values"] if kept["key"] == key else None
    return values
