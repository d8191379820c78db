"""How well an embedder finds the vehicles of a rendered scene again in other cameras, with and without lookalikes.

The pictures are cut out of the scene's encoded videos by its ground truth, so they have what a run sees: few pixels,
compression, occluders, the cameras' exposures. Vehicles of one look (:func:`looks_of`) are told apart by plate, dirt
and decals alone; "without lookalikes" leaves a query's lookalikes out of its gallery.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmc.embed.config import EmbedConfig
from mtmc.embed.embedder import Embedder
from mtmc.embed.load import load_embedder
from mtmc.errors import ConfigError, FormatError
from mtmc.geometry.clock import Clock
from mtmc.settings import parse_settings
from mtmc.types import Array
from mtmc.video.crop import cut
from mtmc.video.read import read_frames
from reid.data import load_dataset
from reid.data.records import cameras, identities
from reid.evaluation.extract import extract
from reid.evaluation.retrieval import Embeddings, evaluate
from tools.synthcity.film import read_records
from tools.synthcity.truth import Record

__all__ = ["EmbedderScores", "embed_crops", "evaluate_crops", "evaluate_scene", "looks_of", "open_embedder", "score"]

_MIN_VISIBILITY = 0.5
_MIN_AREA_PX = 900.0
_FAR = 9.0  # a cosine distance beyond all real ones


@dataclass(frozen=True, slots=True)
class EmbedderScores:
    """Retrieval across cameras; shares in 0…1.

    Attributes:
        map, rank1: Mean average precision, and how often the first answer is right.
        map_apart, rank1_apart: The same without lookalikes in the gallery.
        queries, gallery: Pictures asked with, and among which is looked.
        identities: Vehicles among the queries.
        lookalikes: How many of them have a lookalike in the gallery.
    """

    map: float
    rank1: float
    map_apart: float
    rank1_apart: float
    queries: int
    gallery: int
    identities: int
    lookalikes: int

    def __str__(self) -> str:
        return (
            f"mAP {self.map:.3f}, rank-1 {self.rank1:.3f}; without lookalikes {self.map_apart:.3f}, "
            f"{self.rank1_apart:.3f}; {self.queries} queries of {self.identities} vehicles "
            f"({self.lookalikes} with lookalikes) in {self.gallery} pictures"
        )


def open_embedder(weights: str | Path | Sequence[str]) -> Embedder:
    """What ``embed.weights`` takes: a file or name, several of them as an ensemble, or ``color_histogram``.

    Raises:
        ConfigError: It is ``none``.
        WeightsError: Weights or card are missing or unreadable.
    """
    names = str(weights) if isinstance(weights, Path) else weights
    embedder = load_embedder(parse_settings(EmbedConfig, {"weights": names}))
    if embedder is None:
        raise ConfigError("none describes nothing", remedy="give a weights file, or color_histogram")
    return embedder


def score(query: Embeddings, gallery: Embeddings, query_look: Array, gallery_look: Array) -> EmbedderScores:
    """Measure retrieval of vehicles in other cameras than the query's.

    Args:
        query: Pictures to ask with.
        gallery: Pictures to look among; it may be the same, a query's own camera does not count.
        query_look: int (Q,), a number that lookalikes share.
        gallery_look: int (G,), likewise.

    Raises:
        ValueError: No query has a right answer.
    """
    distance = 1.0 - _unit(query.features) @ _unit(gallery.features).T
    other = query.vehicle_id[:, None] != gallery.vehicle_id[None, :]
    is_lookalike = (query_look[:, None] == gallery_look[None, :]) & other
    whole = evaluate(query, gallery, distances=distance)
    # Behind all right answers a wrong one harms no measure.
    apart = evaluate(query, gallery, distances=np.where(is_lookalike, _FAR, distance))
    return EmbedderScores(
        whole.map,
        whole.r1,
        apart.map,
        apart.r1,
        queries=whole.queries,
        gallery=len(gallery),
        identities=len(np.unique(query.vehicle_id)),
        lookalikes=len(np.unique(query.vehicle_id[is_lookalike.any(axis=1)])),
    )


def evaluate_scene(weights: str | Path | Sequence[str], scene: Path, per_passage: int = 4) -> EmbedderScores:
    """Score an embedder on pictures from the videos of a rendered scene.

    Every picture asks once, among the pictures of all other cameras and of other vehicles in its own. Parked vehicles
    are left out, and so are those that are hidden by more than half or smaller than 900 px².

    Args:
        weights: What ``embed.weights`` takes.
        scene: Folder with ``cNNN/vdo.mp4`` and ``cNNN/record.parquet``.
        per_passage: Most pictures of a vehicle in a camera, spread evenly over its time there.

    Raises:
        FormatError: The folder holds no rendered camera, or no vehicle is seen by two of them.
        WeightsError: Weights or card are missing or unreadable.
        VideoError: A video is missing or broken.
    """
    paths = sorted(scene.glob("c*/record.parquet"))
    if not paths:
        raise FormatError(
            "expected rendered cameras (c*/record.parquet), found none",
            path=scene,
            remedy="render the scene by `python -m tools.synthcity render`",
        )
    embedder = open_embedder(weights)
    chosen = {path: _choose(read_records(path), per_passage) for path in paths}
    rows = [row for path in paths for row in chosen[path]]
    vehicles = {(row.camera, row.id) for row in rows}
    if len(vehicles) == len({vehicle for _, vehicle in vehicles}):
        raise FormatError(
            "no vehicle is seen by two cameras", path=scene, remedy="render more cameras or a longer time"
        )
    features = np.concatenate([_embed(embedder, path.parent / "vdo.mp4", chosen[path]) for path in paths])
    pictures = Embeddings(features, np.array([r.id for r in rows]), np.array([r.camera for r in rows]))
    looks = looks_of(rows)
    return score(pictures, pictures, looks, looks)


def evaluate_crops(weights: str | Path | Sequence[str], root: Path) -> EmbedderScores:
    """Score an embedder on the held-out part of the synthetic city's crops.

    Args:
        weights: What ``embed.weights`` takes.
        root: The folder that holds ``crops``.

    Raises:
        DataError: The crops are missing or incomplete.
        WeightsError: Weights or card are missing or unreadable.
    """
    (query, query_look), (gallery, gallery_look) = embed_crops(open_embedder(weights), root)
    return score(query, gallery, query_look, gallery_look)


def embed_crops(embedder: Embedder, root: Path) -> list[tuple[Embeddings, Array]]:
    """Embeddings of the crops' queries and gallery, each with the number of its look, int64 (N,)."""
    split = load_dataset("synthcity", root)
    with (root / "crops" / "index.csv").open(encoding="utf-8", newline="") as file:
        look = {row["path"]: int(row["look"]) for row in csv.DictReader(file)}
    return [
        (
            Embeddings(extract(embedder, part, threads=1), identities(part), cameras(part)),
            np.array([look[record.path.relative_to(root / "crops").as_posix()] for record in part]),
        )
        for part in (split.query, split.gallery)
    ]


