"""OSNet: omni-scale residual blocks, a small network made for re-identification (Zhou et al., ICCV 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reid.networks.base import Backbone

__all__ = ["osnet"]


def _unit(inside: int, outside: int, size: int = 1, stride: int = 1, *, active: bool = True) -> nn.Sequential:
    """Convolution, normalization and activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(inside, outside, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outside),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if active else []))


def _light(channels: int) -> nn.Sequential:
    """A 3 × 3 convolution in two cheap steps: mix the channels, then convolve within each."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class _Gate(nn.Module):  # type: ignore[misc]
    """Weighs the channels of a stream by what the stream holds; one gate serves all streams of a block."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weigh(x)


class _OmniScale(nn.Module):  # type: ignore[misc]
    """Streams of one to four light convolutions (3, 5, 7 and 9 px of context), gated and summed, plus a shortcut."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        middle = max(1, outside // 4)
        self.reduce = _unit(inside, middle)
        self.streams = nn.ModuleList(nn.Sequential(*(_light(middle) for _ in range(t))) for t in (1, 2, 3, 4))
        self.gate = _Gate(middle)
        self.expand = _unit(middle, outside, active=False)
        self.shortcut = _unit(inside, outside, active=False) if inside != outside else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        mixed = torch.stack([self.gate(stream(reduced)) for stream in self.streams]).sum(0)
        return torch.relu(self.expand(mixed) + self.shortcut(x))


def osnet(name: str, *, width: float, dim: int = 512, last_stride: int = 1, stem_relu: bool = True) -> Backbone:
    """OSNet of a relative ``width``; it ends at a sixteenth of the image, so ``last_stride`` changes nothing."""
    first, second, third, fourth = (int(c * width) for c in (64, 256, 384, 512))
    lower = nn.Sequential(
        _unit(3, first, 7, 2, active=stem_relu),
        nn.MaxPool2d(3, 2, 1),
        _OmniScale(first, second),
        _OmniScale(second, second),
        _unit(second, second),
        nn.AvgPool2d(2),
    )
    upper = nn.Sequential(
        _OmniScale(second, third),
        _OmniScale(third, third),
        _unit(third, third),
        nn.AvgPool2d(2),
        _OmniScale(third, fourth),
        _OmniScale(fourth, fourth),
        _unit(fourth, fourth),
    )
    pool = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(fourth, dim), nn.BatchNorm1d(dim), nn.ReLU(inplace=True)
    )
    body = nn.Sequential(lower, upper)
    return Backbone(
        name, body, pool, dim, halves=lambda whole: (whole.body[0], nn.Sequential(whole.body[1], whole.pool), second)
    )
