"""One stage made perfect at a time, with everything else as it was: what would be gained by mending only that.

Unlike the parts of the waterfall these gains do not add up: they are answers to "what if", each on its own. Some only
rewrite the run's answer. The others run the pipeline again from where the truth is put in: its own tracker, clean-up,
embedder (on the videos, where they are) and association, with the run's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from mtmc.clean import CleanConfig
from mtmc.clean.filter import TrackletFilterConfig
from mtmc.clean.interpolate import InterpolateConfig
from mtmc.clean.join import JoinConfig
from mtmc.clean.split import SplitConfig
from mtmc.config import InputConfig, RunConfig
from mtmc.detect.filters import FilterConfig
from mtmc.diagnose.case import Case
from mtmc.diagnose.waterfall import relabelled
from mtmc.errors import MtmcError
from mtmc.evaluate import Scores
from mtmc.evaluate.rows import without_repeats
from mtmc.formats.mot import write_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1
from mtmc.pipeline.results import LoadedRun
from mtmc.pipeline.run import MapCameras
from mtmc.pipeline.run import run as run_pipeline
from mtmc.postprocess import PostprocessConfig
from mtmc.render.config import RenderConfig
from mtmc.scene import Camera

__all__ = ["Oracle", "rerun", "rewrite"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Oracle:
    """An answer with one stage made perfect.

    Attributes:
        name: What is perfect.
        meaning: In a sentence.
        scores: Its scores; None if it could not be had.
        gain: IDF1 more than the run's; NaN without scores.
        problem: Why it could not be had, "" if it could.
    """

    name: str
    meaning: str
    scores: Scores | None
    gain: float
    problem: str = ""


def rewrite(case: Case) -> list[Oracle]:
    """What can be said from the run's answer alone."""
    written, match = case.written, case.match
    place = {key: k for k, key in enumerate(_rows(case.boxes))}
    found = match[[place[key] for key in _rows(written)]]
    placed = written.xyxy.copy()
    placed[found >= 0] = case.truth.xyxy[found[found >= 0]]
    linked = relabelled(case)
    own = linked.id.copy()
    own[match >= 0] = case.truth.id[match[match >= 0]]
    now = case.score(written).idf1
    return [
        _oracle(name, meaning, case.score(answer), now)
        for name, meaning, answer in (
            ("cross-camera ids", "the run's tracklets, each under the vehicle it shows most", linked),
            (
                "single-camera tracks",
                "the run's boxes, each under the vehicle it shows",
                case.boxes.with_columns(id=own),
            ),
            (
                "boxes",
                "the run's identities on the true outlines of what it found",
                written.with_columns(xyxy=placed),
            ),
            ("no false boxes", "the run's answer without boxes where no vehicle is annotated", written[found >= 0]),
        )
    ]


def _rows(table: Table) -> list[tuple[int, int, int]]:
    return list(zip(table.camera.tolist(), table.track_id.tolist(), table.frame.tolist(), strict=True))


def _oracle(name: str, meaning: str, scores: Scores, now: float) -> Oracle:
    return Oracle(name, meaning, scores, scores.idf1 - now)


def rerun(run: LoadedRun, case: Case, out: Path, map_cameras: MapCameras | None = None) -> list[Oracle]:
    """What the later stages make of perfect input, by running them.

    Args:
        run: The run; cameras without ground truth keep their own boxes.
        case: The run beside the truth.
        out: Folder for the results of these runs; what is there already is used.
        map_cameras: Where cameras are processed; one after the other here if None.
    """
    now = case.score(case.written).idf1
    unannotated = case.boxes[~np.isin(case.boxes.camera, np.unique(case.truth.camera))]
    unannotated = unannotated.with_columns(id=unannotated.track_id)
    truth = Table.concatenate([case.truth.with_columns(score=np.ones(len(case.truth))), unannotated])
    own = relabelled(case)
    found = case.match >= 0
    linked = own.id.copy()
    linked[found] = case.truth.id[case.match[found]]
    boxes = without_repeats(case.boxes.with_columns(id=np.unique(linked, return_inverse=True)[1].reshape(-1) + 1))
    cases: list[tuple[str, str, str, Table]] = [
        ("linked", "single-camera tracks, our association", "the run's boxes linked rightly in every camera", boxes),
        ("tracklets", "tracklets, our association", "the true boxes and tracklets of every camera", truth),
        ("detections", "detections, our tracker and association", "the true boxes as detections", truth),
    ]
    oracles = []
    for folder, name, meaning, table in cases:
        source = "detections" if folder == "detections" else "tracklets"
        try:
            answer = _run_on(run, table, source, out / folder, map_cameras or _in_turn)
            oracles.append(_oracle(name, meaning, case.score(answer), now))
        except MtmcError as error:
            oracles.append(Oracle(name, meaning, None, float("nan"), str(error)))
    return oracles


def _run_on(run: LoadedRun, table: Table, source: str, out: Path, map_cameras: MapCameras) -> Table:
    """The pipeline's answer on given boxes."""
    described = any(len(passage.embedding) for passage in run.passages)
    cameras = []
    for camera in run.scene.cameras:
        video = camera.video if camera.video is not None and camera.video.exists() else None
        if described and camera.video is not None and video is None:
            raise MtmcError(
                f"its video is gone, so no vehicle of camera {camera.id} can be described", path=camera.video
            )
        path = out / "given" / f"{camera.id}.txt"
        rows = table[table.camera == camera.number]
        write_mot(rows.with_columns(ground_m=np.full((len(rows), 2), np.nan)), path)
        given = (path,)
        cameras.append(
            replace(
                camera,
                video=video,
                ground_truth=None,
                box_scale=(1.0, 1.0),
                detections=given if source == "detections" else (),
                tracklets=given if source == "tracklets" else (),
            )
        )
    config = _config(run.config, source)
    run_pipeline(replace(run.scene, cameras=tuple(cameras)), config, out, map_cameras=map_cameras)
    return read_track1(out / "track1.txt")


def _config(config: RunConfig, source: str) -> RunConfig:
    """The run's choices, with what a perfect input has no need of switched off."""
    off = CleanConfig(
        split=SplitConfig(enabled=False),
        join=JoinConfig(enabled=False),
        interpolate=InterpolateConfig(enabled=False),
        filter=TrackletFilterConfig(enabled=False),
    )
    return config.model_copy(
        update={
            "input": InputConfig(source="detections" if source == "detections" else "tracklets"),
            "detect": config.detect.model_copy(update={"filter": FilterConfig(nms_iou=None, roi="off")}),
            "clean": config.clean if source == "detections" else off,
            "embed": config.embed.model_copy(update={"per_detection": False}),
            "postprocess": PostprocessConfig(min_displacement=0, max_truncation=1),
            "render": RenderConfig(videos=False, mosaic=False, report=False),
        }
    )


def _in_turn(fn: Callable[[Camera], T], cameras: Sequence[Camera]) -> list[T]:
    return [fn(camera) for camera in cameras]
