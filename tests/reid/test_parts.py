"""Heads, clusters, generative networks, viewpoints, moving averages: the parts that methods are made of."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2
from torch import nn

from reid.data import Record
from reid.data.views import RECIPES
from reid.errors import DataError
from reid.methods import viewpoints
from reid.methods.base import embedding_spread, resize_recipe
from reid.methods.clustering import kmeans
from reid.methods.ssbver import move_average
from reid.networks import gan
from reid.networks.heads import BNNeck, BottleneckClassifier, CosineHead, DinoHead, SubclassHead


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def millions(net: nn.Module) -> float:
    return round(count(net) / 1e6, 1)


@pytest.mark.parametrize(("outputs", "size"), [(1024, 9.2), (16384, 13.1), (65536, 25.7)])
def test_self_supervised_head_has_the_published_size(outputs: int, size: float) -> None:
    with torch.device("meta"):
        assert millions(DinoHead(2048, outputs)) == size


def test_the_hidden_layers_of_the_self_supervised_head() -> None:
    """d → 2048 → 2048 → 256 with offsets, two normalizations, and E unit prototypes of 256."""
    with torch.device("meta"):
        layers = (512 + 1) * 2048 + (2048 + 1) * 2048 + (2048 + 1) * 256
        assert count(DinoHead(512, 1024)) == layers + 2 * 2 * 2048 + 1024 * 256


def test_layers_begin_with_the_published_spread() -> None:
    """Classifiers 0.001, centers 0.01, the self-supervised head 0.02 cut off at 2, the bottleneck √(2 / 512)."""
    torch.manual_seed(0)
    assert BNNeck(256, 400).classifier.weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert SubclassHead(256, 200, 2).centers.std().item() == pytest.approx(0.01, rel=0.02)
    bottleneck = BottleneckClassifier(300, 400)
    assert bottleneck[0].weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert bottleneck[-1].weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert [bottleneck[0].bias.abs().max().item(), bottleneck[-1].bias.abs().max().item()] == [0, 0]
    head = DinoHead(256, 512, 300)
    for weight in (head.prototypes, *(layer.weight for layer in head.mlp if isinstance(layer, nn.Linear))):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert all(layer.bias.abs().max() == 0 for layer in head.mlp if isinstance(layer, nn.Linear))
    generator = gan.Generator(16, 64)
    assert generator.first.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert generator.rest[-2].weight.std().item() == pytest.approx(0.02, rel=0.05)
    norms = torch.cat([layer.weight for layer in generator.modules() if isinstance(layer, nn.BatchNorm2d)])
    assert (norms.mean().item(), norms.std().item()) == (pytest.approx(1, abs=0.01), pytest.approx(0.02, rel=0.2))


def test_the_cosine_classifier_scales_by_what_it_learned() -> None:
    head = CosineHead(3, 2)
    assert head.scale.item() == 10
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[2.0, 0, 0], [0, 3.0, 4.0]]))
        found = head(torch.tensor([[5.0, 0, 0], [0, 0, 7.0]]))
    torch.testing.assert_close(found, torch.tensor([[10.0, 0], [0, 8.0]]))


def test_heads_give_cosines() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 8)
    assert DinoHead(8, 16, 32, 8)(x).abs().max() <= 1 + 1e-6
    head = SubclassHead(8, 3, 2)
    assert head(x).shape == (4, 3, 2)
    assert head(head.centers.detach()[1, :1])[0, 1, 0].item() == pytest.approx(1, abs=1e-6)


def test_neck_learns_no_offset() -> None:
    head = BNNeck(8, 3)
    assert not head.norm.bias.requires_grad
    assert head.classifier.bias is None


def test_moving_average_of_everything() -> None:
    given = json.loads((Path(__file__).parents[1] / "golden/g06_ssbver_ssl.json").read_text())
    teacher, student = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    for net, key in ((teacher, "ema_teacher"), (student, "ema_student")):
        net.weight.data = torch.tensor(given["input"][key])
        net.running_mean = torch.tensor(given["input"][key])
    student.num_batches_tracked += 7
    move_average(teacher, student, given["input"]["ema"])
    assert teacher.weight.tolist() == pytest.approx(given["expected"]["ema_after"])
    assert teacher.running_mean.tolist() == pytest.approx(given["expected"]["ema_after"])
    assert teacher.num_batches_tracked == 7


def test_spread_is_one_minus_the_mean_cosine() -> None:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    unit = nn.functional.normalize(x)
    pairs = [float(unit[i] @ unit[j]) for i in range(5) for j in range(5) if i != j]
    assert embedding_spread(x).item() == pytest.approx(1 - sum(pairs) / len(pairs), abs=1e-6)
    assert embedding_spread(torch.ones(4, 3)).item() == pytest.approx(0, abs=1e-6)


def test_a_recipe_keeps_its_proportions() -> None:
    small = resize_recipe(RECIPES["baseline"], (64, 64))
    assert small.size_hw == (64, 64)
    assert small.pad_px == round(RECIPES["baseline"].pad_px / 4)


def test_clusters_are_found_and_numbered_by_size() -> None:
    rng = np.random.default_rng(0)
    sizes = (5, 20, 10)
    points = np.concatenate([rng.normal(c * 10, 0.5, (n, 4)) for c, n in enumerate(sizes)])
    labels = kmeans(points, 3, seed=1)
    assert np.bincount(labels).tolist() == [20, 10, 5]
    assert len({tuple(labels[s]) for s in (slice(5, 25),)}) == 1
    assert (labels == kmeans(points, 3, seed=1)).all()
    assert kmeans(np.zeros((4, 2)), 2, seed=0).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_no_point_is_nearer_to_another_cluster(seed: int) -> None:
    """Points spread evenly need many rounds until each is nearest to the mean of its own cluster."""
    points = np.random.default_rng(seed).uniform(size=(600, 2))
    labels = kmeans(points, 12, seed=seed, attempts=1, rounds=50)
    centers = np.stack([points[labels == c].mean(0) for c in range(12)])
    distance = np.linalg.norm(points[:, None] - centers, axis=2)
    assert (distance[np.arange(600), labels] <= distance.min(1) + 1e-12).all()


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_round_is_ten_iterations(rounds: int) -> None:
    """Beside SciPy's own iterations in one go, numbered by size afterwards."""
    points = np.random.default_rng(0).uniform(size=(600, 2))
    _, expected = kmeans2(points, 12, iter=10 * rounds, minit="++", seed=np.random.default_rng(3))
    labels = kmeans(points, 12, seed=3, attempts=1, rounds=rounds)
    pairs = set(zip(labels.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == 12
    sizes = np.bincount(labels)
    assert (np.diff(sizes) <= 0).all()


def test_of_equal_clusters_and_of_equal_starts_the_first_is_taken() -> None:
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])  # two divisions into halves, equally good
    halves = []
    for seed in range(12):
        first = kmeans(square, 2, seed=seed, attempts=1).tolist()
        if sum(first) == 2:
            halves.append(first)
            assert first[0] == 0
            assert kmeans(square, 2, seed=seed).tolist() == first
    assert len(set(map(tuple, halves))) == 2


