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
        options.action(options)
    except MtmcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.detector", description=__doc__)
    commands = parser.add_subparsers(required=True)
    label = commands.add_parser("label", help="label real clips by agreement of several detectors")
    label.add_argument("clips", type=Path, help="folder of the clips")
    label.add_argument("--out", type=Path, required=True, help="folder for pictures and labels")
    label.add_argument(
        "--weights", type=Path, action="append", required=True, help="a detector that is asked; two or more"
    )
    label.set_defaults(action=_label)
    train = commands.add_parser("train", help="fine-tune YOLOX-Nano")
    train.add_argument("start", type=Path, help="yolox_nano.onnx as published, or a checkpoint")
    train.add_argument("--data", type=_part, action="append", required=True, help="FOLDER:SHARE[:PREFIX]; repeated")
    train.add_argument("--out", type=Path, required=True, help="folder for checkpoints and losses.csv")
    train.add_argument("--minutes", type=float, default=60.0, help="wall time")
    train.add_argument("--steps", type=int, help="most steps; default: the time alone counts")
    train.add_argument("--seed", type=int, default=1, help="of order and augmentation")
    train.add_argument("--peak", type=float, default=0.001, help="largest learning rate")
    train.add_argument("--batch", type=int, default=8, help="tiles per step")
    train.add_argument("--threads", type=int, default=1, help="of torch")
    train.set_defaults(action=_train)
    export = commands.add_parser("export", help="write the ONNX file and its card")
    export.add_argument("checkpoint", type=Path, help="last.pt of a training")
    export.add_argument("--out", type=Path, required=True, help="the .onnx file")
    export.add_argument("--about", type=Path, help="JSON with what the card tells readers")
    export.add_argument("--start", type=Path, help="the weights that the training began with, to mix with")
    export.add_argument("--share", type=float, default=1.0, help="of the way from these to the checkpoint")
    export.add_argument("--shift", type=float, default=0.0, help="added to the logits of objectness")
    export.set_defaults(action=_export)
    evaluate = commands.add_parser("evaluate", help="average precision on rendered scenes or frames")
    evaluate.add_argument(
        "folders", nargs="+", type=Path, help="scenes (with recipe.yaml) or frames (with images/val)"
    )
    evaluate.add_argument("--weights", type=Path, required=True, help="the model")
    evaluate.add_argument("--every", type=int, default=20, help="step between the frames of a scene")
    evaluate.add_argument("--confidence", type=float, help="for recall and precision; default: a run's")
    evaluate.add_argument("--choose", action="store_true", help="also print the confidence with the best F1")
    evaluate.set_defaults(action=_evaluate)
    clips = commands.add_parser("clips", help="average precision, recall and precision on real clips")
    clips.add_argument("folder", type=Path, help="folder of the clips")
    clips.add_argument("--weights", type=Path, action="append", required=True, help="a model; may be repeated")
    clips.add_argument("--confidence", type=float, default=0.25, help="least score, for recall and precision")
    clips.add_argument("--size", type=int, help="longer side of the pictures; default: as each model is made for")
    clips.set_defaults(action=_clips)
    curves = commands.add_parser("curves", help="picture of a training's losses")
    curves.add_argument("run", type=Path, help="folder of the training")
    curves.add_argument("--out", type=Path, required=True, help="the .png file")
    curves.add_argument(
        "--ap50", type=_point, action="append", default=[], help="MINUTE:AP50 measured; may be repeated"
    )
    curves.set_defaults(action=_curves)
    return parser


def _point(text: str) -> tuple[float, float]:
    minute, value = text.split(":")
    return float(minute), float(value)


def _part(text: str) -> tuple[Path, float, str]:
    folder, share, *prefix = text.split(":")
    return Path(folder), float(share), prefix[0] if prefix else ""


def _label(options: argparse.Namespace) -> None:
    from tools.detector.agreement import label_clip, load_voters, real_sources

    voters = load_voters(options.weights)
    for source in real_sources(options.clips):
        pictures, vehicles, regions = label_clip(source, voters, options.out)
        print(f"{source.name}: {pictures} pictures, {vehicles} vehicles, {regions} ambiguous regions")


def _train(options: argparse.Namespace) -> None:
    from tools.detector.train import Part, TrainingPlan, train

    names = ("minutes", "steps", "seed", "peak", "batch", "threads")
    plan = TrainingPlan(**{name: getattr(options, name) for name in names})
    print(train(options.start, [Part(*part) for part in options.data], options.out, plan))


def _export(options: argparse.Namespace) -> None:
    from tools.detector.export import export

    about = json.loads(options.about.read_text(encoding="utf-8")) if options.about else {}
    print(export(options.checkpoint, options.out, about, options.start, options.share, options.shift))


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

    print(table(measure_clips(options.folder, options.weights, options.confidence, options.size)))


def _curves(options: argparse.Namespace) -> None:
    from tools.detector.curves import draw_curves

    print(draw_curves(options.run, options.out, dict(options.ap50)))


if __name__ == "__main__":
    sys.exit(main())
