"""What an embedder costs: parameters, dimension, multiply-adds, time per image and memory (SSBVER, Table 5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any, Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

from reid.errors import ConfigError

__all__ = ["Efficiency", "Timing", "count_macs", "count_parameters", "measure"]

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Timing:
    """One batch size at one precision.

    Attributes:
        batch: Images per call.
        precision: ``fp32`` (TF32 off) or ``bf16`` (autocast).
        ms_per_image: Median over the timed calls.
        iqr_ms: Distance of its quartiles, per image.
        images_per_s: By the median, images already on the device.
        memory_mb: Peak of allocated device memory, MB of 10⁶ bytes, weights included; None where it cannot be told.
    """

    batch: int
    precision: Precision
    ms_per_image: float
    iqr_ms: float
    images_per_s: float
    memory_mb: float | None


@dataclass(frozen=True, slots=True)
class Efficiency:
    """What an embedder costs, test branch only.

    Attributes:
        parameters: Trainable or not, of the test branch.
        dim: Numbers per embedding.
        macs: Multiply-adds of one image in convolutions, linear layers and attention.
        size_hw: Height and width of the images, px.
        weights_mb: Parameters and buffers, MB of 10⁶ bytes.
        device: Its name.
        torch: Version.
        cudnn_benchmark: Whether cuDNN chose its algorithms by trial.
        threads: CPU threads of torch.
        timings: One per batch size and precision.
    """

    parameters: int
    dim: int
    macs: int
    size_hw: tuple[int, int]
    weights_mb: float
    device: str
    torch: str
    cudnn_benchmark: bool
    threads: int
    timings: tuple[Timing, ...]

    def as_dict(self) -> dict[str, Any]:
        """For a JSON report."""
        return asdict(self)

    def __str__(self) -> str:
        """A small table."""
        size = f"{self.size_hw[0]}x{self.size_hw[1]}"
        head = (
            f"{self.parameters / 1e6:.2f} M parameters ({self.weights_mb:.0f} MB), {self.dim} dimensions, "
            f"{self.macs / 1e9:.2f} GMAC at {size}; {self.device}, torch {self.torch}"
        )
        rows = [
            f"  batch {t.batch:3d} {t.precision}: {t.ms_per_image:8.2f} ms/image (IQR {t.iqr_ms:.2f}), "
            f"{t.images_per_s:8.1f} images/s" + ("" if t.memory_mb is None else f", {t.memory_mb:.0f} MB")
            for t in self.timings
        ]
        return "\n".join([head, *rows])


def measure(
    model: Any,
    size_hw: tuple[int, int],
    *,
    device: str = "cpu",
    batches: Sequence[int] = (1, 64),
    precisions: Sequence[Precision] = ("fp32", "bf16"),
    warmup: int = 50,
    runs: int = 200,
) -> Efficiency:
    """Measure a network's test branch.

    Args:
        model: From float32 (B, 3, h, w) to (B, D); classifiers and other training-only heads already removed. It is
            moved to ``device`` and put into evaluation mode.
        size_hw: Height and width of the images, px.
        device: Where to run.
        batches: Batch sizes.
        precisions: Which of ``fp32`` and ``bf16``.
        warmup: Calls before timing.
        runs: Timed calls, at least 2.

    Raises:
        ConfigError: There is no such device here.
    """
    try:
        model = model.to(device).to(memory_format=torch.channels_last).eval()
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device}: {error}", remedy="set device to cpu") from error
    image = torch.rand(1, 3, *size_hw, device=device)
    with torch.inference_mode():
        dim = int(model(image).shape[1])
    tensors = [*model.parameters(), *model.buffers()]
    timings = [
        _time(model, image.expand(batch, -1, -1, -1), precision, warmup, runs)
        for precision in precisions
        for batch in batches
    ]
    return Efficiency(
        parameters=count_parameters(model),
        dim=dim,
        macs=count_macs(model, image),
        size_hw=size_hw,
        weights_mb=sum(t.numel() * t.element_size() for t in tensors) / 1e6,
        device=torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        torch=torch.__version__,
        cudnn_benchmark=bool(torch.backends.cudnn.benchmark),
        threads=torch.get_num_threads(),
        timings=tuple(timings),
    )


def count_parameters(model: Any) -> int:
    """Numbers in all parameters."""
    return sum(p.numel() for p in model.parameters())


def count_macs(model: Any, image: torch.Tensor) -> int:
    """Multiply-adds of one call in convolutions, matrix products and attention; nothing else is counted."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(image)
    return int(counter.get_total_flops()) // 2


def _time(model: Any, images: torch.Tensor, precision: Precision, warmup: int, runs: int) -> Timing:
    images = images.contiguous(memory_format=torch.channels_last)
    device = images.device
    on_cuda = device.type == "cuda"
    with torch.inference_mode(), _precision(device, precision):
        for _ in range(warmup):
            model(images)
        if on_cuda:
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        clock = _cuda_ms if on_cuda else _cpu_ms
        spent = sorted(clock(lambda: model(images)) for _ in range(runs))
        memory = torch.cuda.max_memory_allocated(device) / 1e6 if on_cuda else None
    low, median, high = quantiles(spent, n=4)
    batch = len(images)
    return Timing(batch, precision, median / batch, (high - low) / batch, 1e3 * batch / median, memory)


@contextmanager
def _precision(device: torch.device, precision: Precision) -> Iterator[None]:
    """Autocast to bf16, or real fp32: cuDNN would otherwise round to TF32."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def _cuda_ms(call: Callable[[], object]) -> float:
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    stop.record()
    stop.synchronize()
    return float(start.elapsed_time(stop))


def _cpu_ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)
