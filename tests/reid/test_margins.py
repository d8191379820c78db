"""Circle loss, ArcFace and CosFace against the printed formulas, one pair and one class at a time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid.config import load_config
from reid.data.loader import Batch
from reid.losses.circle import circle, circle_scores
from reid.losses.margin import MARGINS, arcface_scores, cosface_scores
from reid.networks.heads import cosines
from tests.reid import tiny

DEGREE = math.pi / 180


def on_the_circle(*degrees: float) -> torch.Tensor:
    return torch.tensor([[math.cos(a * DEGREE), math.sin(a * DEGREE)] for a in degrees], dtype=torch.float64)


def circle_by_loops(x: Any, labels: list[int], margin: float, scale: float, weights_of: Any = None) -> float:
    """The formula for each anchor; ``weights_of`` are the features whose similarities give the weights."""
    weights_of = x if weights_of is None else weights_of

    def cosine(features: Any, i: int, j: int) -> float:
        a, b = features[i], features[j]
        return float(a @ b / math.sqrt((a @ a) * (b @ b)))

    losses = []
    for anchor, own in enumerate(labels):
        together = apart = 0.0
        for other, label in enumerate(labels):
            if other == anchor:
                continue
            s, w = cosine(x, anchor, other), cosine(weights_of, anchor, other)
            if label == own:
                together += math.exp(-scale * max(0.0, 1 + margin - w) * (s - (1 - margin)))
            else:
                apart += math.exp(scale * max(0.0, w + margin) * (s - margin))
        if together and apart:
            losses.append(math.log(1 + apart * together))
    return sum(losses) / len(losses)


def test_circle_loss_of_three_points_by_hand() -> None:
    """Points at 0°, 60° and 90°, the first two of one identity, so that the third has no companion.

    First anchor: -4 · 0.75 · (0.5 - 0.75) = 0.75 and 4 · 0.25 · (0 - 0.25) = -0.25. Second anchor: 0.75 again and
    4 · (s + 0.25) · (s - 0.25) = 4 · (0.75 - 0.0625) = 2.75, with s = cos 30°.
    """
    expected = (math.log(1 + math.exp(0.5)) + math.log(1 + math.exp(3.5))) / 2
    found = circle(3 * on_the_circle(0, 60, 90), torch.tensor([0, 0, 1]), margin=0.25, scale=4)
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("margin", "scale"), [(0.25, 8.0), (0.4, 20.0)])
def test_circle_loss_and_its_gradient_agree_with_loops(margin: float, scale: float) -> None:
    rng = np.random.default_rng(3)
    start, labels = rng.normal(size=(9, 3)), [0, 0, 0, 1, 1, 2, 2, 2, 3]
    x = torch.tensor(start, requires_grad=True)
    loss = circle(x, torch.tensor(labels), margin, scale)
    assert loss.item() == pytest.approx(circle_by_loops(start, labels, margin, scale), rel=1e-9)
    loss.backward()
    step = 1e-6
    for i, c in ((0, 0), (4, 1), (8, 2)):  # the weights in brackets stay where they are
        moved = [start.copy(), start.copy()]
        moved[0][i, c] += step
        moved[1][i, c] -= step
        up, down = (circle_by_loops(m, labels, margin, scale, start) for m in moved)
        assert x.grad[i, c].item() == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-7)


def test_circle_loss_is_finite_without_pairs_and_at_its_published_scale() -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for labels in ([0] * 6, [0, 1, 2, 3, 4, 5]):
        loss = circle(x, torch.tensor(labels))
        loss.backward()
        assert loss.item() == 0
        assert x.grad.abs().sum() == 0
    circle(100 * x, torch.tensor([0, 0, 1, 1, 2, 3])).backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


def test_circle_scores_push_and_pull_at_the_right_places() -> None:
    """A pair at its optimum, 1 + m or -m, has no weight, and the boundary lies at 1 - m and m."""
    similarity = torch.tensor([0.75, 0.25, -0.3, -0.25], dtype=torch.float64)
    same = torch.tensor([True, False, False, False])
    assert circle_scores(similarity, same, 0.25).tolist() == pytest.approx([0, 0, 0, 0], abs=1e-12)
    assert circle_scores(torch.tensor([0.0, 0.0]), torch.tensor([True, False]), 0.25).tolist() == pytest.approx(
        [-1.25 * 0.75, -0.25 * 0.25]
    )


def test_margins_change_the_true_identity_alone() -> None:
    angles = torch.tensor([[30.0, 80.0, 120.0], [10.0, 60.0, 170.0]], dtype=torch.float64) * DEGREE
    labels = torch.tensor([0, 1])
    cos = angles.cos()
    arc, face = arcface_scores(cos, labels, 20 * DEGREE), cosface_scores(cos, labels, 0.35)
    expected = [math.cos(50 * DEGREE), math.cos(80 * DEGREE)]
    assert [arc[0, 0].item(), arc[1, 1].item()] == pytest.approx(expected, rel=1e-9)
    assert [face[0, 0].item(), face[1, 1].item()] == pytest.approx([math.sqrt(0.75) - 0.35, 0.5 - 0.35], rel=1e-12)
    others = torch.tensor([[False, True, True], [True, False, True]])
    assert torch.equal(arc[others], cos[others])
    assert torch.equal(face[others], cos[others])


def test_a_larger_angle_never_has_a_better_arcface_score() -> None:
    angles = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    scores = arcface_scores(angles.cos()[:, None], torch.zeros(2001, dtype=torch.int64), 0.5)[:, 0]
    assert (scores.diff() < 0).all()
    turned = angles < math.pi - 0.5 - 1e-9
    assert torch.allclose(scores[turned], (angles[turned] + 0.5).cos(), atol=1e-9)
    ends = torch.tensor([[1.0], [-1.0]], requires_grad=True)
    arcface_scores(ends, torch.tensor([0, 0]), 0.5).sum().backward()
    assert ends.grad.isfinite().all()


def test_published_margins_and_scales() -> None:
    assert {name: (kind.margin, kind.scale) for name, kind in MARGINS.items()} == {
        "arcface": (0.5, 64.0),
        "cosface": (0.35, 64.0),
        "circle": (0.25, 256.0),
    }


def test_cosines_ignore_lengths_and_autocast() -> None:
    x, weights = on_the_circle(0, 30).float(), 5 * on_the_circle(60, 90, 180).float()
    expected = [math.cos(a * DEGREE) for a in (60, 90, 180, 30, 60, 150)]
    assert cosines(x, weights).flatten().tolist() == pytest.approx(expected, abs=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(cosines(x, weights), cosines(x, weights).float())
        assert cosines(x, weights).flatten().tolist() == pytest.approx(expected, abs=1e-6)


# --- in the methods -------------------------------------------------------------------------------------------------
def made(method: str, folder: Path, **options: Any) -> Any:
    return tiny.make(method, folder, **options)[0].eval()


def seen(views: int) -> Batch:
    return tiny.batch([tiny.SIDE] * views)


def logits_by_hand(kind: str, cos: float, own: bool, margin: float) -> float:
    if kind == "circle":
        return max(0.0, 1 + margin - cos) * (cos - 1 + margin) if own else max(0.0, cos + margin) * (cos - margin)
    if not own:
        return cos
    return math.cos(math.acos(cos) + margin) if kind == "arcface" else cos - margin


METHODS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "ssbver": {"local_views": 0, "outputs": 8, "hidden": 16},
    "sgfd": {"branches": "global"},
}


@pytest.mark.parametrize("kind", MARGINS)
@pytest.mark.parametrize("name", METHODS)
def test_a_method_classifies_with_the_margin_of_its_configuration(name: str, kind: str, tmp_path: Path) -> None:
    choices = {"classifier": kind, "classifier_margin": 0.2, "classifier_scale": 7.0, "smoothing": 0.1}
    method = made(name, tmp_path, **METHODS[name], **choices)
    batch = seen(2 if name == "ssbver" else 1)
    weights = {
        "baseline": lambda: method.head.classifier.weight,
        "ssbver": lambda: method.student.head.classifier.weight,
        "sgfd": lambda: method.classifiers[0].weight,
    }[name]()
    losses = []
    with torch.no_grad():
        _, logs = method.step(batch)
        behind = torch.cat([method.embedder(view) for view in batch.views]).double().numpy()
    labels = batch.label.tolist() * len(batch.views)
    for vector, label in zip(behind, labels, strict=True):
        rows = [w / np.linalg.norm(w) for w in weights.detach().double().numpy()]
        cos = [float(vector / np.linalg.norm(vector) @ row) for row in rows]
        logits = [7.0 * logits_by_hand(kind, c, i == label, 0.2) for i, c in enumerate(cos)]
        total = math.log(sum(map(math.exp, logits)))
        shares = [0.1 / 4 + (0.9 if i == label else 0) for i in range(4)]
        losses.append(-sum(q * (v - total) for q, v in zip(shares, logits, strict=True)))
    if name == "sgfd":
        plain = made(name, tmp_path, **METHODS[name])
        plain.load_state_dict(method.state_dict())
        found = float(logs["global"]) - float(plain.step(batch)[1]["global"]) + softmax_of(plain, batch)
    else:
        found = float(logs["identity"])
    assert found == pytest.approx(float(np.mean(losses)), rel=1e-4, abs=1e-5)


def softmax_of(method: Any, batch: Batch) -> float:
    """Smoothed cross entropy of the linear classifier of SGFD's global branch."""
    with torch.no_grad():
        log_p = method.classifiers[0](method.embedder(batch.views[0])).log_softmax(1).double()
    own = log_p.gather(1, batch.label[:, None])[:, 0]
    return float(-(0.9 * own + 0.1 * log_p.mean(1)).mean())


