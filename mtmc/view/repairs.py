"""Repairs of single tracklets: cut in two at a frame, given boxes, deleted, of another class.

Repairs make a run of a run. A tracklet that covers two vehicles is cut. The part before the frame keeps the number,
the other part gets a new one. Boxes that no tracklet holds are given to one, or begin one. Tracklets whose boxes have
changed are embedded anew from the video. Where there is no video or no embedder they have no embedding, and
association uses motion alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from mtmc.embed import embed_tracklets
from mtmc.embed.passages import EmbeddedTracklets
from mtmc.errors import ConfigError
from mtmc.pipeline.camera import wanted_frames
from mtmc.pipeline.models import make_attributes, make_embedder
from mtmc.pipeline.results import LoadedRun
from mtmc.scene import Camera
from mtmc.types import Array, GlobalTrack, Passage, Tracklet, class_index
from mtmc.view.journal import Entry, Track
from mtmc.view.run_data import frame_count_of

__all__ = ["REPAIRS", "PartsEmbedder", "embed_parts", "repaired", "tracks_of"]

#: Actions that change tracklets, not links between them.
REPAIRS = ("cut", "boxes", "delete", "class")

#: Embeds tracklets of a camera.
PartsEmbedder = Callable[[LoadedRun, Camera, Sequence[Tracklet]], EmbeddedTracklets]


def repaired(run: LoadedRun, entries: Iterable[Entry], embed: PartsEmbedder) -> tuple[LoadedRun, frozenset[Track]]:
    """A run with its tracklets repaired, and the tracklets that were deleted.

    Args:
        run: As it was made.
        entries: The counting answers of a journal, in order; of those that are no repairs only the names are checked.
        embed: Embeds tracklets whose boxes have changed.

    Raises:
        ConfigError: An answer is about a tracklet that is not there, or a repair is not possible.
        MtmcError: The parts of a tracklet cannot be embedded.
    """
    passages = {(r.camera_id, p.tracklet.track_id): p for r in run.results for p in r.passages}
    pictures = {r.camera_id: dict(r.thumbnails) for r in run.results}
    cameras = {camera.id: camera for camera in run.scene.cameras}
    frame_counts = {
        camera.id: frame_count_of(camera, result)
        for camera, result in zip(run.scene.cameras, run.results, strict=True)
    }
    deleted: set[Track] = set()
    named = set(passages)
    given: dict[Track, None] = {}  # tracklets that were given boxes and are to be embedded, in order
    classes: dict[Track, str] = {}
    for entry in entries:
        if entry.action == "check":
            continue  # a mark, which no longer counts once its tracklets have changed
        if entry.action in ("cut", "boxes") and entry.number:
            _check_new(entry, named)
        if not (entry.action == "boxes" and entry.number):
            _check_names(entry, passages)
        if entry.action == "cut":
            [(camera_id, number)] = entry.tracks
            parts = _cut(passages[camera_id, number].tracklet, entry.frame, entry.number)
            embedded = embed(run, cameras[camera_id], parts)
            passages |= {(camera_id, p.tracklet.track_id): p for p in embedded.passages}
            pictures[camera_id] |= embedded.thumbnails
            given.pop((camera_id, number), None)
        elif entry.action == "boxes":
            [track] = entry.tracks
            before = passages[track].tracklet if track in passages else None
            passages[track] = _with_boxes(before, entry, _camera_of(entry, cameras), frame_counts)
            given[track] = None
        elif entry.action == "delete":
            deleted |= set(entry.tracks)
            passages = {track: passage for track, passage in passages.items() if track not in deleted}
        elif entry.action == "class":
            passages |= {track: _of_class(passages[track], entry.class_name) for track in entry.tracks}
            classes |= dict.fromkeys(entry.tracks, entry.class_name)
    for camera_id, number in given:
        if (camera_id, number) in passages:
            embedded = embed(run, cameras[camera_id], [passages[camera_id, number].tracklet])
            [passages[camera_id, number]] = embedded.passages
            pictures[camera_id] |= embedded.thumbnails
    passages |= {
        track: _of_class(passages[track], classes[track]) for track in given if track in {*passages} & {*classes}
    }
    if not passages:
        raise ConfigError("expected some tracklets to remain, got all of them deleted")
    return _with_passages(run, passages, pictures), frozenset(deleted)


def tracks_of(entry: Entry) -> list[Track]:
    """The tracklets that an answer is about, each once."""
    pairs = (*entry.must_link, *entry.cannot_link)
    named = [track for a, i, b, j in pairs for track in ((a, i), (b, j))]
    return list(dict.fromkeys([*entry.tracks, *named]))


def embed_parts(run: LoadedRun, camera: Camera, parts: Sequence[Tracklet]) -> EmbeddedTracklets:
    """Tracklets of a camera as the run embeds them; occlusion by other vehicles is not considered.

    Raises:
        WeightsError: The embedder of the run cannot be loaded.
        VideoError: The video shows none of the frames.
    """
    has_video = camera.video is not None and camera.video.exists()
    config = run.config.embed
    return embed_tracklets(
        parts,
        camera,
        config,
        make_embedder(config, threads=1) if has_video else None,
        partial(wanted_frames, camera) if has_video else None,
        attributes=make_attributes(config, threads=1) if has_video else None,
    )


def _check_names(entry: Entry, passages: Mapping[Track, Passage]) -> None:
    for camera_id, number in tracks_of(entry):
        if (camera_id, number) not in passages:
            raise ConfigError(
                f"answer {entry.sequence} is about tracklet {camera_id}/{number}, which would not be there",
                remedy="undo that answer first",
            )


def _check_new(entry: Entry, named: set[Track]) -> None:
    """Note the number of a tracklet that an answer makes; it has not been used before."""
    track = (entry.tracks[0][0], entry.number)
    if track in named:
        raise ConfigError(f"answer {entry.sequence} makes tracklet {track[0]}/{track[1]} a second time")
    named.add(track)


def _camera_of(entry: Entry, cameras: Mapping[str, Camera]) -> Camera:
    camera_id, _ = entry.tracks[0]
    if camera_id not in cameras:
        raise ConfigError(f"answer {entry.sequence} is about camera {camera_id}, which would not be there")
    return cameras[camera_id]


def _with_boxes(tracklet: Tracklet | None, entry: Entry, camera: Camera, frame_counts: Mapping[str, int]) -> Passage:
    """A tracklet with more boxes, or one that begins with them: without embedding and place, which are to follow."""
    frame = np.array([box[0] for box in entry.boxes], np.int64)
    if frame[-1] >= frame_counts[camera.id]:
        raise ConfigError(
            f"expected boxes of the {frame_counts[camera.id]} frames of camera {camera.id}, got frame {frame[-1]}"
        )
    if tracklet is not None and np.isin(frame, tracklet.frame).any():
        [twice, *_] = frame[np.isin(frame, tracklet.frame)].tolist()
        raise ConfigError(
            f"tracklet {tracklet.camera_id}/{tracklet.track_id} has a box in frame {twice} already",
            remedy="choose boxes of other pictures",
        )
    xyxy = np.array([box[1:] for box in entry.boxes], np.float32)
    score = np.ones(len(frame), np.float32)
    class_id = 0
    if tracklet is not None:
        frame = np.concatenate([tracklet.frame, frame])
        xyxy = np.concatenate([tracklet.xyxy, xyxy])
        score = np.concatenate([tracklet.score, score])
        class_id = tracklet.class_id
    order = np.argsort(frame)
    whole = Tracklet(
        *entry.tracks[0],
        frame[order],
        camera.clock.time_s(frame[order]),
        xyxy[order],
        score[order],
        class_id,
        np.zeros((len(frame), 0), np.float32),
    )
    return Passage(whole, np.zeros(0, np.float32), "", "", np.full((len(frame), 2), np.nan))


def _cut(tracklet: Tracklet, frame: int, number: int) -> list[Tracklet]:
    """The boxes before a frame under the tracklet's number, the others under a new number."""
    is_before = tracklet.frame < frame
    if is_before.all() or not is_before.any():
        raise ConfigError(
            f"expected a frame after {tracklet.frame[0]} and up to {tracklet.frame[-1]}, got {frame}, to cut "
            f"tracklet {tracklet.camera_id}/{tracklet.track_id}",
            remedy="choose a picture that the tracklet goes on in",
        )
    return [tracklet[is_before], replace(tracklet[~is_before], track_id=number)]


def _of_class(passage: Passage, name: str) -> Passage:
    """The passage with a class that is certain."""
    class_id = class_index(name)
    if class_id < 0:
        raise ConfigError(f"expected the name of a class, got {name!r}")
    certain: Array = np.zeros(len(passage.class_probability), np.float32)
    certain[class_id : class_id + 1] = 1.0
    return replace(passage, tracklet=replace(passage.tracklet, class_id=class_id), class_probability=certain)


def _with_passages(
    run: LoadedRun, passages: Mapping[Track, Passage], pictures: Mapping[str, Mapping[int, Array]]
) -> LoadedRun:
    results = [
        replace(
            result,
            passages=[p for (camera_id, _), p in passages.items() if camera_id == result.camera_id],
            thumbnails=dict(pictures[result.camera_id]),
        )
        for result in run.results
    ]
    tracks = []
    for track in run.tracks:
        names = [(p.tracklet.camera_id, p.tracklet.track_id) for p in track.passages]
        present = tuple(passages[name] for name in names if name in passages)
        if present:
            tracks.append(GlobalTrack(track.global_id, present))
    return replace(run, results=tuple(results), tracks=tuple(tracks))
