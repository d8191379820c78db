"""The command line of the detector's training."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mtmc.errors import MtmcError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except MtmcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.detector", description=__doc__)
    commands = parser.add_subparsers(required=True)
    tiles = commands.add_parser("tiles", help="cut rendered frames into training tiles")
    tiles.add_argument("frames", type=Path, help="folder that `python -m tools.synthcity frames` wrote")
    tiles.add_argument("--out", type=Path, required=True, help="folder for the tiles")
    tiles.add_argument("--seed", type=int, default=0, help="of where the tiles lie")
    tiles.set_defaults(run=_tiles)
    train = commands.add_parser("train", help="train from random weights")
    train.add_argument("data", type=Path, help="data.yaml of the tiles")
    train.add_argument("--out", type=Path, required=True, help="folder for weights and curves")
    train.add_argument("--hours", type=float, default=1.0, help="wall time")
    train.add_argument("--seed", type=int, default=1, help="of weights, order and augmentation")
    train.add_argument("--start", type=Path, help="weights of an earlier run to go on from")
    train.add_argument("--peak", type=float, default=0.001, help="largest learning rate")
    train.add_argument("--batch", type=int, default=8, help="tiles per step")
    train.add_argument("--threads", type=int, default=1, help="of torch, on a processor")
    train.add_argument("--device", default="cpu", help="cpu or a graphics card's number")
    train.set_defaults(run=_train)
    restore = commands.add_parser("restore", help="make a checkpoint of an ONNX file, to train on from")
    restore.add_argument("weights", type=Path, help="the .onnx file")
    restore.add_argument("--tiles", type=Path, required=True, help="folder of the training tiles")
    restore.add_argument("--out", type=Path, required=True, help="the .pt file")
    restore.set_defaults(run=_restore)
    export = commands.add_parser("export", help="write the ONNX file and its card")
    export.add_argument("checkpoint", type=Path, help="weights/last.pt of a training")
    export.add_argument("--out", type=Path, required=True, help="the .onnx file")
    export.add_argument("--about", type=Path, help="JSON with what the card tells readers")
    export.set_defaults(run=_export)
    evaluate = commands.add_parser("evaluate", help="average precision on rendered scenes or frames")
    evaluate.add_argument(
        "folders", nargs="+", type=Path, help="scenes (with recipe.yaml) or frames (with images/val)"
    )
    evaluate.add_argument("--weights", type=Path, required=True, help="the model")
    evaluate.add_argument("--every", type=int, default=20, help="step between the frames of a scene")
    evaluate.add_argument("--confidence", type=float, help="for recall and precision; default: a run's")
    evaluate.add_argument("--choose", action="store_true", help="also print the confidence with the best F1")
    evaluate.set_defaults(run=_evaluate)
    clips = commands.add_parser("clips", help="recall on real clips")
    clips.add_argument("folder", type=Path, help="folder of the clips")
    clips.add_argument("--weights", type=Path, action="append", required=True, help="a model; may be repeated")
    clips.add_argument("--reference", type=Path, required=True, help="COCO model, the truth where no boxes are drawn")
    clips.add_argument("--confidence", type=float, default=0.25, help="least score of a detection")
    clips.set_defaults(run=_clips)
    curves = commands.add_parser("curves", help="picture and table of the losses of one or several runs in a row")
    curves.add_argument("runs", nargs="+", type=Path, help="folders of trainings, in order")
    curves.add_argument("--out", type=Path, required=True, help="folder for curves.png and curves.csv")
    curves.add_argument(
        "--ap50", type=_point, action="append", default=[], help="EPOCH:AP50 measured; may be repeated"
    )
    curves.set_defaults(run=_curves)
    return parser


def _point(text: str) -> tuple[float, float]:
    epoch, value = text.split(":")
    return float(epoch), float(value)


def _tiles(options: argparse.Namespace) -> None:
    from tools.detector.tiles import cut_tiles

    print(cut_tiles(options.frames, options.out, options.seed), "tiles")


def _train(options: argparse.Namespace) -> None:
    from tools.detector.train import train

    names = ("hours", "seed", "start", "peak", "batch", "threads", "device")
    print(train(options.data, options.out, **{name: getattr(options, name) for name in names}))


def _restore(options: argparse.Namespace) -> None:
    from tools.detector.restore import restore

    print(restore(options.weights, options.tiles, options.out))


def _export(options: argparse.Namespace) -> None:
    from tools.detector.export import export

    about = json.loads(options.about.read_text(encoding="utf-8")) if options.about else {}
    print(export(options.checkpoint, options.out, about))


def _evaluate(options: argparse.Namespace) -> None:
    from tools.detector.ap import best_confidence
    from tools.detector.evaluate import find_in_frames, find_in_scene, score

    for folder in options.folders:
        scene = (folder / "recipe.yaml").is_file()
        pictures = (
            find_in_scene(options.weights, folder, options.every)
            if scene
            else find_in_frames(options.weights, folder)
        )
        print(f"{folder.name}: {score(pictures, options.confidence)}")
        if options.choose:
            print("best confidence {:.2f}, F1 {:.3f}".format(*best_confidence(pictures)))


def _clips(options: argparse.Namespace) -> None:
    from tools.detector.clips import measure_clips, table

    print(table(measure_clips(options.folder, options.weights, options.reference, options.confidence)))


def _curves(options: argparse.Namespace) -> None:
    from tools.detector.curves import draw_curves

    print(draw_curves(options.runs, options.out, dict(options.ap50)))


if __name__ == "__main__":
    sys.exit(main())
