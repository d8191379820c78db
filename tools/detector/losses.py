"""What the detector is trained to minimize: SimOTA's assignment and YOLOX's three losses.

Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021", section 2.1, and "OTA: Optimal Transport Assignment for
Object Detection", 2021. Two things are added. A vehicle may be of one of several types (a van is a car or a truck to
those who labeled COCO): it counts as the one that the network itself finds most probable. And there are ambiguous
regions, in which objectness is not trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from mtmc.types import CLASSES
from tools.detector.dataset import IGNORED
from tools.detector.network import NAMES, STRIDES

__all__ = ["Places", "Targets", "allowed_types", "assign", "detection_loss", "paired_iou", "places_of", "read_boxes"]

_BOX_WEIGHT = 5.0
_OVERLAP_COST = 3.0
_OUTSIDE_COST = 1e5
#: A place may predict a vehicle whose center is nearer than this, in cells.
_CENTER_RADIUS = 2.5
#: A vehicle gets as many places as its best so many predictions overlap it, summed.
_BEST_PREDICTIONS = 10

_TYPES: dict[str, tuple[str, ...]] = {
    "vehicle": ("car", "bus", "truck"),
    "car": ("car",),
    "van": ("car", "truck"),
    "pickup": ("car", "truck"),
    "truck": ("truck",),
    "bus": ("bus",),
    "motorcycle": ("motorcycle",),
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where the network predicts: float (A, 2) corners of cells, in cells; float (A, 1) strides, in pixels."""

    corner: Tensor
    stride: Tensor

    @property
    def center(self) -> Tensor:
        """Middles of the cells, in pixels: float (A, 2)."""
        return (self.corner + 0.5) * self.stride


@dataclass(frozen=True, slots=True)
class Targets:
    """What is in a picture: boxes float (N, 4) in pixels, the project's classes int64 (N,), −1 for ambiguous."""

    xyxy: Tensor
    class_id: Tensor


@lru_cache(maxsize=16)
def places_of(height: int, width: int) -> Places:
    """Cells row by row, level by level, of an input of that size."""
    corners, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        corners.append(torch.stack([x.flatten(), y.flatten()], dim=1).float())
        strides.append(torch.full((x.numel(), 1), float(stride)))
    return Places(torch.cat(corners), torch.cat(strides))


def read_boxes(raw: Tensor, places: Places) -> Tensor:
    """Raw predictions (…, A, ≥ 4) → x1, y1, x2, y2 in pixels: (…, A, 4)."""
    center = (raw[..., :2] + places.corner) * places.stride
    half = raw[..., 2:4].clamp(max=8.0).exp() * places.stride / 2
    return torch.cat([center - half, center + half], dim=-1)


def allowed_types() -> Tensor:
    """Which of the network's labels a vehicle of each class of the project may have: bool (classes, labels)."""
    rows = [[name in _TYPES.get(known, ()) for name in NAMES] for known in CLASSES]
    return torch.tensor(rows)


def paired_iou(one: Tensor, other: Tensor) -> Tensor:
    """IoU of boxes (…, 4) row by row, with the usual broadcasting: (…)."""
    top_left = torch.maximum(one[..., :2], other[..., :2])
    bottom_right = torch.minimum(one[..., 2:], other[..., 2:])
    common = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    return common / (_area(one) + _area(other) - common).clamp(min=1e-6)


