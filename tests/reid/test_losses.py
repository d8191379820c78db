"""Losses against numeric cases worked out from the printed equations."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from reid.losses.dictionary import dictionary_triplet, hard_negative_count
from reid.losses.distillation import distillation, distillation_rmse, moved_center
from reid.losses.identity import smoothed_cross_entropy, soft_cross_entropy
from reid.losses.precision import full_precision, wide
from reid.losses.sparse_labels import cluster_targets, uniform_targets
from reid.losses.triplet import batch_hard
from reid.losses.viewpoint import boundary_scores, partition, reunion

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    case = json.loads((GOLDEN / f"{name}.json").read_text())
    return case["input"], case["expected"]


def tensor(values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def near(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-6, abs=1e-6)


# --- g02 ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sigma", [0.2, 0.4])
def test_dictionary_triplet(sigma: float) -> None:
    given, expected = golden("g02_ssml_dtl")
    expected = expected[f"sigma_{sigma}"]
    z = tensor(given["z"]).requires_grad_()
    positives = [torch.tensor(p) for p in given["positives"]]
    choices: dict[str, Any] = {"share": given["gamma"], "weight": sigma}
    loss = dictionary_triplet(z, tensor(given["D"]), positives, **choices)
    assert loss.item() == near(expected["batch_mean_authors"])
    loss.backward()
    assert z.grad is not None
    assert torch.allclose(z.grad, tensor(expected["grad_z_of_batch_mean"]), atol=1e-9)
    total = dictionary_triplet(z, tensor(given["D"]), positives, reduction="sum", **choices)
    assert total.item() == near(expected["batch_sum_eq4"])
    for b in range(2):
        one = dictionary_triplet(z[b : b + 1], tensor(given["D"]), positives[b : b + 1], **choices)
        assert one.item() == near(expected["per_sample_mean"][b])


@pytest.mark.parametrize("sigma", [0.2, 0.4])
def test_dictionary_triplet_on_an_empty_dictionary(sigma: float) -> None:
    z = torch.nn.functional.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    positives = [torch.tensor([i]) for i in range(3)]
    loss = dictionary_triplet(z, torch.zeros(100, 8), positives, weight=sigma)
    assert loss.item() == near(1 + sigma)


def test_dictionary_triplet_when_everything_is_positive() -> None:
    z = torch.eye(3)[:1]
    loss = dictionary_triplet(z, torch.eye(3), [torch.arange(3)], share=1.0)
    assert loss.item() == near(2 / 3)


def test_hard_negatives_are_counted_exactly() -> None:
    assert hard_negative_count(37_700, 0.01) == 377 < math.ceil(0.07 * 100 + 377)
    assert hard_negative_count(100, 0.07) == 7 < math.ceil(0.07 * 100)
    assert hard_negative_count(101, 0.01) == 2
    assert hard_negative_count(101, 0.01, rounding="down") == 1


# --- g05 ---------------------------------------------------------------------------------------------------------
def test_batch_hard() -> None:
    given, expected = golden("g05_reid_losses")
    x, y = tensor(given["x"]), torch.tensor(given["y"])
    assert batch_hard(x, y).item() == near(expected["soft_margin_mean"])
    for margin in (3, 5, 7):
        assert batch_hard(x, y, margin / 10).item() == near(expected[f"hinge_0{margin}"])


def test_batch_hard_is_finite_at_coincident_points_and_with_one_identity() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    batch_hard(x, torch.tensor([0, 0, 1, 1])).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert batch_hard(x, torch.zeros(4, dtype=torch.long), 0.3).item() == 0


def test_batch_hard_agrees_with_loops_on_uneven_identities() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = (
        torch.randn(11, 5, generator=generator, dtype=torch.float64),
        torch.tensor([0, 0, 0, 0, 1, 1, 2, 3, 3, 3, 3]),
    )
    terms = []
    for a in range(11):
        positive = max((x[a] - x[p]).norm().item() for p in range(11) if y[p] == y[a])
        negative = min((x[a] - x[n]).norm().item() for n in range(11) if y[n] != y[a])
        terms.append(math.log1p(math.exp(positive - negative)))
    assert batch_hard(x, y).item() == near(sum(terms) / 11)


def test_cross_entropies() -> None:
    given, expected = golden("g05_reid_losses")
    logits, y = tensor(given["logits"]), torch.tensor(given["targets"])
    assert smoothed_cross_entropy(logits, y, 0.2).item() == near(expected["ce_ls_02"])
    assert smoothed_cross_entropy(logits, y, 0.1).item() == near(expected["ce_ls_01"])
    assert smoothed_cross_entropy(logits, y).item() == near(expected["ce"])
    row = soft_cross_entropy(logits[:1], tensor([expected["q_row0_eps02"]]))
    assert row.item() == near(smoothed_cross_entropy(logits[:1], y[:1], 0.2).item())


# --- g06 ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("temperature", "key"), [(0.001, "loss_tau_0001"), (0.07, "loss_tau_007")])
def test_distillation(temperature: float, key: str) -> None:
    given, expected = golden("g06_ssbver_ssl")
    student, teacher, center = (tensor(given[k]) for k in ("student", "teacher", "center"))
    loss = distillation(student, teacher, center, student_temperature=given["tau_s"], teacher_temperature=temperature)
    assert loss.item() == near(expected[key])


def test_distillation_by_distance_and_center() -> None:
    given, expected = golden("g06_ssbver_ssl")
    student, teacher = tensor(given["student"]), tensor(given["teacher"])
    assert distillation_rmse(student, teacher).item() == near(expected["rmse_loss"])
    center = moved_center(tensor(given["center"]), teacher.flatten(0, 1).mean(0))
    assert center.tolist() == near(expected["center_after"])


# --- g07 ---------------------------------------------------------------------------------------------------------
def test_viewpoint_loss() -> None:
    given, expected = golden("g07_val")
    centers, x = tensor(given["M"]), tensor(given["x"])
    y, v = torch.tensor(given["y"]), torch.tensor(given["v"])
    unit = torch.nn.functional.normalize(centers, dim=-1)
    cosines = torch.einsum("bd,cvd->bcv", torch.nn.functional.normalize(x, dim=1), unit)
    assert torch.allclose(cosines, tensor(expected["s"]))
    assert torch.allclose(boundary_scores(cosines, y, given["m"]), tensor(expected["phi_mb"]))
    assert partition(cosines, y, v, scale=48, margin=None).item() == near(expected["LP_plain_gamma48"])
    assert partition(cosines, y, v, scale=48, margin=0.5).item() == near(expected["LP_mb_gamma48_m05"])
    four = partition(cosines, y, v, scale=4, margin=0.5)
    assert four.item() == near(expected["LP_mb_gamma4_m05"])
    assert reunion(centers).item() == near(expected["LR_pair_mean_sum_over_ids"])
    assert reunion(centers, "pair_mean_mean").item() == near(expected["LR_mean_over_ids"])
    assert reunion(centers, "literal").item() == near(expected["LR_literal_eq5"])
    assert (four + reunion(centers)).item() == near(expected["LVA_gamma4_lambda1"])


@pytest.mark.parametrize(("detach", "slope"), [(True, lambda s: 1.5 - s), (False, lambda s: 2 * (1 - s))])
def test_boundary_slope_depends_on_detaching(detach: bool, slope: Any) -> None:
    cosines = torch.full((1, 2, 1), 0.3, dtype=torch.float64, requires_grad=True)
    boundary_scores(cosines, torch.tensor([0]), 0.5, detach=detach)[0, 0, 0].backward()
    assert cosines.grad is not None
    assert cosines.grad[0, 0, 0].item() == near(slope(0.3))


def test_the_weights_of_the_boundary_carry_no_gradient_unless_asked() -> None:
    """As in circle loss; the published sums leave it open."""
    start = 2 * torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    labels, views = torch.tensor([0, 3, 1]), torch.tensor([1, 0, 0])

    def slope(**choices: Any) -> torch.Tensor:
        cosines = start.clone().requires_grad_()
        partition(cosines, labels, views, scale=4, margin=0.5, **choices).backward()
        assert cosines.grad is not None
        return cosines.grad

    assert torch.equal(slope(), slope(detach=True))
    assert not torch.allclose(slope(), slope(detach=False))


def test_reunion_of_one_viewpoint_is_nothing() -> None:
    assert reunion(torch.randn(3, 1, 4)).item() == 0


# --- g09 ---------------------------------------------------------------------------------------------------------
def test_sparse_labels() -> None:
    given, expected = golden("g09_slsr")
    targets = cluster_targets(torch.tensor(given["train_pids"]), torch.tensor(given["train_clusters"]), 5)
    assert targets.flatten().tolist() == near([q for row in expected["targets"] for q in row])
    logits = tensor(given["logits"])
    real = torch.nn.functional.one_hot(torch.tensor([given["real_label"]]), 5)
    rows = torch.cat([real.double(), targets[given["gen_clusters"]].double()])
    losses = soft_cross_entropy(logits, rows)
    assert losses[0].item() == near(expected["loss_real"])
    assert losses[1:].tolist() == near(expected["loss_generated"])
    assert losses.mean().item() == near(expected["batch_mean"])
    uniform = soft_cross_entropy(logits[1:], uniform_targets(2, 5)[given["gen_clusters"]])
    assert uniform.tolist() == near(expected["lsro_generated"])


def test_losses_ignore_autocast() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(8, 16, generator=generator), torch.arange(8) // 2
    exact = batch_hard(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert batch_hard(x, y) == exact
        with full_precision(torch.device("cpu")):
            assert (x @ x.T).dtype == torch.float32


def test_only_half_precision_is_widened() -> None:
    for given, expected in (("float16", "float32"), ("bfloat16", "float32"), ("float32",) * 2, ("float64",) * 2):
        assert wide(torch.zeros(2, dtype=getattr(torch, given))).dtype == getattr(torch, expected)
