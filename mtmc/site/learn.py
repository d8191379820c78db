"""A place from its own tracklets: sizes → ground → clocks → zones → links, each resting on those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np

from mtmc.geometry.boxes import travel
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, Scene, Zone
from mtmc.site.camera_model import GroundScale, fit_ground_scale
from mtmc.site.clocks import ClockFit, PairClock, fit_clocks, meetings
from mtmc.site.common_ground import CommonGround, learn_common_grounds
from mtmc.site.config import SiteConfig
from mtmc.site.links import Event, FoundLink, find_links
from mtmc.site.plane_alignment import PlaneAlignmentEstimate, align_planes, trajectory_endpoints
from mtmc.site.pose_graph import PairSimilarity
from mtmc.site.registration import Registration
from mtmc.site.similarity import alike, centered_embeddings
from mtmc.site.trajectories import Trajectory, image_size, sample_trajectories
from mtmc.site.zones import FoundZone, TrackEndpoint, find_zones, track_endpoints
from mtmc.types import Array, Passage

__all__ = ["LearnedScene", "apply_clocks", "learn_scene"]

_LEAST_TRAVEL = 0.5  # diagonals of a box; who never drives says nothing about the ways
_LEAST_OFFSET_S = 0.05
_SIGMAS = 3.0
_LEAST_DRIFT_S = 0.2  # over the recording


@dataclass(frozen=True, slots=True, eq=False)
class LearnedScene:
    """What was learned, and the scene that says it.

    Attributes:
        scene: The given scene with what was learned in place of its zones and links, and of ground and clocks where
            those were learned too.
        size_wh: Picture sizes by camera.
        scales: Ground scales by camera, where there were vehicles enough.
        frames: Common grounds that were learned, the largest first; empty if the given ones were kept.
        registrations: Pairs of views that were tried.
        plane_alignments: Roughly how grounds lie to one another.
        clocks: Clocks by camera; ``applied`` names those written into the scene.
        pair_clocks: Pairs of cameras they come from.
        applied: Cameras whose clock was changed.
        ends: Begins and ends of ways, by camera.
        zones: By camera.
        links: Of the scene.
        one_way_s: (camera, camera) → half the difference of the typical times of both directions, where both are
            known: how far the first clock is behind, if the way takes equally long both ways.
        passages: The passages on the learned clocks.
        notes: What could not be told, as sentences.
    """

    scene: Scene
    size_wh: dict[str, tuple[int, int]]
    scales: dict[str, GroundScale]
    frames: tuple[CommonGround, ...]
    registrations: tuple[Registration, ...]
    plane_alignments: tuple[PlaneAlignmentEstimate, ...]
    clocks: tuple[ClockFit, ...]
    pair_clocks: tuple[PairClock, ...]
    applied: tuple[str, ...]
    ends: dict[str, list[TrackEndpoint]]
    zones: dict[str, list[FoundZone]]
    links: tuple[FoundLink, ...]
    one_way_s: dict[tuple[str, str], float]
    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = field(default=())


def learn_scene(scene: Scene, passages: Sequence[Passage], config: SiteConfig | None = None) -> LearnedScene:
    """Learn a place from its passages. The result does not depend on their order.

    Args:
        scene: What is known: cameras, clocks, perhaps homographies. Its zones and links are replaced.
        passages: Of all cameras, on the scene's clocks.
        config: The choices.
    """
    config = config or SiteConfig()
    notes: list[str] = []
    driving = [p for p in passages if travel(p.tracklet.xyxy) >= _LEAST_TRAVEL]
    ordered = sorted(driving, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))
    by_camera = {c.id: [p for p in ordered if p.tracklet.camera_id == c.id] for c in scene.cameras}
    size_wh = {c.id: image_size(c, by_camera[c.id]) for c in scene.cameras}
    ways = sample_trajectories(ordered, size_wh)
    scales = {c: s for c in ways if (s := fit_ground_scale(ways[c], size_wh[c])) is not None}
    notes += [f"{c}: too few whole boxes of moving vehicles to tell a scale" for c in sorted(set(ways) - set(scales))]

    scene, frames, tried = _ground(scene, ways, scales, _alike_of(ways), config, notes)
    planes = _planes(scene)
    clocks: list[ClockFit] = []
    pair_clocks: list[PairClock] = []
    for ground in planes.values():
        fits, pairs = fit_clocks(ways, ground, config.max_clock_offset_s + 2.0)
        clocks += fits
        pair_clocks += pairs
    scene, applied = _set_clocks(scene, clocks, ways, config)
    unknown = sorted(c.id for c in scene.cameras if c.id not in {fit.camera for fit in clocks})
    if unknown and len(scene.cameras) > 1:
        notes.append(f"clocks of {', '.join(unknown)} cannot be told: their views share no ground with another")
    if applied:
        ordered = apply_clocks(ordered, scene)
        by_camera = {c.id: [p for p in ordered if p.tracklet.camera_id == c.id] for c in scene.cameras}
        ways = sample_trajectories(ordered, size_wh)

    ends, zones = {}, {}
    for camera in scene.cameras:
        mine = by_camera[camera.id]
        ends[camera.id] = track_endpoints(mine, size_wh[camera.id], _span(camera, mine))
        zones[camera.id] = find_zones(ends[camera.id], mine, size_wh[camera.id], config)
    spans = [_span(camera, by_camera[camera.id]) for camera in scene.cameras]
    length_s = max(max(stop for _, stop in spans) - min(start for start, _ in spans), 1.0) if spans else 1.0
    links, shared = _links(scene, ordered, ways, list(planes.values()), ends, zones, length_s, config)
    plane_alignments = _plane_alignments(scene, planes, ways, scales, _alike_of(ways), length_s)
    scene = _written(scene, zones, links, shared, plane_alignments)
    return LearnedScene(
        scene, size_wh, scales, frames, tried, tuple(plane_alignments), tuple(clocks), tuple(pair_clocks), applied,
        ends, zones, tuple(links), _one_way(links), tuple(ordered), tuple(notes),
    )  # fmt: skip


def _alike_of(ways: Mapping[str, Sequence[Trajectory]]) -> PairSimilarity:
    """How alike the vehicles of these very ways look: on other clocks a short way may be one or none."""
    looks = centered_embeddings({camera: [way.embedding for way in mine] for camera, mine in ways.items()})
    return lambda a, b: alike(looks[a], looks[b])


def _ground(
    scene: Scene,
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
    how_alike: PairSimilarity,
    config: SiteConfig,
    notes: list[str],
) -> tuple[Scene, tuple[CommonGround, ...], tuple[Registration, ...]]:
    given = [c.id for c in scene.cameras if c.ground_from_image is not None]
    if config.ground == "keep" or (config.ground == "auto" and given):
        if config.ground == "auto" and len(given) < len(scene.cameras):
            lacking = ", ".join(c.id for c in scene.cameras if c.id not in given)
            notes.append(f"{lacking} stay without ground: others have a given one that a learned one would not fit")
        return scene, (), ()
    frames, tried = learn_common_grounds(ways, scales, config.max_clock_offset_s, how_alike)
    ground = {camera: matrix for frame in frames for camera, matrix in frame.ground_from_image.items()}
    plane = {camera: min(frame.met) if k else "" for k, frame in enumerate(frames) for camera in frame.met}
    for camera in sorted(set(scales) - set(ground)):  # shares road with nobody
        ground[camera], plane[camera] = scales[camera].ground_from_image(), camera
    for camera in sorted({c.id for c in scene.cameras} - set(ground)):
        notes.append(f"{camera}: no scale, so no homography is written")
    cameras = tuple(
        replace(c, ground_from_image=ground.get(c.id), ground_plane=plane.get(c.id, "")) for c in scene.cameras
    )
    return replace(scene, cameras=cameras), tuple(frames), tuple(tried)


def _planes(scene: Scene) -> dict[str, dict[str, Array]]:
    """Pixels → metres by camera, for each ground plane."""
    planes: dict[str, dict[str, Array]] = {}
    for camera in scene.cameras:
        if camera.ground_from_image is not None:
            planes.setdefault(camera.ground_plane, {})[camera.id] = camera.ground_from_image
    return {name: planes[name] for name in sorted(planes)}


def _set_clocks(
    scene: Scene, clocks: Sequence[ClockFit], ways: Mapping[str, Sequence[Trajectory]], config: SiteConfig
) -> tuple[Scene, tuple[str, ...]]:
    """The scene with the clocks that differ beyond doubt set right."""
    fits = {fit.camera: fit for fit in clocks}
    cameras, applied = [], []
    for camera in scene.cameras:
        fit = fits.get(camera.id)
        if fit is None or not config.update_clocks:
            cameras.append(camera)
            continue
        ticks = [way.tick for way in ways[camera.id]]
        span_s = 0.25 * float(max(t[-1] for t in ticks) - min(t[0] for t in ticks)) if ticks else 0.0
        drifts = abs(fit.rate) > _SIGMAS * fit.rate_error and abs(fit.rate) * span_s > _LEAST_DRIFT_S
        differs = abs(fit.offset_s) > max(_LEAST_OFFSET_S, _SIGMAS * fit.error_s)
        rate = fit.rate if drifts else 0.0
        offset = fit.offset_s if differs or drifts else 0.0
        if rate or offset:
            applied.append(camera.id)
            camera = replace(camera, clock=_moved(camera.clock, offset - rate * fit.middle_s, rate))
        cameras.append(camera)
    return replace(scene, cameras=tuple(cameras)), tuple(applied)


def _moved(clock: Clock, offset_s: float, rate: float) -> Clock:
    """A clock that says ``offset + (1 + rate) · t`` where it said t."""
    return Clock(
        fps=clock.fps / (1 + rate),
        start_s=round(offset_s + (1 + rate) * clock.start_s, 4),
        time_map=tuple((frame, round(offset_s + (1 + rate) * seconds, 4)) for frame, seconds in clock.time_map),
    )


def apply_clocks(passages: Sequence[Passage], scene: Scene) -> list[Passage]:
    """Passages with their times on the scene's clocks."""
    clocks = {camera.id: camera.clock for camera in scene.cameras}
    return [
        replace(p, tracklet=replace(p.tracklet, time_s=clocks[p.tracklet.camera_id].time_s(p.tracklet.frame)))
        for p in passages
    ]