@torch.no_grad()
def assign(boxes: Tensor, logits: Tensor, truth: Tensor, allowed: Tensor, places: Places) -> tuple[Tensor, Tensor]:
    """SimOTA: which places of a picture predict which vehicle.

    Args:
        boxes: float (A, 4), predicted boxes, pixels.
        logits: float (A, 1 + C), of objectness and of the labels.
        truth: float (N, 4), the vehicles' boxes, N ≥ 1.
        allowed: bool (N, C), labels that each may have.
        places: Where the network predicts.

    Returns:
        int64 (K,) places and int64 (K,) rows of ``truth``.
    """
    center = places.center
    inside = (center[None] > truth[:, None, :2]).all(2) & (center[None] < truth[:, None, 2:]).all(2)
    middle = (truth[:, :2] + truth[:, 2:]) / 2
    near = ((center[None] - middle[:, None]).abs() < _CENTER_RADIUS * places.stride[None]).all(2)
    candidate = (inside | near).any(0).nonzero()[:, 0]
    if len(candidate) == 0:
        return candidate, candidate

    overlap = paired_iou(truth[:, None], boxes[None, candidate])
    score = (logits[candidate, :1].sigmoid() * logits[candidate, 1:].sigmoid()).sqrt()
    likely = torch.where(allowed[:, None], score[None], 0.0).max(2).values
    # Of labels that may be, the most probable: all others should be absent.
    absent = torch.where(allowed[:, None], 0.0, -torch.log1p(-score.clamp(max=1 - 1e-6))[None]).sum(2)
    cost = absent - likely.clamp(min=1e-6).log() - _OVERLAP_COST * overlap.clamp(min=1e-6).log()
    cost = cost + _OUTSIDE_COST * torch.logical_not((inside & near)[:, candidate])

    most = min(_BEST_PREDICTIONS, len(candidate))
    counts = overlap.topk(most, dim=1).values.sum(1).int().clamp(min=1)
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    for row, count in enumerate(counts.tolist()):
        chosen[row, cost[row].topk(min(count, len(candidate)), largest=False).indices] = True
    cheapest = torch.where(chosen, cost, torch.inf)
    column = chosen.any(0).nonzero()[:, 0]
    return candidate[column], cheapest[:, column].argmin(0)


def detection_loss(raw: Tensor, targets: Sequence[Targets], size_hw: tuple[int, int]) -> dict[str, Tensor]:
    """Losses of a batch, each per assigned place: ``box``, ``object``, ``class``; their sum is minimized.

    With IoU o of the predicted and the true box at an assigned place the losses are 5 (1 − o²) for the box, the
    cross entropy of objectness with 1 (0 at places that are not assigned) and the cross entropy of the type with o.

    Args:
        raw: float (B, A, 5 + C), the network's output.
        targets: What is in each picture.
        size_hw: Height and width of the pictures.
    """
    places = places_of(*size_hw)
    boxes = read_boxes(raw, places)
    table = allowed_types()
    box_terms, class_terms = [raw.new_zeros(0)], [raw.new_zeros(0)]
    objectness = torch.zeros(raw.shape[:2])
    weight = torch.ones(raw.shape[:2])
    for k, target in enumerate(targets):
        known = target.class_id != IGNORED
        weight[k] = _outside(places, target.xyxy[torch.logical_not(known)])
        truth, allowed = target.xyxy[known], table[target.class_id[known]]
        if len(truth) == 0:
            continue
        place, row = assign(boxes[k].detach(), raw[k, :, 4:].detach(), truth, allowed, places)
        overlap = paired_iou(boxes[k, place], truth[row])
        box_terms.append(1 - overlap.square())
        wanted = _wanted_types(raw[k, place, 5:], allowed[row]) * overlap.detach()[:, None]
        class_terms.append(
            functional.binary_cross_entropy_with_logits(raw[k, place, 5:], wanted, reduction="none").sum(1)
        )
        objectness[k, place], weight[k, place] = 1.0, 1.0
    count = objectness.sum().clamp(min=1)
    object_terms = functional.binary_cross_entropy_with_logits(raw[..., 4], objectness, weight, reduction="sum")
    return {
        "box": _BOX_WEIGHT * torch.cat(box_terms).sum() / count,
        "object": object_terms / count,
        "class": torch.cat(class_terms).sum() / count,
    }


def _wanted_types(logits: Tensor, allowed: Tensor) -> Tensor:
    """1 for the most probable of the labels that may be, 0 for the others: (K, C), (K, C) → float (K, C)."""
    best = torch.where(allowed, logits.detach(), -torch.inf).argmax(1)
    return functional.one_hot(best, logits.shape[1]).to(logits.dtype)


def _outside(places: Places, regions: Tensor) -> Tensor:
    """1 for places whose cell's middle lies in none of the regions (R, 4), else 0: float (A,)."""
    if len(regions) == 0:
        return torch.ones(len(places.stride))
    center = places.center
    inside = (center[None] > regions[:, None, :2]).all(2) & (center[None] < regions[:, None, 2:]).all(2)
    return torch.logical_not(inside.any(0)).float()


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
