"""Learning the scene model from tracklets: calibration → common ground planes → clocks → zones → links → alignments.

Each step rests on the results of those before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np

from mtmc.geometry.boxes import displacement
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, Scene, Zone
from mtmc.site.camera_model import GroundScale, fit_ground_scale
from mtmc.site.clocks import ClockFit, PairClock, co_observed_pairs, fit_clocks
from mtmc.site.common_ground import CommonGround, learn_common_grounds
from mtmc.site.config import SiteConfig
from mtmc.site.links import Event, FoundLink, find_links
from mtmc.site.plane_alignment import PlaneAlignmentEstimate, align_planes, trajectory_endpoints
from mtmc.site.pose_graph import PairSimilarity
from mtmc.site.similarity import centered_embeddings, similarity_rank_weights
from mtmc.site.trajectories import ImageTrajectory, image_size, image_trajectories
from mtmc.site.zones import FoundZone, TrackEndpoint, find_zones, given_zones, track_endpoints
from mtmc.types import Array, Passage

__all__ = ["CameraZones", "LearnedClocks", "LearnedScene", "apply_clocks", "is_complete", "learn_scene"]

_MIN_DISPLACEMENT = 0.5  # diagonals of a box; parked vehicles are ignored
_MAX_OFFSET_MARGIN_S = 2.0  # clocks are searched beyond the configured offset, as drift adds to it

# A clock is changed if its correction exceeds three standard errors and these.
_SIGNIFICANT_SIGMAS, _MIN_OFFSET_S = 3.0, 0.05
_MIN_DRIFT_S, _DRIFT_SPAN_SHARE = 0.2, 0.25  # accumulated over a quarter of the recording
_ANY_ZONE_MARGIN_S = 5.0  # of the window of links between cameras that share a ground plane

Homographies = dict[str, Array]


@dataclass(frozen=True, slots=True)
class LearnedClocks:
    """Clock corrections.

    Attributes:
        fits: By camera, for cameras that share road with another.
        pairs: Pairs of cameras that the fits reconcile.
        updated: Cameras whose clock was changed.
    """

    fits: tuple[ClockFit, ...] = ()
    pairs: tuple[PairClock, ...] = ()
    updated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CameraZones:
    """Begins and ends of a camera's tracks, and the zones they form."""

    endpoints: list[TrackEndpoint]
    zones: list[FoundZone]


