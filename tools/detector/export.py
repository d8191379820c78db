"""From a training's checkpoint to what is shipped: an ONNX file and its card."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mtmc.detect.card import Card
from mtmc.errors import WeightsError
from mtmc.files import atomic_path
from tools.detector.tiles import FRAME_WIDTH_PX

__all__ = ["CLASS_NAMES", "export", "write_card"]

CLASS_NAMES = ("vehicle",)
_OPSET = 17
_KEPT = ("author", "description", "imgsz", "license", "names", "stride", "task", "version")


def export(checkpoint: Path, out: Path, about: dict[str, Any]) -> Path:
    """Write ``out`` (fp32, any batch, height and width in multiples of 32) and the card beside it.

    Args:
        checkpoint: ``weights/last.pt`` of a training.
        out: The ``.onnx`` file.
        about: What the card tells readers: data, seeds, command, scores.

    Raises:
        WeightsError: There is no checkpoint.
    """
    if not checkpoint.is_file():
        raise WeightsError("expected a checkpoint, got none", path=checkpoint, remedy="give weights/last.pt of a run")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")  # an export installs nothing
    import onnx
    from ultralytics import YOLO

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(checkpoint, Path(folder) / "detector.pt"))
        written = YOLO(str(copy)).export(
            format="onnx", dynamic=True, simplify=False, opset=_OPSET, imgsz=FRAME_WIDTH_PX, device="cpu"
        )
        model = onnx.load(str(written))
    # What the exporter notes of dates and folders would make the file of the same weights differ.
    notes = {prop.key: prop.value for prop in model.metadata_props if prop.key in _KEPT}
    notes["description"] = "Vehicle detector trained on rendered street scenes"
    del model.metadata_props[:]
    for key, value in sorted(notes.items()):
        model.metadata_props.add(key=key, value=value)
    with atomic_path(out) as path:
        path.write_bytes(model.SerializeToString())
    write_card(out, about)
    return out


def write_card(weights: Path, about: dict[str, Any]) -> Path:
    """Write the card beside a model file."""
    card = Card(kind="yolo", size=FRAME_WIDTH_PX, names=CLASS_NAMES, about=about)
    with atomic_path(weights.with_suffix(".json")) as path:
        text = json.dumps(card.model_dump(exclude_defaults=True), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
    return weights.with_suffix(".json")
