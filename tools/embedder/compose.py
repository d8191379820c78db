"""The shipped embedder: three frozen features, each behind its own projection, as one ONNX file.

::

    pictures ┬ MobileNetV2 from ImageNet, cut after its sixth stage ── unit ── projection ── unit × √w₁ ┬ embedding
             ├ an earlier network, trained on the synthetic city ───── unit ── projection ── unit × √w₂ ┤
             └ color histogram of three bands ──────────────────────── unit ── projection ── unit × √w₃ ┘

The projections are learned here (:mod:`tools.embedder.projection`), from real pictures without identities. The
weights depend on the picture: a gate tells real pictures from rendered ones by the first part. In real ones the three
weigh about as much, in rendered ones the network that was trained on such pictures outweighs the others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import compose as onnx_compose
from torch import Tensor, nn
from torch.nn import functional

from mtmc.embed.color import ColorHistogramEmbedder
from mtmc.types import Array
from mtmc.video.images import read_image
from reid.card import Card, card_path, read_card, write_card
from reid.data.views import IMAGENET_MEAN, IMAGENET_STD, RECIPES, make_view
from reid.evaluation.retrieval import Embeddings, pool
from reid.inference import load_embedder
from reid.networks import build
from reid.networks.packaged import PACKAGED
from tools.embedder.evaluate import embed_crops, open_embedder, score
from tools.embedder.export import equal_error, pair_similarities
from tools.embedder.pairs import real_similarities, score_pairs
from tools.embedder.projection import Projection, fit_gate, fit_projection, unit

__all__ = ["ColorHistogram", "calibrate", "compose"]

_WEIGHTS = "imagenet-mobilenetv2"
_STAGES = 6  # of seven: behind the sixth, features of vehicles are less specific to ImageNet's classes
_DIM = 128  # numbers per part
# Of the three parts; docs/embedder.md has the measurements behind them.
_REAL_WEIGHTS = (1.0, 1.0, 0.75)
_RENDERED_WEIGHTS = (0.5, 4.0, 0.2)
_OPSET = 17


class ColorHistogram(nn.Module):  # type: ignore[misc]
    """:class:`mtmc.embed.color.ColorHistogramEmbedder` in torch: normalized images (N, 3, h, w) → (N, 1176).

    It reads colors exactly, where the original rounds them to five bits per channel.
    """

    def __init__(self) -> None:
        super().__init__()
        original = ColorHistogramEmbedder()
        self.size_hw = original.size_hw
        bins, bands, center = original.layout()
        self.bins, self.bands = bins, bands
        self.register_buffer("center", torch.from_numpy(center.astype(np.float32)))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Root histograms of the bands, unit length."""
        rgb = (images * self.std + self.mean).clamp(0, 1)
        rgb = functional.interpolate(rgb, self.size_hw, mode="bilinear", align_corners=False)
        position = _histogram_position(_lab(rgb), self.bins)

        # The share of a bin is 1 at its middle and falls to 0 at the next one's.
        lightness, red_green, blue_yellow = (
            functional.relu(1 - (position[:, axis, None] - torch.arange(count)[:, None]).abs())
            for axis, count in enumerate(self.bins)
        )
        chroma = (red_green[:, :, None] * blue_yellow[:, None]).flatten(1, 2)

        histograms = []
        for start, stop in self.bands:
            weighted = lightness[..., start:stop] * self.center[start:stop]
            counts = (weighted @ chroma[..., start:stop].transpose(1, 2)).flatten(1)
            histograms.append((counts / counts.sum(1, keepdim=True)).clamp(min=0).sqrt())
        return functional.normalize(torch.cat(histograms, 1))


