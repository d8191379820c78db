"""The learned scene model and its evidence, as text."""

from __future__ import annotations

import numpy as np

from mtmc.log import plural
from mtmc.site.camera_model import GroundScale
from mtmc.site.common_ground import CommonGround
from mtmc.site.learn import LearnedScene
from mtmc.site.links import FoundLink

__all__ = ["heading", "report", "summary"]

_UNDETERMINED = "not determined"


def report(learned: LearnedScene) -> str:
    """Tables of ground planes, clocks, zones and links, then what could not be determined."""
    parts = [_ground(learned), _clocks(learned), _zones(learned), _links(learned)]
    if offsets := learned.symmetric_offset_s:
        parts.append(
            "clocks by symmetry (correct if both directions take equally long; not written)\n"
            + "\n".join(f"  {a} is {offset_s:+.1f} s behind {b}" for (a, b), offset_s in offsets.items())
        )
    if learned.notes:
        parts.append("not determined\n" + "\n".join(f"  {note}" for note in learned.notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(learned: LearnedScene) -> str:
    """What was learned about the place, one line for each kind of fact and each pair of cameras."""
    zone_counts = [len(found.zones) for found in learned.zones.values()]
    lines = [
        f"learned from {len(learned.passages)} moving tracklets",
        *_ground_summary(learned),
        *_clock_summary(learned),
        f"  zones   {sum(zone_counts)} in {sum(count > 0 for count in zone_counts)} of {len(zone_counts)} cameras",
        *_link_summary(learned),
    ]
    return "\n".join(lines)


def _ground_summary(learned: LearnedScene) -> list[str]:
    lines = []
    for ground in learned.ground_planes:
        cameras = ", ".join(sorted(ground.co_observed))
        tried = len(learned.size_wh) * (len(learned.size_wh) - 1) // 2
        probability = min((edge.probability(tried) for edge in ground.edges), default=0.0)
        lines.append(
            f"  ground  {cameras} see one road: trajectories {ground.median_residual_m:.1f} m apart, "
            f"probability {probability:.2f}"
        )
    for estimate in learned.alignments:
        alignment = estimate.alignment
        lines.append(
            f"  ground  planes {alignment.plane or 'main'} and {alignment.reference_plane or 'main'} about "
            f"{estimate.distance_m:.0f} m apart, probability {estimate.confidence:.2f}"
        )
    return lines


def _clock_summary(learned: LearnedScene) -> list[str]:
    return [
        f"  clock   {fit.camera} {fit.offset_s:+.2f} ± {fit.error_s:.2f} s against {fit.reference}, "
        f"{plural(fit.pairs, 'vehicle')}"
        for fit in learned.clocks.fits
        if fit.camera in learned.clocks.updated
    ]


def _link_summary(learned: LearnedScene) -> list[str]:
    """The links of each pair of cameras in one line."""
    of_cameras: dict[tuple[str, str], list[FoundLink]] = {}
    for link in learned.links:
        of_cameras.setdefault((link.from_camera, link.to_camera), []).append(link)
    lines = []
    for (a, b), links in sorted(of_cameras.items()):
        vehicles = sum(len(link.times_s) for link in links)
        typical_s = float(np.median(np.concatenate([link.times_s for link in links])))
        confidence = max(link.confidence for link in links)
        lines.append(
            f"  link    {a} → {b}: {plural(vehicles, 'vehicle')} in {typical_s:.1f} s (median), "
            f"probability {confidence:.2f}, by {links[0].evidence}"
        )
    return lines or ["  link    none: the tracklets show no traffic from camera to camera"]


def heading(learned: LearnedScene) -> str:
    """Comment lines for the top of the written scene."""
    return (
        f"{summary(learned)}\n\nEvery line may be edited. A run with this file learns nothing more; to learn again, "
        "delete\n'learn: {enabled: false}' and what is to be learned anew."
    )


def _ground(learned: LearnedScene) -> str:
    lines = ["ground                    horizon px  camera m   focal  spread   boxes  co-observed  confidence"]
    ground_of = {camera: ground for ground in learned.ground_planes for camera in ground.co_observed}
    for camera, size_wh in sorted(learned.size_wh.items()):
        row = f"  {camera:10}{size_wh[0]:6} × {size_wh[1]:<6}{_scale(learned.scales.get(camera))}"
        ground = ground_of.get(camera)
        given = learned.scene.camera(camera)
        if ground is not None:
            confidence = max(edge.confidence for edge in ground.edges if camera in edge.cameras)
            row += f"{ground.co_observed[camera]:12}{confidence:12.2f}"
        elif given.ground_from_image is not None:
            row += "    own plane" if given.ground_plane == camera else "     as given"
        lines.append(row)
    lines += [line for ground in learned.ground_planes for line in _common_ground(ground)]
    return "\n".join([*lines, *_alignments(learned)])


def _scale(scale: GroundScale | None) -> str:
    if scale is None:
        return "   too few vehicles"
    height = "–" if "camera_height_m" in scale.at_bound else f"{scale.camera_height_m:.1f}"
    focal = "–" if "focal" in scale.at_bound else f"{scale.focal:.2f}"
    return f"{scale.horizon_px:9.0f}{height:>10}{focal:>8}{scale.spread:8.2f}{scale.boxes:8}"


def _common_ground(ground: CommonGround) -> list[str]:
    cameras = ", ".join(sorted(ground.co_observed))
    if any(ground.co_observed.values()):
        residual = f"co-observed trajectories are {ground.median_residual_m:.1f} m apart (median)"
    else:
        residual = "no trajectories coincide: all drive in one direction, and their speed gives the distance"
    lines = [f"  {cameras}: {residual}; meters assume cars of usual size"]
    for edge in ground.edges:
        line = (
            f"  {'–'.join(edge.cameras)}: {edge.inliers:.1f} co-observed vehicles, "
            f"{edge.expected_by_chance:.1f} expected by chance, confidence {edge.confidence:.2f}"
        )
        if edge.similarity_zscore is not None:
            line += f", similarity {edge.similarity_zscore:.1f} standard deviations above non-matching pairs"
        lines.append(line)
    return lines


def _alignments(learned: LearnedScene) -> list[str]:
    """The alignments between ground planes. A distance rests on the scales of all cameras of both planes."""
    cameras_of: dict[str, list[str]] = {}
    for camera in learned.scene.cameras:
        if camera.ground_from_image is not None:
            cameras_of.setdefault(camera.ground_plane, []).append(camera.id)
    lines = []
    for estimate in learned.alignments:
        planes = (estimate.alignment.plane, estimate.alignment.reference_plane)
        plane, reference = ("+".join(cameras_of[name]) for name in planes)
        cameras = [camera for name in planes for camera in cameras_of[name]]
        scales = [learned.scales[camera] for camera in cameras if camera in learned.scales]
        is_determined = not any(scale.at_bound for scale in scales)
        distance = f"about {estimate.distance_m:.0f} m" if is_determined else _UNDETERMINED
        lines.append(
            f"  {plane} is connected with {reference} by transitions, confidence {estimate.confidence:.2f}; "
            f"distance {distance}"
        )
    return lines


def _clocks(learned: LearnedScene) -> str:
    if not learned.clocks.fits:
        return ""
    lines = ["clocks                    offset s        drift s/min      pairs"]
    for fit in learned.clocks.fits:
        if fit.camera == fit.reference:
            lines.append(f"  {fit.camera:20} reference")
            continue
        written = "written" if fit.camera in learned.clocks.updated else "not written"
        lines.append(
            f"  {fit.camera:20}{fit.offset_s:+7.2f} ± {fit.error_s:.2f}"
            f"  {60 * fit.drift:+7.2f} ± {60 * fit.drift_error:.2f}{fit.pairs:9}  {written}"
        )
    return "\n".join(lines)


def _zones(learned: LearnedScene) -> str:
    lines = ["zones                              vehicles  purity  border  confidence"]
    for camera, found in sorted(learned.zones.items()):
        lines += [
            f"  {camera:10}{zone.name:24}{zone.count:8}{zone.purity:8.2f}{zone.at_border:8.2f}{zone.confidence:12.2f}"
            for zone in found.zones
        ]
        outside = len(found.endpoints) - sum(zone.count for zone in found.zones)
        lines.append(f"  {camera:10}{'in no zone':24}{outside:8}")
    return "\n".join(lines)


def _links(learned: LearnedScene) -> str:
    lines = [
        "links                                                     n   typical s      window s  share  confidence  by"
    ]
    for f in learned.links:
        ends = f"{f.from_camera} {f.from_zone} → {f.to_camera} {f.to_zone}"
        lines.append(
            f"  {ends:52}{len(f.times_s):5}{f.typical_s:8.1f} ± {f.spread_s:<4.1f}{f.min_s:7.1f} …{f.max_s:5.1f}"
            f"{f.share:7.2f}{f.confidence:12.2f}  {f.evidence}"
        )
    if not learned.links:
        lines.append("  none: too few vehicles go between the zones of two cameras")
    return "\n".join(lines)
