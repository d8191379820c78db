"""Clean proxies: a small video of every camera in which a browser finds each frame at once, nothing drawn into it.

Browsers play neither MPEG-4 part 2 nor AVI, and seek slowly in videos with few key frames. A proxy is H.264, at most
960 pixels wide, one picture per source frame at the camera's effective rate, with a key frame at least every second
and no B-frames. Proxies are made one after the other in the background, those first that a page asks for, and kept;
a changed source or a changed recipe makes them anew. One whose making was cut short is made anew from its beginning.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from mtmc.errors import MtmcError, VideoError
from mtmc.files import atomic_path, sweep
from mtmc.geometry.clock import Clock
from mtmc.types import Array
from mtmc.video.read import read_frames
from mtmc.video.write import VideoWriter
from mtmc.view.run_data import CameraView

__all__ = ["MAX_KEY_FRAME_DISTANCE", "MAX_WIDTH_PX", "Proxies", "ProxyState", "make_proxy"]

MAX_WIDTH_PX = 960
_CRF = 26
MAX_KEY_FRAME_DISTANCE = 12  # pictures: decoding them takes a browser about 20 ms
_NICENESS = 10
_RECIPE = 1  # counts changes of all of the above


class _Stopped(Exception):
    """The server ends; the proxy in the making is dropped."""


@dataclass(frozen=True, slots=True)
class ProxyState:
    """How far the proxy of a camera is.

    Attributes:
        state: ``absent`` until a page asks for it, then ``waiting``, ``making``, and ``ready`` or ``failed``.
        done: Frames written so far.
        frames: Pictures of the finished proxy; before, the frames that are expected.
        problem: Why it failed, or why it ends early, "" otherwise.
    """

    state: Literal["absent", "waiting", "making", "ready", "failed"]
    done: int = 0
    frames: int = 0
    problem: str = ""


def make_proxy(camera: CameraView, path: Path, progress: Callable[[int], None] | None = None) -> ProxyState:
    """Write the proxy of a camera; the part before a damaged frame is used.

    Args:
        camera: With a source video.
        path: File to write.
        progress: Called with the number of frames written so far; what it raises ends the work.

    Raises:
        VideoError: Not one frame of the source can be read.
        MtmcError: The file cannot be written.
    """
    if camera.video is None:
        raise VideoError(f"camera {camera.id} has no video", remedy="its boxes can be seen all the same")
    frames = read_frames(camera.video, camera.id, Clock(float(camera.fps)))
    first = next(frames)
    size_wh = _proxy_size(first.image.shape[1], first.image.shape[0])
    distance = max(1, min(MAX_KEY_FRAME_DISTANCE, int(camera.fps)))
    done, problem = 0, ""
    with VideoWriter(path, size_wh, float(camera.fps), crf=_CRF, max_key_frame_distance=distance) as writer:
        frame = first
        try:
            while True:
                writer.write(_resized(frame.image, size_wh))
                done += 1
                if progress is not None:
                    progress(done)
                frame = next(frames)
        except StopIteration:
            pass
        except VideoError as error:
            problem = str(error)
    return ProxyState("ready", done, done, problem)


def _proxy_size(width: int, height: int) -> tuple[int, int]:
    """Even sides, at most :data:`MAX_WIDTH_PX` wide, of the same shape."""
    scale = min(1.0, MAX_WIDTH_PX / width)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _resized(image: Array, size_wh: tuple[int, int]) -> Array:
    if image.shape[1::-1] == size_wh:
        return image
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA))


class Proxies:
    """The proxies of a run.

    Args:
        cameras: All of them.
        folder: Where proxies are kept.
    """

    def __init__(self, cameras: Sequence[CameraView], folder: Path) -> None:
        self.cameras, self.folder = cameras, folder
        self._lock = threading.Condition()
        self._waiting: deque[int] = deque()
        self._is_stopped = False
        self._claim: int | None = None
        self._worker: threading.Thread | None = None
        self._states = [self._found(k) for k in range(len(cameras))]

    def path(self, camera: int) -> Path:
        """Where the proxy of a camera lies or will lie."""
        return self.folder / f"{self.cameras[camera].id}.mp4"

    def state(self, camera: int) -> ProxyState:
        """How far the proxy of a camera is."""
        with self._lock:
            return self._states[camera]

    def request(self, camera: int) -> ProxyState:
        """Have the proxy of a camera made, unless it is there or in the making."""
        with self._lock:
            if self._states[camera].state == "absent":
                self._states[camera] = replace(self._states[camera], state="waiting")
                self._waiting.append(camera)
                self._start()
                self._lock.notify_all()
            return self._states[camera]

    def close(self) -> None:
        """Stop making proxies; finished ones stay."""
        with self._lock:
            self._is_stopped = True
            self._lock.notify_all()
        if self._worker is not None:
            self._worker.join()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _start(self) -> None:
        if self._worker is None:
            self._tidy()
            self._worker = threading.Thread(target=self._work, name="proxies", daemon=True)
            self._worker.start()

    def _tidy(self) -> None:
        """Remove what a killed server left half-written, unless another server is at work on the same run."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._claim = os.open(self.folder, os.O_RDONLY)
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sweep(self.folder)

    def _work(self) -> None:
        with suppress(OSError):  # where threads have a priority of their own, pages come first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while True:
            with self._lock:
                while not self._waiting and not self._is_stopped:
                    self._lock.wait()
                if self._is_stopped:
                    return
                camera = self._waiting.popleft()
            with suppress(_Stopped):
                self._set(camera, self._made(camera))

    def _made(self, camera: int) -> ProxyState:
        def progress(done: int) -> None:
            if self._is_stopped:
                raise _Stopped
            self._set(camera, ProxyState("making", done, self.cameras[camera].frame_count))

        try:
            made = make_proxy(self.cameras[camera], self.path(camera), progress)
            facts = {"source": self._source(camera), "frames": made.frames, "problem": made.problem}
            with atomic_path(self._facts_path(camera)) as temporary:
                temporary.write_text(json.dumps(facts), encoding="utf-8")
        except MtmcError as error:
            return ProxyState("failed", problem=str(error))
        return made

    def _set(self, camera: int, state: ProxyState) -> None:
        with self._lock:
            self._states[camera] = state

    def _facts_path(self, camera: int) -> Path:
        return self.path(camera).with_suffix(".json")

    def _found(self, camera: int) -> ProxyState:
        """The proxy that an earlier server made, if it is of the present source."""
        facts = self.cameras[camera]
        if facts.video is None:
            return ProxyState("failed", problem="the run was not made from a video")
        try:
            written = json.loads(self._facts_path(camera).read_text(encoding="utf-8"))
            if written["source"] == self._source(camera) and self.path(camera).is_file():
                return ProxyState("ready", written["frames"], written["frames"], written["problem"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return ProxyState("absent", frames=facts.frame_count)

    def _source(self, camera: int) -> str:
        """A hash that changes with the source and with the recipe."""
        facts = self.cameras[camera]
        assert facts.video is not None
        try:
            status = facts.video.stat()
            state = [status.st_size, status.st_mtime_ns]
        except OSError:  # moved away since: what was made of it is still good
            return self._written_source(camera)
        parts = [_RECIPE, MAX_WIDTH_PX, _CRF, MAX_KEY_FRAME_DISTANCE, str(facts.fps), str(facts.video), *state]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _written_source(self, camera: int) -> str:
        written = json.loads(self._facts_path(camera).read_text(encoding="utf-8"))
        return str(written["source"])
