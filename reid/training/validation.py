"""Scores while a network is trained: which pictures they are of, and how they are measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reid.config import TrainConfig, load_split
from reid.data import DatasetSplit, Record
from reid.data.records import digest, hold_out, together, with_own_names
from reid.evaluation.protocols import PROTOCOLS
from reid.evaluation.retrieval import Embeddings, check_answerable, evaluate_split
from reid.methods.base import BaseMethod, MethodContext

__all__ = ["digest_of", "divide", "score"]

#: Of the generator that draws held-out identities, beside the training's own seed.
_HOLD_OUT = 1


def divide(config: TrainConfig, splits: Sequence[DatasetSplit]) -> tuple[DatasetSplit, tuple[DatasetSplit, ...]]:
    """What to learn from, as one data set, and what to validate on, each by its own protocol.

    Args:
        config: Its ``validation`` says what is validated on.
        splits: The data sets of ``config.data``.

    Raises:
        ConfigError: A data set of ``validation.data`` does not exist.
        DataError: One of them is missing, or nothing can be measured on what would be validated on.
    """
    if not config.evaluate_every:
        return together(splits), ()
    chosen = config.validation
    tests = tuple(load_split(data) for data in chosen.data)
    if chosen.held_out:
        parts = [_held_out(split, chosen.held_out, config.seed) for split in splits]
        splits, tests = [learned for learned, _ in parts], (*(tested for _, tested in parts), *tests)
    tests = tests or tuple(splits)
    for split in tests:
        check_answerable(split)
    return together(splits), with_own_names(tests)


def _held_out(split: DatasetSplit, share: float, seed: int) -> tuple[DatasetSplit, DatasetSplit]:
    """The data set without some of its training identities, and these to validate on."""
    train, query, gallery = hold_out(split.train, share, np.random.default_rng((seed, _HOLD_OUT)))
    query = () if PROTOCOLS[split.protocol].draw == "pool" else query
    return replace(split, train=train), DatasetSplit(f"{split.name}-held-out", split.protocol, (), query, gallery)


def digest_of(tests: Sequence[DatasetSplit]) -> str:
    """SHA-256 of what validation scores depend on beside the network: data sets, protocols, pictures, labels, tracks.

    Names stand for the pictures, and pictures of two data sets may have equal ones, so the data sets' count, too.
    """
    parts = [(test.name, test.protocol, digest(test.query), digest(test.gallery), test.tracks) for test in tests]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def score(method: BaseMethod, context: MethodContext, tests: Sequence[DatasetSplit]) -> dict[str, float]:
    """MAP and rank-1 of the network as it would be deployed now.

    Returns:
        ``validation/NAME/map`` and ``validation/NAME/r1`` of each data set, and ``validation/map``, their mean mAP.
    """
    method.eval()
    found: dict[str, float] = {}
    for split in tests:
        gallery = _embeddings(method, context, split.gallery)
        assert gallery is not None  # by check_answerable
        scores = evaluate_split(split, _embeddings(method, context, split.query), gallery, seed=context.seed)[0]
        found |= {f"validation/{split.name}/map": scores.map, f"validation/{split.name}/r1": scores.r1}
    maps = [value for name, value in found.items() if name.endswith("/map")]
    return {**found, "validation/map": float(np.mean(maps))}


def _embeddings(method: BaseMethod, context: MethodContext, records: Sequence[Record]) -> Embeddings | None:
    if not records:
        return None
    features = context.extract(method.embedder, records, method.test_view, method.backbone).numpy()
    return Embeddings.of(features, records)
