"""Lists of the core types as flat arrays and back, for the cache. What goes in comes out, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtmc.types import Array, Detections, Passage, Tracklet

__all__ = [
    "pack_detections",
    "pack_passages",
    "pack_thumbnails",
    "pack_tracklets",
    "unpack_detections",
    "unpack_passages",
    "unpack_thumbnails",
    "unpack_tracklets",
]

Arrays = dict[str, Array]


def _lengths(parts: Sequence[Detections] | Sequence[Tracklet]) -> Array:
    return np.array([len(part) for part in parts], np.int64)


def _split(rows: Array, lengths: Array) -> list[Array]:
    return np.split(rows, np.cumsum(lengths)[:-1]) if len(lengths) else []


def pack_detections(frames: Sequence[Detections]) -> Arrays:
    """One entry per frame, empty ones included."""
    rows = Detections.concatenate(frames)
    return {
        "length": _lengths(frames),
        "xyxy": rows.xyxy,
        "score": rows.score,
        "class_id": rows.class_id,
        "appearance": rows.appearance,
    }


def unpack_detections(arrays: Mapping[str, Array]) -> list[Detections]:
    """The inverse of :func:`pack_detections`."""
    columns = [_split(arrays[name], arrays["length"]) for name in ("xyxy", "score", "class_id", "appearance")]
    return [Detections(*row) for row in zip(*columns, strict=True)]


def pack_tracklets(tracklets: Sequence[Tracklet]) -> Arrays:
    """Tracklets of one camera; its id is not stored."""
    dim = tracklets[0].appearance.shape[1] if tracklets else 0

    def joined(name: str, shape: tuple[int, ...], dtype: type) -> Array:
        return np.concatenate([np.zeros((0, *shape), dtype), *(getattr(t, name) for t in tracklets)])

    return {
        "length": _lengths(tracklets),
        "track_id": np.array([t.track_id for t in tracklets], np.int64),
        "class_id": np.array([t.class_id for t in tracklets], np.int64),
        "frame": joined("frame", (), np.int64),
        "time_s": joined("time_s", (), np.float64),
        "xyxy": joined("xyxy", (4,), np.float32),
        "score": joined("score", (), np.float32),
        "appearance": joined("appearance", (dim,), np.float32),
    }


def unpack_tracklets(arrays: Mapping[str, Array], camera_id: str) -> list[Tracklet]:
    """The inverse of :func:`pack_tracklets`."""
    length = arrays["length"]
    columns = {name: _split(arrays[name], length) for name in ("frame", "time_s", "xyxy", "score", "appearance")}
    return [
        Tracklet(
            camera_id=camera_id,
            track_id=int(arrays["track_id"][i]),
            class_id=int(arrays["class_id"][i]),
            **{name: column[i] for name, column in columns.items()},
        )
        for i in range(len(length))
    ]


def pack_passages(passages: Sequence[Passage]) -> Arrays:
    """Passages of one camera; its id is not stored."""
    dim = len(passages[0].embedding) if passages else 0
    return {
        **pack_tracklets([p.tracklet for p in passages]),
        "embedding": np.array([p.embedding for p in passages], np.float32).reshape(len(passages), dim),
        "entry": np.array([p.entry for p in passages], np.str_),
        "exit": np.array([p.exit for p in passages], np.str_),
        "ground_m": np.concatenate([np.zeros((0, 2)), *(p.ground_m for p in passages)]),
        "ground_plane": np.array([p.ground_plane for p in passages], np.str_),
        "class_probability": _stacked([p.class_probability for p in passages]),
        "color_probability": _stacked([p.color_probability for p in passages]),
    }


def _stacked(rows: Sequence[Array]) -> Array:
    """Rows of one size: float32 (K, D), D = 0 where there are none."""
    return np.array(rows, np.float32).reshape(len(rows), len(rows[0]) if rows else 0)


def unpack_passages(arrays: Mapping[str, Array], camera_id: str) -> list[Passage]:
    """The inverse of :func:`pack_passages`."""
    ground = _split(arrays["ground_m"], arrays["length"])
    plane = arrays.get("ground_plane", np.full(len(ground), ""))  # older runs know one plane only
    nothing = np.zeros((len(ground), 0), np.float32)  # older runs have no attributes
    return [
        Passage(
            tracklet=tracklet,
            embedding=arrays["embedding"][i],
            entry=str(arrays["entry"][i]),
            exit=str(arrays["exit"][i]),
            ground_m=ground[i],
            ground_plane=str(plane[i]),
            class_probability=arrays.get("class_probability", nothing)[i],
            color_probability=arrays.get("color_probability", nothing)[i],
        )
        for i, tracklet in enumerate(unpack_tracklets(arrays, camera_id))
    ]


def pack_thumbnails(pictures: Mapping[int, Array]) -> Arrays:
    """Small RGB pictures by track id: uint8 (h, w, 3) each."""
    ids = sorted(pictures)
    return {
        "picture_id": np.array(ids, np.int64),
        "picture_hw": np.array([pictures[i].shape[:2] for i in ids], np.int64).reshape(len(ids), 2),
        "picture_rgb": np.concatenate([np.zeros(0, np.uint8), *(pictures[i].reshape(-1) for i in ids)]),
    }


def unpack_thumbnails(arrays: Mapping[str, Array]) -> dict[int, Array]:
    """The inverse of :func:`pack_thumbnails`."""
    sizes = arrays["picture_hw"]
    flat = _split(arrays["picture_rgb"], sizes.prod(axis=1) * 3)
    return {
        int(track_id): pixels.reshape(height, width, 3)
        for track_id, (height, width), pixels in zip(arrays["picture_id"], sizes, flat, strict=True)
    }
