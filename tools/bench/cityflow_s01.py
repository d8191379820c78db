"""Cross-camera association on CityFlow S01's own tracklets, without pixels, scored against its ground truth.

The 378 Deep SORT tracklets of five cameras that come with the data, their clocks and homographies, no appearance.
Scored plainly (IoU ≥ 0.5, version 2 of the ground truth): nothing is dropped from either side. Nothing is chosen by
these labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.spatial import cKDTree

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.numbering import in_order, number
from mtmc.commands import run_command
from mtmc.evaluate import Scores, score
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1, whole_boxes
from mtmc.geometry.boxes import iou_matrix, xywh_to_xyxy
from mtmc.multiview.trajectories import sample_trajectories
from mtmc.pipeline.results import load_run
from mtmc.postprocess import postprocess
from mtmc.scene import Scene, load_scenes
from mtmc.settings import parse_settings
from mtmc.site.learn import learn_scene
from mtmc.types import Array, GlobalTrack, Passage
from tools.bench.perturb import placed, withheld

__all__ = ["CUES", "OVERRIDES", "Cue", "Row", "greedy", "oracle", "rows", "scene_of"]

_CAMERAS = ("c001", "c002", "c003", "c004", "c005")
OVERRIDES = (
    "input.source=tracklets",
    "input.frame_offset=1",
    "embed.weights=none",
    "render.videos=false",
    "render.mosaic=false",
    "render.report=false",
    "learn.enabled=false",  # the table's rows say what is known
)
_NEAR_M = 8.0  # of the plain clustering: farther apart is not one vehicle

Place = Literal["given", "ground withheld", "learned"]


@dataclass(frozen=True, slots=True)
class Cue:
    """The default with something left out.

    Attributes:
        name: For the table.
        settings: Of ``associate.graph``.
        place: What is given: clocks and homographies, clocks alone, or what is learned from clocks and tracklets.
    """

    name: str
    settings: Mapping[str, Any]
    place: Place = "given"


CUES: tuple[Cue, ...] = (
    Cue("default", {}),
    Cue("clocks as given", {"estimate_clock_offsets": False}),
    Cue("calibrations as given", {"refine_calibration": False}),
    Cue("clocks and calibrations as given", {"estimate_clock_offsets": False, "refine_calibration": False}),
    Cue("without directions", {"heading_kappa": 1e-6}),
    Cue(
        "without continuations and learned times",
        {"max_extrapolation_s": 0.0, "max_reentry_gap_s": 0.0, "learn_travel_times": False},
    ),
    Cue("without travel times learned on the way", {"learn_travel_times": False}),
    Cue("homographies withheld, place learned", {}, "learned"),
    Cue("homographies withheld, nothing learned", {}, "ground withheld"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A way of associating and its scores."""

    name: str
    scores: Scores


def scene_of(data: Path, folder: Path) -> Scene:
    """S01 in the CityFlow layout, laid out in ``folder`` from DATA's parts, and loaded."""
    for camera in _CAMERAS:
        home = folder / "S01" / camera
        (home / "mtsc").mkdir(parents=True)
        (home / "mtsc" / "mtsc_deep_sort.txt").write_bytes(
            (data / "S01" / "mtsc_deep_sort" / f"{camera}.txt").read_bytes()
        )
        (home / "calibration.txt").write_bytes((data / "calibration" / camera / "calibration.txt").read_bytes())
    for kind in ("cam_timestamp", "cam_framenum"):
        (folder / kind).mkdir()
        (folder / kind / "S01.txt").write_bytes((data / kind / "S01.txt").read_bytes())
    return load_scenes(folder / "S01")[0]


