"""The numbers that the page shows, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.scene import Camera, Scene
from mtmc.types import CLASSES, GlobalTrack, Passage

__all__ = ["CameraSummary", "Vehicle", "count_by_class", "counted", "summarise_cameras", "summarise_vehicles"]


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle and its passages through the scene.

    Attributes:
        global_id: Its number.
        name: The class that most of its observations say.
        passages: By start time, then camera and track.
        shared: At least two cameras saw it.
        start_s: Scene time of its first observation.
        end_s: Scene time of its last.
    """

    global_id: int
    name: str
    passages: tuple[Passage, ...]
    shared: bool
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class CameraSummary:
    """What one camera saw.

    Attributes:
        camera_id: The camera.
        start_s: Scene time of its first frame.
        duration_s: How long it looked; when nothing says so, until its last observation.
        frames: Number of frames, if anything says so.
        tracklets: How many passages.
        vehicles: How many vehicles.
        shared: How many of them another camera saw too.
        classes: Class name and how many vehicles, the most frequent first.
    """

    camera_id: str
    start_s: float
    duration_s: float
    frames: int | None
    tracklets: int
    vehicles: int
    shared: int
    classes: tuple[tuple[str, int], ...]


def summarise_vehicles(tracks: Sequence[GlobalTrack]) -> list[Vehicle]:
    """Every vehicle, by number."""
    return [_vehicle(track) for track in sorted(tracks, key=lambda t: t.global_id)]


def _vehicle(track: GlobalTrack) -> Vehicle:
    passages = sorted(track.passages, key=lambda p: (p.tracklet.start_s, p.tracklet.camera_id, p.tracklet.track_id))
    return Vehicle(
        global_id=track.global_id,
        name=CLASSES[track.class_id],
        passages=tuple(passages),
        shared=len(track.camera_ids) > 1,
        start_s=passages[0].tracklet.start_s,
        end_s=max(p.tracklet.end_s for p in passages),
    )


def summarise_cameras(scene: Scene, vehicles: Sequence[Vehicle]) -> list[CameraSummary]:
    """Every camera of the scene, in its order."""
    return [_camera(camera, vehicles) for camera in scene.cameras]


def _camera(camera: Camera, vehicles: Sequence[Vehicle]) -> CameraSummary:
    seen = [v for v in vehicles if any(p.tracklet.camera_id == camera.id for p in v.passages)]
    tracklets = [p.tracklet for v in seen for p in v.passages if p.tracklet.camera_id == camera.id]
    last = max((int(t.frame[-1]) for t in tracklets), default=-1)
    frames = (last + 1) if camera.frame_count is None else camera.frame_count
    start_s, end_s = camera.clock.time_s(np.array([0, frames])).tolist()
    return CameraSummary(
        camera_id=camera.id,
        start_s=start_s,
        duration_s=end_s - start_s,
        frames=camera.frame_count,
        tracklets=len(tracklets),
        vehicles=len(seen),
        shared=sum(v.shared for v in seen),
        classes=count_by_class(seen),
    )


def count_by_class(vehicles: Sequence[Vehicle]) -> tuple[tuple[str, int], ...]:
    """Class name and how many vehicles, the most frequent first."""
    counts = Counter(vehicle.name for vehicle in vehicles)
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def counted(count: int, name: str) -> str:
    """A number with the name of a class.

    >>> counted(1, "bus"), counted(2, "bus"), counted(3, "car")
    ('1 bus', '2 buses', '3 cars')
    """
    ending = "" if count == 1 else "es" if name.endswith("s") else "s"
    return f"{count} {name}{ending}"