@dataclass(frozen=True, slots=True, eq=False)
class LearnedScene:
    """The learned scene and the estimates it rests on.

    Attributes:
        scene: The given scene with learned zones, links and plane alignments, and with learned ground planes and
            clocks where those were estimated.
        passages: The moving passages, on the learned clocks.
        size_wh: Image size by camera.
        scales: Single-view calibration by camera, where there were enough vehicles.
        ground_planes: Common ground planes, the largest first; empty if the given homographies were kept.
        clocks: Clock corrections.
        zones: By camera.
        links: All links between zones.
        alignments: Estimated alignments between ground planes.
        notes: What could not be determined, as sentences.
    """

    scene: Scene
    passages: tuple[Passage, ...]
    size_wh: dict[str, tuple[int, int]]
    scales: dict[str, GroundScale]
    ground_planes: tuple[CommonGround, ...]
    clocks: LearnedClocks
    zones: dict[str, CameraZones]
    links: tuple[FoundLink, ...]
    alignments: tuple[PlaneAlignmentEstimate, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def symmetric_offset_s(self) -> dict[tuple[str, str], float]:
        """Clock differences b − a of camera pairs without a common ground plane, by symmetry: (a, b) → seconds.

        Half the difference of the median travel times of both directions: correct if both directions take equally
        long.
        """
        typical_s: dict[tuple[str, str], list[float]] = {}
        for link in self.links:
            if link.evidence != "ground":
                typical_s.setdefault((link.from_camera, link.to_camera), []).append(link.typical_s)
        return {
            (a, b): float(np.median(forth_s) - np.median(typical_s[b, a])) / 2
            for (a, b), forth_s in sorted(typical_s.items())
            if a < b and (b, a) in typical_s
        }


def learn_scene(scene: Scene, passages: Sequence[Passage], config: SiteConfig | None = None) -> LearnedScene:
    """Learn the scene model from passages. The result does not depend on their order.

    Args:
        scene: What is known: cameras, clocks, perhaps homographies, zones and links. What is given stays, unless the
            settings say otherwise.
        passages: Of all cameras, on the scene's clocks.
        config: The settings.
    """
    config = config or SiteConfig()
    moving = _moving_in_order(passages)
    size_wh = {c.id: image_size(c, _of_camera(moving, c.id)) for c in scene.cameras}
    trajectories = image_trajectories(moving, size_wh)
    keeps_clock = {c.id for c in scene.cameras if _keeps_clock(c, config)}
    scales = _fit_scales(trajectories, size_wh)
    ground_planes, ground_notes = _learn_ground_planes(scene, trajectories, scales, config)
    scene = _with_ground_planes(scene, ground_planes, scales)
    planes = _homographies_by_plane(scene)

    clocks = _fit_all_clocks(trajectories, planes, config)
    clocks = replace(clocks, fits=tuple(_anchored(clocks.fits, keeps_clock)))
    scene, updated = _with_clocks(scene, clocks.fits, trajectories, keeps_clock)
    clocks = replace(clocks, updated=updated)
    if updated:
        moving = apply_clocks(moving, scene)
        trajectories = image_trajectories(moving, size_wh)

    zones = {c.id: _find_camera_zones(c, _of_camera(moving, c.id), size_wh[c.id], config) for c in scene.cameras}
    span_s = _scene_span_s(scene, moving)
    co_observed = _co_observed_passages(scene, moving, trajectories, planes.values(), config)
    leaving, entering = _zone_events(scene, moving, zones)
    alignments = [] if scene.plane_alignments else _align_planes(planes, trajectories, scales, span_s, config)
    scene = _with_alignments(scene, alignments)
    links: list[FoundLink] = []
    if config.links == "learn" or (config.links == "auto" and not scene.links):
        links = find_links(leaving, entering, co_observed, _embeddings(moving), span_s, config)
        windows = _windows(moving, co_observed)
        if ground_planes is None and config.links == "auto":
            surveyed = _surveyed_pairs(scene, co_observed)
            links = [link for link in links if (link.from_camera, link.to_camera) not in surveyed]
            windows = {pair: window for pair, window in windows.items() if pair not in surveyed}
        scene = _with_zones_and_links(scene, zones, links, windows, config)

    notes = [*_scale_notes(scales, size_wh), *ground_notes, *_clock_notes(scene, clocks)]
    return LearnedScene(
        scene,
        tuple(moving),
        size_wh,
        scales,
        tuple(ground_planes or ()),
        clocks,
        zones,
        tuple(links),
        tuple(alignments),
        tuple(notes),
    )


def is_complete(scene: Scene, config: SiteConfig) -> bool:
    """Whether a scene states all that could be learned, so that nothing would change."""
    ground = {c.ground_plane for c in scene.cameras if c.ground_from_image is not None}
    keeps_ground = config.ground == "keep" or (config.ground == "auto" and bool(ground))
    keeps_links = config.links == "keep" or (config.links == "auto" and bool(scene.links))
    keeps_alignments = len(ground) < 2 or bool(scene.plane_alignments)
    return keeps_ground and keeps_links and keeps_alignments and all(_keeps_clock(c, config) for c in scene.cameras)


def apply_clocks(passages: Sequence[Passage], scene: Scene) -> list[Passage]:
    """Passages with their times by the scene's clocks."""
    clocks = {camera.id: camera.clock for camera in scene.cameras}
    return [
        replace(p, tracklet=replace(p.tracklet, time_s=clocks[p.tracklet.camera_id].time_s(p.tracklet.frame)))
        for p in passages
    ]


# Passages and their similarity


def _moving_in_order(passages: Sequence[Passage]) -> list[Passage]:
    moving = [p for p in passages if displacement(p.tracklet.xyxy) >= _MIN_DISPLACEMENT]
    return sorted(moving, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))


