"""Weights of any kind as one callable: pictures in, embeddings out. Importing it costs numpy; torch only if used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.card import Card, find_card, read_card
from reid.errors import ConfigError, MissingDependency, WeightsError
from reid.runtime import open_session

__all__ = ["Embedder", "load_embedder", "measure_dim", "open_module"]

#: Normalized images (n, 3, h, w) → embeddings (n, D).
Network = Callable[[NDArray[Any]], NDArray[Any]]


class Embedder:
    """A re-identification network with its preprocessing; call it with pictures.

    Args:
        card: What it takes and gives.
        network: Normalized float32 images (n, 3, h, w) → embeddings (n, D).
        batch: Images per call of the network.
        exact: Whether the network takes batches of exactly that size; the last one is then filled up.

    Raises:
        WeightsError: The network does not take or give what the card says.
    """

    def __init__(self, card: Card, network: Network, *, batch: int = 32, exact: bool = False) -> None:
        self.card, self.batch = card, batch
        self._network, self._exact = network, exact
        self._scale = (1 / (255 * np.array(card.std))).astype(np.float32)[:, None, None]
        self._shift = (np.array(card.mean) / np.array(card.std)).astype(np.float32)[:, None, None]
        self(np.zeros((1, *card.size_hw, 3), np.uint8))

    @property
    def name(self) -> str:
        """What the card calls it."""
        return self.card.name

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of its pictures, pixels."""
        return self.card.size_hw

    @property
    def interpolation(self) -> str:
        """How pictures are resized to that: ``linear`` or ``cubic``."""
        return self.card.interpolation

    @property
    def dim(self) -> int:
        """Numbers per embedding, D."""
        return self.card.dim

    @property
    def match_similarity(self) -> float | None:
        """Cosine above which two tracklets are more likely one vehicle than two; None if not measured."""
        return self.card.match_similarity

    @property
    def spread(self) -> float | None:
        """Standard deviation of the cosine of two different vehicles; None if not measured."""
        return self.card.spread

    def with_flip_test(self) -> Embedder:
        """An embedder that gives the mean of a picture's embedding and its mirror image's, at twice the cost."""
        network = self._network

        def both(images: NDArray[Any]) -> NDArray[Any]:
            # Pixels are normalized by channel, so the mirror image can be made behind that.
            mirrored = np.ascontiguousarray(images[..., ::-1])
            return (network(images) + network(mirrored)) / 2

        return Embedder(self.card, both, batch=self.batch, exact=self._exact)

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        """Embed pictures: uint8 (N, h, w, 3) RGB → float32 (N, D), as the network gives them, not normalized.

        Raises:
            ValueError: The pictures have another shape or type.
            WeightsError: The network fails, or gives another shape than its card says.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (*self.size_hw, 3):
            height, width = self.size_hw
            raise ValueError(f"expected uint8 (N, {height}, {width}, 3), got {images.dtype} {images.shape}")
        out = np.empty((len(images), self.dim), np.float32)
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            out[start : start + len(part)] = self._embed(part)
        return out

    def _embed(self, images: NDArray[Any]) -> NDArray[Any]:
        count = len(images)
        if self._exact and count < self.batch:
            images = np.concatenate([images, np.zeros((self.batch - count, *images.shape[1:]), np.uint8)])
        given = self._network(self._normalized(images))
        if given.shape != (len(images), self.dim):
            raise WeightsError(
                f"{self.name}: the card says embeddings of {self.dim} numbers, "
                f"the network gives {given.shape} for {len(images)} images",
                remedy="correct the card's dim and size_hw, or write a new one: reid card WEIGHTS",
            )
        if not np.isfinite(given).all():
            raise WeightsError(
                f"{self.name}: the network gives NaN or infinity", remedy="check its mean, std and weights"
            )
        return given[:count]

    def _normalized(self, images: NDArray[Any]) -> NDArray[Any]:
        if self.card.color == "bgr":
            images = images[..., ::-1]
        out = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        out *= self._scale
        out -= self._shift
        return out


def load_embedder(
    weights: str | Path,
    *,
    runtime: str = "auto",
    device: str = "cpu",
    precision: str = "fp32",
    threads: int = 1,
    card: Path | None = None,
) -> Embedder:
    """Load an embedder.

    Args:
        weights: An ``.onnx`` or OpenVINO ``.xml`` file; a ``.torchscript`` file; the folder of a training or of its
            checkpoint; a ``.safetensors`` file, or a folder that holds one, whose card names a backbone;
            ``timm:NAME`` for pretrained weights, with
            ``:FILE.safetensors`` behind it for those of a local file.
        runtime: What runs an ONNX file: see :func:`reid.runtime.open_session`. The other kinds run in torch.
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        precision: ``fp32`` or ``bf16``.
        threads: How many threads compute. In torch that holds for the whole process.
        card: The JSON card, if it is not beside the file, inside it, or one that comes with this package.

    Raises:
        WeightsError: Weights or card are missing, unreadable, or do not fit each other.
        ConfigError: The device, precision or runtime does not exist here.
        MissingDependency: A package that these weights need is not installed.
    """
    if _is_exported(weights):
        return _from_session(Path(weights), card, runtime, device, precision, threads)
    if runtime != "auto":
        raise ConfigError(f"{weights} runs in torch, not in {runtime}", remedy="set runtime to auto")
    module, found = open_module(weights, card)
    from reid.torch_loader import runner

    return Embedder(found, runner(module, device=device, precision=precision, threads=threads))


def measure_dim(weights: Path, card: Card) -> int:
    """How many numbers the network gives for a picture of ``card.size_hw``, whatever the card's ``dim`` says.

    Raises:
        WeightsError: The weights cannot be opened, or do not take such a picture.
    """
    picture = np.zeros((1, 3, *card.size_hw), np.float32)
    if _is_exported(weights):
        session = open_session(weights)
        return int(session(np.repeat(picture, session.inputs[0].shape[0] or 1, axis=0))[0].shape[-1])
    _require(weights)
    from reid.torch_loader import open_file, runner

    return int(runner(open_file(weights, card))(picture).shape[-1])


def _is_exported(weights: str | Path) -> bool:
    return str(weights).endswith((".onnx", ".xml"))


def open_module(weights: str | Path, card: Path | None) -> tuple[Any, Card]:
    """A torch module in evaluation mode, and its card.

    Raises:
        WeightsError: Weights or card are missing, unreadable, or do not fit each other.
        ConfigError: There is no such network.
        MissingDependency: A package that these weights need is not installed.
    """
    if str(weights).startswith("timm:"):
        _require_torch(weights)
        from reid.torch_loader import open_named

        module, found = open_named(str(weights))
        return module, read_card(card) if card else found
    path = Path(weights)
    _require(path)
    from reid.torch_loader import open_file
    from reid.training.checkpoint_files import find

    path = find(path) or path  # the folder of a training holds that of its checkpoint
    found = _need_card(path, find_card(path, card))
    return open_file(path, found), found


def _require(path: Path) -> None:
    if not path.exists():
        raise WeightsError(
            "there is no such weights file", path=path, remedy="give a file, a folder or a name such as timm:resnet50"
        )
    _require_torch(path)


def _require_torch(weights: str | Path) -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependency.of("torch", "torch", str(weights)) from error


def _need_card(path: Path, card: Card | None) -> Card:
    if card is None:
        raise WeightsError(
            "these weights have no card that says what the network takes",
            path=path,
            remedy=f"write one beside it: reid card {path} --size 256x256",
        )
    return card


def _from_session(path: Path, card: Path | None, runtime: str, device: str, precision: str, threads: int) -> Embedder:
    session = open_session(path, runtime=runtime, device=device, precision=precision, threads=threads)
    found = _need_card(path, find_card(path, card, session.metadata))
    port = session.inputs[0]
    wanted = (3, *found.size_hw)
    fits = len(port.shape) == 4 and all(
        have in (None, want) for have, want in zip(port.shape[1:], wanted, strict=True)
    )
    if not fits or not np.issubdtype(port.dtype, np.floating):
        raise WeightsError(
            f"the card says images of {found.size_hw[0]}x{found.size_hw[1]} pixels (height x width), "
            f"the network takes {port.dtype} {port.shape}",
            path=path,
            remedy="correct the card's size_hw",
        )
    fixed = port.shape[0]
    return Embedder(found, lambda images: session(images)[0], batch=fixed or 32, exact=fixed is not None)
