"""The command line around the embedder's training, which is `reid train` itself."""

from __future__ import annotations

import argparse
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
    parser = argparse.ArgumentParser(prog="python -m tools.embedder", description=__doc__)
    commands = parser.add_subparsers(required=True)
    export = commands.add_parser("export", help="write the ONNX file and its calibrated card")
    export.add_argument("checkpoint", type=Path, help="folder of a training")
    export.add_argument("--crops", type=Path, required=True, help="the folder that holds crops/")
    export.add_argument("--out", type=Path, required=True, help="the .onnx file")
    export.set_defaults(run=_export)
    evaluate = commands.add_parser("evaluate", help="retrieval on rendered scenes, crops, or real pairs")
    evaluate.add_argument(
        "folders", nargs="+", type=Path, help="scenes, a folder with crops/, or car_0001_cam1.jpg …"
    )
    evaluate.add_argument(
        "--weights",
        action="append",
        required=True,
        help="what embed.weights takes, an ensemble joined by commas, or hsv for real pairs; may be repeated",
    )
    evaluate.set_defaults(run=_evaluate)
    cut = commands.add_parser("cut", help="pictures of vehicles without identities, cut out of videos by a detector")
    cut.add_argument("videos", nargs="+", type=Path, help="video files")
    cut.add_argument("--detector", required=True, help="what detect.weights takes")
    cut.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    cut.add_argument("--every", type=int, default=12, help="frames from one that is searched to the next [12]")
    cut.set_defaults(run=_cut)
    compose = commands.add_parser("compose", help="learn the projections of the shipped embedder and write it")
    compose.add_argument("folders", nargs="+", type=Path, help="pools of pictures without identities")
    compose.add_argument(
        "--earlier", type=Path, required=True, help="ONNX file of the network from the synthetic city"
    )
    compose.add_argument(
        "--crops",
        type=Path,
        required=True,
        help="the folder that holds crops/: its training part for the gate, its test part to calibrate",
    )
    compose.add_argument("--pairs", type=Path, required=True, help="real pairs, to calibrate with")
    compose.add_argument("--out", type=Path, required=True, help="the .onnx file")
    compose.set_defaults(run=_compose)
    curves = commands.add_parser("curves", help="picture and table of the losses of one or several stages")
    curves.add_argument("runs", nargs="+", type=Path, help="folders of trainings, in order")
    curves.add_argument("--out", type=Path, required=True, help="folder for curves.png and curves.csv")
    curves.set_defaults(run=_curves)
    return parser


def _export(options: argparse.Namespace) -> None:
    from tools.embedder.export import export

    threshold, error = export(options.checkpoint, options.crops, options.out)
    print(f"{options.out}: match_similarity {threshold:.3f}, equal error {error:.3f}")


def _cut(options: argparse.Namespace) -> None:
    from tools.embedder.cut import cut_crops

    print(f"{cut_crops(options.videos, options.detector, options.out, every=options.every)} pictures")


def _compose(options: argparse.Namespace) -> None:
    from tools.embedder.compose import calibrate, compose

    compose(options.earlier, options.folders, options.crops / "crops" / "train", options.out)
    print(calibrate(options.out, options.crops, options.pairs))


def _evaluate(options: argparse.Namespace) -> None:
    from tools.embedder.evaluate import evaluate_crops, evaluate_scene, open_embedder
    from tools.embedder.pairs import HsvHistogram, score_pairs

    for folder in options.folders:
        for named in options.weights:
            weights = named.split(",") if "," in named else named
            if (folder / "crops").is_dir():
                found: object = evaluate_crops(weights, folder)
            elif any(folder.glob("*_cam1.jpg")):
                describe = HsvHistogram() if weights == "hsv" else open_embedder(weights)
                found = "; ".join(str(scores) for scores in score_pairs(describe, folder))
            else:
                found = evaluate_scene(weights, folder)
            print(f"{folder.name}, {named}: {found}", flush=True)


def _curves(options: argparse.Namespace) -> None:
    from tools.embedder.curves import draw_curves

    print(draw_curves(options.runs, options.out))


if __name__ == "__main__":
    sys.exit(main())