def test_generative_networks_have_the_published_size_and_repeat_themselves() -> None:
    with torch.device("meta"):
        assert millions(gan.Generator()) == 7.6
        assert millions(gan.Discriminator()) == 4.3
    cpu, pictures = torch.device("cpu"), torch.randint(256, (6, gan.SIDE, gan.SIDE, 3), dtype=torch.uint8)
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        pair = gan.Generator(2), gan.Discriminator(2)
        before = gan.generate(pair[0], 3, seed=0, device=cpu)
        told: list[str] = []
        gan.train_gan(*pair, pictures, epochs=2, batch=5, seed=0, device=cpu, progress=told.append)
        made.append(gan.generate(pair[0], 3, seed=0, device=cpu, batch=2))
        assert len(told) == 2
    assert made[0].shape == (3, gan.SIDE, gan.SIDE, 3)
    assert not torch.equal(made[0], before)
    assert torch.equal(made[0], made[1])


def test_generative_networks_layer_by_layer() -> None:
    """Offsets stand where no normalization follows: in the first and last layer of D, in the last of G."""
    widths = [8, 16, 32, 64]
    inner = sum(25 * a * b + 2 * b for a, b in pairwise(widths))
    with torch.device("meta"):
        down = (25 * 3 * 8 + 8) + inner + (64 * 64 + 1)
        assert count(gan.Discriminator(8)) == down
        up = 100 * 64 * 64 + 2 * 64 + sum(25 * a * b + 2 * a for a, b in pairwise(widths)) + 25 * 8 * 3 + 3
        assert count(gan.Generator(8)) == up


def test_one_picture_alone_teaches_nothing() -> None:
    """Batch normalization needs two; the epoch is reported with losses of 0."""
    pair = gan.Generator(2, 32), gan.Discriminator(2, 32)
    before = [p.clone() for net in pair for p in net.parameters()]
    told: list[str] = []
    picture = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    gan.train_gan(*pair, picture, epochs=1, batch=4, seed=0, device=torch.device("cpu"), progress=told.append)
    assert told == ["epoch 1: discriminator 0.000, generator 0.000"]
    assert all(torch.equal(a, b) for a, b in zip(before, (p for n in pair for p in n.parameters()), strict=True))
    assert gan.generate(pair[0], 0, seed=0, device=torch.device("cpu")).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("side", [32, 64, 128])
def test_generative_networks_of_another_side(side: int) -> None:
    """Layers double or halve the side between 8 px and the picture; at 32 px there are two of them."""
    generator, discriminator = gan.Generator(4, side), gan.Discriminator(4, side)
    pictures = torch.randint(256, (4, side, side, 3), dtype=torch.uint8)
    kinds = [torch.nn.ConvTranspose2d, torch.nn.Conv2d]
    counts = [
        sum(isinstance(m, k) for m in n.modules()) for n, k in zip((generator, discriminator), kinds, strict=True)
    ]
    assert [8 * 2**count for count in counts] == [side, side]
    mixed: list[str] = []

    def told() -> torch.autocast:
        mixed.append("")
        return torch.autocast("cpu", torch.bfloat16)

    cpu = torch.device("cpu")
    gan.train_gan(generator, discriminator, pictures, epochs=1, batch=4, seed=0, device=cpu, mixed=told)
    assert len(mixed) == 3  # one step of the discriminator, two of the generator
    assert gan.generate(generator, 2, seed=0, device=cpu).shape == (2, side, side, 3)


