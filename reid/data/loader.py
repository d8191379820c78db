"""From records to batches: read, make views, collate. Workers hold no random state of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, default_collate

from reid.data.images import read_image
from reid.data.records import Record, cameras, class_labels, views
from reid.data.sampler import Sample
from reid.data.views import IMAGENET_MEAN, IMAGENET_STD, AugmentationRecipe, multi_crop
from reid.errors import DataError

__all__ = ["Batch", "CropDataset", "collate", "make_loader"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B crops, each seen V times.

    Attributes:
        views: V tensors, float32 (B, 3, h, w); their sizes may differ.
        flipped: bool (V, B), which of them are mirror images.
        index: int64 (B,), into the data set's records.
        label: int64 (B,), class 0 … C−1.
        camera: int64 (B,), camera number.
        view: int64 (B,), viewpoint label of the crop as stored, −1 where unknown.
    """

    views: list[torch.Tensor]
    flipped: torch.Tensor
    index: torch.Tensor
    label: torch.Tensor
    camera: torch.Tensor
    view: torch.Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``, copied asynchronously where the memory is pinned."""
        return Batch(
            [v.to(device, non_blocking=True) for v in self.views],
            *(
                getattr(self, n).to(device, non_blocking=True)
                for n in ("flipped", "index", "label", "camera", "view")
            ),
        )

    def channels_last(self) -> Batch:
        """The same batch with the channels of its views last in memory."""
        return replace(self, views=[v.contiguous(memory_format=torch.channels_last) for v in self.views])

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory; the data loader calls it."""
        return Batch(
            [v.pin_memory() for v in self.views],
            *(getattr(self, n).pin_memory() for n in ("flipped", "index", "label", "camera", "view")),
        )


Item = tuple[list[torch.Tensor], list[bool], int, int, int, int]


class CropDataset(Dataset[Item]):  # type: ignore[misc]
    """The records of a training set as views, addressed by :class:`reid.data.sampler.Sample`.

    Args:
        records: What to read.
        recipes: One per view.
        labels: int (N,), class of each record; by default its identity, renumbered.
        mean: Per channel, of values in 0…1.
        std: Per channel, of values in 0…1.
        read: From path to uint8 (H, W, 3) RGB.
    """

    def __init__(
        self,
        records: Sequence[Record],
        recipes: Sequence[AugmentationRecipe],
        *,
        labels: NDArray[Any] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        read: Callable[[Path], NDArray[Any]] | None = None,
    ) -> None:
        # Columns, not records: worker processes share arrays without copying them.
        self._paths = np.array([str(r.path) for r in records])
        self._labels = class_labels(records) if labels is None else labels
        self._cameras, self._views = cameras(records), views(records)
        self._recipes, self._mean, self._std = list(recipes), mean, std
        self._read = read or read_image

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, draw: Sample) -> Item:
        index, seed = draw
        image = self._read(Path(self._paths[index]))
        made, flipped = multi_crop(image, self._recipes, np.random.default_rng(seed), mean=self._mean, std=self._std)
        return made, flipped, index, int(self._labels[index]), int(self._cameras[index]), int(self._views[index])

    def __getitems__(self, draws: Sequence[Sample]) -> list[Item] | DataError:
        """The crops of a batch, or the error of one that cannot be read: see :class:`_Loader`."""
        try:
            return [self[draw] for draw in draws]
        except DataError as error:
            return error


def collate(items: Sequence[Item] | DataError) -> Batch | DataError:
    """Stack crops view by view; a worker does so in memory that the training process shares."""
    if isinstance(items, DataError):
        return items
    made, flipped, index, label, camera, view = zip(*items, strict=True)
    return Batch(
        [default_collate(list(same)) for same in zip(*made, strict=True)],
        torch.tensor(flipped).T.contiguous(),
        *(torch.tensor(column, dtype=torch.int64) for column in (index, label, camera, view)),
    )


class _Loader(DataLoader[Item]):  # type: ignore[misc]
    """Raises the error of an unreadable picture itself; torch would raise the traceback of a worker."""

    def __iter__(self) -> Iterator[Batch]:
        for batch in super().__iter__():
            if isinstance(batch, DataError):
                raise batch
            yield batch


def make_loader(
    crops: Dataset[Item], batches: Iterable[list[Sample]], *, workers: int = 0, pin_memory: bool = False
) -> DataLoader[Item]:
    """A data loader whose batches are those of a sampler of :mod:`reid.data.sampler`.

    Workers stay alive between epochs and keep OpenCV to one thread each. Iterating raises a ``DataError`` that names
    a picture which cannot be read.
    """
    return _Loader(
        crops,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=_one_thread,
    )


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(0)
