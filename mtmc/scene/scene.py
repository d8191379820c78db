"""A place as data: its cameras, their clocks, zones and the links between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtmc.errors import SceneError
from mtmc.geometry.clock import Clock
from mtmc.geometry.ground import gps_from_meters
from mtmc.types import Array

__all__ = ["Camera", "GroundMap", "Link", "PlaneAlignment", "PlaneOrigin", "Scene", "Zone"]


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """A named region of a camera's image where vehicles come in or leave.

    Attributes:
        name: Unique within the camera.
        polygon: float64 (V, 2), pixels, V ≥ 3.
        role: What happens there: vehicles come ``in``, go ``out``, or ``both``. Lanes of either direction often lie
            in one place of the picture, so that only the role tells their zones apart.
    """

    name: str
    polygon: Array
    role: Literal["in", "out", "both"] = "both"


@dataclass(frozen=True, slots=True)
class Link:
    """Vehicles that leave one camera's zone can come in by another's, after a travel time in ``[min_s, max_s]``.

    An empty zone name stands for any zone of that camera.

    Attributes:
        from_camera, from_zone: Where vehicles leave.
        to_camera, to_zone: Where they come in.
        min_s, max_s: Least and greatest travel time in seconds, negative where the views overlap.
        typical_s: Robust center (median) of the travel times, seconds; None where unknown.
        spread_s: Robust spread of the travel times (1.4826 × median absolute deviation), seconds, or None.
        share: Share of those leaving by ``from_zone`` that take this link, in [0, 1], or None.
        length_m: Length of the road between the two zones, meters, for speeds; None where unknown.
    """

    from_camera: str
    from_zone: str
    to_camera: str
    to_zone: str
    min_s: float
    max_s: float
    typical_s: float | None = None
    spread_s: float | None = None
    share: float | None = None
    length_m: float | None = None


@dataclass(frozen=True, slots=True)
class PlaneAlignment:
    """The approximate rigid transform from one ground plane to another: ``p ↦ R(rotation_deg) p + translation_m``.

    An error of some tens of meters is usual: the alignment only bounds travel times and directions between cameras
    that share no road.

    Attributes:
        plane: Name of the ground plane that is aligned.
        reference_plane: Name of the ground plane that it is aligned with.
        rotation_deg: Rotation in degrees, from the first axis to the second.
        translation_m: Translation after the rotation, meters.
    """

    plane: str
    reference_plane: str
    rotation_deg: float
    translation_m: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PlaneOrigin:
    """Where on Earth the point (0, 0) of a ground plane lies, and which way the plane is turned.

    Seen from above, the plane's second axis lies 90° to the left of its first; with a bearing of 0, the first points
    east and the second north.

    Attributes:
        plane: Name of the ground plane.
        latitude_deg: North of the equator, degrees, WGS 84.
        longitude_deg: East of Greenwich, degrees.
        bearing_deg: Compass bearing of the second axis: degrees clockwise from north.
    """

    plane: str
    latitude_deg: float
    longitude_deg: float
    bearing_deg: float = 0.0

    def gps_from_ground(self, ground_m: Array) -> Array:
        """Latitude and longitude in degrees of positions on the plane: float64 (…, 2), NaN → (…, 2), NaN."""
        return gps_from_meters(ground_m, (self.latitude_deg, self.longitude_deg), self.bearing_deg)


@dataclass(frozen=True, slots=True)
class GroundMap:
    """A picture of the ground from above, such as a map or an aerial photo, and where it lies on a ground plane.

    Attributes:
        plane: Name of the ground plane.
        image: The picture's file.
        m_per_px: Its scale: meters per pixel.
        origin_px: Its pixel (x, y), y downwards, that shows the plane's point (0, 0).
        rotation_deg: Direction on the plane of the picture's rows, from left to right: degrees from the plane's first
            axis towards its second.
    """

    plane: str
    image: Path
    m_per_px: float
    origin_px: tuple[float, float] = (0.0, 0.0)
    rotation_deg: float = 0.0

    def ground_from_map(self) -> Array:
        """Homography from pixels of the picture to meters on the plane: float64 (3, 3)."""
        scale, angle = self.m_per_px, np.deg2rad(self.rotation_deg)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        x, y = self.origin_px
        return np.array([[cos, sin, -cos * x - sin * y], [sin, -cos, -sin * x + cos * y], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """One camera and what lies on disk of it.

    Attributes:
        id: Its name, such as ``c006``.
        number: What stands for it in ``track1.txt``; unique in the scene.
        clock: Frame numbers ⇄ scene seconds.
        video: A video file or a folder of numbered images; None when only text files are at hand.
        size_wh: Image size in pixels, if anything says so.
        frame_count: How many frames there should be, if anything says so.
        detections: Precomputed detection files (AI City ``det`` or MOT format).
        tracklets: Precomputed single-camera tracks (AI City ``mtsc`` or MOT format).
        ground_truth: This camera's annotated identities, MOT format.
        roi: An image whose white part is the region of interest.
        ground_from_image: float64 (3, 3), pixel → meters on a ground plane.
        ground_plane: Name of that plane. Places on planes of different names are compared only where it is said how
            the planes are aligned (:class:`PlaneAlignment`).
        zones: Entry and exit regions.
        box_scale: Factors of width and height by which this camera's boxes are to grow about their center so that
            they fit its ground truth; (1, 1) leaves them.
        problem: Why the camera cannot be used, as a sentence, if one of its own files is missing or malformed; the
            scene's other cameras can.
        clock_is_stated: ``scene.yaml`` states the camera's start or time map, so that learning keeps its clock.
    """

    id: str
    number: int
    clock: Clock
    video: Path | None = None
    size_wh: tuple[int, int] | None = None
    frame_count: int | None = None
    detections: tuple[Path, ...] = ()
    tracklets: tuple[Path, ...] = ()
    ground_truth: Path | None = None
    roi: Path | None = None
    ground_from_image: Array | None = None
    ground_plane: str = ""
    zones: tuple[Zone, ...] = ()
    box_scale: tuple[float, float] = (1.0, 1.0)
    problem: str = ""
    clock_is_stated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A place: cameras on one clock.

    Attributes:
        name: Folder name or the name given in ``scene.yaml``.
        root: The folder it was loaded from.
        cameras: Sorted by id; ids and numbers are unique.
        links: Which way vehicles go between cameras. Empty means that nothing is known, so everything is possible.
        overrides: Settings of a run that replace the defaults here (``{"detect": {…}, "embed": {…}}``). They are
            choices, not facts of the place, and so stand apart from these.
        plane_alignments: Approximate transforms between ground planes; each plane is aligned at most once, and the
            alignments form no cycle.
        start_utc: Date and time of second 0 of the scene's clock, with a time zone; None if unknown.
        origins: Where ground planes lie on Earth, each plane at most once.
        maps: Pictures of the ground from above.
    """

    name: str
    root: Path
    cameras: tuple[Camera, ...]
    links: tuple[Link, ...] = ()
    overrides: dict[str, Any] = field(default_factory=dict)
    plane_alignments: tuple[PlaneAlignment, ...] = ()
    start_utc: datetime | None = None
    origins: tuple[PlaneOrigin, ...] = ()
    maps: tuple[GroundMap, ...] = ()

    def __post_init__(self) -> None:
        for what in ("id", "number"):
            values = [str(getattr(camera, what)) for camera in self.cameras]
            twice = sorted({v for v in values if values.count(v) > 1})
            if twice:
                raise SceneError(f"scene {self.name}: expected every camera {what} once, got {twice[0]} twice")
        located = [origin.plane for origin in self.origins]
        twice = sorted({plane for plane in located if located.count(plane) > 1})
        if twice:
            raise SceneError(
                f"scene {self.name}: ground plane {twice[0]!r} has two origins", remedy="give every plane one at most"
            )
        reference: dict[str, str] = {}
        for alignment in self.plane_alignments:
            end = alignment.reference_plane
            while end in reference and end != alignment.plane:
                end = reference[end]
            if alignment.plane in reference or end == alignment.plane:
                how = "twice" if alignment.plane in reference else "with itself in the end"
                raise SceneError(
                    f"scene {self.name}: ground plane {alignment.plane!r} is aligned {how}",
                    remedy="align every plane at most once, with one that is not aligned with it",
                )
            reference[alignment.plane] = alignment.reference_plane

    def plane_transforms(self) -> dict[str, tuple[str, complex, complex]]:
        """The transform of every ground plane in use to its root plane: name → (root, rotation, translation).

        Rotation and translation (meters) are complex numbers: a position z = x + iy on the plane is
        ``rotation · z + translation`` on the root plane. A plane without an alignment is its own root.
        """
        aligned = {alignment.plane: alignment for alignment in self.plane_alignments}
        out = {}
        for name in sorted({c.ground_plane for c in self.cameras if c.ground_from_image is not None}):
            root, rotation, translation = name, 1 + 0j, 0j
            while root in aligned:
                step = aligned[root]
                step_rotation = complex(np.exp(1j * np.deg2rad(step.rotation_deg)))
                rotation = step_rotation * rotation
                translation = step_rotation * translation + complex(*step.translation_m)
                root = step.reference_plane
            out[name] = (root, rotation, translation)
        return out

    def origin_of(self, plane: str) -> PlaneOrigin | None:
        """Where on Earth a ground plane lies; None if the scene does not say."""
        return next((origin for origin in self.origins if origin.plane == plane), None)

    def camera(self, camera_id: str) -> Camera:
        """The camera of that id.

        Raises:
            SceneError: There is none.
        """
        for camera in self.cameras:
            if camera.id == camera_id:
                return camera
        known = ", ".join(c.id for c in self.cameras)
        raise SceneError(f"scene {self.name} has no camera {camera_id}", remedy=f"its cameras are {known}")