@pytest.mark.parametrize("on", ["pooled", "embedding"])
@pytest.mark.parametrize("name", ["baseline", "ssbver"])
def test_a_method_compares_pairs_by_circle_loss(name: str, on: str, tmp_path: Path) -> None:
    choices: dict[str, Any] = {"pair_loss": "circle", "circle_margin": 0.3, "circle_scale": 9.0, "triplet_on": on}
    method = made(name, tmp_path, **METHODS[name], **choices)
    for layer in method.modules():  # an untrained neck leaves the directions of features as they are
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean += 0.01 * torch.arange(layer.num_features)
    batch = seen(2 if name == "ssbver" else 1)
    with torch.no_grad():
        _, logs = method.step(batch)
        network = method.backbone if on == "pooled" else method.embedder
        x = torch.cat([network(view) for view in batch.views]).double().numpy()
    expected = circle_by_loops(x, batch.label.tolist() * len(batch.views), 0.3, 9.0)
    assert "triplet" not in logs
    assert float(logs["circle"]) == pytest.approx(expected, rel=1e-4)


def test_gradients_of_every_choice_reach_backbone_and_classifier(tmp_path: Path) -> None:
    for kind in ("linear", *MARGINS):
        method = made("baseline", tmp_path, classifier=kind, triplet_weight=0.0)
        method.step(seen(1))[0].backward()
        assert method.head.classifier.weight.grad.abs().sum() > 0, kind
        assert method.backbone.body.conv1.weight.grad.abs().sum() > 0, kind


