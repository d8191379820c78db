"""A small run without pixels: vehicles that pass one camera and, ten seconds later, another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mtmc.associate import AssociateConfig, associate_with_evidence
from mtmc.config import RunConfig
from mtmc.embed import EmbedConfig
from mtmc.embed.passages import locate_again
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.mot import write_mot
from mtmc.formats.parquet import write_parquet
from mtmc.formats.track1 import write_track1
from mtmc.geometry.clock import Clock
from mtmc.pipeline.camera import CameraResult
from mtmc.pipeline.results import LoadedRun
from mtmc.postprocess import postprocess
from mtmc.scene import Camera, PlaneAlignment, Scene
from mtmc.types import Array, GlobalTrack, Passage
from mtmc.view.run_data import ViewedRun, view_of
from tests.builders import tracklet, write_video

VEHICLES = 14
SIZE_WH = (640, 480)
_DIM = 16


def town(
    out: Path,
    *,
    videos: tuple[Path | None, Path | None] = (None, None),
    names: tuple[str, str] = ("c001", "c002"),
    vehicles: int = VEHICLES,
    looks: Callable[[int, str], Array] | None = None,
    embed: EmbedConfig | None = None,
    associate: AssociateConfig | None = None,
    on_ground: bool = False,
    with_truth: bool = False,
) -> ViewedRun:
    """Two cameras, some vehicles in each; vehicle k is passage k of the first and of the second.

    Args:
        out: The folder of the run.
        videos: Of the cameras.
        names: Of the cameras.
        vehicles: How many there are.
        looks: The embedding of a vehicle in a camera; pairs of vehicles that look alike if None.
        embed: What the run says of its embedder.
        associate: How it was associated.
        on_ground: Whether positions are known, a tenth of a meter for a pixel; the plane of the second camera is
            turned by 90° and lies 100 m farther north.
        with_truth: Whether there is ground truth: vehicle k has the number k + 1, but the second camera shows the
            first two vehicles in the other order, so that the run joins them wrongly.
    """
    cameras = tuple(
        Camera(
            name,
            number,
            Clock(10.0),
            video=video,
            size_wh=SIZE_WH,
            frame_count=frame_count(vehicles),
            ground_from_image=np.diag([0.1, 0.1, 1.0]) if on_ground else None,
            ground_plane=str(number) if on_ground else "",
            ground_truth=out / f"c{number:03d}" / "gt" / "gt.txt" if with_truth else None,
        )
        for number, (name, video) in enumerate(zip(names, videos, strict=True), start=1)
    )
    aligned = (PlaneAlignment("2", "1", 90.0, (0.0, 100.0)),) if on_ground else ()
    scene = Scene("town", out, cameras, plane_alignments=aligned)
    of_camera = {
        name: [_passage(name, k, shift, looks or _looks) for k in range(vehicles)]
        for name, shift in zip(names, (0, 100), strict=True)
    }
    if on_ground:
        of_camera = {
            camera.id: [locate_again(passage, camera) for passage in of_camera[camera.id]] for camera in cameras
        }
    config = RunConfig(embed=embed or EmbedConfig(), associate=associate or AssociateConfig())
    found = associate_with_evidence([p for group in of_camera.values() for p in group], scene, config.associate)
    tracks = postprocess(found.tracks, scene, config.postprocess)
    out.mkdir(parents=True, exist_ok=True)
    written = table_of_tracks(tracks, {camera.id: camera.number for camera in cameras})
    write_track1(written, out / "track1.txt")
    write_parquet(written, out / "tracks.parquet")
    if with_truth:
        _write_truth(cameras, of_camera)
    red = np.full((40, 60, 3), (200, 30, 30), np.uint8)
    results = [CameraResult(name, passages=group, thumbnails={1: red}) for name, group in of_camera.items()]
    kept = {track.global_id for track in tracks}
    return view_of(
        LoadedRun(
            out=out,
            scene=scene,
            given=scene,
            config=config,
            results=tuple(results),
            tracks=tuple(track for track in found.tracks if track.global_id in kept),
            links=found.links,
            scene_model=found.model,
        )
    )


def _write_truth(cameras: Sequence[Camera], of_camera: Mapping[str, Sequence[Passage]]) -> None:
    for camera in cameras:
        assert camera.ground_truth is not None
        seen = of_camera[camera.id] if camera.number == 1 else [of_camera[camera.id][k] for k in (1, 0)]
        seen = [*seen, *of_camera[camera.id][len(seen) :]]
        true = [GlobalTrack(k, (passage,)) for k, passage in enumerate(seen, start=1)]
        camera.ground_truth.parent.mkdir(parents=True, exist_ok=True)
        write_mot(table_of_tracks(true, {camera.id: camera.number}), camera.ground_truth)


def frame_count(vehicles: int) -> int:
    """Frames until the last of some vehicles has passed both cameras."""
    return 80 * vehicles + 100


def film(path: Path, shift: int, vehicles: int) -> Path:
    """What a camera of the town sees: a white rectangle in every box, on gray."""
    images = np.full((frame_count(vehicles), SIZE_WH[1], SIZE_WH[0], 3), 70, np.uint8)
    for vehicle in range(vehicles):
        seen = _passage("c", vehicle, shift, _looks).tracklet
        for frame, (x1, y1, x2, y2) in zip(seen.frame.tolist(), seen.xyxy.astype(int).tolist(), strict=True):
            images[frame, y1:y2, x1:x2] = 255
    return write_video(path, images)


def _passage(camera: str, vehicle: int, shift: int, looks: Callable[[int, str], Array]) -> Passage:
    seen = tracklet(camera, vehicle + 1, first=80 * vehicle + shift, length=40, start=(60, 200), step=(9, 1))
    return Passage(seen, looks(vehicle, camera), "", "", np.full((40, 2), np.nan))


def _looks(vehicle: int, camera: str) -> Array:
    """Vehicles 2k and 2k + 1 have the same appearance."""
    own = np.random.default_rng(vehicle).normal(size=_DIM)
    pair = np.random.default_rng(100 + vehicle // 2).normal(size=_DIM)
    noise = np.random.default_rng([vehicle, len(camera), ord(camera[-1])]).normal(size=_DIM)
    vector = pair + 0.4 * own + 0.5 * noise
    return (vector / np.linalg.norm(vector)).astype(np.float32)
