"""Self-distillation of SSBVER: the student's view of an image predicts the teacher's view of the same image.

V views per image (0 and 1 are the global ones), B images, E outputs of the self-supervised head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reid.losses.precision import full_precision, wide

__all__ = ["distillation", "distillation_rmse", "moved_center"]


def distillation(
    student: Tensor, teacher: Tensor, center: Tensor, *, student_temperature: float, teacher_temperature: float
) -> Tensor:
    """SSBVER Eq. 4: cross entropy of student against teacher over all pairs of different views.

    Args:
        student: (V, B, E) logits, view-major.
        teacher: (2, B, E) logits of the global views.
        center: (E,) running mean of the teacher's logits.
        student_temperature: τ_s.
        teacher_temperature: τ_t; at the published 0.001 the teacher's distribution is almost one-hot.

    Returns:
        Mean over images and over the 2(V - 1) pairs.
    """
    with full_precision(student.device):
        target = torch.softmax((wide(teacher.detach()) - center) / teacher_temperature, dim=-1)
        total = student.new_zeros((), dtype=target.dtype)
        for v, logits in enumerate(student):  # one view at a time: E may be 65,536
            log_p = torch.log_softmax(wide(logits) / student_temperature, dim=-1)
            for u in range(len(teacher)):
                if u != v:
                    total = total - (target[u] * log_p).sum(-1).mean()
        return total / _pairs(student, teacher)


def distillation_rmse(student: Tensor, teacher: Tensor) -> Tensor:
    """SSBVER Eq. 7, the ablation: Euclidean distance of the logits instead of the cross entropy."""
    with full_precision(student.device):
        total = torch.zeros((), device=student.device)
        for v, logits in enumerate(student):
            for u in range(len(teacher)):
                if u != v:
                    total = total + (wide(teacher[u].detach()) - wide(logits)).norm(dim=-1).mean()
        return total / _pairs(student, teacher)


def moved_center(center: Tensor, teacher_mean: Tensor, momentum: float = 0.9) -> Tensor:
    """The center after a step: ``momentum`` of the old one and the rest of the mean logit (E,) over 2B views."""
    return center * momentum + wide(teacher_mean.detach()) * (1 - momentum)


def _pairs(student: Tensor, teacher: Tensor) -> int:
    return len(teacher) * (len(student) - 1)