def _of_camera(passages: Sequence[Passage], camera_id: str) -> list[Passage]:
    return [p for p in passages if p.tracklet.camera_id == camera_id]


def _pair_similarity(trajectories: Mapping[str, Sequence[ImageTrajectory]]) -> PairSimilarity:
    """Similarity weights of these very trajectories: with other clocks, a short tracklet may have one or none."""
    centered = centered_embeddings({camera: [t.embedding for t in ts] for camera, ts in trajectories.items()})
    return lambda a, b: similarity_rank_weights(centered[a], centered[b])


def _embeddings(passages: Sequence[Passage]) -> Array:
    """Centered embeddings of passages that are ordered by camera: float64 (N, D)."""
    of_camera: dict[str, list[Array]] = {}
    for p in passages:
        of_camera.setdefault(p.tracklet.camera_id, []).append(p.embedding)
    return np.concatenate(list(centered_embeddings(of_camera).values())) if passages else np.zeros((0, 0))


# Ground planes


def _fit_scales(
    trajectories: Mapping[str, Sequence[ImageTrajectory]], size_wh: Mapping[str, tuple[int, int]]
) -> dict[str, GroundScale]:
    found = {camera: fit_ground_scale(ts, size_wh[camera]) for camera, ts in trajectories.items()}
    return {camera: scale for camera, scale in found.items() if scale is not None}


def _scale_notes(scales: Mapping[str, GroundScale], cameras: Iterable[str]) -> list[str]:
    notes = [
        f"{camera}: too few whole boxes of moving vehicles for a calibration"
        for camera in sorted(set(cameras) - set(scales))
    ]
    names = {"focal": "focal length", "camera_height_m": "camera height"}
    for camera, scale in sorted(scales.items()):
        if scale.at_bound:
            what = " and ".join(names[name] for name in scale.at_bound)
            notes.append(f"{camera}: its boxes do not determine the {what}, so distances are unknown")
    return notes


def _learn_ground_planes(
    scene: Scene,
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
    config: SiteConfig,
) -> tuple[list[CommonGround] | None, list[str]]:
    """Common ground planes, None if the given homographies are kept; and what could not be determined."""
    given = [c.id for c in scene.cameras if c.ground_from_image is not None]
    if config.ground == "keep":
        return None, []
    if config.ground == "auto" and given:
        lacking = ", ".join(c.id for c in scene.cameras if c.id not in given)
        return None, [f"{lacking}: no homography, as a learned one would not fit the given ones"] if lacking else []
    ground_planes, _ = learn_common_grounds(
        trajectories,
        scales,
        config.max_clock_offset_s,
        _pair_similarity(trajectories),
        config.min_ground_probability,
    )
    unknown = sorted({c.id for c in scene.cameras} - set(scales))
    notes = [f"{camera}: no calibration, so no homography is written" for camera in unknown]
    if scene.origins or scene.maps:
        notes.append("origins and maps: left out, since they belong to the ground planes that were replaced")
    return ground_planes, notes


def _with_ground_planes(
    scene: Scene, ground_planes: Sequence[CommonGround] | None, scales: Mapping[str, GroundScale]
) -> Scene:
    """The scene with learned homographies. A camera without common road has a ground plane of its own."""
    if ground_planes is None:
        return scene
    homography = {camera: scale.ground_from_image() for camera, scale in scales.items()}
    plane = {camera: camera for camera in scales}
    for number, ground in enumerate(ground_planes):
        homography |= ground.ground_from_image
        plane |= dict.fromkeys(ground.co_observed, min(ground.co_observed) if number else "")
    cameras = tuple(
        replace(c, ground_from_image=homography.get(c.id), ground_plane=plane.get(c.id, "")) for c in scene.cameras
    )
    return replace(scene, cameras=cameras, origins=(), maps=())


