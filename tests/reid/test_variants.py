"""The variants that the papers compare their methods with, each beside values worked out apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.data.loader import Batch
from reid.errors import ConfigError
from reid.losses.dictionary import dictionary_hinge
from reid.methods import ssml
from reid.methods.base import MethodContext
from reid.mining import DictionaryMiner
from reid.training.build import build_method

GOLDEN = Path(__file__).parents[1] / "golden"
SIDE, B = 32, 4
RECORDS = tuple(Record(Path(f"{i}.png"), i // 2, i % 2, i % 2) for i in range(8))


def make(method: str, folder: Path, **options: Any) -> tuple[Any, MethodContext]:
    config = make_config(
        {
            "method": method,
            "backbone": "resnet18_x0_25",
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [SIDE, SIDE], **options},
            "output": str(folder),
        }
    )
    return build_method(config, DatasetSplit("tiny", "folder", RECORDS), torch.device("cpu"))


def batch(sides: list[int]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        [torch.randn(B, 3, side, side, generator=generator) for side in sides],
        torch.zeros(len(sides), B, dtype=torch.bool),
        torch.arange(B),
        torch.tensor([r.vehicle_id for r in RECORDS[:B]]),
        torch.zeros(B, dtype=torch.int64),
        torch.tensor([r.view for r in RECORDS[:B]]),
    )


# --- SSML, Table III ------------------------------------------------------------------------------------------------
RULES = {"similarity": "P_ps", "rank": "P_rank", "adjacent": "P_adj", "both": "P_pos"}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_finds_the_positives_of_the_worked_case(rule: Any) -> None:
    case = json.loads((GOLDEN / "g01_ssml_dplm.json").read_text())
    miner = DictionaryMiner(torch.tensor(case["input"]["D"]), case["input"]["tau"], rule)
    found = [rows.tolist() for rows in miner.positives(torch.arange(8))]
    assert found == [sorted(anchor[RULES[rule]]) for anchor in case["expected"]["per_anchor"]]


def test_adjacency_alone_also_takes_rows_that_are_not_similar() -> None:
    """Against the printed Eq. 11-13 on a dense matrix, with anchors in several portions and after an update."""
    generator = torch.Generator().manual_seed(3)
    dictionary = normalize(torch.randn(90, 6, generator=generator), dim=1)
    miner = DictionaryMiner(dictionary, 0.6, "adjacent")
    dictionary[:20] = normalize(torch.randn(20, 6, generator=generator), dim=1)
    miner.update(torch.arange(20))
    similarity = (dictionary @ dictionary.T).double().numpy()
    thresholded = np.where(similarity >= 0.6, similarity, 0.0)
    beyond = 0
    for i, rows in enumerate(miner.positives(torch.arange(90))):
        k = int((similarity[i] >= 0.6).sum())
        apart = np.sqrt(((thresholded[i] - thresholded) ** 2).sum(1))
        assert set(rows.tolist()) == set(np.argsort(apart, kind="stable")[:k].tolist())
        beyond += sum(similarity[i, j] < 0.6 for j in rows.tolist())
    assert beyond > 0


def test_plain_triplets_against_the_dictionary_by_hand() -> None:
    """Unit vectors in the plane at 0°, 60°, 90°, 180°: distances are 2 sin(half the angle)."""

    def at(*degrees: float) -> Tensor:
        angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
        return torch.stack([angle.cos(), angle.sin()], 1)

    z = at(0.0, 180.0).requires_grad_()
    positives = [torch.tensor([0, 1]), torch.tensor([3])]
    loss = dictionary_hinge(z, at(0.0, 60.0, 90.0, 180.0), positives, share=0.5, margin=1.0)
    # Half of the negatives, rounded up. First: 90° of 90°, 180° at √2; positives at 0 and 1. Second: of 0°, 60°, 90°
    # at 2, √3, √2 the nearest two; the positive at 0.
    root2, root3 = 2**0.5, 3**0.5
    first = (max(0, 0 - root2 + 1) + max(0, 1 - root2 + 1)) / 2
    second = (max(0, 1 - root2) + max(0, 1 - root3)) / 2
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-9)
    loss.backward()
    assert z.grad is not None
    assert z.grad[1].abs().sum() == 0  # its hinges are closed
    assert z.grad[0].abs().sum() > 0


def test_the_objective_triplet_is_what_a_step_minimizes(tmp_path: Path) -> None:
    method, context = make("ssml", tmp_path, objective="triplet", margin=0.7, share=0.3, dictionary_start="zeros")
    method.prepare(context)
    method.dictionary.copy_(normalize(torch.randn(8, method.backbone.dim, generator=torch.Generator()), dim=1))
    method.epoch_start(0, context)
    loss, _ = method.step(batch([SIDE]))
    expected = []
    for i, z in enumerate(method._latest.double()):
        apart = [float((z - row).norm()) for row in method.dictionary.double()]
        hard = sorted(apart[:i] + apart[i + 1 :])[:3]  # 3 of 7, rounded up from 2.1
        expected.append(np.mean([max(0.0, apart[i] - other + 0.7) for other in hard]))
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-4)
    assert loss.requires_grad


def test_the_rule_of_the_configuration_is_mined_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(ssml, "DictionaryMiner", lambda *choices: made.append(choices[1:]))
    method, context = make("ssml", tmp_path, positives="rank", threshold=0.55, mine_from_epoch=1, renew_every=9)
    method.prepare(context)
    method.epoch_start(1, context)
    assert made == [(0.55, "rank")]
    with pytest.raises(ConfigError, match="positives: the released mining has both tests, got rank"):
        make("ssml", tmp_path, positives="rank", mining="released")
