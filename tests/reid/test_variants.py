"""The variants that the papers compare their methods with, each beside values worked out apart."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from reid.data import Record
from reid.data.loader import Batch
from reid.errors import ConfigError
from reid.losses.dictionary import dictionary_hinge
from reid.methods import clustering, slsr, ssml
from reid.methods.clustering import silhouette
from reid.mining import DictionaryMiner
from tests.reid import tiny
from tests.reid.tiny import SIDE

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDS = tuple(Record(Path(f"{i}.png"), i // 2, i % 2, i % 2) for i in range(8))
make, batch = partial(tiny.make, records=RECORDS), partial(tiny.batch, records=RECORDS)


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


# --- SSBVER, the baseline of Section 4.3 ----------------------------------------------------------------------------
def test_without_distillation_the_student_is_the_baseline_on_two_crops(tmp_path: Path) -> None:
    """λ_s = 0: no head, no small crops; the losses are those of the method ``baseline`` on 2B images."""
    method, _ = make("ssbver", tmp_path, weight=0.0, margin=0.4)
    baseline, _ = make("baseline", tmp_path, smoothing=0.2, margin=0.4)
    assert len(method.views) == 2
    assert not [name for name, _ in method.named_parameters() if "ssl" in name]
    baseline.backbone.load_state_dict(method.student.backbone.state_dict())
    baseline.head.load_state_dict(method.student.head.state_dict())
    seen = batch([SIDE, SIDE])
    loss, logs = method.train().step(seen)
    both = Batch([torch.cat(seen.views)], seen.flipped, seen.index, seen.label.repeat(2), seen.camera, seen.view)
    expected, _ = baseline.train().step(both)
    assert set(logs) == {"identity", "triplet", "spread"}
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_distillation_the_average_is_what_is_deployed(tmp_path: Path) -> None:
    method, _ = make("ssbver", tmp_path, weight=0.0, average_momentum=0.75)
    seen = batch([SIDE, SIDE])
    before = method.student.backbone.body.conv1.weight.detach().clone()
    with torch.no_grad():
        method.student.backbone.body.conv1.weight.add_(1.0)
    method.train().step(seen)
    method.after_update()
    method.after_step(seen)
    assert torch.allclose(method.embedder.backbone.body.conv1.weight, before + 0.25, atol=1e-6)
    assert method.center.abs().sum() == 0


# --- SGFD, Table 4 --------------------------------------------------------------------------------------------------
def test_an_independent_encoder_adds_its_own_feature(tmp_path: Path) -> None:
    """GB + ResNet-18: both pooled features behind necks of their own, half of the losses each, no attention."""
    method, _ = make("sgfd", tmp_path, branches="independent", encoder="resnet18")
    network, seen = method.embedder.eval(), batch([SIDE])
    assert method.rotation is None
    with torch.no_grad():
        first, second = network.backbone(seen.views[0]), network.encoder(seen.views[0])
        assert (first.shape[1], second.shape[1], network.dim) == (128, 512, 640)
        expected = torch.cat([network.norms[1](second), network.norms[0](first)], 1)
        assert torch.allclose(network(seen.views[0]), expected)
    loss, logs = method.train().step(seen)
    assert set(logs) == {"global", "independent", "spread"}
    assert loss.item() == pytest.approx(float(logs["global"] + logs["independent"]), rel=1e-6)
    loss.backward()
    assert network.encoder.body.conv1.weight.grad.abs().sum() > 0
    with pytest.raises(ConfigError, match="no attention"):
        network.attention(seen.views[0])


# --- SLSR, Table 1 --------------------------------------------------------------------------------------------------
def test_silhouette_by_hand() -> None:
    """Points 0, 1 | 4, 6 | 20 on a line; the last is alone and counts as 0."""
    points, labels = np.array([0.0, 1, 4, 6, 20])[:, None], np.array([0, 0, 1, 1, 2])
    by_hand = [(5 - 1) / 5, (4 - 1) / 4, (3.5 - 2) / 3.5, (5.5 - 2) / 5.5, 0.0]
    assert silhouette(points, labels) == pytest.approx(sum(by_hand) / 5)
    assert silhouette(points, np.zeros(5, np.int64)) == 0
    assert silhouette(np.zeros((4, 2)), np.array([0, 0, 1, 1])) == 0


def test_silhouette_in_portions_agrees_with_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "_BLOCK", 100)
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(37, 5)), rng.integers(0, 4, 37)
    scores = []
    for i in range(37):
        apart = [np.linalg.norm(points[i] - points[j]) for j in range(37)]
        own = [apart[j] for j in range(37) if j != i and labels[j] == labels[i]]
        others = [np.mean([apart[j] for j in range(37) if labels[j] == c]) for c in set(labels) - {labels[i]}]
        scores.append((min(others) - np.mean(own)) / max(min(others), np.mean(own)))
    assert silhouette(points, labels) == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_the_silhouette_chooses_the_number_of_clusters(groups: int, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(groups)
    points = 20 * np.eye(8)[np.repeat(np.arange(groups), 6)] + rng.normal(size=(6 * groups, 8))
    with caplog.at_level("INFO", "reid"):
        labels = slsr._divided(points, "silhouette", 0)
    assert np.bincount(labels).tolist() == [6] * groups
    assert caplog.messages[-1].endswith(f": {groups} clusters")
    assert len(set(slsr._divided(points, 5, 0).tolist())) == 5