def _homographies_by_plane(scene: Scene) -> dict[str, Homographies]:
    """Pixels → meters by camera, by ground plane in order of name."""
    planes: dict[str, Homographies] = {}
    for camera in scene.cameras:
        if camera.ground_from_image is not None:
            planes.setdefault(camera.ground_plane, {})[camera.id] = camera.ground_from_image
    return {name: planes[name] for name in sorted(planes)}


# Clocks


def _fit_all_clocks(
    trajectories: Mapping[str, Sequence[ImageTrajectory]], planes: Mapping[str, Homographies], config: SiteConfig
) -> LearnedClocks:
    fits: list[ClockFit] = []
    pairs: list[PairClock] = []
    for homographies in planes.values():
        plane_fits, plane_pairs = fit_clocks(
            trajectories, homographies, config.max_clock_offset_s + _MAX_OFFSET_MARGIN_S
        )
        fits += plane_fits
        pairs += plane_pairs
    return LearnedClocks(tuple(fits), tuple(pairs))


def _clock_notes(scene: Scene, clocks: LearnedClocks) -> list[str]:
    unknown = sorted({c.id for c in scene.cameras} - {fit.camera for fit in clocks.fits})
    if not unknown or len(scene.cameras) < 2:
        return []
    return [f"clocks of {', '.join(unknown)}: not determined, as their views share no ground with another"]


def _keeps_clock(camera: Camera, config: SiteConfig) -> bool:
    return config.clocks == "keep" or (config.clocks == "auto" and camera.clock_is_stated)


def _anchored(fits: Sequence[ClockFit], keeps_clock: Collection[str]) -> list[ClockFit]:
    """Clock corrections relative to a camera that keeps its clock, in groups that have one."""
    anchors: dict[str, ClockFit] = {}
    for fit in sorted(fits, key=lambda f: (f.pairs, f.camera)):
        if fit.camera in keeps_clock:
            anchors[fit.reference] = fit
    anchored = []
    for fit in fits:
        anchor = anchors.get(fit.reference, fit)
        if anchor.camera == fit.camera and fit.camera not in keeps_clock:
            anchored.append(fit)  # a group in which all clocks may be corrected
            continue
        anchored.append(
            replace(
                fit,
                reference=anchor.camera,
                offset_s=fit.offset_s - anchor.offset_s - anchor.drift * (fit.middle_s - anchor.middle_s),
                error_s=float(np.hypot(fit.error_s, anchor.error_s)),
                drift=fit.drift - anchor.drift,
                drift_error=float(np.hypot(fit.drift_error, anchor.drift_error)),
            )
        )
    return anchored


def _with_clocks(
    scene: Scene,
    fits: Sequence[ClockFit],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    keeps_clock: Collection[str],
) -> tuple[Scene, tuple[str, ...]]:
    """The scene with significant clock corrections applied, and the cameras they concern."""
    fit_of = {fit.camera: fit for fit in fits if fit.camera not in keeps_clock}
    cameras, updated = [], []
    for camera in scene.cameras:
        fit = fit_of.get(camera.id)
        offset_at_zero_s, drift = (0.0, 0.0) if fit is None else _significant_correction(fit, trajectories[camera.id])
        if offset_at_zero_s or drift:
            updated.append(camera.id)
            camera = replace(camera, clock=_corrected(camera.clock, offset_at_zero_s, drift))
        cameras.append(camera)
    return replace(scene, cameras=tuple(cameras)), tuple(updated)


