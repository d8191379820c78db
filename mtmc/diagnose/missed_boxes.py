"""True boxes without a match in the result: the first stage whose output lacks them has lost them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

import numpy as np

from mtmc.detect.filters import filter_detections
from mtmc.detect.precomputed import read_detections
from mtmc.diagnose.matched_run import MatchedRun, assign
from mtmc.errors import MtmcError
from mtmc.formats.convert import tracklets_of
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.pipeline.camera import CameraResult, choose_source
from mtmc.pipeline.detection import IndexedDetections, load_detections
from mtmc.pipeline.results import LoadedRun
from mtmc.pipeline.serialize import unpack_tracklets
from mtmc.postprocess import image_sizes
from mtmc.scene import Camera, read_roi
from mtmc.types import Array, Tracklet

__all__ = ["losing_stages"]


def losing_stages(run: LoadedRun, matched: MatchedRun) -> Array:
    """For each true box the part of the loss that it belongs to, "" if it has a match: str (T,).

    The parts are keys of :data:`~mtmc.diagnose.waterfall.PARTS`. Results of stages are read from the run's cache.
    Only the detection filter, whose result is not kept, is applied again.

    Raises:
        MtmcError: Results below the run's ``cache/`` have been deleted.
    """
    losing_stage = np.full(len(matched.truth), "", dtype="<U20")
    missed = np.ones(len(matched.truth), bool)
    missed[matched.match[matched.match >= 0]] = False
    sizes = image_sizes(run.scene)
    for camera, result in zip(run.scene.cameras, run.results, strict=True):
        of_camera = matched.truth.camera == camera.number
        # Boxes are assigned frame by frame: only the frames that miss one are compared.
        rows = np.flatnonzero(of_camera & np.isin(matched.truth.frame, matched.truth.frame[of_camera & missed]))
        if not len(rows):
            continue
        frames = frozenset(matched.truth.frame[rows].tolist())
        # From the last stage back to the first: the first stage without the box overwrites all later ones.
        stage_of_row = np.full(len(rows), "post-processing", dtype="<U20")
        for stage, boxes in reversed(list(_stages(run, camera, result, sizes.get(camera.id), frames))):
            match, _ = assign(matched.truth[rows], boxes)
            absent = np.ones(len(rows), bool)
            absent[match[match >= 0]] = False
            stage_of_row[absent] = stage
        losing_stage[rows] = np.where(missed[rows], stage_of_row, "")
    return losing_stage


def _stages(
    run: LoadedRun,
    camera: Camera,
    result: CameraResult,
    size_wh: tuple[int, int] | None,
    wanted: Collection[int],
) -> Iterator[tuple[str, Table]]:
    """The boxes of each stage of a camera in order, with the part of the loss that the stage can cause.

    Detections are those of the wanted frames.
    """
    cache, keys = run.cache, result.stage_keys
    found: list[IndexedDetections] | None = None
    if "detect" in keys:
        found = list(load_detections(cache, camera.id, keys["detect"]) or [])
        yield "detector", _of_detections(camera, _in_frames(found, wanted))
    elif "track" in keys:
        found = _given_detections(run, camera)
        if found is not None:
            yield "given boxes", _of_detections(camera, _in_frames(found, wanted))
    elif result.passages:
        yield "given boxes", _given_tracklets(run, camera, result)
    else:
        yield "detector", Table.empty()
    if "track" in keys:
        if found is not None:
            size_wh = size_wh or _extent(found)  # as in the run; only the border rule needs it
            yield "filter", _of_detections(camera, _filtered(run, camera, _in_frames(found, wanted), size_wh))
        arrays = cache.load("track", camera.id, keys["track"])
        if arrays is None:
            raise MtmcError(
                f"the tracklets of camera {camera.id} before clean-up have been deleted",
                path=run.out / "cache",
                remedy="repeat the run with the same --out; the stages that are still in its cache are used",
            )
        yield "tracking", _of_tracklets(camera, unpack_tracklets(arrays, camera.id))
    yield "clean-up", _of_tracklets(camera, [passage.tracklet for passage in result.passages])


def _given_detections(run: LoadedRun, camera: Camera) -> list[IndexedDetections] | None:
    """Frame indices and detections of the run's input file; None if it cannot be read any more."""
    with suppress(MtmcError):
        path = choose_source(camera, run.config.input)[1]
        offset = run.config.input.frame_offset
        return list(read_detections(path, frames=camera.frame_count, frame_offset=offset))
    return None


def _given_tracklets(run: LoadedRun, camera: Camera, result: CameraResult) -> Table:
    """Tracklets of the run's input file; those after clean-up if it cannot be read any more."""
    with suppress(MtmcError):
        path = choose_source(camera, run.config.input)[1]
        table = read_mot(path, camera.number, run.config.input.frame_offset)
        return _of_tracklets(camera, tracklets_of(table, camera.id, camera.clock))
    return _of_tracklets(camera, [passage.tracklet for passage in result.passages])


def _in_frames(found: Sequence[IndexedDetections], wanted: Collection[int]) -> list[IndexedDetections]:
    return [(index, detections) for index, detections in found if index in wanted]


def _extent(found: Sequence[IndexedDetections]) -> tuple[int, int]:
    """The smallest image that holds all boxes."""
    corners = [detections.xyxy[:, 2:].max(axis=0) for _, detections in found if len(detections)]
    width, height = np.ceil(np.max(corners, axis=0)).astype(int).tolist() if corners else (1, 1)
    return width, height


def _filtered(
    run: LoadedRun, camera: Camera, found: Sequence[IndexedDetections], size_wh: tuple[int, int]
) -> list[IndexedDetections]:
    roi = None if camera.roi is None else read_roi(camera.roi, camera.size_wh)
    rules = run.config.detect.filter
    return [(index, filter_detections(detections, rules, size_wh, roi)) for index, detections in found]


def _of_detections(camera: Camera, found: Sequence[IndexedDetections]) -> Table:
    frame = np.repeat(np.array([index for index, _ in found], np.int64), [len(d) for _, d in found])
    xyxy = np.concatenate([np.zeros((0, 4)), *(d.xyxy for _, d in found)])
    return Table.of(camera.number, np.full(len(frame), -1), frame, xyxy)


def _of_tracklets(camera: Camera, tracklets: Sequence[Tracklet]) -> Table:
    length = [len(t) for t in tracklets]
    return Table.of(
        camera.number,
        np.repeat(np.array([t.track_id for t in tracklets], np.int64), length),
        np.concatenate([np.zeros(0, np.int64), *(t.frame for t in tracklets)]),
        np.concatenate([np.zeros((0, 4)), *(t.xyxy for t in tracklets)]),
    )
