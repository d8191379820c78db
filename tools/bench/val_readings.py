"""VAL's Eq. 5 read in several ways, measured on frozen features: does the reunion leave anything of the partition?

    python -m tools.bench.val_readings --crops runs/bench_reid --seeds 5

MobileNetV2 with ImageNet weights embeds the crops of ``tools/bench/reid_methods.yaml`` once. With each reading of the
reunion and each seed, a linear layer, a neck and the centers learn from these features by VAL's loss, as the method
does from pictures. A training takes seconds. The test part has other vehicles and other cameras.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from reid.card import Card
from reid.data.records import DatasetSplit, Record, class_labels, views
from reid.data.sampler import IdentityBatches
from reid.evaluation.extract import extract
from reid.evaluation.retrieval import Embeddings, evaluate
from reid.inference import Embedder
from reid.losses.viewpoint import Reunion, partition, reunion
from reid.methods.viewpoints import SUBCLASS, fill_from_neighbors
from reid.networks import build
from reid.networks.heads import SubclassHead, neck
from reid.settings import read_yaml
from reid.torch_loader import runner
from reid.training.schedule import Schedule, rate
from tools import markdown
from tools.bench.reid_cell import crops_for

_SIDE, _DIM = 96, 256
_OPTIMIZERS: dict[str, Any] = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, 7e-4, weight_decay=1e-2),
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.01, momentum=0.9, nesterov=True, weight_decay=5e-4),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One row: V centers of an identity, a reading of Eq. 5, and its weight λ."""

    name: str
    views: Literal[1, 2]
    reading: Reunion
    weight: float


VARIANTS = [
    Variant("one center per identity", 1, "pair_mean_sum", 0.0),
    Variant("λ = 0", 2, "pair_mean_sum", 0.0),
    Variant("mean, λ = 1", 2, "pair_mean_mean", 1.0),
    Variant("mean, λ = 10", 2, "pair_mean_mean", 10.0),
    Variant("mean, λ = 100", 2, "pair_mean_mean", 100.0),
    Variant("sum, λ = 0.1", 2, "pair_mean_sum", 0.1),
    Variant("sum, λ = 1", 2, "pair_mean_sum", 1.0),
    Variant("literal, λ = 1", 2, "literal", 1.0),
]


@dataclass(frozen=True, slots=True)
class Features:
    """Frozen features of the three parts, and what the training part is labeled with."""

    split: DatasetSplit
    train: Tensor
    query: Tensor
    gallery: Tensor

    @classmethod
    def of(cls, split: DatasetSplit) -> Features:
        """Embed the pictures of a data set."""
        network = build("timm:mobilenetv2_100", weights=Path("imagenet-mobilenetv2"), sizes=[(_SIDE, _SIDE)])
        card = Card((_SIDE, _SIDE), network.dim, mean=network.mean, std=network.std)
        embedder = Embedder(card, runner(network.eval()))

        def embedded(records: Sequence[Record]) -> Tensor:
            return torch.from_numpy(extract(embedder, records, threads=1))

        return cls(split, embedded(split.train), embedded(split.query), embedded(split.gallery))


def learn(
    features: Features, variant: Variant, *, seed: int, epochs: int, optimizer: str
) -> tuple[float, list[float]]:
    """The mAP of what is learned, and the mean cosine of an identity's centers after each epoch."""
    torch.manual_seed(seed)
    records = features.split.train
    labels = class_labels(records)
    known = np.array([*SUBCLASS[variant.views], -1])[views(records)]
    viewpoint = torch.from_numpy(fill_from_neighbors(known, records))
    embed = nn.Sequential(nn.Linear(features.train.shape[1], _DIM, bias=False), neck(_DIM))
    head = SubclassHead(_DIM, int(labels.max()) + 1, variant.views)
    steps = _OPTIMIZERS[optimizer]([*embed.parameters(), *head.parameters()])
    schedule = Schedule(epochs=epochs, batch=64, learning_rate=1.0, decay="cosine")
    full = steps.param_groups[0]["lr"]
    batches = IdentityBatches(labels, 16, 4, seed=seed)
    cosines = []
    for epoch in range(epochs):
        batches.epoch = epoch
        steps.param_groups[0]["lr"] = full * rate(schedule, epoch)
        for batch in batches:
            rows = torch.tensor([sample.item for sample in batch])
            scores = head(embed(features.train[rows]))
            loss = partition(scores, torch.from_numpy(labels)[rows], viewpoint[rows])
            loss = loss + variant.weight * reunion(head.centers, variant.reading)
            steps.zero_grad()
            loss.backward()
            steps.step()
        cosines.append(-reunion(head.centers.detach(), "pair_mean_mean").item())
    embed.eval()
    with torch.no_grad():
        query, gallery = (embed(part).numpy() for part in (features.query, features.gallery))
    split = features.split
    return evaluate(Embeddings.of(query, split.query), Embeddings.of(gallery, split.gallery)).map, cosines


def report(found: dict[str, list[tuple[float, list[float]]]], baseline: str) -> str:
    """Scores and gains over ``baseline``, mean ± half the 95 % interval over seeds, and the centers' cosine."""

    def shown(values: Sequence[float], sign: str = "") -> str:
        mean, count = statistics.mean(values), len(values)
        if count < 2:
            return f"{mean:{sign}.1f}"
        half = stats.t.ppf(0.975, count - 1) * statistics.stdev(values) / count**0.5
        return f"{mean:{sign}.1f} ± {half:.1f}"

    lines = []
    for name, results in found.items():
        scores = [100 * score for score, _ in results]
        gains = [100 * (score - other) for (score, _), (other, _) in zip(results, found[baseline], strict=True)]
        curve = np.mean([cosines for _, cosines in results], axis=0)
        marks = [f"{curve[epoch]:.3f}" for epoch in (0, 1, 4, -1)] if name != VARIANTS[0].name else [""] * 4
        lines.append([name, shown(scores), "" if name == baseline else shown(gains, "+"), *marks])
    columns = ["reunion", "mAP %", f"over {baseline}", *(f"cosine, epoch {n}" for n in ("1", "2", "5", "last"))]
    return markdown.table(columns, lines)


def main() -> None:
    """Learn with every reading and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=Path, default=Path("runs/bench_reid"), help="folder of the benchmark's crops")
    parser.add_argument("--seeds", type=int, default=5, help="trainings per reading")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the training part")
    parser.add_argument("--optimizer", choices=sorted(_OPTIMIZERS), default="adamw")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = read_yaml(Path(__file__).with_name("reid_methods.yaml")).data["data"]
    features = Features.of(crops_for(data, options.crops))
    found: dict[str, list[tuple[float, list[float]]]] = {variant.name: [] for variant in VARIANTS}
    for seed in range(options.seeds):
        for variant in VARIANTS:
            result = learn(features, variant, seed=seed, epochs=options.epochs, optimizer=options.optimizer)
            found[variant.name].append(result)
            print(f"{variant.name}, seed {seed}: mAP {100 * result[0]:.1f}", flush=True)
    print(report(found, "λ = 0"))


if __name__ == "__main__":
    main()
