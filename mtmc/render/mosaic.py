"""All cameras side by side on one clock."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mtmc.errors import VideoError
from mtmc.render import draw
from mtmc.render.config import RenderConfig
from mtmc.render.style import clock_text
from mtmc.scene import Camera, Scene
from mtmc.types import Array, Frame
from mtmc.video.read import VideoInfo, probe, read_frames
from mtmc.video.write import VideoWriter

__all__ = ["write_mosaic"]

_GAP = 4
_SAME_MOMENT_S = 1e-6  # clocks are sums of floats


def write_mosaic(
    scene: Scene,
    videos: Mapping[str, Path],
    path: str | os.PathLike[str],
    config: RenderConfig,
    progress: Callable[[int, int | None], None] | None = None,
    *,
    labeled: bool = False,
    legend: str = "",
) -> None:
    """Show every camera's video in a grid, each at the frame it had reached at that moment of the scene.

    A camera that has not started is black, one that has ended shows its last frame dimmed, and one without a video
    says so. The mosaic runs at the fastest camera's rate, up to ``config.mosaic_max_fps``.

    Args:
        scene: The cameras and their clocks.
        videos: Camera id → video whose frames are the camera's frames, such as the annotated ones.
        path: Video to write.
        config: Width, rate and quality.
        progress: Called with the pictures written so far and the number of all.
        labeled: The videos show their camera's name and time themselves, so the tiles do not repeat them.
        legend: What the drawing means, in a strip below the tiles; no strip if empty.

    Raises:
        VideoError: There is no video at all, or one cannot be read to its end.
        MtmcError: The file cannot be written.
    """
    if not any(camera.id in videos for camera in scene.cameras):
        raise VideoError(
            f"expected a video of at least one camera of scene {scene.name}, got none",
            remedy="set render.videos to true, or render.mosaic to false",
        )
    infos = {camera.id: probe(videos[camera.id]) for camera in scene.cameras if camera.id in videos}
    shown = [camera for camera in scene.cameras if camera.id in infos]
    fps = min(config.mosaic_max_fps, max(camera.clock.fps for camera in shown))
    start_s = min(_moment_s(camera, 0) for camera in shown)
    total = _picture_count(shown, infos, start_s, fps)
    grid = _Grid.of(len(scene.cameras), [info.size_wh for info in infos.values()], config.mosaic_width_px)
    canvas = _canvas(grid.size_wh, legend)
    tiles = [_Tile(camera, videos.get(camera.id), grid.tile_wh, labeled) for camera in scene.cameras]
    with VideoWriter(path, (canvas.shape[1], canvas.shape[0]), fps, crf=config.crf) as video:
        for done in itertools.count():
            time_s = start_s + done / fps
            for place, tile in enumerate(tiles):
                grid.cell(canvas, place)[:] = tile.at(time_s)
            if all(tile.ended for tile in tiles):
                break
            video.write(canvas)
            if progress is not None:
                progress(done + 1, total)


def _canvas(size_wh: tuple[int, int], legend: str) -> Array:
    """An empty picture of the grid, with a strip below it where there is a legend: uint8 (H, W, 3), sides even."""
    width, height = size_wh
    if not legend:
        return np.full((height, width, 3), draw.INK, np.uint8)
    canvas = np.full((height, width, 3), draw.INK, np.uint8)
    letters = draw.letter_px(canvas)
    while letters > 6 and draw.text_width(legend, letters) > width - 2 * letters:
        letters -= 1
    strip = np.full((letters * 5 // 4 * 2, width, 3), draw.INK, np.uint8)
    draw.text(strip, legend, (letters, (len(strip) + letters) // 2), letters, draw.PAPER)
    return np.concatenate([canvas, strip])


class _Tile:
    """One camera's picture as the scene's clock advances.

    Attributes:
        ended: Nothing more will come: the last frame's time is over, or there is no video.
    """

    def __init__(self, camera: Camera, video: Path | None, size_wh: tuple[int, int], labeled: bool) -> None:
        self._camera, self._size_wh, self._labeled = camera, size_wh, labeled
        self._frames: Iterator[Frame] = iter(()) if video is None else read_frames(video, camera.id, camera.clock)
        self._coming = next(self._frames, None)
        self._last: Frame | None = None
        self.ended = self._coming is None
        self._picture = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        draw.banner(self._picture, camera.id, "")
        draw.centered(self._picture, f"starts at {clock_text(self._coming.time_s)}" if self._coming else "no video")

    def at(self, time_s: float) -> Array:
        """The frame that is current at that moment, uint8 (h, w, 3); moments must not go backwards."""
        arrived = None
        while self._coming is not None and self._coming.time_s <= time_s + _SAME_MOMENT_S:
            arrived, self._coming = self._coming, next(self._frames, None)
        if arrived is not None:
            self._last = arrived
            self._picture = self._fitted(arrived.image)
            if not self._labeled:
                draw.banner(self._picture, self._camera.id, clock_text(arrived.time_s))
        if not self.ended and self._coming is None and self._last is not None:
            self.ended = time_s + _SAME_MOMENT_S >= self._last.time_s + 1 / self._camera.clock.fps
            if self.ended:
                self._picture = self._fitted(self._last.image) // 3
                note = f"ended at {clock_text(self._last.time_s)}"
                if self._labeled:
                    draw.centered(self._picture, note)
                else:
                    draw.banner(self._picture, self._camera.id, note)
        return self._picture

    def _fitted(self, image: Array) -> Array:
        """The whole image, as large as the tile allows, on black."""
        width, height = self._size_wh
        scale = min(width / image.shape[1], height / image.shape[0])
        w, h = max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0]))
        tile = np.zeros((height, width, 3), np.uint8)
        y, x = (height - h) // 2, (width - w) // 2
        # Area averaging costs more, and is needed only where linear interpolation would flicker.
        smooth = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
        tile[y : y + h, x : x + w] = cv2.resize(image, (w, h), interpolation=smooth)
        return tile


@dataclass(frozen=True, slots=True)
class _Grid:
    """Tiles of one size in rows, a gap between them; all sides even, as H.264 wants them."""

    columns: int
    rows: int
    tile_wh: tuple[int, int]

    @classmethod
    def of(cls, count: int, sizes_wh: list[tuple[int, int]], max_width: int) -> _Grid:
        """A grid about as wide as one picture is, whose tiles have the shape that most of the pictures have."""
        columns = math.ceil(math.sqrt(count))
        shape_w, shape_h = Counter(sizes_wh).most_common(1)[0][0]
        room = (max_width - _GAP * (columns - 1)) // columns
        width = max(2, min(room, max(w for w, _ in sizes_wh)) // 2 * 2)
        return cls(columns, math.ceil(count / columns), (width, max(2, round(width * shape_h / shape_w / 2) * 2)))

    @property
    def size_wh(self) -> tuple[int, int]:
        width, height = self.tile_wh
        return (width + _GAP) * self.columns - _GAP, (height + _GAP) * self.rows - _GAP

    def cell(self, canvas: Array, place: int) -> Array:
        """The part of the canvas that a tile fills, counted along the rows."""
        (width, height), (row, column) = self.tile_wh, divmod(place, self.columns)
        y, x = row * (height + _GAP), column * (width + _GAP)
        return canvas[y : y + height, x : x + width]


def _moment_s(camera: Camera, frame: int) -> float:
    return float(camera.clock.time_s(np.asarray(frame)))


def _picture_count(cameras: list[Camera], infos: Mapping[str, VideoInfo], start_s: float, fps: float) -> int | None:
    """How many pictures the mosaic will have, if every video says how many frames it has."""
    ends_s = []
    for camera in cameras:
        frames = infos[camera.id].frames
        if frames is None:
            return None
        ends_s.append(_moment_s(camera, frames - 1) + 1 / camera.clock.fps)
    return math.ceil((max(ends_s) - start_s - _SAME_MOMENT_S) * fps)