def _significant_correction(fit: ClockFit, trajectories: Sequence[ImageTrajectory]) -> tuple[float, float]:
    """Offset at time 0 in seconds, and drift; 0 where they are not significant."""
    ticks = [t.tick for t in trajectories]
    duration_s = _DRIFT_SPAN_SHARE * float(max(t[-1] for t in ticks) - min(t[0] for t in ticks)) if ticks else 0.0
    drifts = abs(fit.drift) > _SIGNIFICANT_SIGMAS * fit.drift_error and abs(fit.drift) * duration_s > _MIN_DRIFT_S
    differs = abs(fit.offset_s) > max(_MIN_OFFSET_S, _SIGNIFICANT_SIGMAS * fit.error_s)
    if not drifts and not differs:
        return 0.0, 0.0
    drift = fit.drift if drifts else 0.0
    return fit.offset_s - drift * fit.middle_s, drift


def _corrected(clock: Clock, offset_s: float, drift: float) -> Clock:
    """A clock that shows ``offset + (1 + drift) · t`` instead of t."""
    return Clock(
        fps=clock.fps / (1 + drift),
        start_s=round(offset_s + (1 + drift) * clock.start_s, 4),
        time_map=tuple((frame, round(offset_s + (1 + drift) * seconds, 4)) for frame, seconds in clock.time_map),
    )


# Zones and links


def _find_camera_zones(
    camera: Camera, passages: Sequence[Passage], size_wh: tuple[int, int], config: SiteConfig
) -> CameraZones:
    endpoints = track_endpoints(passages, size_wh, _recorded_s(camera, passages))
    if config.links == "keep" or (config.links == "auto" and camera.zones):
        return CameraZones(endpoints, given_zones(camera.zones, endpoints))
    return CameraZones(endpoints, find_zones(endpoints, passages, size_wh, config))


def _recorded_s(camera: Camera, passages: Sequence[Passage]) -> tuple[float, float]:
    """When the recording begins and ends."""
    last = max((int(p.tracklet.frame[-1]) for p in passages), default=0)
    if camera.frame_count is not None:
        last = max(last, camera.frame_count - 1)
    begin_s, end_s = camera.clock.time_s(np.array([0, last])).tolist()
    return begin_s, end_s


def _scene_span_s(scene: Scene, passages: Sequence[Passage]) -> float:
    """Duration of all recordings together, at least 1 s."""
    recorded = [_recorded_s(camera, _of_camera(passages, camera.id)) for camera in scene.cameras]
    if not recorded:
        return 1.0
    return max(max(end_s for _, end_s in recorded) - min(begin_s for begin_s, _ in recorded), 1.0)