def _lab(rgb: Tensor) -> Tensor:
    """SRGB in [0, 1] → CIE Lab under D65, of flattened pictures: (N, 3, h, w) → (N, 3, h·w)."""
    pixels = rgb.flatten(2)
    linear = torch.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    to_xyz = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    relative = (to_xyz @ linear) / to_xyz.sum(1)[:, None]
    delta = 6 / 29
    cube_root = relative.clamp(min=1e-6) ** (1 / 3)
    x, y, z = torch.where(relative > delta**3, cube_root, relative / (3 * delta**2) + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _histogram_position(lab: Tensor, bins: tuple[int, ...]) -> Tensor:
    """Where colors lie on the histogram's axes, in bins: (N, 3, P) → (N, 3, P)."""
    chroma = (lab[:, 1:].abs() / ColorHistogramEmbedder.chroma_limit).clamp(1e-8, 1).sqrt()
    unit_position = torch.cat([lab[:, :1] / 100, 0.5 + 0.5 * lab[:, 1:].sign() * chroma], 1)
    return unit_position * (torch.tensor(bins) - 1)[:, None]


class _Parts(nn.Module):  # type: ignore[misc]
    """The features of two branches beside a given one: images (N, 3, h, w) and (N, e) → (N, Σ d).

    Args:
        size_hw: Of the images.
        projections: One per part; None to give the unit features themselves.
        gate: What tells rendered pictures by the first part; None to give the parts unweighted.
    """

    def __init__(
        self, size_hw: tuple[int, int], projections: Sequence[Projection] = (), gate: Projection | None = None
    ) -> None:
        super().__init__()
        net = build(PACKAGED[_WEIGHTS].backbone, sizes=[size_hw], weights=Path(_WEIGHTS)).body.net
        self.network = nn.Sequential(net.conv_stem, net.bn1, *net.blocks[:_STAGES])
        self.color = ColorHistogram()
        self.heads = nn.ModuleList(map(_head, projections))
        self.gate = None if gate is None else _head(gate)

    def forward(self, images: Tensor, earlier: Tensor) -> Tensor:
        features = [self.network(images).mean((2, 3)), earlier, self.color(images)]
        parts = [functional.normalize(feature) for feature in features]
        if not self.heads:
            return torch.cat(parts, 1)
        projected = [functional.normalize(head(part)) for head, part in zip(self.heads, parts, strict=True)]
        if self.gate is None:
            return torch.cat(projected, 1)
        rendered = torch.sigmoid(self.gate(projected[0]))
        weighted = [
            ((1 - rendered) * real + rendered * other).sqrt() * part
            for real, other, part in zip(_REAL_WEIGHTS, _RENDERED_WEIGHTS, projected, strict=True)
        ]
        return functional.normalize(torch.cat(weighted, 1))


def _head(projection: Projection) -> nn.Linear:
    layer = nn.Linear(*projection.matrix.shape)
    matrix = torch.from_numpy(projection.matrix.T.astype(np.float32))
    layer.load_state_dict({"weight": matrix, "bias": torch.from_numpy(projection.offset.astype(np.float32))})
    return layer


def compose(
    earlier: Path, real: Sequence[Path], rendered: Path, out: Path, size_hw: tuple[int, int] = (128, 160)
) -> Card:
    """Learn projections and gate from pictures in folders; write the ONNX file and its card.

    Args:
        earlier: ONNX file of the earlier network, with its card; mean and std are those of ImageNet.
        real: A pool of real pictures each, at any depth.
        rendered: Rendered pictures.
        out: The ``.onnx`` file.
        size_hw: Height and width of the pictures as the embedder takes them.
    """
    sizes = [_channels_of_network(size_hw), read_card(card_path(earlier)).dim, ColorHistogramEmbedder.dim]
    features = Card(size_hw=size_hw, dim=sum(sizes), name="features")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "features.onnx"
        _write(_Parts(size_hw), earlier, raw, features)
        pools = [_features(raw, pool) for pool in real]
        rendered_plain = _plain_features(raw, rendered)

    projections = []
    for start, stop in pairwise(np.cumsum([0, *sizes]).tolist()):
        part = [(unit(plain[:, start:stop]), unit(changed[:, start:stop])) for plain, changed in pools]
        projections.append(fit_projection(part, _DIM))

    first = [unit(projections[0](unit(plain[:, : sizes[0]]))) for plain in (*(p for p, _ in pools), rendered_plain)]
    gate = fit_gate(np.concatenate(first[:-1]), first[-1])
    made = replace(
        features,
        dim=sum(projection.matrix.shape[1] for projection in projections),
        name="street_small",
        trained_on="ImageNet-1k and the synthetic city's crops; projections: real pictures without identities",
        license="MIT",
        source=f"{PACKAGED[_WEIGHTS].source} ({PACKAGED[_WEIGHTS].license}); docs/embedder.md",
    )
    _write(_Parts(size_hw, projections, gate), earlier, out, made)
    return made


def calibrate(weights: Path, crops: Path, pairs: Path) -> Card:
    """Measure the threshold and spread of an embedder on rendered tracklets and on real pictures, into its card.

    ``match_similarity`` is the mean of both worlds' thresholds at which both errors are equally frequent.

    Args:
        weights: The ``.onnx`` file.
        crops: The folder that holds ``crops``.
        pairs: Real pairs; see :mod:`tools.embedder.pairs`.
    """
    embedder = open_embedder(weights)
    (query, query_look), (gallery, gallery_look) = embed_crops(embedder, crops)
    both = Embeddings(
        np.concatenate([query.features, gallery.features]),
        np.concatenate([query.vehicle_id, gallery.vehicle_id]),
        np.concatenate([query.camera_id, gallery.camera_id]),
    )
    rendered, rendered_error = equal_error(*pair_similarities(pool(both)))
    same, other = real_similarities(embedder, pairs)
    real, real_error = equal_error(same, other)
    found = score(query, gallery, query_look, gallery_look)
    scores = {
        "held-out crops mAP": found.map,
        "held-out crops rank-1": found.rank1,
        "held-out crops equal error of tracklets": rendered_error,
        "real pairs equal error": real_error,
    }
    for kind in score_pairs(embedder, pairs):
        scores[f"real {kind.kind} rank-1"] = kind.rank1 / 100
    card = replace(
        read_card(card_path(weights)),
        match_similarity=round((rendered + real) / 2, 3),
        spread=round(float(other.std()), 3),
        scores={name: round(value, 4) for name, value in scores.items()},
    )
    write_card(card, card_path(weights))
    return card


def _channels_of_network(size_hw: tuple[int, int]) -> int:
    with torch.no_grad():
        return int(_Parts(size_hw).network(torch.zeros(1, 3, *size_hw)).shape[1])


def _plain_features(model: Path, folder: Path) -> Array:
    """Features of a folder's pictures as they are, (n, d)."""
    embedder = load_embedder(str(model))
    rng = np.random.default_rng(0)  # the plain view draws nothing from it
    views = [_view(read_image(path), "test", embedder.card, rng) for path in sorted(folder.rglob("*.jpg"))]
    return np.asarray(embedder(np.concatenate(views)))


def _features(model: Path, folder: Path) -> tuple[Array, Array]:
    """Features of a folder's pictures as they are and after a random change, (n, d) each."""
    embedder = load_embedder(str(model))
    rng = np.random.default_rng(0)
    plain, changed = [], []
    for path in sorted(folder.rglob("*.jpg")):
        image = read_image(path)
        plain.append(embedder(_view(image, "test", embedder.card, rng))[0])
        changed.append(embedder(_view(image, "street", embedder.card, rng))[0])
    return np.stack(plain), np.stack(changed)


def _view(image: Array, recipe: str, card: Card, rng: np.random.Generator) -> Array:
    """One view as uint8 (1, h, w, 3)."""
    chosen = replace(RECIPES[recipe], size_hw=card.size_hw)
    view, _ = make_view(image, chosen, rng, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return np.asarray((view.numpy().transpose(1, 2, 0) * 255 + 0.5).clip(0, 255).astype(np.uint8))[None]


def _write(parts: _Parts, earlier: Path, out: Path, card: Card) -> None:
    """Export the branches and join the earlier network to them, fed with the same pictures at its own size."""
    first = onnx.load(str(earlier))
    earlier_card = read_card(card_path(earlier))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parts.onnx"
        example = (torch.zeros(2, 3, *card.size_hw), torch.zeros(2, earlier_card.dim))
        names = {"images": {0: "batch"}, "earlier": {0: "batch"}, "embeddings": {0: "batch"}}
        torch.onnx.export(
            parts.eval(),
            example,
            str(path),
            input_names=["images", "earlier"],
            output_names=["embeddings"],
            dynamic_axes=names,
            opset_version=_OPSET,
            dynamo=False,
        )
        second = onnx.load(str(path))
    first = onnx.version_converter.convert_version(first, _OPSET)
    first.ir_version = second.ir_version
    first = onnx_compose.add_prefix(first, "earlier/")
    joined = onnx_compose.merge_models(first, second, io_map=[("earlier/embeddings", "earlier")])
    onnx.save(_fed_with_the_same_pictures(joined, earlier_card.size_hw), str(out))
    write_card(card, card_path(out))


def _fed_with_the_same_pictures(joined: onnx.ModelProto, size_hw: tuple[int, int]) -> onnx.ModelProto:
    """One input instead of two: the earlier network's pictures are the other's, resized."""
    graph = joined.graph
    sizes = onnx.numpy_helper.from_array(np.array(size_hw, np.int64), "earlier/size_hw")
    resize = onnx.helper.make_node(
        "Resize", ["images", "", "", "earlier/sizes"], ["earlier/images"], mode="linear",
        coordinate_transformation_mode="half_pixel",
    )  # fmt: skip
    shape = onnx.helper.make_node("Shape", ["images"], ["earlier/two"], start=0, end=2)
    all_sizes = onnx.helper.make_node("Concat", ["earlier/two", "earlier/size_hw"], ["earlier/sizes"], axis=0)
    nodes = [shape, all_sizes, resize, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(sizes)
    kept = [port for port in graph.input if port.name == "images"]
    del graph.input[:]
    graph.input.extend(kept)
    onnx.checker.check_model(joined)
    return joined
