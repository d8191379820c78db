"""Single steps of the methods against what they should have computed, one image and one crop at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.data.loader import Batch
from reid.losses.distillation import distillation
from reid.methods import slsr, val
from reid.training.build import build_method
from reid.training.checkpoint import make_card

SIDE, B = 32, 4
RECORDS = tuple(Record(Path(f"{i}.png"), i // 2, i % 2, view) for i, view in enumerate((0, 3, 6, 4, 2, 7, -1, 1)))


def make(method: str, folder: Path, **options: Any) -> tuple[Any, Any]:
    config = make_config(
        {
            "method": method,
            "backbone": "osnet_x0_25",
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [SIDE, SIDE], **options},
            "output": str(folder),
        }
    )
    return build_method(config, DatasetSplit("tiny", "folder", RECORDS), torch.device("cpu"))


def batch(sizes: list[int], flipped: list[bool] | None = None) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        [torch.randn(B, 3, s, s, generator=generator) for s in sizes],
        torch.tensor([flipped or [False] * B] * len(sizes)),
        torch.arange(B),
        torch.tensor([r.vehicle_id for r in RECORDS[:B]]),
        torch.zeros(B, dtype=torch.int64),
        torch.tensor([r.view for r in RECORDS[:B]]),
    )


def test_every_crop_is_compared_with_the_teacher_of_the_same_image(tmp_path: Path) -> None:
    method, _ = make("ssbver", tmp_path, local_views=2, local_size_hw=[16, 16], outputs=8, hidden=16, weight=1.0)
    for parameter in method.teacher.parameters():
        parameter.mul_(1.5)  # so that teacher and student differ
    method.eval()  # running statistics: every crop can be computed alone
    seen = batch([SIDE, SIDE, 16, 16])
    with torch.no_grad():
        _, logs = method.step(seen)

        def alone(network: Any, views: list[torch.Tensor]) -> torch.Tensor:
            return torch.stack(
                [torch.cat([network.ssl(network.backbone(v[b : b + 1])) for b in range(B)]) for v in views]
            )

        student, teacher = alone(method.student, seen.views), alone(method.teacher, seen.views[:2])
        expected = distillation(
            student, teacher, method.center, student_temperature=0.1, teacher_temperature=method.temperature
        )
        assert logs["distillation"].item() == pytest.approx(expected.item(), rel=1e-4)
        method.after_step(seen)
        assert torch.allclose(method.center, 0.1 * teacher.flatten(0, 1).mean(0), atol=1e-5)


def test_a_mirrored_image_has_the_mirrored_viewpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, context = make("val", tmp_path, views=8)
    method.prepare(context)
    assert method.viewpoint.tolist() == [0, 3, 6, 4, 2, 7, 1, 1]  # the gap follows its neighbor
    given: list[list[int]] = []
    partition = val.partition

    def spy(cosines: Any, labels: Any, views: Any, **choices: Any) -> Any:
        given.append(views.tolist())
        return partition(cosines, labels, views, **choices)

    monkeypatch.setattr(val, "partition", spy)
    method.step(batch([SIDE]))
    method.step(batch([SIDE], [True] * B))
    assert given == [[0, 3, 6, 4], [0, 6, 3, 7]]


def test_a_dictionary_row_moves_towards_its_image(tmp_path: Path) -> None:
    method, context = make("ssml", tmp_path, mine_from_epoch=9, dictionary_start="zeros")
    training_data = method.prepare(context)
    assert training_data.labels.tolist() == list(range(8))  # no identity is left
    method.epoch_start(0, context)
    seen = batch([SIDE])
    loss, _ = method.step(seen)
    assert loss.item() == pytest.approx(1.4, abs=1e-5)  # the first loss the authors logged
    z = method._latest
    method.after_step(seen)
    assert torch.allclose(method.dictionary[:B], z)
    assert method.dictionary[B:].abs().sum() == 0
    method.step(seen)
    method.after_step(seen)
    assert torch.allclose(method.dictionary[:B], normalize(z + method._latest), atol=1e-6)


def test_generated_images_are_a_little_of_their_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, context = make("slsr", tmp_path, generated=2)
    clusters = np.array([0, 0, 0, 1, 1, 1, 1, 1])  # identities 0 and 1 in the first, 1, 2 and 3 in the second
    monkeypatch.setattr(slsr.Method, "_clusters", lambda self, context: clusters)
    new = tuple(Record(Path(f"new{i}.png"), -1, -1) for i in range(2))
    monkeypatch.setattr(slsr.Method, "_generate", lambda self, context, clusters: (new, torch.tensor([0, 1])))
    training_data = method.prepare(context)
    assert training_data.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, -1, -1]
    assert method.cluster.tolist() == [-1] * 8 + [0, 1]
    method.eval()
    seen = batch([SIDE])
    mixed = Batch(
        seen.views, seen.flipped, torch.tensor([0, 2, 8, 9]), torch.tensor([0, 1, -1, -1]), seen.camera, seen.view
    )
    with torch.no_grad():
        loss, _ = method.step(mixed)
        log_p = method.head(method.backbone(seen.views[0])).log_softmax(1)
    each = [log_p[0, 0], log_p[1, 1], (log_p[2, 0] + log_p[2, 1]) / 2, log_p[3, 1:].mean()]
    assert loss.item() == pytest.approx(-sum(v.item() for v in each) / 4, rel=1e-5)


def test_attended_features_follow_the_attention(tmp_path: Path) -> None:
    method, _ = make("sgfd", tmp_path, gain="places")
    network = method.embedder.eval()
    images = batch([SIDE]).views[0]
    with torch.no_grad():
        plain, attended = network.features(images)
        weights = network.attention(images)
        assert weights.shape == (B, 1, SIDE // 8, SIDE // 8)
        assert torch.allclose(weights.sum((1, 2, 3)), torch.ones(B), atol=1e-5)
        assert network(images).shape == (B, 2 * network.backbone.dim)
        # The second upper half starts as a copy of the first.
        lower, _, _ = network.backbone.split()
        assert torch.allclose(network.attended(lower(images)), plain, atol=1e-6)
        assert torch.allclose(network.attended(lower(images) * weights * 16), attended, atol=1e-6)
        assert not torch.equal(attended, plain)


@pytest.mark.parametrize("method_name", ["baseline", "ssbver", "sgfd"])
@pytest.mark.parametrize("margin", [0.3, 2.5])
def test_triplets_of_the_embedding_by_hand(tmp_path: Path, method_name: str, margin: float) -> None:
    """Every anchor's farthest companion and nearest stranger, found by loops over what is deployed."""
    options = {
        "baseline": {},
        "ssbver": {"local_views": 0, "outputs": 8, "hidden": 16},
        "sgfd": {"branches": "global"},
    }[method_name]
    method, _ = make(method_name, tmp_path, margin=margin, triplet_on="embedding", **options)
    # Running statistics: images do not depend on each other. Double precision: an untrained network tells images
    # apart by so little that rounding, which machines do differently, shows in the distances.
    method.eval().double()
    seen = batch([SIDE, SIDE] if method_name == "ssbver" else [SIDE])
    seen = replace(seen, views=[view.double() for view in seen.views])
    with torch.no_grad():
        _, logs = method.step(seen)
        # Student and teacher are still the same.
        vectors = torch.cat([method.embedder(view) for view in seen.views]).double().numpy()
    labels = seen.label.tolist() * len(seen.views)
    units = [v / np.sqrt((v**2).sum()) for v in vectors]
    gaps = []
    for anchor, label in zip(units, labels, strict=True):
        apart = [float(np.sqrt(((anchor - other) ** 2).sum())) for other in units]
        companions = [d for d, other in zip(apart, labels, strict=True) if other == label]
        strangers = [d for d, other in zip(apart, labels, strict=True) if other != label]
        gaps.append(max(0.0, max(companions) - min(strangers) + margin))
    expected = sum(gaps) / len(gaps)
    found = logs["triplet"] if method_name != "sgfd" else logs["global"] - identity_of(method, seen)
    assert float(found) == pytest.approx(expected, abs=2e-5)


