"""A deep convolutional generative adversarial network for square pictures (SLSR's; Radford et al., 2016).

B pictures of s × s px, s = 8 · 2ⁿ, 128 as published; pixels of generated and real ones are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["NOISE", "SIDE", "Discriminator", "Generator", "generate", "train_gan"]

NOISE = 100
SIDE = 128


class Generator(nn.Module):  # type: ignore[misc]
    """Noise (B, 100) to pictures (B, 3, s, s); ``width`` 64 and ``side`` 128 are the published size."""

    def __init__(self, width: int = 64, side: int = SIDE) -> None:
        super().__init__()
        self.side, widths = side, _widths(width, side)[::-1]
        self.first = nn.Linear(NOISE, 8 * 8 * widths[0], bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for inside, outside in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(inside, outside, 5, 2, 2, output_padding=1, bias=False),
                nn.BatchNorm2d(outside),
                nn.ReLU(inplace=True),
            ]
        self.rest = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 5, 2, 2, output_padding=1), nn.Tanh())
        self.apply(_small_weights)

    def forward(self, noise: Tensor) -> Tensor:
        """Pictures from noise."""
        return self.rest(self.first(noise).view(len(noise), -1, 8, 8))


class Discriminator(nn.Sequential):  # type: ignore[misc]
    """Pictures (B, 3, s, s) to logits (B, 1) of being real."""

    def __init__(self, width: int = 64, side: int = SIDE) -> None:
        widths = _widths(width, side)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 5, 2, 2), nn.LeakyReLU(0.2, inplace=True)]
        for inside, outside in pairwise(widths):
            layers += [
                nn.Conv2d(inside, outside, 5, 2, 2, bias=False),
                nn.BatchNorm2d(outside),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        super().__init__(*layers, nn.Flatten(1), nn.Linear(8 * 8 * widths[-1], 1))
        self.apply(_small_weights)


def train_gan(
    generator: Generator,
    discriminator: Discriminator,
    pictures: Tensor,
    *,
    epochs: int,
    batch: int,
    seed: int,
    device: torch.device,
    progress: Callable[[str], None] = lambda text: None,
    mixed: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Train both in place: per batch one step of the discriminator and two of the generator.

    Args:
        generator: From noise to pictures.
        discriminator: Its opponent.
        pictures: uint8 (N, s, s, 3).
        epochs: Passes over them.
        batch: Pictures per step.
        seed: Of order and noise.
        device: Where to compute.
        progress: Told of the losses after every epoch.
        mixed: Context of the forward passes, for mixed precision.
    """
    rng = torch.Generator().manual_seed(seed)
    generator.to(device).train()
    discriminator.to(device).train()
    steps = [torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999)) for net in (generator, discriminator)]
    for epoch in range(epochs):
        loss_d = loss_g = torch.zeros(())
        order = torch.randperm(len(pictures), generator=rng)
        for index in order.split(batch):
            if len(index) < 2:  # batch normalization needs company
                continue
            real = (pictures[index].to(device).permute(0, 3, 1, 2).float() / 127.5) - 1
            with mixed():
                fake = generator(_noise(len(real), rng, device))
                loss_d = _judge(discriminator(real), 1) + _judge(discriminator(fake.detach()), 0)
            _descend(steps[1], loss_d)
            for _ in range(2):
                with mixed():
                    loss_g = _judge(discriminator(generator(_noise(len(real), rng, device))), 1)
                _descend(steps[0], loss_g)
        progress(f"epoch {epoch + 1}: discriminator {loss_d.item():.3f}, generator {loss_g.item():.3f}")


def generate(generator: Generator, count: int, *, seed: int, device: torch.device, batch: int = 256) -> Tensor:
    """``count`` new pictures, uint8 (count, s, s, 3)."""
    rng = torch.Generator().manual_seed(seed)
    generator.to(device).eval()
    made = [torch.zeros(0, generator.side, generator.side, 3, dtype=torch.uint8)]
    with torch.no_grad():
        for start in range(0, count, batch):
            fake = generator(_noise(min(batch, count - start), rng, device))
            made.append(((fake + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu())
    return torch.cat(made)


def _widths(width: int, side: int) -> list[int]:
    """Channels of the maps from the picture down to 8 × 8."""
    return [width << n for n in range((side // 8).bit_length() - 1)]


def _noise(count: int, rng: torch.Generator, device: torch.device) -> Tensor:
    return (torch.rand(count, NOISE, generator=rng) * 2 - 1).to(device)


def _judge(logits: Tensor, truth: int) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, truth).float())


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _small_weights(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(layer.weight, std=0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
