"""The shipped embedder's composition: projections against naive algebra, branches against their originals."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from scipy import linalg

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("onnx")

from mtmc.embed.color import ColorHistogramEmbedder  # noqa: E402
from mtmc.zoo import model_file  # noqa: E402
from reid.data.views import IMAGENET_MEAN, IMAGENET_STD  # noqa: E402
from reid.inference import load_embedder  # noqa: E402
from tools.embedder.cut import cut_crops  # noqa: E402
from tools.embedder.projection import fit_gate, fit_projection, unit  # noqa: E402


def pools(count: int = 400, size: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures that differ in directions 0 and 1, changes that act in direction 2."""
    rng = np.random.default_rng(0)
    found = []
    for shift in (0.0, 0.3):
        plain = rng.normal(0, [3, 2, 0.5, 0.1, 0.1, 0.1][:size], (count, size)) + shift
        found.append((plain, plain + rng.normal(0, [0.1, 0.1, 2, 0.1, 0.1, 0.1][:size], plain.shape)))
    return found


def test_the_projection_is_that_of_the_definition() -> None:
    """S, T and z of the docstring, term by term, with scipy's matrix functions."""
    given = pools()
    changes = np.zeros((6, 6))
    for plain, changed in given:
        changes += sum(np.outer(x - y, x - y) for x, y in zip(plain, changed, strict=True)) / (2 * len(plain)) / 2
    shrunk = 0.9 * changes + 0.1 * np.trace(changes) / 6 * np.eye(6)
    together = np.concatenate([plain for plain, _ in given])
    y = (linalg.inv(linalg.sqrtm(shrunk)) @ (together - together.mean(0)).T).T
    spread, directions = linalg.eigh(np.cov(y.T))
    expected = y @ directions[:, [-1, -2, -3]] * spread[[-1, -2, -3]] ** -0.25
    found = fit_projection(given, 3)(together)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-6, atol=1e-8)


def test_changes_of_the_picture_hardly_move_what_is_projected() -> None:
    """Vehicles differ in two directions; what the changes act on is not among the first."""
    given = pools()
    projection = fit_projection(given, 2)
    plain, changed = given[0]

    def moved(project: object) -> float:
        a, b = (unit(project(rows)) for rows in (plain, changed))  # type: ignore[operator]
        return float((a * b).sum(axis=1).mean())

    assert moved(projection) > 0.98
    assert moved(lambda rows: rows) < 0.9


def test_the_gate_is_logistic_regression_with_both_kinds_alike() -> None:
    """No small step in any direction lowers the loss written out picture by picture."""
    rng = np.random.default_rng(4)
    real, rendered = unit(rng.normal([1, 0, 0], 1, (30, 3))), unit(rng.normal([-1, 0.5, 0], 1, (90, 3)))
    gate = fit_gate(real, rendered)

    def loss(slope: np.ndarray, offset: float) -> float:
        total = 0.001 * float(slope @ slope)
        for pictures, sign in ((real, 1), (rendered, -1)):
            total += sum(np.log1p(np.exp(sign * (slope @ x + offset))) for x in pictures) / (2 * len(pictures))
        return total

    slope, offset = gate.matrix[:, 0], float(gate.offset[0])
    best = loss(slope, offset)
    for step in 0.05 * np.vstack([np.eye(4), -np.eye(4)]):
        assert loss(slope + step[:3], offset + step[3]) > best
    assert gate(rendered).mean() > 0 > gate(real).mean()


def test_the_color_branch_is_the_color_histogram() -> None:
    from tools.embedder.compose import ColorHistogram

    rng = np.random.default_rng(1)
    images = cv2.GaussianBlur(rng.integers(0, 256, (64, 64 * 3), np.uint8), (0, 0), 4).reshape(1, 64, 64, 3)
    images = np.concatenate([images, 255 - images, (images > 127).astype(np.uint8) * 200])
    mean, std = (np.array(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    normalized = torch.from_numpy(((images.transpose(0, 3, 1, 2) / 255 - mean) / std).astype(np.float32))
    found = ColorHistogram()(normalized).numpy()
    # The original rounds colors to five bits; without that, both are the same.
    rounded = (images >> 3) * 8 + 4
    original = ColorHistogramEmbedder()(images)
    exact = torch.from_numpy((((rounded / 256).transpose(0, 3, 1, 2) - mean) / std).astype(np.float32))
    np.testing.assert_allclose(ColorHistogram()(exact).numpy(), original, atol=2e-3)
    assert (found * original).sum(axis=1).min() > 0.95


def test_the_shipped_embedder_is_small_and_weighs_its_parts_by_the_picture() -> None:
    """Weights lie between 1 : 1 : 0.75 and 0.5 : 4 : 0.2; the vector has unit length."""
    path = Path(model_file("package", "embedder"))
    assert path.stat().st_size < 15e6
    embedder = load_embedder(str(path))
    images = np.random.default_rng(0).integers(0, 256, (3, *embedder.size_hw, 3), np.uint8)
    found = embedder(images)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-4)
    for first, second, third in np.square(found).reshape(3, 3, -1).sum(axis=2):
        # One share of rendered weights explains all three parts.
        rendered = (second - first) / (3 * first + 0.5 * second)
        weights = [1 - 0.5 * rendered, 1 + 3 * rendered, 0.75 - 0.55 * rendered]
        np.testing.assert_allclose([first, second, third], np.array(weights) / sum(weights), atol=1e-3)


def test_the_shipped_embedder_is_the_same_in_batches_of_any_size() -> None:
    embedder = load_embedder(model_file("package", "embedder"))
    images = np.random.default_rng(0).integers(0, 256, (5, *embedder.size_hw, 3), np.uint8)
    np.testing.assert_allclose(
        embedder(images), np.concatenate([embedder(images[:2]), embedder(images[2:])]), atol=1e-5
    )


def test_crops_are_cut_out_of_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that finds a white square and a speck: the square is cut out of every second frame."""
    from mtmc.video.write import VideoWriter

    frame = np.zeros((96, 128, 3), np.uint8)
    frame[20:60, 30:80] = 255
    video = tmp_path / "place" / "street.mp4"
    video.parent.mkdir()
    with VideoWriter(video, (128, 96), 10.0) as writer:
        for _ in range(4):
            writer.write(frame)

    class Squares:
        stateful = False

        def __call__(self, frames: list[object]) -> list[SimpleNamespace]:
            boxes = np.array([[30, 20, 80, 60], [5, 5, 9, 9], [90, 20, 120, 60]], np.float32)
            return [SimpleNamespace(xyxy=boxes, score=np.array([0.9, 0.9, 0.2])) for _ in frames]

    monkeypatch.setattr("tools.embedder.cut.load_detector", lambda config: Squares())
    assert cut_crops([video], "any", tmp_path / "out", every=2) == 2
    pictures = sorted((tmp_path / "out" / "place_street").glob("*.jpg"))
    assert [path.name for path in pictures] == ["00000_00.jpg", "00002_00.jpg"]
    found = cv2.imread(str(pictures[0]))
    assert found.shape == (40, 50, 3)
    assert found.mean() > 230