def looks_of(rows: Sequence[Record]) -> Array:
    """A number for each row that vehicles of one look share: int64 (N,).

    A lookalike has its model's shape, paint and exact size, and hardly two other vehicles of a scene are equally
    long, wide and high to the millimeter.
    """
    keys = [(r.shape, r.colour, r.length_m, r.width_m, r.height_m) for r in rows]
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([numbers[key] for key in keys], np.int64)


def _choose(records: Sequence[Record], per_passage: int) -> list[Record]:
    """Rows of one camera to cut out: for each vehicle up to ``per_passage``, evenly spread, by vehicle and time."""
    seen: dict[int, list[Record]] = {}
    for row in records:
        large = (row.x2 - row.x1) * (row.y2 - row.y1) >= _MIN_AREA_PX
        if large and row.visibility >= _MIN_VISIBILITY and not row.parked:
            seen.setdefault(row.id, []).append(row)
    chosen = []
    for _, rows in sorted(seen.items()):
        rows.sort(key=lambda row: row.frame)
        count = min(per_passage, len(rows))
        # The middle of each of ``count`` equal stretches.
        chosen += [rows[int((k + 0.5) * len(rows) / count)] for k in range(count)]
    return chosen


def _embed(embedder: Embedder, video: Path, rows: Sequence[Record]) -> Array:
    """Embeddings of the rows' pictures in their order: float32 (N, D)."""
    crops = np.empty((len(rows), *embedder.size_hw, 3), np.uint8)
    wanted: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        wanted.setdefault(row.frame, []).append(place)
    for frame in read_frames(video, video.parent.name, Clock(fps=1.0), wanted=wanted):
        places = wanted[frame.index]
        boxes = np.array([(rows[p].x1, rows[p].y1, rows[p].x2, rows[p].y2) for p in places])
        crops[places] = cut(frame.image, boxes, embedder.size_hw, interpolation=embedder.interpolation)
    return embedder(crops)


def _unit(features: Array) -> Array:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, np.finfo(features.dtype).tiny))
