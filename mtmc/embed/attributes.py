"""Type and color of a vehicle, by a small network on the crops of its tracklet.

The network's probabilities travel as vectors of unit length, their square roots, so that crops are selected, cut,
batched and pooled exactly as for an embedding. The squares of a pooled vector are probabilities again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from mtmc.embed.config import EmbedConfig
from mtmc.errors import FormatError, WeightsError
from mtmc.settings import Settings
from mtmc.types import CLASSES, COLORS, Array, class_index
from mtmc.zoo import find_model, model_file
from reid.runtime import Session, open_session

__all__ = ["AttributeCard", "AttributeNetwork", "load_attributes"]


class AttributeCard(Settings):
    """The JSON card of an attribute network: the labels of its outputs ``type`` and ``color``, in order."""

    types: tuple[str, ...]
    colors: tuple[str, ...]
    bgr: bool = True


def load_attributes(config: EmbedConfig, threads: int = 1) -> AttributeNetwork | None:
    """The attribute network that a configuration names; None for ``none``.

    Raises:
        WeightsError: The file is missing, no model, or nothing is known of its labels.
        FormatError: The card beside it is malformed.
        MissingDependency: The package that runs it is not installed.
    """
    if config.attributes == "none":
        return None
    path = Path(model_file(config.attributes, "attributes"))
    session = open_session(path, runtime=config.runtime, device="cpu", threads=threads)
    return AttributeNetwork(session, _read_card(session.path))


def _read_card(weights: Path) -> AttributeCard:
    path = weights.with_suffix(".json")
    published = find_model(weights.stem, "attributes")
    try:
        if path.is_file():
            return AttributeCard.model_validate_json(path.read_bytes())
        if published is not None:
            return AttributeCard.model_validate(published.card)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "card"
        raise FormatError(f"{where}: {first['msg']}", path=path, remedy="a card holds types, colors, bgr") from error
    raise WeightsError(
        "the types and colors of this network are not named",
        path=weights,
        remedy=f"list them in order under 'types' and 'colors' in {path.name}",
    )


class AttributeNetwork:
    """A network with two outputs of probabilities, ``type`` and ``color``; as an embedder, their square roots.

    Args:
        session: The opened model.
        card: Its labels.

    Raises:
        WeightsError: Its outputs are not those of the card.
    """

    interpolation = "linear"
    match_similarity = None
    spread = None

    def __init__(self, session: Session, card: AttributeCard) -> None:
        self._session, self._bgr = session, card.bgr
        shape = session.inputs[0].shape
        if len(shape) != 4 or shape[1] != 3 or shape[2] is None or shape[3] is None:
            raise WeightsError(f"expected an input of (N, 3, H, W), got {shape}", path=session.path)
        self.name = session.path.stem
        self.size_hw = (shape[2], shape[3])
        self._batch = shape[0]
        self._class_of = np.array([class_index(name) for name in card.types])
        self._color_of = np.array([COLORS.index(name) if name in COLORS else -1 for name in card.colors])
        self.dim = len(card.types) + len(card.colors)
        probe = self._probabilities(np.zeros((1, *self.size_hw, 3), np.uint8))
        if [len(row) for row in (probe[0][0], probe[1][0])] != [len(card.types), len(card.colors)]:
            raise WeightsError(
                f"expected {len(card.types)} types and {len(card.colors)} colors as its card says, "
                f"got {len(probe[0][0])} and {len(probe[1][0])}",
                path=session.path,
            )

    def __call__(self, images: Array) -> Array:
        """uint8 (N, h, w, 3) RGB → float32 (N, types + colors), of unit length."""
        kinds, colors = self._probabilities(images)
        return np.asarray(np.sqrt(np.concatenate([kinds, colors], axis=1) / 2), np.float32)

    def class_probability(self, vector: Array) -> Array:
        """What a pooled vector says of the type: float32 (len(CLASSES),), which adds up to 1."""
        return _spread(vector[: len(self._class_of)], self._class_of, len(CLASSES))

    def color_probability(self, vector: Array) -> Array:
        """What a pooled vector says of the color: float32 (len(COLORS),), which adds up to 1."""
        return _spread(vector[len(self._class_of) :], self._color_of, len(COLORS))

    def _probabilities(self, images: Array) -> tuple[Array, Array]:
        """Of type and of color: (N, types), (N, colors)."""
        channels = images[..., ::-1] if self._bgr else images
        blob = channels.transpose(0, 3, 1, 2).astype(np.float32)
        step = self._batch or len(blob)
        parts = [self._session(blob[start : start + step]) for start in range(0, len(blob), step)]
        names = [name.partition(":")[0] for name in self._session.output_names]
        if not {"type", "color"} <= set(names):
            raise WeightsError(
                f"expected outputs named type and color, got {', '.join(names)}", path=self._session.path
            )
        kinds, colors = (
            np.concatenate([part[names.index(name)].reshape(len(part[0]), -1) for part in parts])
            for name in ("type", "color")
        )
        return _normalized(kinds), _normalized(colors)


def _normalized(rows: Array) -> Array:
    """Rows that add up to 1."""
    rows = np.clip(rows, 0, None) + 1e-9
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _spread(roots: Array, place_of: Array, size: int) -> Array:
    """Squares of a part of a pooled vector as probabilities, each at its place; places below 0 are left out."""
    probability = np.zeros(size)
    known = place_of >= 0
    np.add.at(probability, place_of[known], np.square(roots[known].astype(np.float64)))
    total = probability.sum()
    return np.asarray(probability / total if total > 0 else probability, np.float32)