def _span(camera: Camera, passages: Sequence[Passage]) -> tuple[float, float]:
    """When the recording begins and ends."""
    last = max((int(p.tracklet.frame[-1]) for p in passages), default=0)
    if camera.frame_count is not None:
        last = max(last, camera.frame_count - 1)
    start, stop = camera.clock.time_s(np.array([0, last])).tolist()
    return start, stop


def _links(
    scene: Scene,
    passages: Sequence[Passage],
    ways: Mapping[str, Sequence[Trajectory]],
    planes: Sequence[Mapping[str, Array]],
    ends: Mapping[str, Sequence[TrackEndpoint]],
    zones: Mapping[str, Sequence[FoundZone]],
    length_s: float,
    config: SiteConfig,
) -> tuple[list[FoundLink], dict[tuple[str, str], tuple[float, float]]]:
    """Links, and for pairs of cameras with common ground all differences seen between exit and entry."""
    index = {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(passages)}
    events: dict[str, dict[str, list[Event]]] = {c.id: {"in": [], "out": []} for c in scene.cameras}
    for camera in scene.cameras:
        mine = [k for k, p in enumerate(passages) if p.tracklet.camera_id == camera.id]
        zone_of = {end: zone.name for zone in zones[camera.id] for end in zone.ends}
        for number, end in enumerate(ends[camera.id]):
            events[camera.id][end.role].append(
                Event(
                    camera.id,
                    zone_of.get(number, ""),
                    mine[end.passage],
                    end.time_s,
                    passages[mine[end.passage]].tracklet.start_s,
                )
            )
    described: dict[str, list[Array]] = {}
    for p in passages:  # in order of their cameras
        described.setdefault(p.tracklet.camera_id, []).append(p.embedding)
    faces = np.concatenate(list(centered_embeddings(described).values())) if passages else np.zeros((0, 0))
    met: dict[tuple[str, str], list[tuple[int, int]]] = {}
    shared: dict[tuple[str, str], tuple[float, float]] = {}
    for a, b in permutations([c.id for c in scene.cameras], 2):
        pairs = [
            (index[a, ways[a][i].track_id], index[b, ways[b][j].track_id])
            for ground in planes
            if a in ground and b in ground
            for i, j in meetings(ways[a], ways[b], (ground[a], ground[b]))
        ]
        if len(pairs) >= config.min_support:
            met[a, b] = pairs
            gaps = [passages[j].tracklet.start_s - passages[i].tracklet.end_s for i, j in pairs]
            shared[a, b] = (min(gaps), max(gaps))
    leaving = [e for c in events.values() for e in c["out"]]
    coming = [e for c in events.values() for e in c["in"]]
    return find_links(leaving, coming, met, faces, length_s, config), shared


