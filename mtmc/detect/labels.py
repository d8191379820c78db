"""From a model's labels to the classes of this project."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np

from mtmc.errors import WeightsError
from mtmc.types import CLASSES, Array, class_index

__all__ = ["class_of_labels"]


def class_of_labels(names: Sequence[str], wanted: Sequence[str], path: str | PathLike[str]) -> Array:
    """For each label of a model the index into :data:`mtmc.types.CLASSES`, −1 where it is not wanted: int64 (C,).

    Raises:
        WeightsError: The model knows none of the wanted classes.
    """
    classes = [class_index(name) for name in names]
    chosen = [index if index >= 0 and CLASSES[index] in wanted else -1 for index in classes]
    if max(chosen, default=-1) < 0:
        some = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise WeightsError(
            f"expected a model of {', '.join(wanted)}, got one of {some}",
            path=path,
            remedy="set detect.classes to what the model knows, or rename its labels in its card",
        )
    return np.array(chosen, np.int64)
