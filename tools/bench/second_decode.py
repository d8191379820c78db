"""What decoding a video a second time costs, and what a single pass would cost instead.

    mtmc run --videos VIDEOS --out RUN --no-render      # into an empty folder, on this machine
    python -m tools.bench.second_decode RUN

The crops that represent a tracklet are known when tracking and clean-up are finished, so the embed stage decodes the
video again. A single pass has to keep the pixels of every detection, raw or as PNG, or to embed every detection.
Times are CPU seconds of one thread; those of the stages are the run's. Raw, PNG and embedding are measured in every
tenth frame and multiplied by the ratio of detections in all frames to those in these.
"""

from __future__ import annotations

from mtmc.threads import own_threads

own_threads(1)

import argparse  # noqa: E402
import time  # noqa: E402
from itertools import islice  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryFile  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from mtmc.embed import EmbedConfig  # noqa: E402
from mtmc.embed.crop_buffer import embed_crops  # noqa: E402
from mtmc.embed.crops import crop_quality, select_crops  # noqa: E402
from mtmc.embed.embedder import Embedder  # noqa: E402
from mtmc.errors import MtmcError  # noqa: E402
from mtmc.geometry.boxes import clip  # noqa: E402
from mtmc.pipeline.camera import CameraResult  # noqa: E402
from mtmc.pipeline.detection import load_detections  # noqa: E402
from mtmc.pipeline.models import make_embedder, with_model_files  # noqa: E402
from mtmc.pipeline.results import LoadedRun, load_run  # noqa: E402
from mtmc.scene import Camera  # noqa: E402
from mtmc.types import Array  # noqa: E402
from mtmc.video.crop import cut  # noqa: E402
from mtmc.video.source import Recording  # noqa: E402
from tools.markdown import heading, row  # noqa: E402

__all__ = ["COLUMNS", "crop_pixels", "main", "measure", "wanted_frames"]

COLUMNS = (
    "frames",
    "detections",
    "video MB",
    "detect s",
    "embed s",
    "second decode s",
    "raw s",
    "raw MB",
    "PNG s",
    "PNG MB",
    "embed all s",
)
_EVERY = 10  # frames, of which the alternatives are measured in one


def measure(run: LoadedRun, camera: Camera, result: CameraResult) -> dict[str, float]:
    """The figures of one camera, by column.

    Raises:
        MtmcError: The run had no video of the camera, or its cache is gone.
    """
    found = load_detections(run.cache, camera.id, result.stage_keys.get("detect", ""))
    config = with_model_files(run.given, run.config).embed
    embedder = make_embedder(config, 1)
    if found is None or camera.video is None or embedder is None:
        raise MtmcError(
            "expected a run on videos with an embedder and its cache", path=run.out, remedy="run again as described"
        )
    recording = Recording(camera.id, camera.video, camera.clock)
    wanted = wanted_frames(result, camera, config)
    begun = time.process_time()
    for _ in islice(recording.frames(wanted=wanted), len(wanted)):
        pass
    second_decode_s = time.process_time() - begun

    boxes = {index: each.xyxy for index, each in found if index % _EVERY == 0 and len(each)}
    scale = found.detection_count / max(sum(map(len, boxes.values())), 1)
    costs = _single_pass(recording, boxes, embedder, config)
    return {
        "frames": found.frame_count,
        "detections": found.detection_count,
        "video MB": camera.video.stat().st_size / 1e6,
        "detect s": result.seconds["detect"][1],
        "embed s": result.seconds["embed"][1],
        "second decode s": second_decode_s,
        **{column: scale * cost for column, cost in costs.items()},
    }


def wanted_frames(result: CameraResult, camera: Camera, config: EmbedConfig) -> frozenset[int]:
    """The frames that the embed stage takes crops from."""
    tracklets = [passage.tracklet for passage in result.passages]
    quality = crop_quality(tracklets, camera.size_wh)
    rows = [np.concatenate(select_crops(t, q, config)) for t, q in zip(tracklets, quality, strict=True)]
    frames = [t.frame[chosen].tolist() for t, chosen in zip(tracklets, rows, strict=True)]
    return frozenset(frame for each in frames for frame in each)


def crop_pixels(image: Array, xyxy: Array) -> list[Array]:
    """Copies of the pixels inside boxes (N, 4): uint8 (h, w, 3) each; none of a box without a pixel."""
    height, width = image.shape[:2]
    corners = np.rint(clip(xyxy, (width, height))).astype(int).tolist()
    return [image[y1:y2, x1:x2].copy() for x1, y1, x2, y2 in corners if x1 < x2 and y1 < y2]


def _single_pass(
    recording: Recording, boxes: dict[int, Array], embedder: Embedder, config: EmbedConfig
) -> dict[str, float]:
    """CPU seconds and megabytes of the boxes in some frames: their pixels on disk, raw and as PNG, and embedded."""
    seconds = np.zeros(3)
    with TemporaryFile() as raw, TemporaryFile() as png:
        for frame in recording.frames(wanted=boxes):
            xyxy = boxes[frame.index]
            moments = [time.process_time()]
            raw.writelines(crop.tobytes() for crop in crop_pixels(frame.image, xyxy))
            moments.append(time.process_time())
            png.writelines(cv2.imencode(".png", crop)[1].tobytes() for crop in crop_pixels(frame.image, xyxy))
            moments.append(time.process_time())
            embed_crops(
                cut(frame.image, xyxy, embedder.size_hw, config.pad, embedder.interpolation), embedder, config.flip
            )
            moments.append(time.process_time())
            seconds += np.diff(moments)
        sizes_mb = raw.tell() / 1e6, png.tell() / 1e6
    raw_s, png_s, embed_s = seconds.tolist()
    return {"raw s": raw_s, "raw MB": sizes_mb[0], "PNG s": png_s, "PNG MB": sizes_mb[1], "embed all s": embed_s}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+", help="folder of a finished run on videos")
    print(heading(["camera", *COLUMNS]))
    for folder in parser.parse_args().run:
        run = load_run(folder)
        for result in run.results:
            figures = measure(run, run.given.camera(result.camera_id), result)
            cells = [f"{figures[column]:.4g}" for column in COLUMNS]
            print(row([f"{run.given.name} {result.camera_id}", *cells]), flush=True)


if __name__ == "__main__":
    main()
