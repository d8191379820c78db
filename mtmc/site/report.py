"""What was learned and how sure it is, as text."""

from __future__ import annotations

from mtmc.site.learn import LearnedScene

__all__ = ["heading", "report"]


def report(learned: LearnedScene) -> str:
    """Tables of ground, clocks, zones and links, then what could not be told."""
    parts = [_ground(learned), _clocks(learned), _zones(learned), _links(learned)]
    if learned.one_way_s:
        parts.append(
            "clocks by symmetry (only if the way takes equally long in both directions; not written)\n"
            + "\n".join(f"  {a} is {value:+.1f} s behind {b}" for (a, b), value in learned.one_way_s.items())
        )
    if learned.notes:
        parts.append("not told\n" + "\n".join(f"  {note}" for note in learned.notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(learned: LearnedScene) -> str:
    """Comment lines for the top of the written scene."""
    count = sum(len(zones) for zones in learned.zones.values())
    return (
        f"Learned from {len(learned.passages)} tracklets by 'mtmc site learn': {count} zones, "
        f"{len(learned.links)} links between zones.\nCheck against the pictures; every line may be edited."
    )


def _ground(learned: LearnedScene) -> str:
    lines = ["ground                    horizon px  camera m   focal  spread   boxes  registered   sure"]
    frames = {camera: frame for frame in learned.frames for camera in frame.met}
    for camera, size in sorted(learned.size_wh.items()):
        scale = learned.scales.get(camera)
        row = f"  {camera:10}{size[0]:6} × {size[1]:<6}"
        row += (
            "   too few vehicles"
            if scale is None
            else f"{scale.horizon_px:9.0f}{scale.camera_m:10.1f}{scale.focal:8.2f}{scale.spread:8.2f}{scale.boxes:8}"
        )
        frame = frames.get(camera)
        if frame is not None:
            sure = max(e.sure for e in frame.edges if camera in e.cameras)
            row += f"{frame.met[camera]:5} ways{sure:9.2f}"
        elif learned.scene.camera(camera).ground_from_image is not None:
            row += "    by itself" if learned.scene.camera(camera).ground_plane == camera else "     as given"
        lines.append(row)
    for frame in learned.frames:
        met = (
            f"ways that meet are {frame.error_m:.1f} m apart (median)"
            if any(frame.met.values())
            else ("all drive one way and none meet, so their speed says how far apart the views are")
        )
        lines.append(f"  {', '.join(sorted(frame.met))}: {met}; metres rest on the size of a car")
        lines += [
            f"  {'–'.join(e.cameras)}: {e.met:.1f} vehicles meet, {e.accident:.1f} by accident, sure {e.sure:.2f}"
            + ("" if e.likeness is None else f", more alike than strangers by {e.likeness:.1f} standard deviations")
            for e in frame.edges
        ]
    views: dict[str, list[str]] = {}
    for one in learned.scene.cameras:
        if one.ground_from_image is not None:
            views.setdefault(one.ground_plane, []).append(one.id)
    for found in learned.plane_alignments:
        here, there = ("+".join(views[name]) for name in (found.alignment.plane, found.alignment.reference_plane))
        where = f"some {found.metres:.0f} m from {there}, by the journeys between them"
        lines.append(f"  {here} lies {where}: sure {found.sure:.2f}")
    return "\n".join(lines)


def _clocks(learned: LearnedScene) -> str:
    if not learned.clocks:
        return ""
    lines = ["clocks                    offset s        drift s/min       ways"]
    for fit in learned.clocks:
        if fit.camera == fit.reference:
            lines.append(f"  {fit.camera:20} reference")
            continue
        written = "written" if fit.camera in learned.applied else "within error"
        lines.append(
            f"  {fit.camera:20}{fit.offset_s:+7.2f} ± {fit.error_s:.2f}"
            f"  {60 * fit.rate:+7.2f} ± {60 * fit.rate_error:.2f}{fit.ways:9}  {written}"
        )
    return "\n".join(lines)


def _zones(learned: LearnedScene) -> str:
    lines = ["zones                              vehicles  purity  border   sure"]
    for camera, zones in sorted(learned.zones.items()):
        lines += [
            f"  {camera:10}{zone.name:24}{zone.count:8}{zone.purity:8.2f}{zone.at_border:8.2f}{zone.sure:7.2f}"
            for zone in zones
        ]
        spare = len(learned.ends[camera]) - sum(zone.count for zone in zones)
        lines.append(f"  {camera:10}{'in no zone':24}{spare:8}")
    return "\n".join(lines)


def _links(learned: LearnedScene) -> str:
    lines = [
        "links                                                     n   typical s      window s  share   sure  by"
    ]
    for f in learned.links:
        way = f"{f.from_camera} {f.from_zone} → {f.to_camera} {f.to_zone}"
        lines.append(
            f"  {way:52}{len(f.times_s):5}{f.typical_s:8.1f} ± {f.spread_s:<4.1f}{f.min_s:7.1f} …{f.max_s:5.1f}"
            f"{f.share:7.2f}{f.sure:7.2f}  {f.by}"
        )
    if not learned.links:
        lines.append("  none: too few vehicles went between the zones of two cameras to tell")
    return "\n".join(lines)
