"""Every kind of bad input, and the exact sentence it gives: what was expected, what came, where, and the remedy.

Each case spoils a small scene of two cameras, runs the command line, and compares all of what it says on stderr and in
the list of problems. The exit code is 2; with one broken camera of two, the other one's results are written all the same.
"""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import av
import cv2
import numpy as np
import pytest

from mtmc.cli import main
from mtmc.errors import SceneError
from tests.builders import traffic_frames, write_video

COLORS = ((220, 40, 40), (40, 60, 220))
DETECTION = "1,-1,10,20,30,40,0.9,-1,-1,-1\n"

Spoil = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """How to spoil the scene, what to run, and what must be said.

    ``{}`` stands for the scene's folder; ``{frames}`` and ``{end}`` for what can be decoded of camera c001, which an
    encoder decides: another one cuts the same picture into other bytes.
    """

    says: str
    spoil: Spoil = lambda folder: None
    run: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    survives: bool = False


def write(name: str, text: str | bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def only(*keep: str) -> Spoil:
    def spoil(folder: Path) -> None:
        for path in folder.iterdir():
            if path.name not in keep:
                path.unlink()

    return spoil


def cut(name: str, share: float) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / name
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return spoil


def images(*sizes: tuple[int, int]) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "c003").mkdir()
        for index, (height, width) in enumerate(sizes, start=1):
            cv2.imwrite(str(folder / "c003" / f"{index:04d}.png"), np.zeros((height, width, 3), np.uint8))

    return spoil


def roi(height: int, width: int) -> Spoil:
    def spoil(folder: Path) -> None:
        cv2.imwrite(str(folder / "c001_roi.png"), np.full((height, width), 255, np.uint8))

    return spoil


def longer_avi(folder: Path) -> None:
    """A video of 40 frames as AVI, whose header goes on saying 40 when the file is cut."""
    write_video(folder / "c001.avi", traffic_frames(40, colors=COLORS))
    (folder / "c001.mp4").unlink()


def embedder(value: float) -> Spoil:
    """An ONNX embedder of 16×16 pictures that gives the same number three times."""

    def spoil(folder: Path) -> None:
        import onnx
        from onnx import TensorProto, helper

        shape = ["batch", 3, 16, 16]
        nodes = [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["flat"]),
            helper.make_node("Add", ["flat", "value"], ["output"]),
        ]
        constants = [
            helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
            helper.make_tensor("value", TensorProto.FLOAT, [3], [value] * 3),
        ]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(model, str(folder / "embed.onnx"))
        (folder / "embed.json").write_text('{"name": "tiny", "size_hw": [16, 16], "dim": 3}')

    return spoil


CITYFLOW = "S02/c006/det/det_yolo3.txt"
EMBED = ("-o", "embed.weights={}/embed.onnx")

