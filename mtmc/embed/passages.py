"""Tracklets of one camera to passages: an embedding, entry and exit zones, and positions on the ground for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmc.embed.attributes import AttributeNetwork
from mtmc.embed.config import EmbedConfig
from mtmc.embed.crop_buffer import CropBuffer, CropCandidate, Frames, thumbnail
from mtmc.embed.crops import crop_quality, select_crops
from mtmc.embed.embedder import Embedder
from mtmc.embed.locate import entry_zone, exit_zone, ground_positions
from mtmc.embed.pooling import pool, unit_rows
from mtmc.errors import VideoError
from mtmc.scene import Camera
from mtmc.types import CLASSES, Array, Passage, Tracklet

__all__ = ["EmbeddedTracklets", "embed_tracklets", "locate_again"]

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedTracklets:
    """What became of a camera's tracklets.

    Attributes:
        passages: One for each tracklet, in their order.
        thumbnails: By track id, the best crop of the vehicle: uint8 (h ≤ 120, w, 3) RGB.
        match_similarity: Cosine above which two tracklets are more likely one vehicle than two, by the embedder's
            card; None without an embedder, or where it was not measured.
    """

    passages: tuple[Passage, ...]
    thumbnails: Mapping[int, Array]
    match_similarity: float | None = None


def embed_tracklets(
    tracklets: Sequence[Tracklet],
    camera: Camera,
    config: EmbedConfig,
    embedder: Embedder | None,
    frames: Frames | None,
    progress: Progress | None = None,
    attributes: AttributeNetwork | None = None,
) -> EmbeddedTracklets:
    """Embed and locate all tracklets of a camera in one pass over its video.

    Without a video or an embedder the embeddings are of size 0. With ``per_detection``, vectors that tracking brought
    along are pooled instead of computed again.

    Args:
        tracklets: All of the camera, since they occlude each other.
        camera: Its zones, calibration and image size.
        config: The choices.
        embedder: What gives vectors.
        frames: A function from a set of frame numbers to those frames, in order; the video is read by it.
        progress: Called with (frames done, frames wanted).
        attributes: What tells types and colors; a tracklet of class "vehicle" takes a type that is likely.

    Raises:
        VideoError: The video does not reach a tracklet.
        WeightsError: The embedder fails or gives vectors without a direction.
    """
    quality = crop_quality(tracklets, camera.size_wh)
    selected = [select_crops(t, q, config) for t, q in zip(tracklets, quality, strict=True)]
    has_vectors = config.per_detection and all(t.appearance.shape[1] for t in tracklets)

    candidates = _candidates(selected)
    buffer = None
    if embedder is not None and frames is not None and not has_vectors:
        buffer = CropBuffer(candidates, embedder, config)
    attribute_buffer = None
    if attributes is not None and frames is not None:
        attribute_buffer = CropBuffer(candidates, attributes, config)
    buffers = [each for each in (buffer, attribute_buffer) if each is not None]

    thumbnails: dict[int, Array] = {}
    if frames is not None:
        best_rows = [_best_row(rows, q) for rows, q in zip(selected, quality, strict=True)]
        thumbnails = _read_crops(tracklets, candidates if buffers else [], best_rows, buffers, frames, progress)

    passages = []
    for number, tracklet in enumerate(tracklets):
        embedding = np.zeros(0, np.float32)
        if embedder is not None and (has_vectors or buffer is not None):
            if buffer is None:
                rows, vectors = _tracked_vectors(tracklet, selected[number])
            else:
                rows, vectors = _crop_vectors(buffer, number, tracklet)
            vectors = unit_rows(vectors, embedder.name)
            embedding = pool(vectors, quality[number][rows], config.pooling_sharpness, embedder.name)
        passage = _passage(tracklet, embedding, camera)
        if attributes is not None and attribute_buffer is not None:
            rows, vectors = _crop_vectors(attribute_buffer, number, tracklet)
            pooled = pool(vectors, quality[number][rows], config.pooling_sharpness, attributes.name)
            passage = _with_attributes(passage, attributes, pooled)
        passages.append(passage)
    similarity = None if embedder is None else embedder.match_similarity
    return EmbeddedTracklets(tuple(passages), thumbnails, similarity)


def _candidates(selected: Sequence[Sequence[Array]]) -> list[CropCandidate]:
    """The selected rows of all tracklets, each with the number of its tracklet and stretch."""
    return [
        CropCandidate(number, stretch, int(row))
        for number, stretches in enumerate(selected)
        for stretch, rows in enumerate(stretches)
        for row in rows
    ]


def _best_row(stretches: Sequence[Array], quality: Array) -> int:
    """The candidate of the highest quality of a tracklet; of equal ones the earliest."""
    rows = np.sort(np.concatenate(stretches))
    return int(rows[np.argmax(quality[rows])])


def _read_crops(
    tracklets: Sequence[Tracklet],
    candidates: Sequence[CropCandidate],
    best_rows: Sequence[int],
    buffers: Sequence[CropBuffer],
    frames: Frames,
    progress: Progress | None,
) -> dict[int, Array]:
    """One pass over the video: the candidates go into the buffers, the thumbnails are returned by track id."""
    candidates_of: dict[int, list[CropCandidate]] = defaultdict(list)
    for candidate in candidates:
        candidates_of[int(tracklets[candidate.tracklet].frame[candidate.row])].append(candidate)
    thumbnails_of: dict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(best_rows):
        thumbnails_of[int(tracklets[number].frame[row])].append(number)

    thumbnails = {}
    wanted = candidates_of.keys() | thumbnails_of.keys()
    for done, frame in enumerate(frames(wanted) if wanted else (), start=1):
        in_frame = candidates_of.get(frame.index, [])
        if in_frame:
            boxes = np.stack([tracklets[candidate.tracklet].xyxy[candidate.row] for candidate in in_frame])
            for buffer in buffers:
                buffer.add(frame, in_frame, boxes)
        for number in thumbnails_of.get(frame.index, []):
            tracklet = tracklets[number]
            thumbnails[tracklet.track_id] = thumbnail(frame, tracklet.xyxy[best_rows[number]])
        if progress is not None:
            progress(done, len(wanted))
    for buffer in buffers:
        buffer.finish()
    return thumbnails


def _tracked_vectors(tracklet: Tracklet, selected: Sequence[Array]) -> tuple[Array, Array]:
    """The best row of each stretch, and the vectors that tracking brought along: int (K,), (K, D)."""
    rows = np.array([rows[0] for rows in selected])
    return rows, tracklet.appearance[rows]


def _crop_vectors(buffer: CropBuffer, number: int, tracklet: Tracklet) -> tuple[Array, Array]:
    """The rows of tracklet ``number`` whose crops came out of the video, and their vectors: int (K,), (K, D)."""
    embedded = buffer.embedded[number]
    if not embedded:
        raise VideoError(
            f"camera {tracklet.camera_id}: expected to see tracklet {tracklet.track_id} in frames "
            f"{tracklet.frame[0]} to {tracklet.frame[-1]}, but none of those that show it came",
            remedy="check that video and tracklets belong together",
        )
    return np.array([row for row, _ in embedded]), np.stack([vector for _, vector in embedded])


def locate_again(passage: Passage, camera: Camera) -> Passage:
    """The passage with times, zones and ground positions by another description of its camera."""
    tracklet = replace(passage.tracklet, time_s=camera.clock.time_s(passage.tracklet.frame))
    return replace(
        passage,
        tracklet=tracklet,
        entry=entry_zone(tracklet, camera.zones),
        exit=exit_zone(tracklet, camera.zones),
        ground_m=ground_positions(tracklet, camera),
        ground_plane=camera.ground_plane,
    )


def _passage(tracklet: Tracklet, embedding: Array, camera: Camera) -> Passage:
    return Passage(
        tracklet=tracklet,
        embedding=embedding,
        entry=entry_zone(tracklet, camera.zones),
        exit=exit_zone(tracklet, camera.zones),
        ground_m=ground_positions(tracklet, camera),
        ground_plane=camera.ground_plane,
    )


def _with_attributes(passage: Passage, attributes: AttributeNetwork, pooled: Array) -> Passage:
    """The passage with types and colors; a tracklet of class "vehicle" takes a type that is likelier than not."""
    class_probability = attributes.class_probability(pooled)
    tracklet, likeliest = passage.tracklet, int(class_probability.argmax())
    if CLASSES[tracklet.class_id] == "vehicle" and class_probability[likeliest] > 0.5:
        tracklet = replace(tracklet, class_id=likeliest)
    color_probability = attributes.color_probability(pooled)
    return replace(
        passage, tracklet=tracklet, class_probability=class_probability, color_probability=color_probability
    )
