"""What SSML's mining costs: building the sparse similarities, a batch of anchors, following a batch of changes.

    python -m tools.bench.mining                        # as many features as VeRi-776 has training images
    python -m tools.bench.mining --images 277797        # VeRi-Wild's; an hour of arithmetic on two cores
    python -m tools.bench.mining --images 277797 --dim 64 --repeats 1      # its memory, which no dimension changes

Features are seeded and cluster by identity. Seconds are of the clock and, in brackets, of the processor: they differ
on a busy machine, or with several threads. Memory is what the process grew by beyond the features (Linux only).
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from reid.mining import DictionaryMiner, update_dictionary


def features(images: int, dim: int, generator: torch.Generator) -> Tensor:
    """Unit rows (n, d), 48 images to an identity, cosine about 0.67 within one."""
    centers = torch.randn(max(1, images // 48), dim, generator=generator)
    rows = torch.empty(images, dim)
    for start in range(0, images, 4096):
        part = rows[start : start + 4096]
        member = torch.randint(len(centers), (len(part),), generator=generator)
        part[:] = normalize(centers[member] + 0.7 * torch.randn(part.shape, generator=generator), dim=1)
    return rows


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """How long a call takes, by the clock and of the processor."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def peak_gib() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=37_778)
    parser.add_argument("--dim", type=int, default=2_048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    generator = torch.Generator().manual_seed(0)
    dictionary = features(arguments.images, arguments.dim, generator)
    before = peak_gib()
    start, busy = time.perf_counter(), time.process_time()
    miner = DictionaryMiner(dictionary, 0.6)
    build = time.perf_counter() - start, time.process_time() - busy
    mined, followed = [], []
    for _ in range(arguments.repeats):
        batch = torch.randint(arguments.images, (256,), generator=generator)
        mined.append(seconds(lambda batch=batch: miner.positives(batch)))  # type: ignore[misc]
        update_dictionary(dictionary, batch, dictionary[batch])
        followed.append(seconds(lambda batch=batch: miner.update(batch)))  # type: ignore[misc]
    print(f"{arguments.images} x {arguments.dim}, {miner.entries / arguments.images:.1f} neighbors per image")
    for name, (clock, cpu) in {"build": build, "256 anchors": min(mined), "256 changes": min(followed)}.items():
        print(f"{name:12s} {clock:8.2f} s ({cpu:.2f} s)")
    print(f"memory       {peak_gib() - before:8.2f} GiB beyond the features")


if __name__ == "__main__":
    main()
