"""The registry of models, as data."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Literal

__all__ = [
    "AUTO",
    "CHOICES",
    "MODELS",
    "PACKAGE_FOLDER",
    "PERMISSIVE",
    "Model",
    "ModelFile",
    "Task",
    "find_model",
    "known_models",
    "names_model",
    "nearest_name",
    "package_file",
    "package_model",
]

Task = Literal["detector", "embedder", "attributes"]

#: The models that come with the package: ``detector.onnx`` and ``embedder.onnx``, each with its JSON card.
PACKAGE_FOLDER = Path(__file__).resolve().parent / "weights"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that can be downloaded.

    Attributes:
        urls: Addresses that serve the same bytes, in the order in which they are tried.
        sha256: Of its bytes.
        size_bytes: Their number.
    """

    urls: tuple[str, ...]
    sha256: str
    size_bytes: int

    @property
    def suffix(self) -> str:
        """``.onnx``, ``.xml`` or ``.bin``."""
        return PurePosixPath(self.urls[0]).suffix


@dataclass(frozen=True, slots=True)
class Model:
    """A model, and what one must know before using it.

    Attributes:
        name: What settings call it.
        task: What it does.
        license: Of the weights, by its SPDX identifier.
        source: Where the weights come from.
        classes: What a detector tells apart.
        measured: What it was measured at: benchmark → figure. Those that this project did not measure say who did.
        files: What can be downloaded, the main file first; empty for a model of the package.
        card: The JSON card that is written beside a downloaded file.
    """

    name: str
    task: Task
    license: str
    source: str
    classes: tuple[str, ...] = ()
    measured: Mapping[str, str] = field(default_factory=dict)
    files: tuple[ModelFile, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_package(self) -> bool:
        """Whether the model comes with the package."""
        return not self.files

    @property
    def size_bytes(self) -> int:
        """Size of all its files."""
        if self.in_package:
            return package_file(self.task).stat().st_size
        return sum(file.size_bytes for file in self.files)


def package_file(task: Task) -> Path:
    """Where the model of the package for a task lies."""
    return PACKAGE_FOLDER / f"{task}.onnx"


@lru_cache
def package_model(task: Task) -> Model:
    """The model of the package for a task, described by the card beside it."""
    card = json.loads(package_file(task).with_suffix(".json").read_text(encoding="utf-8"))
    about = card.get("about", card)  # a detector's card keeps what is for readers apart
    return Model(
        name=about.get("name") or f"package_{task}",
        task=task,
        license=about.get("license", ""),
        source=about.get("source", ""),
        classes=tuple(card.get("names", ())),
        measured={name: str(figure) for name, figure in about.get("scores", {}).items()},
    )


#: Settings that name a choice, or a method without weights.
CHOICES: Mapping[Task, tuple[str, ...]] = {
    "detector": ("auto", "package", "motion"),
    "embedder": ("auto", "package", "color_histogram", "none"),
    "attributes": ("none",),
}

#: No model may be called so.
RESERVED = frozenset(chain(*CHOICES.values()))

#: Licenses under which ``auto`` may take a model.
PERMISSIVE = frozenset({"Apache-2.0", "MIT", "BSD-3-Clause"})

_COCO_VEHICLES = ("bicycle", "bus", "car", "motorcycle", "person", "truck")
_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"
_HUGGING_FACE = "https://huggingface.co"
_INTEL = "https://storage.openvinotoolkit.org/repositories/open_model_zoo"
_CROSSROAD = "person-vehicle-bike-detection-crossroad-0078"
_BARRIER = "vehicle-attributes-recognition-barrier-0039"
_TABLE = "mean of six real clips (docs/models.md)"
_NOT_MEASURED = {_TABLE: "not measured by this project"}
_IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}

