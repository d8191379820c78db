"""Reading pictures of crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
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
    try:
        data = np.fromfile(path, np.uint8)  # OpenCV opens no file whose name is not UTF-8
    except OSError as error:
        raise DataError(f"cannot read this picture ({error.strerror})", path=path, remedy=_REMEDY) from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise DataError("expected a picture, got something else", path=path, remedy=_REMEDY)
    rgb: NDArray[Any] = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb
