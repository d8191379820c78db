"""What a model file does not compute but one must know to use it: its head, its input, its labels.

It comes from the JSON card beside the file (``cars.onnx`` → ``cars.json``), else from what the exporter wrote into
the file, else from the shapes of the outputs and COCO's labels.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mtmc.errors import FormatError, WeightsError
from mtmc.settings import Settings
from mtmc.zoo import find_model

__all__ = [
    "COCO",
    "COCO_CATEGORIES",
    "Card",
    "guess_kind",
    "label_names",
    "order_outputs",
    "read_card",
    "trained_side",
]

# fmt: off
#: The 80 labels of the COCO detection challenge, in the order that models are trained with.
COCO: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on

#: COCO's category numbers, of which eleven are not in use: the labels of models that tell 91 apart.
_UNUSED = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_IN_ORDER = iter(COCO)
COCO_CATEGORIES: tuple[str, ...] = tuple("" if number in _UNUSED else next(_IN_ORDER) for number in range(91))

_Triple = tuple[float, float, float]


class Card(Settings):
    """The JSON card of a detection model; what is left out is inferred from the file."""

    kind: Literal["yolo", "yolov5", "yolox", "nanodet", "end2end", "detr", "rtdetr", "ssd"] | None = Field(
        default=None, description="The head."
    )
    size: int | None = Field(
        default=None, ge=32, description="Longer side of the images it was trained with, pixels."
    )
    mean: _Triple | None = Field(
        default=None, description="Subtracted from pixels of 0…255, in the order of its channels."
    )
    std: _Triple | None = Field(default=None, description="Divides them then.")
    bgr: bool | None = Field(
        default=None, description="Its channels are blue, green, red rather than red, green, blue."
    )
    stretch: bool | None = Field(
        default=None, description="Images are stretched to its input's size rather than fitted into it."
    )
    names: tuple[str, ...] | None = Field(default=None, description="Its labels, in order.")
    about: dict[str, Any] = Field(default_factory=dict, description="Licence, training data, scores: for readers.")


def read_card(weights: Path) -> Card:
    """The card beside a model file; without one, that of the registry's model of the same file name, if any.

    Raises:
        FormatError: It is not JSON, or says something that a card does not say.
    """
    path = weights.with_suffix(".json")
    if not path.is_file():
        published = find_model(weights.stem, "detector")
        return Card() if published is None else Card.model_validate(published.card)
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "card"
        raise FormatError(
            f"{where}: {first['msg']}", path=path, remedy=f"a card holds {', '.join(Card.model_fields)}"
        ) from error


def label_names(card: Card, metadata: dict[str, str], count: int | None, path: Path) -> tuple[str, ...]:
    """The model's labels in order: the card's, the file's own, or COCO's where there are 80.

    Args:
        card: The model's card.
        metadata: The file's own; Ultralytics writes ``names`` as a Python dict.
        count: How many labels the outputs have; None where they do not tell.
        path: The model file, for messages.

    Raises:
        WeightsError: Their number disagrees with the outputs, or they are not named.
    """
    names = card.names or _names_of(metadata) or _COCO_BY_COUNT.get(count)
    if names is None or count not in (None, len(names)):
        given = "no names" if names is None else f"{len(names)} names"
        raise WeightsError(
            f"the model tells {count} labels apart, but there are {given} for them",
            path=path,
            remedy=f"list them in order under 'names' in {path.with_suffix('.json').name}",
        )
    return names


#: What models that say nothing of their labels are taken to know, by their number.
_COCO_BY_COUNT: dict[int | None, tuple[str, ...]] = {
    None: COCO,
    len(COCO): COCO,
    len(COCO_CATEGORIES): COCO_CATEGORIES,
}


def _names_of(metadata: dict[str, str]) -> tuple[str, ...] | None:
    try:
        names = ast.literal_eval(metadata["names"])
        return tuple(str(names[i]) for i in range(len(names)))
    except (KeyError, IndexError, TypeError, ValueError, SyntaxError):
        return None


def trained_side(card: Card, metadata: dict[str, str]) -> int:
    """Longer side of the images the model is made for, in pixels; 640 where the card does not say."""
    if card.size is not None:
        return card.size
    try:
        return int(max(ast.literal_eval(metadata["imgsz"])))
    except (KeyError, TypeError, ValueError, SyntaxError):
        return 640


def guess_kind(shapes: Sequence[tuple[int, ...]], input_hw: tuple[int, int]) -> tuple[str, int | None] | None:
    """The head, and how many labels it tells apart, by the shapes of its outputs (with batch) for an input.

    None where the shapes fit no head that we know; the number is None where shapes do not tell.
    """
    cells = [(input_hw[0] // stride) * (input_hw[1] // stride) for stride in (8, 16, 32)]
    if len(shapes) == 1 and shapes[0][:2] == (1, 1) and shapes[0][3:] == (7,):
        return "ssd", None
    order = _detr_order(shapes)
    if order is not None:
        return ("detr", shapes[order[1]][2]) if len(order) == 2 else ("rtdetr", None)
    if len(shapes) == 6 and all(len(shape) == 3 for shape in shapes):
        levels = sorted(shapes, key=lambda shape: -shape[1])
        fits = [shape[1] for shape in levels[::2]] == [shape[1] for shape in levels[1::2]] == cells
        return ("nanodet", levels[0][2]) if fits else None
    if len(shapes) != 1 or len(shapes[0]) != 3:
        return None
    _, rows, columns = shapes[0]
    if columns == sum(cells) and rows > 4:
        return "yolo", rows - 4
    if rows == sum(cells) and columns > 5:
        return "yolox", columns - 5
    if rows == 3 * sum(cells) and columns > 5:
        return "yolov5", columns - 5
    return ("end2end", None) if columns == 6 else None


def order_outputs(kind: str, shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> list[int]:
    """The order in which a head's decoder takes the outputs: indices; exporters of DETRs differ in it."""
    order = _detr_order(shapes, names) if kind in ("detr", "rtdetr") else None
    return list(range(len(shapes))) if order is None else order


def _detr_order(shapes: Sequence[tuple[int, ...]], names: Sequence[str] = ()) -> list[int] | None:
    """Indices of (boxes, logits), or of (labels, boxes, scores); None where the shapes are no DETR's.

    Shapes tell boxes (N, A, 4) from logits (N, A, C), names do where C is 4; of labels and scores, both (N, A),
    names tell which is which, else the usual order of exports does.
    """
    boxes = [i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 4]
    named = [i for i in boxes if i < len(names) and any(word in names[i].lower() for word in ("box", "det"))]
    boxes = named if named else boxes
    others = [i for i in range(len(shapes)) if i not in boxes[:1]]
    if not boxes or any(shapes[i][:2] != shapes[boxes[0]][:2] for i in others):
        return None
    if len(shapes) == 2 and len(shapes[others[0]]) == 3:
        return [boxes[0], others[0]]
    if len(shapes) == 3 and all(len(shapes[i]) == 2 for i in others):
        scores = [i for i in others if i < len(names) and "score" in names[i].lower()] or others[1:]
        [labels] = [i for i in others if i != scores[0]]
        return [labels, boxes[0], scores[0]]
    return None
