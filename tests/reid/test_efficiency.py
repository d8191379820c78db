"""Counts against arithmetic by hand."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from reid.analysis.efficiency import count_macs, count_parameters, measure  # noqa: E402
from reid.errors import ConfigError  # noqa: E402


class Tiny(nn.Module):
    """A strided convolution, attention over its places, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.convolution(x).flatten(2).transpose(1, 2)
        tokens = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        return self.linear(tokens.mean(dim=1))


def test_counts_by_hand() -> None:
    model, places = Tiny().eval(), 8 * 4
    assert count_parameters(model) == 3 * 8 * 9 + 8 * 5 + 5
    convolution = places * 8 * 3 * 9
    attention = 2 * places * places * 8
    assert count_macs(model, torch.rand(1, 3, 16, 8)) == convolution + attention + 8 * 5


def test_scripted_modules_count_alike() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()
    image = torch.rand(1, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions of torch want people off this format
        scripted = torch.jit.trace(network, image)
    assert count_macs(scripted, image) == count_macs(network, image) == 36 * 4 * 27 + 144 * 2


def test_report_is_complete() -> None:
    before = torch.backends.cudnn.allow_tf32
    found = measure(Tiny(), (16, 8), batches=(1, 3), warmup=1, runs=4)
    assert [(t.batch, t.precision) for t in found.timings] == [(1, "fp32"), (3, "fp32"), (1, "bf16"), (3, "bf16")]
    assert all(t.ms_per_image > 0 and t.memory_mb is None for t in found.timings)
    assert found.dim == 5
    assert found.weights_mb == pytest.approx(4 * count_parameters(Tiny()) / 1e6)
    assert found.as_dict()["timings"][0]["batch"] == 1
    assert "5 dimensions" in str(found)
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.slow
def test_resnet50_with_the_last_stride_removed() -> None:
    """8.11 GMAC and 23.51 M parameters at 256 × 256."""
    from reid.networks import build

    network = build("resnet50").eval()
    assert count_parameters(network) / 1e6 == pytest.approx(23.51, abs=0.01)
    assert count_macs(network, torch.rand(1, 3, 256, 256)) / 1e9 == pytest.approx(8.11, abs=0.02)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_device_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"device cuda: .*set device to cpu"):
        measure(Tiny(), (16, 8), device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_memory_on_a_gpu() -> None:
    found = measure(Tiny(), (16, 8), device="cuda", batches=(1,), warmup=1, runs=4)
    assert all(t.memory_mb is not None and t.memory_mb > 0 for t in found.timings)
