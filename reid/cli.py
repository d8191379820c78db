"""The command ``reid``: argument parsing only."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from reid.errors import ConfigError, ReidError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all went well, 2 after an error the user can act on."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except ReidError as error:
        if arguments.debug:
            raise
        print(f"reid: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reid", description="Vehicle re-identification: what pictures look alike.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_embed(commands)
    _add_card(commands)
    return parser


def _add_embed(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("embed", help="a folder of pictures to one vector each")
    command.add_argument("folder", type=Path, help="pictures, in subfolders too")
    command.add_argument("-w", "--weights", required=True, help="file, folder or name such as timm:resnet50")
    command.add_argument("-o", "--output", type=Path, required=True, help=".npz or .parquet")
    command.add_argument("--card", type=Path, help="card of the weights, if it is not beside them")
    command.add_argument("--runtime", default="auto", help="auto, onnxruntime or openvino")
    command.add_argument("--device", default="cpu", help="cpu or cuda")
    command.add_argument("--precision", default="fp32", help="fp32 or bf16")
    command.add_argument("--threads", type=int, default=1, help="how many threads compute")
    command.set_defaults(run=_embed)


def _embed(arguments: argparse.Namespace) -> None:
    from reid.embed import embed_folder, save
    from reid.export import load_embedder

    if arguments.output.suffix not in (".npz", ".parquet"):
        raise ConfigError("expected an output that ends in .npz or .parquet", path=arguments.output)
    embedder = load_embedder(
        arguments.weights,
        runtime=arguments.runtime,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
        card=arguments.card,
    )
    names, embeddings = embed_folder(arguments.folder, embedder)
    save(arguments.output, names, embeddings)


def _add_card(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("card", help="write the card that says what a network takes")
    command.add_argument("weights", type=Path, help="file or checkpoint folder")
    command.add_argument("--size", required=True, help="height x width of its pictures, such as 256x128")
    command.add_argument("-o", "--output", type=Path, help="default: where the card is looked for first")
    command.add_argument("--mean", type=_three, help="three numbers, default ImageNet's 0.485,0.456,0.406")
    command.add_argument("--std", type=_three, help="three numbers, default ImageNet's 0.229,0.224,0.225")
    command.add_argument("--bgr", action="store_true", help="it was trained on blue, green, red channels")
    command.add_argument(
        "--backbone", default="", help="whose weights a safetensors file holds, such as resnet50 or timm:NAME"
    )
    command.add_argument("--match-similarity", type=float, help="cosine that suggests one vehicle")
    command.add_argument("--trained-on", default="", help="data sets")
    command.add_argument("--license", default="", help="licence of the weights")
    command.set_defaults(run=_card)


def _card(arguments: argparse.Namespace) -> None:
    from reid.card import IMAGENET_MEAN, IMAGENET_STD, card_path, parse_card, write_card
    from reid.export import measure_dim

    fields = {
        "name": arguments.weights.stem,
        "size_hw": _size_hw(arguments.size),
        "dim": 1,
        "mean": arguments.mean or list(IMAGENET_MEAN),
        "std": arguments.std or list(IMAGENET_STD),
        "color": "bgr" if arguments.bgr else "rgb",
        "backbone": arguments.backbone,
        "match_similarity": arguments.match_similarity,
        "trained_on": arguments.trained_on,
        "license": arguments.license,
    }
    fields["dim"] = measure_dim(arguments.weights, parse_card(fields))
    path = arguments.output or card_path(arguments.weights)
    write_card(parse_card(fields), path)
    print(path)


def _three(text: str) -> list[float]:
    numbers = [float(part) for part in text.split(",")]
    if len(numbers) != 3:
        raise ValueError
    return numbers


def _size_hw(text: str) -> list[int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--size: expected height x width in pixels, such as 256x128, got {text}")
    return [int(part) for part in parts]


if __name__ == "__main__":
    sys.exit(main())