CASES: dict[str, Case] = {
    "no such folder": Case(
        run=("--videos", "{}/nowhere"),
        says="{}/nowhere: expected a folder of camera videos, but it does not exist; give the folder that holds one video per camera",
    ),
    "a file instead of a folder": Case(
        run=("--videos", "{}/c001_gt.txt"),
        spoil=write("c001_gt.txt", "1,1,10,20,30,40,1\n"),
        says="{}/c001_gt.txt: expected a folder of camera videos, but it is a file; give the folder that holds one video per camera",
    ),
    "an empty folder": Case(
        says="{}: found no camera: no scene.yaml, no CityFlow folders (S02/c006/vdo.avi), no MOT challenge sequences (seqinfo.ini), no videos (avi, m4v, mkv, mov, mp4, ts, webm) and no folders of numbered images; put one video per camera into it",
        spoil=only(),
    ),
    "a video of 0 bytes": Case(
        says="c001: {}/c001.mp4: expected a video, got an empty file (0 bytes); copy or record the video again",
        spoil=write("c001.mp4", b""),
        survives=True,
    ),
    "text named mp4": Case(
        says="c001: {}/c001.mp4: expected a video, got a file that cannot be opened as one (Invalid data found when processing input); copy or record it again: an interrupted copy or recording looks like this",
        spoil=write("c001.mp4", "hello " * 100),
        survives=True,
    ),
    "a truncated mp4": Case(
        says="c001: {}/c001.mp4: expected a video that can be decoded to its end, got {frames} good frames, then none (Invalid data found when processing input); copy or record it again, or repair it with ffmpeg",
        spoil=cut("c001.mp4", 0.6),
        survives=True,
    ),
    "a video that ends early": Case(
        says="c001: {}/c001.avi: expected 4.0 s of video as its header says, got {frames} frames, {end} s; copy the video again, or give the camera's frame count as {frames} if that is all there is",
        spoil=both(longer_avi, cut("c001.avi", 0.5)),
        survives=True,
    ),
    "fewer frames than the scene says": Case(
        says="c001: {}/c001.mp4: expected 500 frames, got 40; copy the video again, or give the camera's frame count as 40 if that is all there is",
        spoil=write("scene.yaml", "cameras: [{id: c001, frame_count: 500}]"),
        survives=True,
    ),
    "another frame size than the scene says": Case(
        says="c001: {}/c001.mp4: expected frames of 1920×1080 pixels, got 160×120 at frame 0; correct the size in the scene, or convert the video to one size",
        spoil=write("scene.yaml", "cameras: [{id: c001, size_wh: [1920, 1080]}]"),
        survives=True,
    ),
    "a missing video": Case(
        says="c009: {}/scene.yaml:3: video: there is no file c009.mp4 beside it; paths are relative to scene.yaml's folder",
        spoil=write("scene.yaml", "cameras:\n  - id: c009\n    video: c009.mp4\n"),
        survives=True,
    ),
    "images of different sizes": Case(
        says="c003: {}/c003: expected frames of 60×40 pixels, got 61×40 at frame 1; correct the size in the scene, or convert the video to one size",
        spoil=images((40, 60), (40, 61)),
        survives=True,
    ),
    "an unreadable image": Case(
        says="c003: {}/c003/0002.png: expected a picture, got bytes that are none; copy it again or take it away",
        spoil=both(images((40, 60), (40, 60)), write("c003/0002.png", b"no png")),
        survives=True,
    ),
    "a region of interest of another size": Case(
        says="c001: {}/c001_roi.png: expected a region of interest of 160×120 px like its video, got 10×10; export it at the video's size",
        spoil=roi(10, 10),
        survives=True,
    ),
    "a region of interest that is no image": Case(
        says="c001: {}/c001_roi.png: expected a region-of-interest image (jpg or png), got something else; replace it, or remove it to use the whole picture",
        spoil=write("c001_roi.png", b"no png"),
        survives=True,
    ),
    "no vehicle at all": Case(
        says="no vehicle in 2 cameras: 80 frames, 156 detections at confidence 0.25 or more, none of which made a track; lower detect.filter.min_confidence or track.n_init, or check detect.classes and the regions of interest",
        run=("-o", "track.n_init=1000"),
        survives=True,
    ),
    "a detection row with missing columns": Case(
        says="{}/S02/c006/det/det_yolo3.txt:2: expected 10 numbers, got 4 fields in '2,-1,10,20'; a line reads frame,id,left,top,width,height,score,-1,-1,-1",
        spoil=both(only(), write(CITYFLOW, DETECTION + "2,-1,10,20\n")),
    ),
    "a detection row with a word": Case(
        says="{}/S02/c006/det/det_yolo3.txt:2: expected a finite number, got 'ten'; a line reads frame,id,left,top,width,height,score,-1,-1,-1",
        spoil=both(only(), write(CITYFLOW, DETECTION + "2,-1,ten,20,30,40,0.9,-1,-1,-1\n")),
    ),
    "detections with a negative width": Case(
        says="{}/S02/c006/det/det_yolo3.txt:1: expected a box with positive width and height, got -30 by 40; delete the line, or give left,top,width,height rather than two corners",
        spoil=both(only(), write(CITYFLOW, "2,-1,10,20,-30,40,0.9,-1,-1,-1\n")),
    ),
    "a detection that is not a number": Case(
        says="{}/S02/c006/det/det_yolo3.txt:2: expected a finite number, got 'nan'; a line reads frame,id,left,top,width,height,score,-1,-1,-1",
        spoil=both(only(), write(CITYFLOW, DETECTION + "2,-1,nan,20,30,40,0.9,-1,-1,-1\n")),
    ),
    "a frame 0 in a file that counts from 1": Case(
        says="{}/S02/c006/det/det_yolo3.txt:1: expected a whole frame number from 1, got 0; frames count from 1 in this format; for a file that counts from 0 set input.frame_offset=1, or in evaluate --gt-offset 1 or --pred-offset 1",
        spoil=both(only(), write(CITYFLOW, "0,-1,10,20,30,40,0.9,-1,-1,-1\n")),
    ),
    "a binary detection file": Case(
        says="{}/S02/c006/det/det_yolo3.txt: expected lines of text, got a binary file; give a text file in UTF-8, not a video, an image, Parquet or UTF-16",
        spoil=both(only(), write(CITYFLOW, b"\x00\xff\x00" * 50)),
    ),
    "half an identity": Case(
        says="{}/S02/c006/mtsc/mtsc_tc.txt:1: expected a whole id, got 1.5; identities are whole numbers, −1 for detections",
        spoil=both(only(), write("S02/c006/mtsc/mtsc_tc.txt", "1,1.5,10,20,30,40,1,-1,-1,-1\n")),
    ),
    "malformed ground truth": Case(
        says="{}/c001_gt.txt:2: expected a finite number, got 'x'; a line reads frame,id,left,top,width,height,score,-1,-1,-1",
        spoil=write("c001_gt.txt", "1,1,10,20,30,40,1\n1,2,x,20,30,40,1\n"),
        survives=True,
    ),
    "a calibration that is not 3×3": Case(
        says="{}/S02/c006/calibration.txt:1: expected an invertible 3×3 homography, rows separated by ';', got 2 rows of 2; mend the first line, or remove the file to go without ground positions",
        spoil=both(only(), write(CITYFLOW, DETECTION), write("S02/c006/calibration.txt", "1 0;0 1\n")),
    ),
    "a singular calibration": Case(
        says="{}/S02/c006/calibration.txt:1: expected an invertible 3×3 homography, rows separated by ';', got a singular matrix; mend the first line, or remove the file to go without ground positions",
        spoil=both(only(), write(CITYFLOW, DETECTION), write("S02/c006/calibration.txt", "1 2 3;2 4 6;0 0 1\n")),
    ),
    "a malformed clock": Case(
        says="{}/cam_timestamp/S02.txt:1: expected 'camera number' such as 'c006 0.061', got 'c006 soon'; mend or remove that line",
        spoil=both(only(), write(CITYFLOW, DETECTION), write("cam_timestamp/S02.txt", "c006 soon\n")),
    ),
    "a clock in nanoseconds": Case(
        says="{}/cam_timestamp/S02.txt:1: expected 'camera number' such as 'c006 0.061', got 'c006 1.7e18'; mend or remove that line",
        spoil=both(only(), write(CITYFLOW, DETECTION), write("cam_timestamp/S02.txt", "c006 1.7e18\n")),
    ),
    "a negative number of frames": Case(
        says="{}/cam_framenum/S02.txt:1: expected 'camera frames' such as 'c006 2110', a whole number from 0, got 'c006 -5'; mend or remove that line",
        spoil=both(only(), write(CITYFLOW, DETECTION), write("cam_framenum/S02.txt", "c006 -5\n")),
    ),
    "a frame offset of twenty digits": Case(
        says="-o input.frame_offset=10000000000000000000: input.frame_offset: input should be less than or equal to 9007199254740992, got 10000000000000000000; change that value",
        run=("-o", "input.frame_offset=10000000000000000000"),
    ),
    "ground truth without rows": Case(
        says="{}/c001_gt.txt: expected ground truth, got no rows; write one line per box, or leave this ground truth out",
        spoil=write("c001_gt.txt", ""),
        survives=True,
    ),
    "a zone without a name": Case(
        says="{}/scene.yaml:4: cameras.0.zones.0.name: expected a name, as a zone without one counts as none, got ''; change that value",
        spoil=write(
            "scene.yaml",
            "cameras:\n  - id: c001\n    zones:\n      - name: ''\n        polygon: [[0, 0], [9, 0], [9, 9]]\n",
        ),
    ),
    "an image size without pixels": Case(
        says="{}/scene.yaml:1: cameras.0.size_wh.0: input should be greater than or equal to 1, got 0; change that value",
        spoil=write("scene.yaml", "cameras: [{id: c001, size_wh: [0, 480]}]"),
    ),
    "a zone with a corner that is not a number": Case(
        says="{}/scene.yaml:5: cameras.0.zones.0.polygon.1.0: input should be a finite number, got nan; change that value",
        spoil=write(
            "scene.yaml",
            "cameras:\n  - id: c001\n    zones:\n      - name: east\n        polygon: [[0, 0], [.nan, 9], [9, 9]]\n",
        ),
    ),
    "a date given as a number": Case(
        says="{}/scene.yaml:1: start_utc: expected a date and time with a time zone, such as 2026-05-12T07:00:00Z, got 1700000000; change that value",
        spoil=write("scene.yaml", "start_utc: 1700000000\n"),
    ),
    "a date without a time zone": Case(
        says="{}/scene.yaml:1: start_utc: expected a date and time with a time zone, such as 2026-05-12T07:00:00Z, got 2026-05-12 07:00:00; change that value",
        spoil=write("scene.yaml", "start_utc: 2026-05-12T07:00:00\n"),
    ),
    "a frame in eleven days": Case(
        says="{}/scene.yaml:3: cameras.0.fps: input should be greater than or equal to 0.01, got 1e-06; change that value",
        spoil=write("scene.yaml", "cameras:\n  - id: c001\n    fps: 1.0e-6\n"),
    ),
    "a start in picoseconds": Case(
        says="{}/scene.yaml:3: cameras.0.start_s: input should be less than or equal to 10000000000, got 1e+21; change that value",
        spoil=write("scene.yaml", "cameras:\n  - id: c001\n    start_s: 1.0e+21\n"),
    ),
    "frames at nearly one time": Case(
        says="{}/scene.yaml:3: time_map: expected at most 100000 frames per second, got 2.0016e+15 after frame 5; give each knot as [frame, seconds]; neighboring frames are a frame interval apart",
        spoil=write(
            "scene.yaml", "cameras:\n  - id: c001\n    time_map: [[0, 0.0], [5, 1.0], [25, 1.00000000000001]]\n"
        ),
    ),
    "a time map in nanoseconds since 1970": Case(
        says="{}/scene.yaml:3: time_map: expected a time map within 1e+10 s of 0, got 1.7e+18 s; give seconds on the scene's clock; start_utc says when its second 0 was",
        spoil=write("scene.yaml", "cameras:\n  - id: c001\n    time_map: [[0, 0.0], [5, 1.7e+18]]\n"),
    ),
    "a key of an earlier scene.yaml": Case(
        says="{}/scene.yaml:1: unknown key placements; it is now called plane_alignments",
        spoil=write("scene.yaml", "placements: [{plane: b, onto: a, turn_deg: 9, shift_m: [1, 2]}]\n"),
    ),
    "a homography of two rows": Case(
        says="{}/scene.yaml:3: ground_from_image: expected an invertible 3×3 matrix, got 2 rows of 3",
        spoil=write("scene.yaml", "cameras:\n  - id: c001\n    ground_from_image: [[1, 0, 0], [0, 1, 0]]\n"),
    ),
    "an unknown key in scene.yaml": Case(
        says="{}/scene.yaml:3: unknown key cameras.0.fsp; did you mean fps?",
        spoil=write("scene.yaml", "cameras:\n  - id: c001\n    fsp: 10\n"),
    ),
    "a link to a camera that is not there": Case(
        says="{}/scene.yaml:2: a link names camera c007, which is not there; the cameras are c001, c002",
        spoil=write("scene.yaml", "links:\n  - {from: [c001, ''], to: [c007, ''], min_s: 1, max_s: 2}\n"),
    ),
    "a link of no length": Case(
        says="{}/scene.yaml:2: links.0.length_m: input should be greater than 0, got 0; change that value",
        spoil=write(
            "scene.yaml", "links:\n  - {from: [c001, ''], to: [c002, ''], min_s: 1, max_s: 2, length_m: 0}\n"
        ),
    ),
    "two cameras of one number": Case(
        says="scene town: expected every camera number once, got 2 twice",
        spoil=write("scene.yaml", "cameras: [{id: c001, number: 2}, {id: c002, number: 2}]"),
    ),
    "an unknown key in a configuration": Case(
        says="{}/run.yaml:2: unknown key detect.bacth; did you mean batch?",
        spoil=write("run.yaml", "detect:\n  bacth: 3\n"),
        run=("--config", "{}/run.yaml"),
    ),
    "an impossible value in a configuration": Case(
        says="{}/run.yaml:2: track.n_init: input should be a valid integer, unable to parse string as an integer, got 'many'; change that value",
        spoil=write("run.yaml", "track:\n  n_init: many\n"),
        run=("--config", "{}/run.yaml"),
    ),
    "a configuration that is not there": Case(
        says="{}/run.yaml: cannot be read: No such file or directory; give a YAML file",
        run=("--config", "{}/run.yaml"),
    ),
    "a configuration that is not YAML": Case(
        says="{}/run.yaml:2: expected YAML: expected the node content, but found '<stream end>'; mend that line",
        spoil=write("run.yaml", "detect: {\n"),
        run=("--config", "{}/run.yaml"),
    ),
    "an unknown key on the command line": Case(
        says="-o detect.wieghts=x.onnx: unknown key detect.wieghts; did you mean weights?",
        run=("-o", "detect.wieghts=x.onnx"),
    ),
    "a setting without a value": Case(
        says="-o detect.weights: expected dotted.key=value; for example -o detect.batch=4",
        run=("-o", "detect.weights"),
    ),
    "an unknown class": Case(
        says="-o detect.classes=[car, boat]: detect.classes: unknown class 'boat'; the classes are vehicle, car, van, pickup, truck, bus, motorcycle, bicycle, person, got ['car', 'boat']; change that value",
        run=("-o", "detect.classes=[car, boat]"),
    ),
    "no workers": Case(
        says="--workers: expected at least 1, got 0; leave it out for one per core", run=("--workers", "0")
    ),
    "missing ONNX weights": Case(
        says="{}/yolo.onnx: there is no such model file; give the path of an .onnx or .xml file",
        run=("-o", "detect.weights={}/yolo.onnx"),
    ),
    "missing weights by an unknown name": Case(
        says="yolo_of_mine.pt: there is no such model file, and ultralytics publishes none of that name; give the path of a file, or a published name such as yolo11n.pt",
        run=("-o", "detect.weights=yolo_of_mine.pt"),
    ),
    "weights that are no model": Case(
        says="{}/yolo.onnx: expected a model that can be opened, got [ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from {}/yolo.onnx failed:Protobuf parsing failed; download or export the file again",
        spoil=write("yolo.onnx", b"not a model"),
        run=("-o", "detect.weights={}/yolo.onnx"),
    ),
    "a detector nobody knows": Case(
        says="detect.weights: expected auto, package, motion, a model of mtmc models list, an .onnx, .xml or .pt file or a torchvision model, got 'magic'; choose a detector of mtmc models list, or give the path of a file",
        run=("-o", "detect.weights=magic"),
    ),
    "a misspelt detector": Case(
        says="detect.weights: expected auto, package, motion, a model of mtmc models list, an .onnx, .xml or .pt file or a torchvision model, got 'yolox_nan'; did you mean yolox_nano?",
        run=("-o", "detect.weights=yolox_nan"),
    ),
    "an embedder as the detector": Case(
        says="detect.weights: expected auto, package, motion, a model of mtmc models list, an .onnx, .xml or .pt file or a torchvision model, got 'street_small'; street_small is an embedder; mtmc models list shows the task of every model",
        run=("-o", "detect.weights=street_small"),
    ),
    "no detector": Case(
        says="-o detect.weights=: detect.weights: expected auto, package, motion, or a model's name or file, got ''; change that value",
        run=("-o", "detect.weights="),
    ),
    "tiles that YAML reads as a number": Case(
        says="-o detect.tiles=0x0: detect.tiles: expected none, auto, or columns and rows such as 3x2, each from 1 to 99, got 0; change that value",
        run=("-o", "detect.tiles=0x0"),
    ),
    "an embedder of no name that is known": Case(
        says="embed.weights: expected auto, package, color_histogram, none, a model of mtmc models list or a model file, got 'nonsense'; choose an embedder of mtmc models list, or give the path of a file",
        run=("-o", "embed.weights=nonsense"),
    ),
    "no embedder": Case(
        says="-o embed.weights=: embed.weights: expected the name or file of an embedder, or a list of them, got ''; change that value",
        run=("-o", "embed.weights="),
    ),
    "an embedder twice": Case(
        says="embed.weights: expected different embedders, got auto twice; name each once; auto and package stand for models of mtmc models list",
        run=("-o", "embed.weights=[auto, auto]"),
    ),
    "an attribute network that auto stands for": Case(
        says="embed.attributes: expected none, a model of mtmc models list or a model file, got 'auto'; choose an attribute network of mtmc models list, or give the path of a file",
        run=("-o", "embed.attributes=auto"),
    ),
    "an embedder without a card": Case(
        says="{}/embed.onnx: these weights have no card that says what the network takes; write one beside it: reid card {}/embed.onnx --size 256x256",
        spoil=both(embedder(1.0), lambda f: (f / "embed.json").unlink()),
        run=EMBED,
    ),
    "a card with a misspelt key": Case(
        says="{}/embed.json: unknown key sise_hw; did you mean size_hw?",
        spoil=both(embedder(1.0), write("embed.json", '{"name": "t", "sise_hw": [16, 16]}')),
        run=EMBED,
    ),
    "embeddings that are NaN": Case(
        says="tiny: the network gives NaN or infinity; check its mean, std and weights",
        spoil=embedder(float("nan")),
        run=EMBED,
    ),
    "embeddings that are zero": Case(
        says="expected embeddings with a direction from tiny, got zero vectors; check the weights and the mean and std of their card",
        spoil=embedder(0.0),
        run=EMBED,
    ),
    "results where a file lies": Case(
        says="{}/out: expected a folder for the results, but it is a file; choose another --out",
        spoil=write("out", "a file"),
        run=("--out", "{}/out"),
    ),
    "ground truth that is not there": Case(
        says="{}/gt.txt: there is no such file; check the path",
        evaluate=("--gt", "{}/gt.txt", "--pred", "{}/c001_gt.txt"),
    ),
    "predictions with a malformed row": Case(
        says="{}/b.txt:2: expected 9 numbers, got 6 fields in '1 1 2 0 0 9'; a line reads camera id frame left top width height xworld yworld (many cameras) or frame,id,left,top,width,height,score,-1,-1,-1 (one camera)",
        spoil=both(write("a.txt", "1 1 1 0 0 9 9 -1 -1\n"), write("b.txt", "1 1 1 0 0 9 9 -1 -1\n1 1 2 0 0 9\n")),
        evaluate=("--gt", "{}/a.txt", "--pred", "{}/b.txt"),
    ),
    "a ground truth offset of twenty digits": Case(
        says="--gt-offset: expected a frame offset of at most 9007199254740992 either way, got 10000000000000000000; give 1 for files whose frames count from 0",
        spoil=write("a.txt", "1 1 1 0 0 9 9 -1 -1\n"),
        evaluate=("--gt", "{}/a.txt", "--pred", "{}/a.txt", "--gt-offset", "10000000000000000000"),
    ),
    "cameras without ground truth": Case(
        says="expected cameras with ground truth, got none; there is some of c001",
        spoil=write("a.txt", "1 1 1 0 0 9 9 -1 -1\n"),
        evaluate=("--gt", "{}/a.txt", "--pred", "{}/a.txt", "--cameras", "7-9"),
    ),
    "a missing region for the official protocol": Case(
        says="{}/rois: expected a region of interest for every camera, got none for c001, c002; add an image such as c001.png or c001/roi.jpg, or score without regions",
        spoil=both(write("a.txt", "1 1 1 0 0 9 9 -1 -1\n2 1 1 0 0 9 9 -1 -1\n"), lambda f: (f / "rois").mkdir()),
        evaluate=("--gt", "{}/a.txt", "--pred", "{}/a.txt", "--roi", "{}/rois"),
    ),
}