@pytest.mark.parametrize("choice", ["triplet_on=embedding", "pair_loss=circle", "margin=0.3", "circle_scale=64"])
def test_choices_of_pairs_have_no_effect_without_weight(choice: str, caplog: pytest.LogCaptureFixture) -> None:
    root = Path(__file__).parents[2] / "configs/reid/baseline_veri776.yaml"
    load_config(root, ["options.triplet_weight=0", f"options.{choice}"])
    assert f"{choice.partition('=')[0]} has no effect with options.triplet_weight=0" in caplog.messages[0]


def test_a_choice_without_effect_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = Path(__file__).parents[2] / "configs/reid/baseline_veri776.yaml"
    load_config(root, ["options.classifier=arcface", "options.classifier_margin=0.3", "options.margin=0.3"])
    assert not caplog.messages
    load_config(root, ["options.classifier_margin=0.3"])
    (said,) = caplog.messages
    assert "options.classifier_margin has no effect with options.classifier=linear" in said
    caplog.clear()
    load_config(
        root, ["options.pair_loss=circle", "options.margin=0.3", "options.gem_p=2", "options.camera_unknown=1"]
    )
    assert [text.split(": ")[1].split(" ")[0] for text in caplog.messages] == [
        "options.margin",
        "options.gem_p",
        "options.camera_unknown",
    ]