def _co_observed_passages(
    scene: Scene,
    passages: Sequence[Passage],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    planes: Iterable[Homographies],
    config: SiteConfig,
) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Indices of co-observed passages by pair of cameras, in both orders, where there are enough of them."""
    index = {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(passages)}
    homographies_of = {camera: homographies for homographies in planes for camera in homographies}
    co_observed = {}
    for a, b in permutations([c.id for c in scene.cameras], 2):
        homographies = homographies_of.get(a, {})
        if b not in homographies:
            continue
        pairs = [
            (index[a, trajectories[a][i].track_id], index[b, trajectories[b][j].track_id])
            for i, j in co_observed_pairs(trajectories[a], trajectories[b], (homographies[a], homographies[b]))
        ]
        if len(pairs) >= config.min_support:
            co_observed[a, b] = pairs
    return co_observed


def _surveyed_pairs(
    scene: Scene, co_observed: Mapping[tuple[str, str], Sequence[tuple[int, int]]]
) -> set[tuple[str, str]]:
    """Pairs of cameras on a given ground plane on which some views coincide, so that its distances can be relied on.

    Between such cameras the distance says how long a vehicle drives. A few learned links would only make the routes
    unlikely that too few vehicles took.
    """
    plane = {c.id: c.ground_plane for c in scene.cameras if c.ground_from_image is not None}
    confirmed = {plane[a] for a, b in co_observed if plane.get(a) == plane.get(b)}
    return {(a, b) for a, b in permutations(plane, 2) if plane[a] == plane[b] and plane[a] in confirmed}


def _zone_events(
    scene: Scene, passages: Sequence[Passage], zones: Mapping[str, CameraZones]
) -> tuple[list[Event], list[Event]]:
    """All exits and all entries of the scene."""
    leaving: list[Event] = []
    entering: list[Event] = []
    for camera in scene.cameras:
        of_camera = [k for k, p in enumerate(passages) if p.tracklet.camera_id == camera.id]
        found = zones[camera.id]
        zone_of = {number: zone.name for zone in found.zones for number in zone.endpoints}
        for number, endpoint in enumerate(found.endpoints):
            passage = of_camera[endpoint.passage]
            first_seen_s = passages[passage].tracklet.start_s
            event = Event(camera.id, zone_of.get(number, ""), passage, endpoint.time_s, first_seen_s)
            (leaving if endpoint.role == "out" else entering).append(event)
    return leaving, entering


def _windows(
    passages: Sequence[Passage], co_observed: Mapping[tuple[str, str], Sequence[tuple[int, int]]]
) -> dict[tuple[str, str], tuple[float, float]]:
    """Least and greatest gap from the end of a passage to the begin of the co-observed one, by pair of cameras."""
    windows = {}
    for cameras, pairs in co_observed.items():
        gaps_s = [passages[j].tracklet.start_s - passages[i].tracklet.end_s for i, j in pairs]
        windows[cameras] = (min(gaps_s), max(gaps_s))
    return windows


def _align_planes(
    planes: Mapping[str, Homographies],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
    span_s: float,
    config: SiteConfig,
) -> list[PlaneAlignmentEstimate]:
    endpoints = {}
    for plane, homographies in planes.items():
        of_plane = {
            camera: trajectory_endpoints(trajectories[camera], scales[camera].is_near, matrix)
            for camera, matrix in homographies.items()
            if camera in scales
        }
        if of_plane:
            endpoints[plane] = of_plane
    similarity = _pair_similarity(trajectories)
    return align_planes(endpoints, similarity, span_s, config.min_alignment_probability)


def _with_alignments(scene: Scene, alignments: Sequence[PlaneAlignmentEstimate]) -> Scene:
    """The scene with the given plane alignments, or else the learned ones."""
    if scene.plane_alignments:
        return scene
    return replace(scene, plane_alignments=tuple(estimate.alignment for estimate in alignments))


def _with_zones_and_links(
    scene: Scene,
    zones: Mapping[str, CameraZones],
    links: Sequence[FoundLink],
    windows: Mapping[tuple[str, str], tuple[float, float]],
    config: SiteConfig,
) -> Scene:
    """The scene with zones and links; a camera's given zones stay as they are.

    Vehicles that two cameras see at the same time can leave one and enter the other by any zones and in any order.
    Such a pair of cameras therefore also gets a link from any zone to any other.
    """
    cameras = []
    for camera in scene.cameras:
        if not camera.zones or config.links == "learn":
            learned_zones = tuple(Zone(zone.name, zone.polygon, zone.role) for zone in zones[camera.id].zones)
            camera = replace(camera, zones=learned_zones)
        cameras.append(camera)
    zone_links = [
        Link(
            f.from_camera,
            f.from_zone,
            f.to_camera,
            f.to_zone,
            f.min_s,
            f.max_s,
            round(f.typical_s, 2),
            round(f.spread_s, 2),
            round(f.share, 3),
        )
        for f in links
    ]
    camera_links = [
        Link(a, "", b, "", float(np.floor(low - _ANY_ZONE_MARGIN_S)), float(np.ceil(high + _ANY_ZONE_MARGIN_S)))
        for (a, b), (low, high) in sorted(windows.items())
    ]
    return replace(scene, cameras=tuple(cameras), links=(*zone_links, *camera_links))
