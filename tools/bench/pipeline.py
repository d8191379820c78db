"""The whole pipeline against the bare models: ``python -m tools.bench.pipeline --videos DIR --detect W --embed W``.

For one camera, in one process of one thread: CPU seconds of the run from pixels to ``track1.txt`` (no pictures, empty
cache, models loaded), and of nothing but decoding its frames, the detector's forward passes on exactly the inputs the
run gave it, and the embedder's on exactly its crops. The ratio is what everything else costs.
"""

from __future__ import annotations

from mtmc.threads import own_threads

own_threads(1)

import argparse  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from contextlib import AbstractContextManager, contextmanager, nullcontext  # noqa: E402
from dataclasses import replace  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import av  # noqa: E402
import numpy as np  # noqa: E402

from mtmc.config import RunConfig, load_config  # noqa: E402
from mtmc.pipeline import models  # noqa: E402
from mtmc.pipeline.run import run  # noqa: E402
from mtmc.runners import local  # noqa: E402
from mtmc.scene import Scene, load_scenes  # noqa: E402

NO_PICTURES = ["render.videos=false", "render.mosaic=false", "render.report=false"]


def main() -> None:
    """Print one row per combination of engines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True, help="a scene; its first camera is used")
    parser.add_argument("--detect", required=True, help="detector weights (.onnx)")
    parser.add_argument("--embed", required=True, help="embedder weights (.onnx)")
    parser.add_argument("--torch", default="timm:resnet18?pretrained=false", help="an embedder that runs in torch")
    parser.add_argument("--torch-detect", help="a detector that runs in torch (.pt, needs ultralytics)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("-o", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    [scene, *_] = load_scenes(arguments.videos)
    scene = replace(scene, cameras=scene.cameras[:1])
    base = [
        f"detect.weights={arguments.detect}",
        f"embed.weights={arguments.embed}",
        *NO_PICTURES,
        *arguments.overrides,
    ]
    rows = [
        ("onnxruntime, best crops", []),
        ("onnxruntime, every box", ["embed.per_detection=true"]),
        ("openvino fp32, best crops", ["detect.runtime=openvino", "embed.runtime=openvino"]),
        (
            "openvino bf16, best crops",
            [f"{stage}.{key}" for stage in ("detect", "embed") for key in ("runtime=openvino", "precision=bf16")],
        ),
        ("onnxruntime + torch embedder", [f"embed.weights={arguments.torch}"]),
    ]
    if arguments.torch_detect:
        rows.append(("torch detector and embedder", [f"detect.weights={arguments.torch_detect}", *rows[-1][1]]))
    print(f"{scene.name} {scene.cameras[0].id}: CPU seconds of one thread, median of {arguments.repeat}")
    print(
        f"{'engines':<30}{'frames':>8}{'crops':>8}{'decode':>9}{'detect':>9}{'embed':>9}{'bare':>9}{'run':>9}{'ratio':>8}"
    )
    for name, overrides in rows:
        try:
            row = measure(scene, load_config(overrides=[*base, *overrides]), arguments.repeat)
        except Exception as error:  # a row that this machine cannot run says why
            print(f"{name:<30}  not here: {error}")
            continue
        print(f"{name:<30}" + row)


def measure(scene: Scene, config: RunConfig, repeat: int) -> str:
    """One row of the table."""
    detector, embedder = models._detector(config.detect, 1), models.make_embedder(config.embed, 1)
    torch_model = getattr(getattr(detector, "_model", None), "predictor", None)
    owner, name = (torch_model, "model") if torch_model is not None else (detector, "_session")
    with recorded(owner, name) as blobs, recorded(embedder, "_network") as crops:
        whole(scene, config)
    video = scene.cameras[0].video
    bare = {
        "decode": median(partial(decode, video), repeat),
        "detect": median(partial(replay, getattr(owner, name), blobs), repeat),
        "embed": median(partial(replay, embedder._network, crops), repeat),
    }
    total = median(partial(whole, scene, config), repeat)
    floor = sum(bare.values())
    cells = [bare["decode"], bare["detect"], bare["embed"], floor, total]
    counts = "".join(f"{sum(len(arguments[0]) for arguments, _ in calls):>8}" for calls in (blobs, crops))
    return counts + "".join(f"{seconds:>9.2f}" for seconds in cells) + f"{total / floor:>8.3f}"


def whole(scene: Scene, config: RunConfig) -> None:
    """Pixels to ``track1.txt`` with an empty cache."""
    with tempfile.TemporaryDirectory() as out:
        run(scene, config, Path(out), map_cameras=partial(local.map_cameras, workers=1, threads=1))


def decode(video: Path) -> None:
    """Every frame as RGB, and nothing else."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for frame in container.decode(stream):
            frame.to_ndarray(format="rgb24")


Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]


def replay(network: Callable[..., Any], calls: Calls) -> None:
    """The network's forward passes on recorded inputs."""
    with no_gradients():
        for arguments, options in calls:
            network(*arguments, **options)


def no_gradients() -> AbstractContextManager[Any]:
    """As the engines themselves run torch."""
    torch = sys.modules.get("torch")
    return nullcontext() if torch is None else torch.inference_mode()


@contextmanager
def recorded(owner: Any, name: str) -> Iterator[Calls]:
    """Copies of everything that ``owner.name`` is called with."""
    inner, calls = getattr(owner, name), []

    class Recorder:
        def __getattr__(self, attribute: str) -> Any:
            return getattr(inner, attribute)

        def __call__(self, batch: Any, *arguments: Any, **options: Any) -> Any:
            copy = batch.clone() if hasattr(batch, "clone") else np.array(batch)
            calls.append(((copy, *arguments), options))
            return inner(batch, *arguments, **options)

    setattr(owner, name, Recorder())
    try:
        yield calls
    finally:
        setattr(owner, name, inner)


def median(work: Callable[[], None], repeat: int) -> float:
    """Median CPU seconds of this process, all its threads."""
    seconds = []
    for _ in range(repeat):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