#: Models that can be downloaded. Licenses are those of the weights as their publishers state them, and a figure in
#: ``measured`` is the publisher's unless it names a table of this project.
MODELS: tuple[Model, ...] = (
    Model(
        name="yolox_s",
        task="detector",
        license="Apache-2.0",
        source="YOLOX-S, Megvii, release 0.1.1rc0",
        classes=_COCO_VEHICLES,
        measured={"COCO val2017 AP50-95": "0.405", "arithmetic": "26.8 GFLOP per picture"} | _NOT_MEASURED,
        files=(
            ModelFile(
                urls=(
                    f"{_YOLOX}/yolox_s.onnx",
                    f"{_HUGGING_FACE}/opencv/object_detection_yolox/resolve/main/object_detection_yolox_2022nov.onnx",
                ),
                sha256="c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063",
                size_bytes=35_858_002,
            ),
        ),
        card={"kind": "yolox"},
    ),
    Model(
        name="yolox_nano",
        task="detector",
        license="Apache-2.0",
        source="YOLOX-Nano, Megvii, release 0.1.1rc0",
        classes=_COCO_VEHICLES,
        measured={
            "COCO val2017 AP50-95": "0.258",
            "arithmetic": "1.1 GFLOP per picture",
            _TABLE: "recall 0.50, precision 0.93",
        },
        files=(
            ModelFile(
                urls=(f"{_YOLOX}/yolox_nano.onnx",),
                sha256="c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
                size_bytes=3_659_407,
            ),
        ),
        card={"kind": "yolox"},
    ),
    Model(
        name="nanodet_m",
        task="detector",
        license="Apache-2.0",
        source="NanoDet-Plus-m 1.5x, RangiLyu, ONNX by OpenCV Zoo",
        classes=_COCO_VEHICLES,
        measured={_TABLE: "recall 0.55, precision 0.84"},
        files=(
            ModelFile(
                urls=(
                    f"{_HUGGING_FACE}/opencv/object_detection_nanodet/resolve/main/"
                    "object_detection_nanodet_2022nov.onnx",
                ),
                sha256="4b82da9944b88577175ee23a459dce2e26e6e4be573def65b1055dc2d9720186",
                size_bytes=3_800_954,
            ),
        ),
        card={"kind": "nanodet"},
    ),
    Model(
        name="deim_dfine_s",
        task="detector",
        license="Apache-2.0",
        source="DEIM D-FINE-S, Intellindust AI Lab, unofficial ONNX by AnnotateIt",
        classes=_COCO_VEHICLES,
        measured={"COCO val2017 AP50-95": "0.490"} | _NOT_MEASURED,
        files=(
            ModelFile(
                urls=(f"{_HUGGING_FACE}/AnnotateIt/deim-dfine-s-coco-onnx/resolve/main/model.onnx",),
                sha256="9a3f3152d51c9f847207092f82f727d9a898aeffe30d84e9bf63d1a63ab87033",
                size_bytes=41_806_815,
            ),
        ),
        card={"kind": "detr"},
    ),
    Model(
        name="rfdetr_nano",
        task="detector",
        license="Apache-2.0",
        source="RF-DETR Nano, Roboflow, unofficial ONNX by AnnotateIt",
        classes=_COCO_VEHICLES,
        measured={"COCO val2017 AP50-95": "0.484"} | _NOT_MEASURED,
        files=(
            ModelFile(
                urls=(f"{_HUGGING_FACE}/AnnotateIt/rfdetr-nano-coco-onnx/resolve/main/model.onnx",),
                sha256="d5082b3a93eba673cf71763842be73fb852ab79962dfb303bbf0012ab8805059",
                size_bytes=114_731_473,
            ),
        ),
        card={"kind": "detr"} | _IMAGENET,
    ),
    Model(
        name=_CROSSROAD,
        task="detector",
        license="Apache-2.0",
        source="Open Model Zoo, Intel, 2021.2, FP32",
        classes=("bicycle", "person", "vehicle"),
        measured={"Intel's crossroads, AP of vehicles": "0.749", _TABLE: "recall 0.44, precision 0.70"},
        files=(
            ModelFile(
                urls=(f"{_INTEL}/2021.2/models_bin/1/{_CROSSROAD}/FP32/{_CROSSROAD}.xml",),
                sha256="9f0e0e8f59974e1ae80d74cabcb0ed616f598c1d2db5d823d38c6ec5c2b83457",
                size_bytes=357_637,
            ),
            ModelFile(
                urls=(f"{_INTEL}/2021.2/models_bin/1/{_CROSSROAD}/FP32/{_CROSSROAD}.bin",),
                sha256="178e05f0635b0ee35b577a9dd31ea6da2a2a842635793f1ad18907d00f3a966a",
                size_bytes=4_713_980,
            ),
        ),
        card={"kind": "ssd", "names": ["background", "person", "vehicle", "bicycle"]},
    ),
    Model(
        name=_BARRIER,
        task="attributes",
        license="Apache-2.0",
        source="Open Model Zoo, Intel, 2021.4, FP32",
        classes=("bus", "car", "truck", "van"),
        measured={"Intel's barriers, accuracy of type": "0.876", "Intel's barriers, accuracy of color": "0.812"},
        files=(
            ModelFile(
                urls=(f"{_INTEL}/2021.4/models_bin/3/{_BARRIER}/FP32/{_BARRIER}.xml",),
                sha256="3ed1d4cc6fc1becf763a39c95154917a7b81eda2d77f7bcd6ee56b0e7409e6ad",
                size_bytes=39_740,
            ),
            ModelFile(
                urls=(f"{_INTEL}/2021.4/models_bin/3/{_BARRIER}/FP32/{_BARRIER}.bin",),
                sha256="fc556ae02cecb5c19d7bed84f8b4b289144dde11509d2ad12f38eee3cdba43d9",
                size_bytes=2_504_028,
            ),
        ),
        card={
            "types": ["car", "bus", "truck", "van"],
            "colors": ["white", "gray", "yellow", "red", "green", "blue", "black"],
        },
    ),
)

#: Downloadable models that ``auto`` takes, the preferred one first; where none is at hand, the package's.
AUTO: Mapping[Task, tuple[str, ...]] = {"detector": ("yolox_s",), "embedder": (), "attributes": ()}


def find_model(name: str, task: Task) -> Model | None:
    """The model of that name and task; None if the registry has none."""
    return next((model for model in known_models() if (model.name, model.task) == (name, task)), None)


def names_model(name: str) -> bool:
    """Whether a setting names a model or a method rather than a file, even where a file of that name lies."""
    return name in RESERVED or any(model.name == name for model in known_models())


def nearest_name(name: str, names: Iterable[str]) -> str:
    """The name most like a misspelled one, in whatever case it is written; "" if none is like it.

    >>> [nearest_name(name, ["auto", "yolox_s", "yolox_nano"]) for name in ("yolox_nan", "Auto", "x")]
    ['yolox_nano', 'auto', '']
    """
    return next(iter(difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.7)), "")


def known_models() -> tuple[Model, ...]:
    """All models, those of the package first."""
    return package_model("detector"), package_model("embedder"), *MODELS
