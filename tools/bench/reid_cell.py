"""One cell of the methods' table: train, embed the test part, measure."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtmc.errors import ConfigError
from mtmc.files import atomic_path
from reid.card import card_path, write_card
from reid.config import TrainConfig, make_config
from reid.data import load_dataset
from reid.data.records import DatasetSplit
from reid.evaluation.extract import extract
from reid.evaluation.retrieval import Embeddings, evaluate, pool
from reid.export import export_checkpoint
from reid.inference import Embedder
from reid.torch_loader import runner
from reid.training.build import build_method
from reid.training.checkpoint import make_card, open_checkpoint
from reid.training.engine import train
from tools.bench.reid_methods import Cell
from tools.embedder.export import equal_error, pair_similarities

__all__ = ["adaptation_part", "crops_for", "fewer_pictures", "measure_on", "shared_stages"]

_NUMBER = re.compile(r"_(\d+)$")


def fewer_pictures(split: DatasetSplit, pictures: int) -> DatasetSplit:
    """The same test part; of the training part the first pictures of each vehicle by each camera."""
    return replace(split, train=tuple(r for r in split.train if _number(r.path) < pictures))


def adaptation_part(split: DatasetSplit, vehicles: int) -> tuple[DatasetSplit, DatasetSplit]:
    """The test part cut in two: its first vehicles are learned from without labels, the others are tested with.

    Args:
        split: A data set whose query and gallery hold the same vehicles.
        vehicles: How many are learned from.

    Returns:
        The training part, and the adaptation part in its place, both with the test part that is left.
    """
    first = set(sorted({r.vehicle_id for r in split.query})[:vehicles])
    left = {
        name: tuple(r for r in getattr(split, name) if r.vehicle_id not in first) for name in ("query", "gallery")
    }
    seen = tuple(r for r in (*split.query, *split.gallery) if r.vehicle_id in first)
    return replace(split, **left), replace(split, train=seen, **left)


def crops_for(data: Mapping[str, Any], root: Path) -> DatasetSplit:
    """The benchmark's crops below ``root``, rendered where they are missing or incomplete.

    Args:
        data: ``data`` of ``tools/bench/reid_methods.yaml``: a plan of :mod:`tools.synthcity.crops`, and what is not
            part of it: ``pictures`` of each vehicle by each camera to train on, and ``adaptation_identities``.
        root: The folder that holds ``crops``.

    Raises:
        ConfigError: It holds crops of another plan.
    """
    plan = {name: value for name, value in data.items() if name not in ("pictures", "adaptation_identities")}
    written = root / "plan.json"
    if not (root / "crops").exists():
        with atomic_path(written) as path:
            path.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
    found = json.loads(written.read_text(encoding="utf-8")) if written.is_file() else None
    if found != plan:
        raise ConfigError(f"expected crops made by {plan}, found {found}", path=root, remedy="choose another --work")
    if not (root / "crops" / "index.csv").is_file():
        from tools.synthcity.crop_plan import CropPlan
        from tools.synthcity.crops import render_crops

        render_crops(CropPlan(**plan), root)
    return fewer_pictures(load_dataset("synthcity", root), data["pictures"])


def measure_on(work: Path, data: Mapping[str, Any], threads: int) -> Callable[[Cell], dict[str, Any]]:
    """A function that trains and measures a cell.

    Args:
        work: Gets the crops, a checkpoint per cell, and each cell's ``<variant>_s<seed>.onnx`` with its card.
        data: See :func:`crops_for`.
        threads: Of torch.
    """
    torch.set_num_threads(threads)
    labeled, adaptation = adaptation_part(crops_for(data, work), data.get("adaptation_identities", 0))

    def measure(cell: Cell) -> dict[str, Any]:
        split = labeled if cell.adapts is None else adaptation
        output = _output(cell, work, data)
        choices = {**cell.content, "data": {"name": "synthcity", "root": str(work)}, "output": str(output)}
        if cell.adapts is not None:
            choices["weights"] = str(_output(cell.adapts, work, data) / "checkpoint" / "embedder.safetensors")
        config = make_config({**choices, "seed": cell.seed})
        resumed = (output / "checkpoint").exists()
        if (origin := cell.stages_of) is not None:
            shared_stages(_output(origin, work, data), output)
        begin = time.process_time()
        embedder = _untrained(config, split) if cell.untrained else _trained(config, split)
        minutes = (time.process_time() - begin) / 60
        query, gallery = (Embeddings.of(extract(embedder, p, threads=1), p) for p in (split.query, split.gallery))
        found = evaluate(query, gallery)
        if not cell.untrained:
            _deploy(output, query, gallery, work / f"{cell.name}.onnx")
        log = output / "log.jsonl"
        losses = [json.loads(line)["loss"] for line in log.read_text("utf-8").splitlines()] if log.is_file() else []
        return {
            "map": round(found.map, 5),
            "rank1": round(found.r1, 5),
            "minutes": round(minutes, 2),
            "resumed": resumed,
            "images": len(split.train),
            "loss": [round(loss, 4) for loss in losses],
        }

    return measure


def _output(cell: Cell, work: Path, data: Mapping[str, Any]) -> Path:
    return work / f"{cell.name}_{cell.key(data)}"


def shared_stages(origin: Path, output: Path) -> None:
    """Give a training the earlier stages of another one; it makes anew those that its own choices differ in."""
    if (origin / "stages").is_dir() and not (output / "stages").exists():
        part = output / "stages.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(origin / "stages", part)
        part.replace(output / "stages")


def _deploy(checkpoint: Path, query: Embeddings, gallery: Embeddings, out: Path) -> None:
    """Export, with the similarity at which tracklets of the test part are confused as often as missed."""
    card = export_checkpoint(checkpoint, out)
    columns = ("features", "vehicle_id", "camera_id")
    both = Embeddings(*(np.concatenate([getattr(part, name) for part in (query, gallery)]) for name in columns))
    threshold, _ = equal_error(*pair_similarities(pool(both)))
    write_card(replace(card, match_similarity=round(threshold, 3)), card_path(out))


def _trained(config: TrainConfig, split: DatasetSplit) -> Embedder:
    trained = open_checkpoint(train(config, split))
    return Embedder(trained.card, runner(trained.embedder, threads=torch.get_num_threads()))


def _untrained(config: TrainConfig, split: DatasetSplit) -> Embedder:
    method, _ = build_method(config, split, torch.device("cpu"))
    return Embedder(make_card(config, method), runner(method.embedder.eval(), threads=torch.get_num_threads()))


def _number(path: Path) -> int:
    found = _NUMBER.search(path.stem)
    return int(found[1]) if found else 0