@pytest.fixture(scope="session")
def good_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    for index in (1, 2):
        write_video(folder / f"c00{index}.mp4", traffic_frames(40, colors=COLORS))
    return folder


METHODS = ("-o", "detect.weights=motion", "-o", "embed.weights=color_histogram")


def said(case: Case, folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code, and every sentence that starts with ``mtmc:``, with the folder's name taken out."""
    words = [word.replace("{}", str(folder)) for word in case.run or case.evaluate]
    if case.evaluate:
        code = main(["evaluate", *words])
    else:
        where = [] if "--videos" in words else ["--videos", str(folder)]
        place = [] if "--out" in words else ["--out", str(out)]
        settings = ["--no-render", "--workers", "1", "-o", "clean.filter.enabled=false"]
        settings += METHODS  # no model knows the colored boxes of these videos
        code = main(["run", *where, *place, *settings, *words])
    captured = capsys.readouterr()
    text = captured.err if "mtmc: " in captured.err else captured.err + captured.out
    start = text.find("mtmc: ")
    sentence = text[start + len("mtmc: ") :].split("\n\nresults:")[0].strip() if start >= 0 else text
    return code, sentence.replace(str(folder), "{}").replace(str(out), "{out}")


def decodable(video: Path) -> tuple[int, float]:
    """Frames that come out of a video before it breaks off, and the moment the last of them ends, in seconds."""
    times = []
    with av.open(str(video)) as container:
        rate = float(container.streams.video[0].average_rate)
        with contextlib.suppress(av.error.FFmpegError):
            times.extend(frame.time for frame in container.decode(video=0))
    return len(times), times[-1] + 1 / rate


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str, good_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    folder, out = tmp_path / "town", tmp_path / "out"
    shutil.copytree(good_scene, folder)
    case.spoil(folder)
    code, sentence = said(case, folder, out, capsys)
    says = case.says
    if "{frames}" in says:
        frames, end_s = decodable(next(folder.glob("c001.*")))
        says = says.replace("{frames}", str(frames)).replace("{end}", f"{end_s:.1f}")
    assert sentence == says
    assert code == 2
    assert (out / "track1.txt").exists() == case.survives


def test_a_full_disk_loses_nothing(
    good_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["run", "--videos", str(good_scene), "--out", str(tmp_path), "--workers", "1", "--no-render", "--quiet"]
    command += METHODS
    real = np.savez

    def full(stream: IO[bytes], **arrays: object) -> None:
        if Path(stream.name).parent.name == "embed":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(stream, **arrays)

    monkeypatch.setattr(np, "savez", full)
    assert main(command) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"mtmc: \S+embed/c001-\w+\.npz: cannot write this file \(No space left on device\); "
        r"free some space or choose another folder\n",
        said,
    )
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.npz")}
    assert {path.parent.name for path in before} == {"detect", "track", "clean"}
    monkeypatch.setattr(np, "savez", real)
    assert main(command) == 0
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())


def test_strict_stops_at_the_first_broken_camera(
    good_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(good_scene, tmp_path / "town")
    (tmp_path / "town" / "c001.mp4").write_bytes(b"")
    command = [
        "run",
        "--videos",
        str(tmp_path / "town"),
        "--out",
        str(tmp_path / "out"),
        "--workers",
        "1",
        "--strict",
    ]
    assert main(command) == 2
    assert "c001.mp4: expected a video, got an empty file" in capsys.readouterr().err
    assert not (tmp_path / "out" / "track1.txt").exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(SceneError):
        main(["run", "--videos", str(tmp_path / "nowhere"), "--debug"])


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 25
    assert all(case.says for case in CASES.values())
