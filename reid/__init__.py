"""Training and use of embedders for vehicle re-identification.

Importing the package costs nothing: torch and NumPy are loaded when a name that needs them is asked for.

Example:
    ::

        import reid

        config = reid.load_config(Path("configs/reid/baseline_veri776.yaml"), ["data.root=VeRi"])
        checkpoint = reid.train(config)
        embedder = reid.load_embedder(checkpoint)

        split = reid.load_dataset("veri776", Path("VeRi"))
        query = reid.Embeddings.of(reid.extract(embedder, split.query), split.query)
        gallery = reid.Embeddings.of(reid.extract(embedder, split.gallery), split.gallery)
        for scores in reid.evaluate_split(split, query, gallery):
            print(scores)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reid.card import Card, read_card, write_card
    from reid.config import TrainConfig, load_config, make_config
    from reid.data import DATASETS, DatasetSplit, Record, load_dataset
    from reid.errors import ConfigError, DataError, MissingDependency, ReidError, WeightsError
    from reid.evaluation.extract import extract
    from reid.evaluation.protocols import PROTOCOLS
    from reid.evaluation.rerank import k_reciprocal
    from reid.evaluation.retrieval import Embeddings, RetrievalScores, evaluate, evaluate_split, verify_split
    from reid.export import export_checkpoint
    from reid.inference import Embedder, load_embedder
    from reid.methods import METHODS
    from reid.training.checkpoint import open_checkpoint
    from reid.training.engine import train

__all__ = [
    "DATASETS",
    "METHODS",
    "PROTOCOLS",
    "Card",
    "ConfigError",
    "DataError",
    "DatasetSplit",
    "Embedder",
    "Embeddings",
    "MissingDependency",
    "Record",
    "ReidError",
    "RetrievalScores",
    "TrainConfig",
    "WeightsError",
    "evaluate",
    "evaluate_split",
    "export_checkpoint",
    "extract",
    "k_reciprocal",
    "load_config",
    "load_dataset",
    "load_embedder",
    "make_config",
    "open_checkpoint",
    "read_card",
    "train",
    "verify_split",
    "write_card",
]

#: Where each public name is defined.
_HOMES = {
    "reid.card": ("Card", "read_card", "write_card"),
    "reid.config": ("TrainConfig", "load_config", "make_config"),
    "reid.data": ("DATASETS", "DatasetSplit", "Record", "load_dataset"),
    "reid.errors": ("ConfigError", "DataError", "MissingDependency", "ReidError", "WeightsError"),
    "reid.evaluation.extract": ("extract",),
    "reid.evaluation.protocols": ("PROTOCOLS",),
    "reid.evaluation.rerank": ("k_reciprocal",),
    "reid.evaluation.retrieval": ("Embeddings", "RetrievalScores", "evaluate", "evaluate_split", "verify_split"),
    "reid.export": ("export_checkpoint",),
    "reid.inference": ("Embedder", "load_embedder"),
    "reid.methods": ("METHODS",),
    "reid.training.checkpoint": ("open_checkpoint",),
    "reid.training.engine": ("train",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'reid' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
