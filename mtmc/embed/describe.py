"""Tracklets of one camera to passages: what the vehicle looks like, where it came in and left, where it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.embed.album import Album, Frames, Shot, thumbnail
from mtmc.embed.config import EmbedConfig
from mtmc.embed.crops import box_quality, choose
from mtmc.embed.embedder import Embedder
from mtmc.embed.pool import pool, unit_rows
from mtmc.errors import VideoError
from mtmc.geometry.boxes import foot
from mtmc.geometry.ground import project
from mtmc.geometry.zones import inside
from mtmc.scene import Camera, Zone
from mtmc.types import Array, Passage, Tracklet

__all__ = ["Described", "describe"]

_AT_THE_END_S = 1.0  # of a tracklet, within which it must be seen in a zone to have come in or left by it


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What became of a camera's tracklets.

    Attributes:
        passages: One for each tracklet, in their order.
        thumbnails: By track id, the best view of the vehicle: uint8 (h ≤ 120, w, 3) RGB.
    """

    passages: tuple[Passage, ...]
    thumbnails: Mapping[int, Array]


def describe(
    tracklets: Sequence[Tracklet],
    camera: Camera,
    config: EmbedConfig,
    embedder: Embedder | None,
    frames: Frames | None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Described:
    """Describe all tracklets of a camera in one pass over its video.

    Without a video or an embedder the embeddings are of size 0. With ``every_box``, vectors that tracking brought
    along are pooled instead of computed again.

    Args:
        tracklets: All of the camera: they cover each other.
        camera: Its zones, calibration and image size.
        config: The choices.
        embedder: What gives vectors.
        frames: Yields the wanted frames in order.
        progress: Called with (frames done, frames wanted).

    Raises:
        VideoError: The video does not reach a tracklet.
        WeightsError: The embedder fails or gives vectors without a direction.
    """
    quality = box_quality(tracklets, camera.size_wh)
    chosen = [choose(t, q, config) for t, q in zip(tracklets, quality, strict=True)]
    carried = config.every_box and all(t.appearance.shape[1] for t in tracklets)
    shots: list[Shot] = []
    album = None
    if embedder is not None and frames is not None and not carried:
        shots = _shots(chosen)
        album = Album(shots, embedder, config)
    thumbnails = {}
    if frames is not None:
        thumbnails = _watch(tracklets, shots, _best_rows(chosen, quality), album, frames, progress)

    passages = []
    for k, tracklet in enumerate(tracklets):
        embedding = np.zeros(0, np.float32)
        if embedder is not None and (carried or album is not None):
            rows, vectors = _carried(tracklet, chosen[k]) if album is None else _found(album, k, tracklet)
            vectors = unit_rows(vectors, embedder.name)
            embedding = pool(vectors, quality[k][rows], config.focus, embedder.name)
        passages.append(_passage(tracklet, embedding, camera))
    return Described(tuple(passages), thumbnails)


def _shots(chosen: Sequence[Sequence[Array]]) -> list[Shot]:
    return [
        Shot(k, s, int(row)) for k, stretches in enumerate(chosen) for s, rows in enumerate(stretches) for row in rows
    ]


def _best_rows(chosen: Sequence[Sequence[Array]], quality: Sequence[Array]) -> list[int]:
    """The candidate of the highest quality of each tracklet."""
    candidates = [np.sort(np.concatenate(stretches)) for stretches in chosen]
    return [int(rows[np.argmax(q[rows])]) for rows, q in zip(candidates, quality, strict=True)]


def _watch(
    tracklets: Sequence[Tracklet],
    shots: Sequence[Shot],
    best: Sequence[int],
    album: Album | None,
    frames: Frames,
    progress: Callable[[int, int | None], None] | None,
) -> dict[int, Array]:
    """One pass over the video: the album takes its shots, the thumbnails come back by track id."""
    by_frame: dict[int, list[Shot]] = defaultdict(list)
    for shot in shots:
        by_frame[int(tracklets[shot.tracklet].frame[shot.row])].append(shot)
    portraits: dict[int, list[int]] = defaultdict(list)
    for k, row in enumerate(best):
        portraits[int(tracklets[k].frame[row])].append(k)

    thumbnails = {}
    wanted = by_frame.keys() | portraits.keys()
    for done, frame in enumerate(frames(wanted) if wanted else (), start=1):
        here = by_frame.get(frame.index, [])
        if album is not None and here:
            album.add(frame, here, np.stack([tracklets[shot.tracklet].xyxy[shot.row] for shot in here]))
        for k in portraits.get(frame.index, []):
            thumbnails[tracklets[k].track_id] = thumbnail(frame, tracklets[k].xyxy[best[k]])
        if progress is not None:
            progress(done, len(wanted))
    if album is not None:
        album.finish()
    return thumbnails


def _carried(tracklet: Tracklet, chosen: Sequence[Array]) -> tuple[Array, Array]:
    """The best row of each stretch, and the vectors that tracking brought along: int (K,), (K, D)."""
    rows = np.array([rows[0] for rows in chosen])
    return rows, tracklet.appearance[rows]


def _found(album: Album, k: int, tracklet: Tracklet) -> tuple[Array, Array]:
    """The rows of tracklet number ``k`` that were seen in the video, and their vectors: int (K,), (K, D)."""
    found = album.found[k]
    if not found:
        raise VideoError(
            f"camera {tracklet.camera_id}: expected to see tracklet {tracklet.track_id} in frames "
            f"{tracklet.frame[0]} to {tracklet.frame[-1]}, but none of those that show it came",
            remedy="check that video and tracklets belong together",
        )
    return np.array([row for row, _ in found]), np.stack([vector for _, vector in found])


def _passage(tracklet: Tracklet, embedding: Array, camera: Camera) -> Passage:
    feet = foot(tracklet.xyxy.astype(np.float64))
    unknown = np.full((len(tracklet), 2), np.nan)
    ground = unknown if camera.ground_from_image is None else project(feet, camera.ground_from_image)
    since_start, until_end = tracklet.time_s - tracklet.start_s, tracklet.end_s - tracklet.time_s
    return Passage(
        tracklet=tracklet,
        embedding=embedding,
        entry=_first_zone(feet[since_start <= _AT_THE_END_S], [z for z in camera.zones if z.role != "out"]),
        exit=_first_zone(feet[until_end <= _AT_THE_END_S][::-1], [z for z in camera.zones if z.role != "in"]),
        ground_m=ground,
        ground_plane=camera.ground_plane,
    )


def _first_zone(feet: Array, zones: Sequence[Zone]) -> str:
    """Name of the zone that the first of the points to lie in any lies in, or ""."""
    first = [(int(np.argmax(hits)), zone.name) for zone in zones if (hits := inside(feet, zone.polygon)).any()]
    return min(first)[1] if first else ""
