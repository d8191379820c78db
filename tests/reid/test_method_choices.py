"""What each choice of a method changes, and what is deployed, logged and kept: single steps of tiny networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from reid.data import Record
from reid.data.loader import Batch
from reid.errors import ConfigError, DataError
from reid.methods import METHODS, viewpoints
from reid.methods.base import MethodContext, TrainingData, embedding_spread
from reid.mining import released_positives
from tests.reid import tiny
from tests.reid.tiny import SIDE, B

RECORDS = tuple(Record(Path(f"{i}.png"), i // 2, i % 2, view) for i, view in enumerate((0, 3, 6, -1, 2, 7, 4, 1)))
GALLERY = tuple(Record(Path(f"g{i}.png"), 90 + i, 0) for i in range(3))
TINY: dict[str, dict[str, Any]] = {
    "baseline": {},
    "ssml": {"dictionary_start": "zeros"},
    "ssbver": {"local_views": 0, "outputs": 8, "hidden": 16},
    "val": {},
    "sgfd": {"window": 3, "encoder": "resnet18_x0_25"},
    "slsr": {"generated": 0},
}


def make(
    method: str, folder: Path, *, records: tuple[Record, ...] = RECORDS, **options: Any
) -> tuple[Any, MethodContext]:
    return tiny.make(method, folder, records=records, gallery=GALLERY, **{**TINY[method], **options})


def batch(count: int = 1) -> Batch:
    return tiny.batch([SIDE] * count)


# --- all methods ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method_name", METHODS)
def test_the_stride_of_the_last_stage_is_as_chosen(method_name: str, tmp_path: Path) -> None:
    for stride, side in ((1, 4), (2, 2)):
        method, _ = make(method_name, tmp_path, last_stride=stride)
        assert method.backbone.features(torch.zeros(1, 3, 64, 64)).shape[2:] == (side, side)


@pytest.mark.parametrize("method_name", METHODS)
def test_every_step_logs_how_far_features_are_apart(method_name: str, tmp_path: Path) -> None:
    """Of the pooled features, or of the vectors that SSML keeps; a training stops where they collapse."""
    method, context = make(method_name, tmp_path)
    method.prepare(context)
    seen = batch(len(method.views))
    with torch.no_grad():
        loss, logs = method.eval().step(seen)
        features = method.backbone(torch.cat(seen.views))
        if method_name == "ssml":
            features = normalize(method.norm(features))
    assert logs["spread"].item() == pytest.approx(embedding_spread(features).item(), rel=1e-4)
    assert loss.isfinite()


@pytest.mark.parametrize("method_name", METHODS)
def test_views_have_the_size_that_was_chosen(method_name: str, tmp_path: Path) -> None:
    method, _ = make(method_name, tmp_path, size_hw=[48, 48])
    assert {view.size_hw for view in method.views} == {method.test_view.size_hw} == {(48, 48)}


@pytest.mark.parametrize("method_name", METHODS)
def test_a_checkpoint_holds_networks_and_nothing_of_the_data(method_name: str, tmp_path: Path) -> None:
    """But for SSML's dictionary, which cannot be made again."""
    method, context = make(method_name, tmp_path)
    method.prepare(context)
    own = {name for name in method.state_dict() if "." not in name}
    assert own == {"ssml": {"dictionary"}, "ssbver": {"center"}, "val": set()}.get(method_name, set())