# --- viewpoints --------------------------------------------------------------------------------------------------
def records(*places: tuple[int, int]) -> list[Record]:
    return [Record(Path(f"{v:04d}_c{c:03d}_{n:04d}.jpg"), v, c) for n, (v, c) in enumerate(places)]


def test_mirroring_twice_changes_nothing_and_swaps_sides() -> None:
    for count, table in viewpoints.MIRRORED.items():
        assert [table[table[v]] for v in range(count)] == list(range(count))
    left, right = viewpoints.SUBCLASS[4][3], viewpoints.SUBCLASS[4][6]
    assert viewpoints.MIRRORED[4][left] == right
    for v in range(8):  # the coarse class of a mirrored view is the mirrored coarse class
        for count in (2, 4):
            coarse, mirrored = viewpoints.SUBCLASS[count][v], viewpoints.SUBCLASS[count][viewpoints.MIRRORED[8][v]]
            assert mirrored == (coarse if coarse < 0 else viewpoints.MIRRORED[count][coarse])


def test_unknown_viewpoints_follow_their_passage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "reid")
    known = np.array([0, -1, -1, 2, -1, 3])
    found = viewpoints.fill_from_neighbors(known, records((1, 1), (1, 1), (1, 1), (1, 1), (2, 1), (1, 2)))
    assert found.tolist() == [0, 0, 2, 2, 1, 3]
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("viewpoints of 6 pictures: 3 known, 2 as the nearest in their passage, 1 counted as rear")


def test_a_passage_is_in_the_order_of_its_file_names() -> None:
    crops = records((1, 1), (1, 1), (1, 1), (1, 1))
    shuffled = [crops[i] for i in (2, 0, 3, 1)]
    known = np.array([-1, 0, 2, -1])  # frames 2, 0, 3, 1
    assert viewpoints.fill_from_neighbors(known, shuffled).tolist() == [2, 0, 2, 0]


def test_labels_from_a_list(tmp_path: Path) -> None:
    crops = records((1, 1), (1, 1))
    path = tmp_path / "views.csv"
    path.write_text(f"path,view\nsomewhere/{crops[1].path.name},4\n")
    assert viewpoints.read_labels(path, crops).tolist() == [-1, 4]
    for text in ("path,view\nother.jpg,1\n", "path\nx\n", f"path,view\n{crops[0].path},9\n"):
        path.write_text(text)
        with pytest.raises(DataError):
            viewpoints.read_labels(path, crops)
    with pytest.raises(DataError, match="cannot be read"):
        viewpoints.read_labels(tmp_path / "none.csv", crops)


def test_listed_viewpoints_of_equal_file_names_are_told_apart_by_folders(tmp_path: Path) -> None:
    """A folder of crops numbers them anew in each folder: red/west/0.jpg, blue/west/0.jpg."""
    crops = tuple(Record(Path(f"/data/{v}/{c}/0.jpg"), i, 0) for i, (v, c) in enumerate([("a", "x"), ("b", "x")]))
    path = tmp_path / "views.csv"
    path.write_text("\ufeffpath,view\n./b/x/0.jpg,3\nc/y/0.jpg,1\n", encoding="utf-8")
    assert viewpoints.read_labels(path, crops).tolist() == [-1, 3]
    for rows, said in (
        ("b/x/0.jpg,3\n0.jpg,1", r":3: expected a path such as a/x/0\.jpg, got 0\.jpg"),
        ("b/x/0.jpg,3\nb/x/0.jpg,4", ":3: expected one viewpoint of b/x/0.jpg, got two"),
        ("b/x/0.jpg,-5", ":2: expected a viewpoint 0…7, got -5"),
    ):
        path.write_text(f"path,view\n{rows}\n")
        with pytest.raises(DataError, match=said):
            viewpoints.read_labels(path, crops)


def test_predicted_viewpoints_are_kept_until_images_or_network_change(tmp_path: Path) -> None:
    calls = []

    def make() -> np.ndarray:
        calls.append(1)
        return np.array([0, 1])

    crops, classes = records((1, 1), (1, 1)), np.array([0, -1])
    for _ in range(2):
        assert viewpoints.cached(tmp_path / "kept.json", crops, classes, ["resnet18"], make).tolist() == [0, 1]
    assert len(calls) == 1
    assert viewpoints.cached(tmp_path / "a/b/kept.json", crops, classes, ["resnet18"], make).tolist() == [0, 1]
    calls.pop()
    viewpoints.cached(tmp_path / "kept.json", crops, np.array([1, -1]), ["resnet18"], make)
    assert len(calls) == 2
    viewpoints.cached(tmp_path / "kept.json", crops, np.array([1, -1]), ["resnet50"], make)
    assert len(calls) == 3
