"""Detection models in ONNX or OpenVINO format, run plainly: no code of the framework they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mtmc.detect.card import Card, guess_kind, label_names, order_outputs, read_card, trained_side
from mtmc.detect.config import DetectConfig
from mtmc.detect.heads import HEADS, RawDetections
from mtmc.detect.labels import class_of_labels
from mtmc.detect.letterbox import GRAY, Letterbox, fit_fixed, fit_side, fit_stretched, paste
from mtmc.detect.nms import nms
from mtmc.errors import ConfigError, WeightsError
from mtmc.types import Array, Detections, Frame
from reid.runtime import Session, open_session

__all__ = ["OnnxDetector", "load"]

#: The second input of DETRs that scale their boxes by themselves: int64 (N, 2), width and height.
_SIZES = "orig_target_sizes"


def load(config: DetectConfig, threads: int = 1) -> OnnxDetector:
    """Open ``config.weights`` with its card.

    Raises:
        WeightsError: The file is missing or no model, its head is unknown, or it knows none of the wanted classes.
        FormatError: Its card is malformed.
        ConfigError: The engine, device, precision or image size is impossible.
        MissingDependency: The engine is not installed.
    """
    path = Path(config.weights)
    session = open_session(
        path,
        runtime=config.runtime,
        device=config.device,
        precision=config.precision,
        threads=threads,
        other_inputs=(_SIZES,),
    )
    return OnnxDetector(session, read_card(session.path), config)


class OnnxDetector:
    """A model with a head that we know (:data:`mtmc.detect.heads.HEADS`).

    Args:
        session: The opened model.
        card: What is known about it.
        config: What to look for.
    """

    stateful = False

    def __init__(self, session: Session, card: Card, config: DetectConfig) -> None:
        shape = session.inputs[0].shape
        self._channels_last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3
        if self._channels_last:
            shape = (shape[0], shape[3], shape[1], shape[2])
        if len(shape) != 4 or shape[1] not in (3, None):
            raise WeightsError(f"expected a model of images (N, 3, H, W), got an input of {shape}", path=session.path)
        self._session, self._config = session, config
        self._fixed_wh = None if shape[2] is None or shape[3] is None else (shape[3], shape[2])
        self._side = config.image_size or trained_side(card, session.metadata)
        if self._fixed_wh and config.image_size not in (None, max(self._fixed_wh)):
            raise ConfigError(
                f"image_size: the model takes images of {self._fixed_wh[0]}×{self._fixed_wh[1]} only, "
                f"got {config.image_size}",
                path=session.path,
                remedy="leave image_size out, or export the model with dynamic sizes",
            )
        self.input_side = max(self._fixed_wh) if self._fixed_wh else self._side
        self._fixed_batch, self._batch = shape[0], shape[0] or config.batch
        self._order: list[int] | None = None
        kind, count = self._tell_head(card)
        self._head = HEADS[kind]
        if kind == "ssd":
            self._batch = 1  # its output is one list for all images of a batch
        # A model that takes bytes normalizes them by itself.
        self._dtype = np.uint8 if session.inputs[0].dtype == np.uint8 else np.float32
        plain = self._dtype == np.uint8
        mean, std = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)) if plain else (self._head.mean, self._head.std)
        self._mean = np.array(mean if card.mean is None else card.mean, np.float32)
        self._std = np.array(std if card.std is None else card.std, np.float32)
        self._bgr = self._head.bgr if card.bgr is None else card.bgr
        self._stretch = self._head.stretch if card.stretch is None else card.stretch
        names = label_names(card, session.metadata, count, session.path)
        self._class_of = class_of_labels(names, config.classes, session.path)
        self._labels = np.flatnonzero(self._class_of >= 0)
        self._blobs: dict[Letterbox, Array] = {}

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detections of each frame, best first; frames may come from several cameras and differ in size.

        Raises:
            WeightsError: The model fails, or gives boxes or scores that cannot be.
        """
        boxes = [self.place(frame.image) for frame in frames]
        results: list[Detections] = []
        for start, stop in _runs(boxes, self._batch):
            blob = self._fill([frame.image for frame in frames[start:stop]], boxes[start])
            outputs = self._forward(blob)
            results += [self._read([o[row] for o in outputs], boxes[start]) for row in range(stop - start)]
        return results

    def place(self, image: Array) -> Letterbox:
        """Where an image lies in the model's input."""
        size_wh = (image.shape[1], image.shape[0])
        if self._stretch:
            return fit_stretched(size_wh, self._fixed_wh or (self._side, self._side))
        return fit_fixed(size_wh, self._fixed_wh) if self._fixed_wh else fit_side(size_wh, self._side)

    def _fill(self, images: Sequence[Array], box: Letterbox) -> Array:
        """The batch, in a buffer that is used again: its padding is written once."""
        blob = self._blobs.get(box)
        if blob is None or len(blob) < len(images):
            width, height = box.canvas_wh
            blob = np.empty((self._fixed_batch or len(images), 3, height, width), self._dtype)
            blob[:] = ((GRAY - self._mean) / self._std)[:, None, None]
            self._blobs[box] = blob
        for image, out in zip(images, blob, strict=False):
            paste(image, box, self._mean, self._std, self._bgr, out)
        return blob if self._fixed_batch else blob[: len(images)]

    def _forward(self, blob: Array) -> list[Array]:
        """The outputs for a batch (N, 3, H, W), in the order that the head's decoder takes them."""
        height, width = blob.shape[2:]
        others = {_SIZES: np.tile(np.array([width, height], np.int64), (len(blob), 1))}
        outputs = self._session(blob.transpose(0, 2, 3, 1) if self._channels_last else blob, others)
        return outputs if self._order is None else [outputs[index] for index in self._order]

    def _read(self, outputs: list[Array], box: Letterbox) -> Detections:
        width, height = box.canvas_wh
        raw = self._head.decode(outputs, self._labels, self._config.min_score, (height, width))
        self._check(raw)
        keep = nms(raw.xyxy, raw.score, self._config.suppression_iou)
        return Detections(
            xyxy=box.restore(raw.xyxy[keep]),
            score=np.minimum(raw.score[keep], 1, dtype=np.float32),
            class_id=self._class_of[raw.label[keep]],
            appearance=np.zeros((len(keep), 0), np.float32),
        )

    def _check(self, raw: RawDetections) -> None:
        possible = np.isfinite(raw.xyxy).all() and (raw.score <= 1.001).all()  # false for NaN, too
        if not possible:
            raise WeightsError(
                "expected finite boxes and scores in 0…1, got something else",
                path=self._session.path,
                remedy="the file is damaged, or its card names the wrong kind of head or input",
            )

    def _tell_head(self, card: Card) -> tuple[str, int | None]:
        """The head and its number of labels, seen on a forward pass of a small empty image."""
        width, height = self._fixed_wh or (320, 320)
        outputs = self._forward(np.zeros((self._fixed_batch or 1, 3, height, width), np.float32))
        shapes = [output.shape for output in outputs]
        guess = guess_kind(shapes, (height, width))
        if card.kind is not None and (guess is None or guess[0] != card.kind):
            guess = (self._trust(card.kind, outputs, (height, width)), None)
        if guess is not None:
            self._order = order_outputs(guess[0], shapes, self._session.output_names)
        if guess is None:
            raise WeightsError(
                f"no head that we know gives outputs of {', '.join(str(s) for s in shapes)} "
                f"for an image of {width}×{height}",
                path=self._session.path,
                remedy=f"known are {', '.join(HEADS)}; for other models of Ultralytics set backend to ultralytics",
            )
        return guess

    def _trust(self, kind: str, outputs: list[Array], input_hw: tuple[int, int]) -> str:
        """The kind of head that the card claims, if it can read the outputs at all."""
        try:
            HEADS[kind].decode([output[0] for output in outputs], np.array([0]), 0.5, input_hw)
        except (IndexError, ValueError) as error:
            raise WeightsError(
                f"its card says that the head is of kind {kind}, "
                f"which does not fit outputs of {', '.join(str(o.shape) for o in outputs)}",
                path=self._session.path,
                remedy="correct 'kind' in the card, or leave it out",
            ) from error
        return kind


def _runs(boxes: Sequence[Letterbox], batch: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of neighbors with equal places, at most ``batch`` long."""
    start = 0
    for stop in range(1, len(boxes) + 1):
        if stop == len(boxes) or stop - start == batch or boxes[stop] != boxes[start]:
            yield start, stop
            start = stop
