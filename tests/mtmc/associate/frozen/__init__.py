"""Passages of known scenes with the identities that association gave them at one time, in files of a few hundred kB.

A file holds the passages (thinned to every third frame, embeddings as float16), the facts of the scene that
association reads, and one array of identities for each name in :data:`VARIANTS`. The files guard against changes of
results that nobody intended; they say nothing about whether the results are good.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.associate import AssociateConfig, associate
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, PlaneAlignment, Scene
from mtmc.settings import parse_settings
from mtmc.types import Array, Passage, Tracklet

__all__ = ["FILES", "VARIANTS", "identities", "load", "save", "thinned"]

FILES = sorted(Path(__file__).parent.glob("*.npz"))

#: Name of the identities in a file → the settings of association that gave them.
VARIANTS: dict[str, dict[str, Any]] = {
    "graph": {},
    "graph_without_ground": {"use_ground": False},
    "graph_without_appearance": {"graph": {"appearance_weight": 0.0}},
    "graph_times_not_learned": {"graph": {"learn_travel_times": False}},
    "graph_clocks_and_calibrations_as_given": {
        "graph": {"estimate_clock_offsets": False, "refine_calibration": False}
    },
    "graph_short_gaps": {
        "graph": {
            "max_reentry_gap_s": 2.0,
            "max_extrapolation_s": 3.0,
            "max_unlinked_gap_s": 0.0,
            "travel_time_slack_s": 0.0,
        }
    },
    "hierarchical": {"method": "hierarchical"},
    "hierarchical_all_pairs": {"method": "hierarchical", "hierarchical": {"linkage": "complete", "all_pairs": True}},
    "electricity": {"method": "electricity"},
    "zones": {"method": "crossroad_zones"},
}


@dataclass(frozen=True, eq=False)
class Frozen:
    """What a file holds: passages in order, their scene, identities (0: left out) by the name of a variant."""

    passages: list[Passage]
    scene: Scene
    identities: dict[str, Array]


def identities(passages: Sequence[Passage], scene: Scene, settings: dict[str, Any]) -> Array:
    """Identity of each passage, from 1, or 0 where it was left out: int64 (N,)."""
    tracks = associate(passages, scene, parse_settings(AssociateConfig, settings))
    given = {(p.tracklet.camera_id, p.tracklet.track_id): t.global_id for t in tracks for p in t.passages}
    return np.array([given.get((p.tracklet.camera_id, p.tracklet.track_id), 0) for p in passages], np.int64)


def thinned(passages: Sequence[Passage], step: int = 3) -> list[Passage]:
    """Every third frame of each passage, in the precision of a file; passages without such a frame are left out."""
    out = []
    for p in sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id)):
        rows = p.tracklet.frame % step == 0
        if not rows.any():
            continue
        tracklet = p.tracklet[rows]
        tracklet = replace(
            tracklet,
            frame=tracklet.frame // step,
            time_s=np.round(tracklet.time_s, 3),
            xyxy=np.round(tracklet.xyxy).astype(np.float32),
            score=tracklet.score.astype(np.float16).astype(np.float32),
            appearance=np.zeros((rows.sum(), 0), np.float32),
        )
        ground = np.round(p.ground_m[rows], 2)
        out.append(replace(p, tracklet=tracklet, ground_m=ground, embedding=_unit(p.embedding.astype(np.float16))))
    return out


def save(path: Path, passages: Sequence[Passage], scene: Scene) -> None:
    """Write a file: passages, the scene, and the identities that association gives them now."""
    columns: dict[str, Any] = {
        "camera": np.array([p.tracklet.camera_id for p in passages]),
        "track": np.array([p.tracklet.track_id for p in passages]),
        "length": np.array([len(p.tracklet) for p in passages]),
        "class_id": np.array([p.tracklet.class_id for p in passages]),
        "frame": np.concatenate([p.tracklet.frame for p in passages]).astype(np.int32),
        "time_ms": np.round(np.concatenate([p.tracklet.time_s for p in passages]) * 1000).astype(np.int32),
        "xyxy": np.concatenate([p.tracklet.xyxy for p in passages]).astype(np.int16),
        "score": np.concatenate([p.tracklet.score for p in passages]).astype(np.float16),
        "ground_cm": np.round(np.nan_to_num(np.concatenate([p.ground_m for p in passages]), nan=2e7) * 100).astype(
            np.int32
        ),
        "embedding": np.stack([p.embedding for p in passages]).astype(np.float16),
        "entry": np.array([p.entry for p in passages]),
        "exit": np.array([p.exit for p in passages]),
        "plane": np.array([p.ground_plane for p in passages]),
        "scene": np.array(json.dumps(_facts(scene))),
    }
    np.savez_compressed(path, **columns)
    written = load(path)
    for name, settings in VARIANTS.items():
        columns["identity_" + name] = identities(written.passages, written.scene, settings).astype(np.int16)
    np.savez_compressed(path, **columns)


def load(path: Path) -> Frozen:
    """Read a file."""
    with np.load(path) as stored:
        columns = {name: stored[name] for name in stored.files}
    ends = np.cumsum(columns["length"])
    passages = []
    for k, (first, last) in enumerate(zip(ends - columns["length"], ends, strict=True)):
        rows = slice(first, last)
        ground = columns["ground_cm"][rows] / 100.0
        tracklet = Tracklet(
            str(columns["camera"][k]),
            int(columns["track"][k]),
            columns["frame"][rows].astype(np.int64),
            columns["time_ms"][rows] / 1000.0,
            columns["xyxy"][rows].astype(np.float32),
            columns["score"][rows].astype(np.float32),
            int(columns["class_id"][k]),
            np.zeros((last - first, 0), np.float32),
        )
        passages.append(
            Passage(
                tracklet,
                _unit(columns["embedding"][k]),
                str(columns["entry"][k]),
                str(columns["exit"][k]),
                np.where(ground > 1e7, np.nan, ground),
                str(columns["plane"][k]),
            )
        )
    found = {n.removeprefix("identity_"): v.astype(np.int64) for n, v in columns.items() if n.startswith("identity_")}
    return Frozen(passages, _scene(json.loads(str(columns["scene"]))), found)


def _unit(embedding: Array) -> Array:
    wide = embedding.astype(np.float64)
    return (wide / max(float(np.linalg.norm(wide)), 1e-9)).astype(np.float32)


def _facts(scene: Scene) -> dict[str, Any]:
    return {
        "cameras": [
            {"id": c.id, "number": c.number, "plane": c.ground_plane, "calibrated": c.ground_from_image is not None}
            for c in scene.cameras
        ],
        "links": [asdict(link) for link in scene.links],
        "alignments": [
            [p.plane, p.reference_plane, p.rotation_deg, *p.translation_m] for p in scene.plane_alignments
        ],
    }


def _scene(facts: dict[str, Any]) -> Scene:
    cameras = tuple(
        Camera(
            c["id"],
            c["number"],
            Clock(10.0),
            ground_from_image=np.eye(3) if c["calibrated"] else None,
            ground_plane=c["plane"],
        )
        for c in facts["cameras"]
    )
    links = tuple(Link(**link) for link in facts["links"])
    alignments = tuple(PlaneAlignment(plane, onto, turn, (x, y)) for plane, onto, turn, x, y in facts["alignments"])
    return Scene("frozen", Path(), cameras, links, plane_alignments=alignments)