def identity_of(method: Any, seen: Batch) -> float:
    """Smoothed cross entropy of the global branch, one image and one class at a time."""
    with torch.no_grad():
        logits = method.classifiers[0](method.embedder(seen.views[0])).double().numpy()
    losses = []
    for row, label in zip(logits, seen.label.tolist(), strict=True):
        log_sum = np.log(sum(np.exp(row)))
        shares = [0.1 / len(row) + (0.9 if c == label else 0.0) for c in range(len(row))]
        losses.append(-sum(share * (value - log_sum) for share, value in zip(shares, row, strict=True)))
    return float(np.mean(losses))


@pytest.mark.parametrize(("method_name", "expected"), [("ssbver", "cubic"), ("baseline", "linear")])
def test_the_card_says_how_a_method_resizes(tmp_path: Path, method_name: str, expected: str) -> None:
    options = {"local_views": 0, "outputs": 8, "hidden": 16} if method_name == "ssbver" else {}
    method, _ = make(method_name, tmp_path, **options)
    content = {"data": {"name": "folder", "root": "unused"}, "output": str(tmp_path)}
    config = make_config(
        {"method": method_name, "backbone": "resnet18_x0_25", "options": {"size_hw": [SIDE, SIDE]}, **content}
    )
    assert make_card(config, method).interpolation == expected
