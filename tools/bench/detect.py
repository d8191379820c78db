"""CPU milliseconds per frame of a detector in ONNX format, beside its bare forward pass, on one thread.

Run as ``python tools/bench/detect.py WEIGHTS.onnx [VIDEO …]``; without videos, noise is looked at. Both are timed in
turns on the same frames, so that a busy machine disturbs them alike.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mtmc.detect import DetectConfig
from mtmc.detect.letterbox import GRAY
from mtmc.detect.onnx import OnnxDetector, load
from mtmc.types import Array, Frame
from reid.runtime import open_session

SIZES = ((640, 480), (960, 540))


def main() -> None:
    """Print one line per engine and image size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    for size_wh, engine in itertools.product(SIZES, ("onnxruntime", "openvino")):
        frame = Frame("c1", 0, 0.0, picture(args.videos, size_wh))
        detector = load(DetectConfig(weights=str(args.weights), runtime=engine))
        session = open_session(args.weights, runtime=engine)
        blob = seen_by(detector, frame)
        whole, bare = in_turns([partial(detector, [frame]), partial(session, blob)], args.rounds)
        print(
            f"{size_wh[0]}×{size_wh[1]} {engine:12s} input {blob.shape[3]}×{blob.shape[2]} "
            f"forward {bare:6.1f} ms, detector {whole:6.1f} ms, ratio {whole / bare:.3f}, "
            f"{len(detector([frame])[0])} boxes"
        )


def picture(videos: list[Path], size_wh: tuple[int, int]) -> Array:
    """A frame of the first video of that size, else noise: uint8 (H, W, 3)."""
    for video in videos:
        capture = cv2.VideoCapture(str(video))
        capture.set(cv2.CAP_PROP_POS_FRAMES, 30)
        found, image = capture.read()
        if found and image.shape[1::-1] == size_wh:
            return np.ascontiguousarray(image[..., ::-1])
    return np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


def seen_by(detector: OnnxDetector, frame: Frame) -> Array:
    """An input of the size that the detector gives to its model."""
    width, height = detector.place(frame.image).canvas_wh
    return np.full((1, 3, height, width), GRAY / 255, np.float32)


def in_turns(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median CPU milliseconds of each call, over all threads of the process; the first round is not counted."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 1):
        for call, spent in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            if number:
                spent.append((time.process_time() - start) * 1e3)
    return [float(np.median(spent)) for spent in times]


if __name__ == "__main__":
    main()
