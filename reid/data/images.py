"""Reading pictures of crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

from reid.errors import DataError

__all__ = ["read_image"]

_REMEDY = "check the data set for missing or damaged files"


def read_image(path: Path) -> NDArray[Any]:
    """Decode a picture to uint8 (H, W, 3) RGB.

    Raises:
        DataError: The file is missing or not a picture.
    """
    if not path.is_file():
        raise DataError("no such picture", path=path, remedy=_REMEDY)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError("expected a picture, got something else", path=path, remedy=_REMEDY)
    rgb: NDArray[Any] = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb
