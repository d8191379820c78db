"""Oracle experiments: one stage is made perfect at a time and all others stay as they are.

The gains of these experiments do not add up, unlike the parts of the waterfall. Some experiments only change the
run's result. The others replace the input of a stage by the truth and run the stages after it, with the run's
settings: the tracker, the clean-up, the embedder (on the videos) and association.
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
from mtmc.diagnose.matched_run import MatchedRun
from mtmc.diagnose.waterfall import relabel
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
    """The result with one stage made perfect.

    Attributes:
        name: What is perfect.
        meaning: A description of the experiment.
        scores: The scores of the result; None if the experiment failed.
        gain: The increase of IDF1 over the run's; NaN without scores.
        problem: Why the experiment failed, "" if it did not.
    """

    name: str
    meaning: str
    scores: Scores | None
    gain: float
    problem: str = ""


def rewrite(matched: MatchedRun) -> list[Oracle]:
    """The experiments that only change the run's result."""
    written, match = matched.written, matched.match
    row_of = {key: row for row, key in enumerate(_row_keys(matched.boxes))}
    written_match = match[[row_of[key] for key in _row_keys(written)]]
    has_match = written_match >= 0

    true_boxes = written.xyxy.copy()
    true_boxes[has_match] = matched.truth.xyxy[written_match[has_match]]
    relabeled = relabel(matched)
    true_id = relabeled.id.copy()
    true_id[match >= 0] = matched.truth.id[match[match >= 0]]

    idf1 = matched.score(written).idf1
    return [
        _oracle(name, meaning, matched.score(result), idf1)
        for name, meaning, result in (
            ("cross-camera ids", "the run's tracklets, each under the vehicle it shows most", relabeled),
            (
                "single-camera tracks",
                "the run's boxes, each under the vehicle it shows",
                matched.boxes.with_columns(id=true_id),
            ),
            (
                "boxes",
                "the run's identities on the true boxes of the vehicles that it detected",
                written.with_columns(xyxy=true_boxes),
            ),
            ("no false boxes", "the run's result without boxes where no vehicle is annotated", written[has_match]),
        )
    ]


def _row_keys(table: Table) -> list[tuple[int, int, int]]:
    return list(zip(table.camera.tolist(), table.track_id.tolist(), table.frame.tolist(), strict=True))


def _oracle(name: str, meaning: str, scores: Scores, idf1_of_run: float) -> Oracle:
    return Oracle(name, meaning, scores, scores.idf1 - idf1_of_run)


def rerun(run: LoadedRun, matched: MatchedRun, out: Path, map_cameras: MapCameras | None = None) -> list[Oracle]:
    """The experiments that run the later stages on perfect input.

    Args:
        run: The run; cameras without ground truth keep their own boxes.
        matched: The run matched to ground truth.
        out: Folder for the results of these runs; results that exist already are used.
        map_cameras: Where cameras are processed; one after the other in this process if None.
    """
    idf1 = matched.score(matched.written).idf1
    unannotated = matched.boxes[~np.isin(matched.boxes.camera, np.unique(matched.truth.camera))]
    unannotated = unannotated.with_columns(id=unannotated.track_id)
    truth = Table.concatenate([matched.truth.with_columns(score=np.ones(len(matched.truth))), unannotated])

    has_match = matched.match >= 0
    true_id = relabel(matched).id.copy()
    true_id[has_match] = matched.truth.id[matched.match[has_match]]
    compact_id = np.unique(true_id, return_inverse=True)[1].reshape(-1) + 1
    boxes = without_repeats(matched.boxes.with_columns(id=compact_id))

    experiments: list[tuple[str, str, str, Table]] = [
        (
            "linked",
            "single-camera tracks, our association",
            "the run's boxes, correctly linked in every camera",
            boxes,
        ),
        ("tracklets", "tracklets, our association", "the true boxes and tracklets of every camera", truth),
        ("detections", "detections, our tracker and association", "the true boxes as detections", truth),
    ]
    oracles = []
    for folder, name, meaning, table in experiments:
        source = "detections" if folder == "detections" else "tracklets"
        try:
            result = _run_on(run, table, source, out / folder, map_cameras or _one_by_one)
            oracles.append(_oracle(name, meaning, matched.score(result), idf1))
        except MtmcError as error:
            oracles.append(Oracle(name, meaning, None, float("nan"), str(error)))
    return oracles


def _run_on(run: LoadedRun, table: Table, source: str, out: Path, map_cameras: MapCameras) -> Table:
    """The pipeline's result on given boxes."""
    has_embeddings = any(len(passage.embedding) for passage in run.passages)
    cameras = []
    for camera in run.scene.cameras:
        video = camera.video if camera.video is not None and camera.video.exists() else None
        if has_embeddings and camera.video is not None and video is None:
            raise MtmcError(
                f"the video of camera {camera.id} does not exist any more, so its vehicles cannot be embedded",
                path=camera.video,
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
    """The run's settings, without the steps that repair imperfect input."""
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
            "learn": config.learn.model_copy(update={"enabled": False}),  # the place stays as the run learned it
            "render": RenderConfig(videos=False, mosaic=False, report=False),
        }
    )


def _one_by_one(fn: Callable[[Camera], T], cameras: Sequence[Camera]) -> list[T]:
    return [fn(camera) for camera in cameras]