def _plane_alignments(
    scene: Scene,
    planes: Mapping[str, Mapping[str, Array]],
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
    how_alike: PairSimilarity,
    length_s: float,
) -> list[PlaneAlignmentEstimate]:
    """How the ground planes lie to one another, unless the scene says so."""
    if scene.plane_alignments:
        return []
    gates = {
        plane: {
            c: trajectory_endpoints(ways[c], scales[c].near, matrix) for c, matrix in ground.items() if c in scales
        }
        for plane, ground in planes.items()
    }
    return align_planes({plane: known for plane, known in gates.items() if known}, how_alike, length_s)


def _one_way(links: Sequence[FoundLink]) -> dict[tuple[str, str], float]:
    """Clock differences by symmetry of the two directions, for camera pairs without common ground."""
    typical: dict[tuple[str, str], list[float]] = {}
    for link in links:
        if link.by != "ground":
            typical.setdefault((link.from_camera, link.to_camera), []).append(link.typical_s)
    return {
        (a, b): float(np.median(there) - np.median(typical[b, a])) / 2
        for (a, b), there in sorted(typical.items())
        if a < b and (b, a) in typical
    }


def _written(
    scene: Scene,
    zones: Mapping[str, Sequence[FoundZone]],
    links: Sequence[FoundLink],
    shared: Mapping[tuple[str, str], tuple[float, float]],
    plane_alignments: Sequence[PlaneAlignmentEstimate],
) -> Scene:
    """The scene with its zones, links and plane_alignments.

    Vehicles seen by two cameras at once can leave one and come into the other by any zones and in any order, so
    such a pair of cameras also gets a link from any zone to any other.
    """
    cameras = tuple(
        replace(c, zones=tuple(Zone(z.name, z.polygon, z.role) for z in zones[c.id])) for c in scene.cameras
    )
    written = [
        Link(
            f.from_camera, f.from_zone, f.to_camera, f.to_zone, f.min_s, f.max_s,
            round(f.typical_s, 2), round(f.spread_s, 2), round(f.share, 3),
        )
        for f in links
    ]  # fmt: skip
    written += [
        Link(a, "", b, "", float(np.floor(low - 5.0)), float(np.ceil(high + 5.0)))
        for (a, b), (low, high) in sorted(shared.items())
    ]
    placed = scene.plane_alignments or tuple(found.alignment for found in plane_alignments)
    return replace(scene, cameras=cameras, links=tuple(written), plane_alignments=placed)