@pytest.mark.parametrize("method_name", ["baseline", "val", "ssbver", "ssml"])
def test_the_feature_behind_the_neck_is_deployed(method_name: str, tmp_path: Path) -> None:
    """Batch normalization with its running statistics and a learned factor; SSML deploys the pooled feature."""
    method, _ = make(method_name, tmp_path)
    network = method.teacher if method_name == "ssbver" else method
    norm = {"val": "neck", "ssml": "norm"}.get(method_name, "head.norm")
    norm = network.get_submodule(norm)
    images = batch().views[0]
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.normal_()
        pooled = network.backbone.eval()(images)
        scaled = (pooled - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight
        embedder = method.embedder.eval()
        torch.testing.assert_close(embedder(images), pooled if method_name == "ssml" else scaled)
    assert embedder.dim == pooled.shape[1]
    # Only SSML's normalization learns an offset: nothing else centers its features.
    assert norm.bias.requires_grad == (method_name == "ssml")


# --- SSBVER ---------------------------------------------------------------------------------------------------------
def test_small_crops_count_only_where_there_are_any(tmp_path: Path) -> None:
    """A vision transformer takes no crops of 20 px; without small crops that does not matter."""
    backbone = "timm:vit_tiny_patch16_224"
    method, _ = make("ssbver", tmp_path, backbone=backbone, local_views=0, local_size_hw=[20, 20])
    assert len(method.views) == 2
    method, _ = make("ssbver", tmp_path, backbone=backbone, local_views=3, local_size_hw=[16, 16])
    assert [view.size_hw for view in method.views] == [(SIDE, SIDE)] * 2 + [(16, 16)] * 3
    with pytest.raises(ConfigError, match="does not take images of 20 × 20 px"):
        make("ssbver", tmp_path, backbone=backbone, local_views=1, local_size_hw=[20, 20])


def test_the_student_skips_layers_at_random_and_the_teacher_none(tmp_path: Path) -> None:
    method, _ = make("ssbver", tmp_path, backbone="timm:convnext_atto", drop_path=0.3)

    def probabilities(network: nn.Module) -> set[float]:
        return {layer.drop_prob for layer in network.modules() if hasattr(layer, "drop_prob")}

    assert max(probabilities(method.student)) == pytest.approx(0.3)
    assert probabilities(method.teacher) == {0.0}
    assert not [
        name for name, layer in method.student.named_modules() if "norm" in name and hasattr(layer, "drop_prob")
    ]


def test_teacher_and_student_begin_alike_and_apart(tmp_path: Path) -> None:
    method, _ = make("ssbver", tmp_path)
    student, teacher = dict(method.student.named_parameters()), dict(method.teacher.named_parameters())
    assert student.keys() == teacher.keys()
    for name, parameter in student.items():
        assert torch.equal(parameter, teacher[name])
        assert parameter.data_ptr() != teacher[name].data_ptr()
        assert not teacher[name].requires_grad
    assert method.temperature == pytest.approx(0.0005)
    assert method.center.tolist() == [0.0] * 8
    assert all(p.requires_grad for name, p in student.items() if name != "head.norm.bias")


# --- VAL ------------------------------------------------------------------------------------------------------------
def test_triplets_beside_the_viewpoint_loss_by_hand(tmp_path: Path) -> None:
    """Soft margin, weighted, over the pooled features; without a weight there are none."""
    method, context = make("val", tmp_path, triplet_weight=0.3)
    method.prepare(context)
    method.eval()
    seen = batch()
    with torch.no_grad():
        loss, logs = method.step(seen)
        x = method.backbone(seen.views[0]).double()
    distance = torch.linalg.norm(x[:, None] - x[None], dim=2)
    same = seen.label[:, None] == seen.label[None]
    gaps = [distance[i][same[i]].max() - distance[i][~same[i]].min() for i in range(B)]
    expected = 0.3 * np.mean([np.log1p(np.exp(float(gap))) for gap in gaps])
    assert logs["triplet"].item() == pytest.approx(expected, rel=1e-3)
    assert loss.item() == pytest.approx(sum(logs[k].item() for k in ("partition", "reunion", "triplet")), rel=1e-5)
    plain, context = make("val", tmp_path)
    plain.prepare(context)
    with torch.no_grad():
        assert set(plain.step(seen)[1]) == {"partition", "reunion", "center_cosine", "spread"}


def test_the_neck_of_val_can_be_left_out(tmp_path: Path) -> None:
    method, _ = make("val", tmp_path, neck=False)
    images = batch().views[0]
    with torch.no_grad():
        assert torch.equal(method.embedder.eval()(images), method.backbone(images))
    assert not [name for name, _ in method.named_parameters() if name.startswith("neck")]


@pytest.mark.parametrize(
    ("views", "expected"), [(1, [0] * 8), (2, [0, 0, 0, 0, 1, 1, 1, 1]), (8, [0, 3, 6, 6, 2, 7, 4, 1])]
)
def test_viewpoints_of_the_pictures(views: int, expected: list[int], tmp_path: Path) -> None:
    """Halves: a picture from the side, and one without a label, are as the next picture of the same passage."""
    same_camera = tuple(record._replace(camera_id=0) for record in RECORDS)
    method, context = make("val", tmp_path, records=same_camera, views=views)
    data = method.prepare(context)
    assert data is context.training_data
    assert method.viewpoint.tolist() == expected


def test_a_list_of_viewpoints_stands_above_those_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "views.csv"
    path.write_text("path,view\n0.png,5\n3.png,1\n")
    method, context = make("val", tmp_path, views=8, labels=str(path))
    method.prepare(context)
    assert method.viewpoint.tolist() == [5, 3, 6, 1, 2, 7, 4, 1]


def test_pictures_without_any_viewpoint_are_refused(tmp_path: Path) -> None:
    unknown = tuple(record._replace(view=-1) for record in RECORDS)
    method, context = make("val", tmp_path, records=unknown)
    with pytest.raises(
        DataError, match=r"expected viewpoints of some training images, found none; set options\.annotation, or"
    ):
        method.prepare(context)
    # Plain softmax needs none.
    plain, context = make("val", tmp_path, records=unknown, views=1)
    plain.prepare(context)
    assert plain.viewpoint.tolist() == [0] * 8


def test_a_classifier_learns_viewpoints_from_a_few_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bright cars are seen from the front, dark ones from behind; every fourth picture says so."""
    records, truth = [], []
    rng = np.random.default_rng(0)
    for i in range(32):
        bright = int(rng.integers(2)) if i >= 8 else i % 2
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), rng.integers(0, 60, (24, 24, 3)).astype(np.uint8) + np.uint8(180 * bright))
        records.append(Record(path, i // 4, 0, 1 - bright if i < 8 else -1))
        truth.append(1 - bright)
    options = {"unknown": "classify", "classifier_epochs": 12}
    method, context = make("val", tmp_path, records=tuple(records), **options)
    method.prepare(context)
    assert method.viewpoint.tolist() == truth
    # What is known stays, also where the classifier would say something else.
    wrong = (*records[:8], records[8]._replace(view=truth[8] ^ 1), *records[9:])
    method, context = make("val", tmp_path / "wrong", records=wrong, **options)
    method.prepare(context)
    assert method.viewpoint[8].item() == truth[8] ^ 1
    # The labels are kept for the next time.
    monkeypatch.setattr(viewpoints, "classify", lambda *a, **c: pytest.fail("trained again"))
    again, context = make("val", tmp_path / "wrong", records=wrong, **options)
    again.prepare(context)
    assert again.viewpoint.tolist() == method.viewpoint.tolist()
    one_sided = tuple(record._replace(view=0 if record.view >= 0 else -1) for record in records)
    monkeypatch.undo()
    method, context = make("val", tmp_path / "one", records=one_sided, **options)
    with pytest.raises(DataError, match="viewpoint class 1 has no labeled image"):
        method.prepare(context)


# --- SGFD -----------------------------------------------------------------------------------------------------------
def test_the_attended_feature_stands_before_the_global_one(tmp_path: Path) -> None:
    method, _ = make("sgfd", tmp_path)
    network = method.embedder.eval()
    images = batch().views[0]
    with torch.no_grad():
        for norm in network.norms:
            norm.running_mean.normal_()
        plain, attended = network.features(images)
        of_global, of_attended = (norm(x) for norm, x in zip(network.norms, (plain, attended), strict=True))
        torch.testing.assert_close(network(images), torch.cat([of_attended, of_global], 1))
    assert network.dim == 2 * method.backbone.dim


def test_the_upper_half_is_there_twice_with_weights_of_its_own(tmp_path: Path) -> None:
    method, _ = make("sgfd", tmp_path)
    upper = method.backbone.split()[1]
    own = {p.data_ptr() for p in upper.parameters()}
    copied = [p.data_ptr() for p in method.network.attended.parameters()]
    assert len(copied) == len(own)
    assert not own & set(copied)
    assert len(method.network.norms) == len(method.classifiers) == 2
    alone, _ = make("sgfd", tmp_path, branches="global")
    assert alone.network.attended is alone.network.encoder is alone.rotation is None
    assert len(alone.network.norms) == len(alone.classifiers) == 1


def test_the_rotation_head_has_the_published_size(tmp_path: Path) -> None:
    """Two blocks of 512 channels and stride 2 without offsets, a cosine classifier of four turns and its scale."""
    method, _ = make("sgfd", tmp_path, encoder="resnet18")
    block = 2 * 9 * 512 * 512 + 512 * 512 + 3 * 2 * 512
    assert sum(p.numel() for p in method.rotation.parameters()) == 2 * block + 4 * 512 + 1
    with torch.no_grad():
        assert method.rotation(torch.zeros(3, 512, 8, 8)).shape == (3, 4)
        assert method.rotation[0](torch.zeros(1, 512, 8, 8)).shape[2:] == (4, 4)
        assert method.network.encoder(torch.zeros(1, 3, 64, 64)).shape == (1, 512, 8, 8)


def test_half_of_the_loss_is_that_of_each_branch(tmp_path: Path) -> None:
    """Hinge with the margin of the method, and cross entropy smoothed by 0.1, averaged over both branches."""
    method, _ = make("sgfd", tmp_path, rotation_weight=0, margin=0.8)
    method.eval()
    seen = batch()
    with torch.no_grad():
        loss, logs = method.step(seen)
        expected = []
        for x, norm, classify in zip(
            method.network.features(seen.views[0]), method.network.norms, method.classifiers, strict=True
        ):
            log_p = classify(norm(x)).log_softmax(1)
            smoothed = [-(0.9 * row[c] + 0.1 * row.mean()) for row, c in zip(log_p, seen.label, strict=True)]
            distance = torch.cdist(x.double(), x.double())
            same = seen.label[:, None] == seen.label[None]
            gaps = [distance[i][same[i]].max() - distance[i][~same[i]].min() + 0.8 for i in range(B)]
            expected.append((torch.stack(smoothed).mean() + torch.stack(gaps).clamp(min=0).mean()) / 2)
    assert [logs["global"].item(), logs["attended"].item()] == pytest.approx([e.item() for e in expected], rel=1e-3)
    assert loss.item() == pytest.approx(sum(e.item() for e in expected), rel=1e-3)


# --- SSML -----------------------------------------------------------------------------------------------------------
def features(method: Any, asked: list[tuple[Record, ...]]) -> Any:
    """Stands in for the extraction: another unit vector for each record, a new one at each renewal."""

    def extract(network: Any, records: tuple[Record, ...], *rest: Any) -> Tensor:
        asked.append(records)
        found = torch.rand(len(records), method.backbone.dim, generator=torch.Generator().manual_seed(len(asked)))
        return found if network is method.backbone else normalize(found)

    return extract


@pytest.mark.parametrize("with_gallery", [False, True])
def test_the_gallery_is_learned_from_only_on_request(with_gallery: bool, tmp_path: Path) -> None:
    method, context = make("ssml", tmp_path, with_gallery=with_gallery, dictionary_start="features")
    records = RECORDS + (GALLERY if with_gallery else ())
    data: TrainingData = method.prepare(context)
    assert (data.records, data.labels.tolist()) == (records, list(range(len(records))))
    assert method.dictionary.shape == (len(records), method.backbone.dim)
    assert not method.dictionary.any()
    asked: list[tuple[Record, ...]] = []
    method.epoch_start(0, replace(context, extract=features(method, asked)))
    assert asked == [records, records]


def test_a_dictionary_of_zeros_is_left_alone_until_the_first_renewal(tmp_path: Path) -> None:
    method, context = make("ssml", tmp_path, renew_every=1, dictionary_start="zeros")
    asked: list[tuple[Record, ...]] = []
    context = replace(context, extract=features(method, asked))
    method.prepare(context)
    method.epoch_start(0, context)
    assert not method.dictionary.any()
    method.epoch_start(1, context)
    assert asked == [RECORDS]  # later the normalization has statistics of its own
    assert torch.allclose(method.dictionary.norm(dim=1), torch.ones(8))


@pytest.mark.parametrize("mine_every", ["step", "epoch"])
def test_mining_sees_the_dictionary_of_the_step_or_of_the_epoch(mine_every: str, tmp_path: Path) -> None:
    method, context = make("ssml", tmp_path, mine_every=mine_every, mine_from_epoch=1, renew_every=9)
    method.prepare(context)
    method.dictionary.copy_(torch.eye(8, method.backbone.dim))
    method.epoch_start(1, context)
    seen = batch()
    method.step(seen)
    method._latest = torch.eye(8, method.backbone.dim)[[4, 4, 4, 4]]
    method.after_step(seen)
    together = sorted(map(len, method._positives(torch.arange(8))))
    assert together[-1] == (5 if mine_every == "step" else 1)


def test_the_rule_of_the_published_program_on_request(tmp_path: Path) -> None:
    method, context = make("ssml", tmp_path, mining="released", mine_from_epoch=1, renew_every=9, share=0.3)
    method.prepare(context)
    rows = torch.randn(8, method.backbone.dim, generator=torch.Generator().manual_seed(0))
    method.dictionary.copy_(normalize(rows + 3 * rows[:1]))
    method.epoch_start(0, context)
    assert [p.tolist() for p in method._positives(torch.arange(8))] == [[i] for i in range(8)]
    method.epoch_start(1, context)
    expected = [p.tolist() for p in released_positives(method.dictionary, torch.arange(8), 0.6)]
    assert [p.tolist() for p in method._positives(torch.arange(8))] == expected
    assert max(map(len, expected)) > 2
    # It rounds the number of hard negatives down: 0.3 of seven or fewer others is at most two.
    with torch.no_grad():
        method.eval()
        loss, logs = method.step(batch())
        z = method._features(batch().views[0])
        similarity = z @ method.dictionary.T
    assert logs["positives"].item() == pytest.approx(np.mean([len(p) for p in expected[:B]]))
    each = []
    for i in range(B):
        own = expected[i]
        others = sorted((similarity[i, j].item() for j in range(8) if j not in own), reverse=True)
        hard = others[: int(0.3 * len(others))]
        pull = np.mean([(1 - similarity[i, j].item()) ** 2 for j in own])
        each.append(pull + 0.4 * (np.mean([(1 + s) ** 2 for s in hard]) if hard else 0))
    assert loss.item() == pytest.approx(np.mean(each), rel=1e-4)