def rows(data: Path, folder: Path) -> Iterator[Row]:
    """Every line of the table, one after the other.

    Args:
        data: Folder with S01/, calibration/, cam_timestamp/, cam_framenum/ and ground_truth_train_v2.txt.
        folder: An empty one, for the scene and a run of it.
    """
    scene = scene_of(data, folder)
    with redirect_stdout(StringIO()):
        run_command(
            videos=scene.root,
            out=folder / "run",
            config_files=(),
            overrides=OVERRIDES,
            runner="local",
            workers=1,
            strict=True,
        )
    run = load_run(folder / "run")
    passages = in_order(run.passages)
    truth = read_track1(data / "ground_truth_train_v2.txt")
    truth = truth[np.isin(truth.camera, [c.number for c in scene.cameras])]

    def row(name: str, tracks: list[GlobalTrack]) -> Row:
        table = table_of_tracks(
            postprocess(tracks, scene, run.config.postprocess), {c.id: c.number for c in scene.cameras}
        )
        table = table.with_columns(xyxy=xywh_to_xyxy(whole_boxes(table.xyxy)))  # what people submit
        return Row(name, score(truth, table, metrics=("identity",)))

    yield row("no identities across cameras", number(passages, np.arange(len(passages))))
    yield row("greedy clustering on the ground, clocks as given", number(passages, greedy(passages)))
    known: dict[Place, tuple[Scene, Sequence[Passage]]] = {"given": (scene, passages)}
    for cue in CUES:
        if cue.place not in known:
            known[cue.place] = _known_to_cue(scene, passages, cue.place)
        place, passages_of_cue = known[cue.place]
        found = associate(passages_of_cue, place, parse_settings(AssociateConfig, {"graph": dict(cue.settings)}))
        own = {(p.tracklet.camera_id, p.tracklet.track_id): p for p in passages}
        same = [[own[p.tracklet.camera_id, p.tracklet.track_id] for p in track.passages] for track in found]
        yield row(cue.name, [GlobalTrack(k, tuple(members)) for k, members in enumerate(same, start=1)])
    yield row("true identities on these tracklets", number(passages, oracle(passages, truth, scene)))


def _known_to_cue(scene: Scene, passages: Sequence[Passage], place: Place) -> tuple[Scene, Sequence[Passage]]:
    bare = withheld(scene)
    passages_of_cue = placed(passages, bare)
    if place == "learned":
        bare = learn_scene(bare, passages_of_cue).scene
        passages_of_cue = placed(passages_of_cue, bare)
    return bare, passages_of_cue


def greedy(passages: Sequence[Passage], near_m: float = _NEAR_M) -> Array:
    """Plain clustering: the nearest pair of two cameras first, by median distance on the ground at common moments,
    as long as no camera is twice in a group: labels int64 (N,).
    """  # noqa: D205
    trajectories = sample_trajectories(passages)
    names = [p.tracklet.camera_id for p in passages]
    order = np.argsort(trajectories.tick, kind="stable")
    place = np.column_stack([trajectories.xy, trajectories.tick * 1e5])
    near: dict[tuple[int, int], list[float]] = {}
    for i, j in cKDTree(place[order]).query_pairs(25.0):
        a, b = order[i], order[j]
        pair = sorted((int(trajectories.owner[a]), int(trajectories.owner[b])))
        if names[pair[0]] != names[pair[1]]:
            near.setdefault((pair[0], pair[1]), []).append(
                float(np.hypot(*(trajectories.xy[a] - trajectories.xy[b])))
            )
    groups = [[k] for k in range(len(passages))]
    for _, (a, b) in sorted((float(np.median(d)), pair) for pair, d in near.items() if np.median(d) <= near_m):
        mine, theirs = groups[a], groups[b]
        if mine is not theirs and not {names[k] for k in mine} & {names[k] for k in theirs}:
            mine += theirs
            for k in theirs:
                groups[k] = mine
    return np.array([min(group) for group in groups])


def oracle(passages: Sequence[Passage], truth: Table, scene: Scene) -> Array:
    """Each tracklet's true vehicle, by most boxes that reach IoU 0.5; those without one stay alone: labels (N,)."""
    numbers = {camera.id: camera.number for camera in scene.cameras}
    at: dict[tuple[int, int], Array] = {}
    order = np.lexsort([truth.frame, truth.camera])
    keys = np.stack([truth.camera[order], truth.frame[order]], axis=1)
    cuts = np.flatnonzero((np.diff(keys, axis=0) != 0).any(axis=1)) + 1
    for part in np.split(order, cuts):
        at[int(truth.camera[part[0]]), int(truth.frame[part[0]])] = part
    nothing: Array = np.zeros(0, np.int64)
    labels = -1 - np.arange(len(passages))
    for k, passage in enumerate(passages):
        votes: Counter[int] = Counter()
        for frame, box in zip(passage.tracklet.frame.tolist(), passage.tracklet.xyxy, strict=True):
            part = at.get((numbers[passage.tracklet.camera_id], frame), nothing)
            if len(part):
                iou = iou_matrix(box[None].astype(float), truth.xyxy[part])[0]
                if iou.max() >= 0.5:
                    votes[int(truth.id[part[iou.argmax()]])] += 1
        if votes:
            labels[k] = min(votes, key=lambda v: (-votes[v], v))
    return np.unique(labels, return_inverse=True)[1]
