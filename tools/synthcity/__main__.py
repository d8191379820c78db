"""The command line of the synthetic city."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from mtmc.errors import MtmcError
from tools.synthcity.crop_plan import CropPlan

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
    parser = argparse.ArgumentParser(prog="python -m tools.synthcity", description=__doc__)
    commands = parser.add_subparsers(required=True)
    render = commands.add_parser("render", help="render scenes, with ground truth, in the CityFlow layout")
    render.add_argument("recipes", nargs="+", type=Path, help="YAML recipes, one scene each")
    render.add_argument("--out", type=Path, required=True, help="root folder of the scenes")
    render.add_argument("--processes", type=int, default=1, help="cameras rendered side by side")
    render.add_argument(
        "-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change the recipe"
    )
    render.set_defaults(run=_render)
    tracklets = commands.add_parser("tracklets", help="noisy tracklets with ground truth, without rendering")
    tracklets.add_argument("recipes", nargs="+", type=Path, help="YAML recipes, one scene each")
    tracklets.add_argument("--out", type=Path, required=True, help="root folder of the scenes")
    tracklets.add_argument(
        "-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change the recipe"
    )
    tracklets.add_argument(
        "-n", dest="noise", action="append", default=[], metavar="KEY=VALUE", help="change the tracker's errors"
    )
    tracklets.set_defaults(run=_tracklets)
    sheet = commands.add_parser("sheet", help="a contact sheet of places and weathers")
    sheet.add_argument("--out", type=Path, required=True, help="picture to write, PNG or JPEG")
    sheet.add_argument("--seed", type=int, default=1, help="seed of all pictures")
    sheet.add_argument("--boxes", action="store_true", help="draw the labelled boxes")
    sheet.set_defaults(run=_sheet)
    crops = commands.add_parser("crops", help="pictures of single vehicles for re-identification training")
    crops.add_argument("--out", type=Path, required=True, help="folder that gets crops/")
    for name, field in CropPlan.model_fields.items():
        kind = int if isinstance(field.default, int) else float
        option = "--" + name.replace("_", "-")
        crops.add_argument(option, type=kind, default=field.default, help=f"{field.description} [{field.default}]")
    crops.set_defaults(run=_crops)
    frames = commands.add_parser("frames", help="single frames with boxes for detector training, in the YOLO layout")
    frames.add_argument("--out", type=Path, required=True, help="the data set's folder")
    frames.add_argument(
        "--seeds", type=int, nargs=2, default=(1, 12), metavar=("FIRST", "LAST"), help="training seeds"
    )
    frames.add_argument("--per-camera", type=int, default=16, help="frames per camera (nine cameras a scene)")
    frames.add_argument("--part", choices=("train", "val"), default="train", help="which part they belong to")
    frames.set_defaults(run=_frames)
    realism = commands.add_parser("realism", help="how well a detector trained on real pictures finds the vehicles")
    realism.add_argument("scenes", nargs="+", type=Path, help="rendered scene folders")
    realism.add_argument("--weights", type=Path, required=True, help="ONNX detector with COCO classes")
    realism.add_argument("--stride", type=int, default=10, help="every how many frames")
    realism.add_argument("--image-size", type=int, help="longer side as the detector sees it [as exported]")
    realism.set_defaults(run=_realism)
    return parser


def _render(options: argparse.Namespace) -> None:
    from tools.synthcity.recipe import load_recipe
    from tools.synthcity.render import render_scene

    changes = _changes(options.overrides)
    for path in options.recipes:
        print(render_scene(load_recipe(path, changes), options.out, options.processes))


def _tracklets(options: argparse.Namespace) -> None:
    from mtmc.settings import parse_settings
    from tools.synthcity.recipe import load_recipe
    from tools.synthcity.tracklets import TrackNoise, write_tracklets

    noise = parse_settings(TrackNoise, _changes(options.noise))
    changes = _changes(options.overrides)
    for path in options.recipes:
        print(write_tracklets(load_recipe(path, changes), noise, options.out))


def _changes(texts: list[str]) -> dict[str, Any]:
    """``["key=value"]`` with values in YAML notation."""
    changes: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        changes[key] = yaml.safe_load(value)
    return changes


def _sheet(options: argparse.Namespace) -> None:
    from tools.synthcity.sheet import draw_sheet

    draw_sheet(options.out, options.seed, options.boxes)


def _crops(options: argparse.Namespace) -> None:
    from tools.synthcity.crops import render_crops

    plan = CropPlan(**{name: getattr(options, name) for name in CropPlan.model_fields})
    print(f"{render_crops(plan, options.out)} crops")


def _frames(options: argparse.Namespace) -> None:
    from tools.synthcity.frames import render_frames

    first, last = options.seeds
    count = render_frames(options.out, list(range(first, last + 1)), options.per_camera, options.part)
    print(f"{count} frames")


def _realism(options: argparse.Namespace) -> None:
    from tools.synthcity.realism import measure

    for scene in options.scenes:
        print(f"{scene.name}: {measure(scene, options.weights, options.stride, options.image_size)}")


if __name__ == "__main__":
    sys.exit(main())
