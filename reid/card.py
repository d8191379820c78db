"""The JSON card of a weights file: all that one must know to use it.

A card lies beside its file under the same name (``cars.onnx`` → ``cars.json``; ``card.json`` in a checkpoint
folder), inside an ONNX file, or, for some published weights, among this package's own.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from reid.errors import WeightsError

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "METADATA_KEY",
    "Card",
    "card_path",
    "find_card",
    "parse_card",
    "read_card",
    "write_card",
]

#: Under which an exported ONNX file carries its card.
METADATA_KEY = "reid.card"

Triple = tuple[float, float, float]
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Card:
    """What a network takes, what it gives, and where it comes from.

    Attributes:
        size_hw: Height and width of its input in pixels.
        dim: Numbers per embedding.
        name: What to call it.
        mean: Subtracted from channels in [0, 1], in the network's channel order.
        std: Divides them then.
        interpolation: ``linear`` or ``cubic``: how pictures are resized to that input.
        color: ``rgb`` or ``bgr``: the channel order the network was trained with.
        backbone: Which network a state dict is of: a name that :func:`reid.networks.build` knows.
        match_similarity: Cosine above which two tracklets are more likely one vehicle than two, as measured on
            validation data; None if not measured.
        spread: Standard deviation of the cosine of two different vehicles, likewise; ensembles weigh by it.
        trained_on: Data sets.
        scores: Published or measured figures, such as ``{"VeRi-776 mAP": 0.82}``.
        license: Of the weights.
        source: Where the weights come from.
    """

    size_hw: tuple[int, int]
    dim: int
    name: str = ""
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    interpolation: str = "linear"
    color: str = "rgb"
    backbone: str = ""
    match_similarity: float | None = None
    spread: float | None = None
    trained_on: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    license: str = ""
    source: str = ""


def parse_card(data: object, path: Path | None = None) -> Card:
    """A card from parsed JSON.

    Raises:
        WeightsError: A key is unknown (the nearest known one is named) or missing, or a value is impossible.
    """
    if not isinstance(data, dict):
        raise WeightsError(f"expected a JSON object, got {type(data).__name__}", path=path)
    known = [f.name for f in dataclasses.fields(Card)]
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            remedy = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
            raise WeightsError(f"unknown key {key}", path=path, remedy=remedy)
    for key in ("size_hw", "dim"):
        if key not in data:
            raise WeightsError(f"expected a key {key}, got none", path=path, remedy="add it")
    return Card(**{key: _checked(key, value, path) for key, value in data.items()})


_EXPECTED = {
    "size_hw": "two whole numbers of pixels from 1, [height, width]",
    "dim": "a whole number from 1",
    "mean": "three numbers",
    "std": "three numbers above 0",
    "interpolation": '"linear" or "cubic"',
    "color": '"rgb" or "bgr"',
    "match_similarity": "a number in [-1, 1] or null",
    "spread": "a number above 0 or null",
    "scores": "an object of numbers",
}


def _checked(key: str, value: Any, path: Path | None) -> Any:
    """The value of a key in its own type."""
    good, result = _check(key, value)
    if not good:
        expected = _EXPECTED.get(key, "a text")
        raise WeightsError(f"{key}: expected {expected}, got {json.dumps(value)}", path=path)
    return result


def _check(key: str, value: Any) -> tuple[bool, Any]:
    if key == "size_hw":
        return _are(value, 2, int) and min(value) >= 1, value if not isinstance(value, list) else tuple(value)
    if key == "dim":
        return _is(value, int) and value >= 1, value
    if key in ("mean", "std"):
        good = _are(value, 3, int, float) and (key == "mean" or min(value) > 0)
        return good, tuple(map(float, value)) if good else value
    if key == "interpolation":
        return value in ("linear", "cubic"), value
    if key == "color":
        return value in ("rgb", "bgr"), value
    if key == "match_similarity":
        return value is None or (_is(value, int, float) and -1 <= value <= 1), value
    if key == "spread":
        return value is None or (_is(value, int, float) and value > 0), value
    if key == "scores":
        return isinstance(value, dict) and all(_is(v, int, float) for v in value.values()), value
    return isinstance(value, str), value


def _is(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _are(values: object, count: int, *kinds: type) -> bool:
    return isinstance(values, list) and len(values) == count and all(_is(v, *kinds) for v in values)


def read_card(path: Path) -> Card:
    """Read a card from a JSON file.

    Raises:
        WeightsError: It is missing, not JSON, or not a card.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise WeightsError(f"cannot read this card ({error.strerror})", path=path) from None
    except UnicodeDecodeError:
        raise WeightsError("expected a card in JSON, got bytes that are no text", path=path) from None
    return _parse_json(text, path)


def _parse_json(text: str, path: Path) -> Card:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(f"expected JSON, got {error.msg.lower()}", path=path, line=error.lineno) from None
    return parse_card(data, path)


def write_card(card: Card, path: Path) -> None:
    """Write a card as JSON, without what is left at its default.

    Raises:
        WeightsError: The file cannot be written.
    """
    defaults = Card(size_hw=card.size_hw, dim=card.dim)
    always = {"name", "size_hw", "mean", "std", "dim", "color"}
    data = {
        key: value
        for key, value in dataclasses.asdict(card).items()
        if key in always or value != getattr(defaults, key)
    }
    try:
        path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise WeightsError(f"cannot write this card ({error.strerror})", path=path) from None


def card_path(weights: Path) -> Path:
    """Where the card of a weights file is looked for first: beside it."""
    return weights / "card.json" if weights.is_dir() else weights.with_suffix(".json")


def find_card(weights: Path, explicit: Path | None = None, metadata: Mapping[str, str] | None = None) -> Card | None:
    """The card of a weights file: the given one, the one beside it, the one inside it, this package's own, or None.

    Raises:
        WeightsError: There is one and it is no good.
    """
    beside = card_path(weights)
    if explicit is not None or beside.is_file():
        return read_card(explicit or beside)
    inside = (metadata or {}).get(METADATA_KEY)
    if inside is not None:
        return _parse_json(inside, weights)
    packaged = resources.files("reid") / "cards" / f"{weights.stem}.json"
    if packaged.is_file():
        with resources.as_file(packaged) as path:
            return read_card(path)
    return None
