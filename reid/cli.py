"""The command ``reid``: argument parsing only. ``-o`` is always an override, ``--out`` always what is written."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reid.errors import ConfigError, MissingDependency, ReidError
from reid.log import ToStderr

if TYPE_CHECKING:
    from reid.card import Card
    from reid.data import DatasetSplit
    from reid.inference import Embedder

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all went well, 2 after an error the user can act on."""
    arguments = _parser().parse_args(argv)
    _configure_logging()
    try:
        _run(arguments)
    except ReidError as error:
        if arguments.debug:
            raise
        print(f"reid: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


#: Packages of the extra ``torch``: what a base install lacks.
_TORCH_EXTRA = ("torch", "torchvision", "timm", "safetensors")


def _run(arguments: argparse.Namespace) -> None:
    try:
        arguments.run(arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _TORCH_EXTRA:
            raise
        raise MissingDependency.of(package, "torch", f"reid {arguments.command}") from error


def _configure_logging() -> None:
    """Show the log of the first process; the progress of long work only where no terminal shows it as a bar."""
    logger = logging.getLogger("reid")
    for handler in [h for h in logger.handlers if isinstance(h, ToStderr)]:
        logger.removeHandler(handler)
    handler = ToStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if _is_first_process() else logging.WARNING)
    logging.getLogger("reid.progress").setLevel(logging.WARNING if sys.stderr.isatty() else logging.NOTSET)


def _is_first_process() -> bool:
    """Whether this is the first, or the only one, of the processes that torchrun started: the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reid", description="Train, run and measure embedders for vehicle re-identification."
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    _add_config(commands)
    _add_train(commands)
    _add_export(commands)
    _add_attention(commands)
    _add_embed(commands)
    _add_card(commands)
    _add_evaluate(commands)
    _add_efficiency(commands)
    _add_explain(commands)
    return parser


def _add_config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("config", help="print a whole configuration with what each key means")
    methods = "baseline (the default), ssml, ssbver, val, sgfd or slsr"
    command.add_argument("method", nargs="?", default="baseline", help=methods)
    command.add_argument("--backbone", default="resnet50_ibn_a", help="the network; decides the schedule too")
    command.add_argument("-d", "--data", default="veri776", help="name of the data set, such as veri776 or folder")
    _add_out(command, "default: the terminal")
    command.set_defaults(run=_config)


def _config(arguments: argparse.Namespace) -> None:
    from reid.config import commented_yaml, make_config

    name = f"{arguments.method}_{arguments.data}"
    config = make_config(
        {
            "method": arguments.method,
            "backbone": arguments.backbone,
            "data": {"name": arguments.data, "root": f"datasets/{arguments.data}"},
            "output": f"runs/reid/{name}",
        }
    )
    if arguments.out is None:
        print(commented_yaml(config))
    else:
        _write_text(arguments.out, commented_yaml(config) + "\n")


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("train", help="train an embedder, or go on where it was interrupted")
    command.add_argument("config", type=Path, help="a YAML file such as configs/reid/ssbver_veri776.yaml")
    command.add_argument(
        "-o",
        "--override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a value of the file, such as data.root=/veri; may be repeated",
    )
    command.add_argument("--export", type=Path, metavar="FILE", help="write the result as .onnx or .torchscript too")
    command.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> None:
    from reid.config import load_config

    config = load_config(arguments.config, arguments.override)
    from reid.export import export_checkpoint
    from reid.training.engine import train

    folder = train(config)
    if not _is_first_process():
        return
    if arguments.export:
        export_checkpoint(folder, arguments.export)
    print(folder)


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("export", help="a training's network as one file that others can run")
    command.add_argument("training", type=Path, help="folder of a training")
    _add_out(command, ".onnx or .torchscript; its card is written beside it", required=True)
    command.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    from reid.export import export_checkpoint

    card = export_checkpoint(arguments.training, arguments.out)
    print(f"{arguments.out}: {card.name}, {card.size_hw[0]}x{card.size_hw[1]} px to {card.dim} numbers")


def _add_attention(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("attention", help="where a network trained by sgfd directs its attention")
    command.add_argument("training", type=Path, help="folder of a training")
    command.add_argument("pictures", type=Path, nargs="+", metavar="picture", help="crops of vehicles")
    _add_out(command, "the picture to write, .png or .jpg", required=True)
    command.set_defaults(run=_attention)


def _attention(arguments: argparse.Namespace) -> None:
    from reid.analysis.attention import attention_picture
    from reid.analysis.visualization import save_picture
    from reid.data.images import read_image
    from reid.training.checkpoint import open_checkpoint

    pictures = [read_image(path) for path in arguments.pictures]
    save_picture(arguments.out, attention_picture(open_checkpoint(arguments.training), pictures))


def _add_embed(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("embed", help="embeddings of all pictures in a folder")
    command.add_argument("folder", type=Path, help="pictures, in subfolders too")
    command.add_argument("-w", "--weights", required=True, help=_WEIGHTS)
    _add_out(command, ".npz or .parquet", required=True)
    _add_runtime(command)
    command.set_defaults(run=_embed)


def _embed(arguments: argparse.Namespace) -> None:
    from reid.embed import embed_folder, save

    if arguments.out.suffix not in (".npz", ".parquet"):
        raise ConfigError("--out: expected a name that ends in .npz or .parquet", path=arguments.out)
    embedder = _embedder(arguments)
    names, embeddings = embed_folder(arguments.folder, embedder)
    save(arguments.out, names, embeddings)


_WEIGHTS = "file, folder of a training, or a name such as timm:resnet50"


def _add_out(command: argparse.ArgumentParser, what: str, *, required: bool = False) -> None:
    command.add_argument("--out", type=Path, required=required, metavar="FILE", help=what)


def _add_runtime(command: argparse.ArgumentParser) -> None:
    command.add_argument("--card", type=Path, help="card of the weights, if it is not beside them")
    command.add_argument(
        "--runtime", default="auto", choices=("auto", "onnxruntime", "openvino"), help="what runs an exported file"
    )
    command.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    command.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="of the computation")
    command.add_argument("--threads", type=_whole_from(1), default=1, help="how many threads compute")
    command.add_argument(
        "--flip", action="store_true", help="give the mean of a picture's and its mirror image's embedding"
    )


def _embedder(arguments: argparse.Namespace) -> Embedder:
    from reid.inference import load_embedder

    embedder = load_embedder(
        arguments.weights,
        runtime=arguments.runtime,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
        card=arguments.card,
    )
    return embedder.with_flip_test() if arguments.flip else embedder


def _add_card(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("card", help="write the card that says what a network takes")
    command.add_argument("weights", type=Path, help="file or checkpoint folder")
    command.add_argument("--size", required=True, help="height x width of its pictures, such as 256x128")
    _add_out(command, "default: where the card is looked for first")
    command.add_argument("--mean", type=_three, help="three numbers, default ImageNet's 0.485,0.456,0.406")
    command.add_argument("--std", type=_three, help="three numbers, default ImageNet's 0.229,0.224,0.225")
    command.add_argument("--bgr", action="store_true", help="it was trained on blue, green, red channels")
    command.add_argument(
        "--backbone", default="", help="whose weights a safetensors file holds, such as resnet50 or timm:NAME"
    )
    command.add_argument("--match-similarity", type=float, help="cosine that suggests one vehicle")
    command.add_argument("--trained-on", default="", help="data sets")
    command.add_argument("--license", default="", help="license of the weights")
    command.set_defaults(run=_card)


def _card(arguments: argparse.Namespace) -> None:
    from reid.card import IMAGENET_MEAN, IMAGENET_STD, card_path, parse_card, write_card
    from reid.inference import measure_dim

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
    path = arguments.out or card_path(arguments.weights)
    write_card(parse_card(fields), path)
    print(path)


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("evaluate", help="mAP, CMC and mINP of a network on one or several data sets")
    command.add_argument("root", type=Path, nargs="+", help="folders of one or several data sets")
    command.add_argument(
        "-d", "--data", action="append", required=True, help="name of each, such as veri776 or folder, in their order"
    )
    command.add_argument("-w", "--weights", required=True, help=_WEIGHTS)
    command.add_argument(
        "--data-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the data sets, such as size=1600, or of one, such as vehicleid.size=1600; may be repeated",
    )
    command.add_argument(
        "--protocol",
        metavar="NAME",
        help="a protocol other than the data set's own: vehicleid-one-draw, veriwild-own-camera or viper-a-to-b",
    )
    command.add_argument(
        "--seed", type=_whole_from(0), default=0, help="of protocols that draw at random, and of the bootstrap"
    )
    command.add_argument("--rerank", action="store_true", help="measure k-reciprocal re-ranking too")
    command.add_argument(
        "--expand",
        type=_whole_from(1),
        default=0,
        metavar="N",
        help="measure query expansion with the N nearest pictures too, average and α-weighted",
    )
    command.add_argument(
        "--roc", action="store_true", help="measure the ROC of pairs too: TAR at FAR, equal error rate"
    )
    _add_out(command, "write the scores as JSON")
    command.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="draw the CMC curves and the ROC of pairs here; implies --roc"
    )
    command.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write ranked lists and a map of the embedding here"
    )
    _add_runtime(command)
    command.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from reid.data import load_dataset
    from reid.data.records import with_own_names
    from reid.evaluation.retrieval import check_answerable

    names, roots = arguments.data, arguments.root
    if len(names) != len(roots):
        raise ConfigError(f"expected one -d for each of {len(roots)} folders, got {len(names)}")
    options = [_option(text, names) for text in arguments.data_option]
    splits = with_own_names(
        [load_dataset(name, root, **_options_of(name, options)) for name, root in zip(names, roots, strict=True)]
    )
    if arguments.protocol:
        splits = _by_protocol(splits, arguments.protocol)
    for split in splits:
        check_answerable(split)
    embedder = _embedder(arguments)
    reports = [_evaluate_one(arguments, split, embedder, alone=len(splits) == 1) for split in splits]
    if arguments.out:
        _write_json(arguments.out, reports[0] if len(reports) == 1 else reports)


def _by_protocol(splits: Sequence[DatasetSplit], name: str) -> tuple[DatasetSplit, ...]:
    """The data sets, measured by another protocol where it is one of theirs."""
    from dataclasses import replace

    from reid.evaluation.protocols import variants_of

    known = [variants_of(split.protocol) for split in splits]
    if not any(name in names for names in known):
        listed = "; ".join(f"{split.name} by {', '.join(names)}" for split, names in zip(splits, known, strict=True))
        raise ConfigError(f"--protocol {name}: no data set has this protocol", remedy=f"these are: {listed}")
    return tuple(
        replace(split, protocol=name) if name in names else split for split, names in zip(splits, known, strict=True)
    )


def _evaluate_one(
    arguments: argparse.Namespace, split: DatasetSplit, embedder: Embedder, *, alone: bool
) -> dict[str, object]:
    """Measure, print and draw one data set, in a folder of its own unless ``alone``; its report as JSON values."""
    from reid.analysis.plots import write_plots
    from reid.analysis.visualization import write_showcase
    from reid.evaluation.bootstrap import DRAWS
    from reid.evaluation.extract import extract
    from reid.evaluation.protocols import PROTOCOLS
    from reid.evaluation.retrieval import Embeddings, evaluate_split, verify_split

    query = Embeddings.of(extract(embedder, split.query), split.query) if split.query else None
    gallery = Embeddings.of(extract(embedder, split.gallery), split.gallery)
    own = "" if alone else split.name
    print(f"{split.name} by {PROTOCOLS[split.protocol]}")
    found = evaluate_split(
        split,
        query,
        gallery,
        seed=arguments.seed,
        rerank=arguments.rerank,
        expand=arguments.expand,
        bootstrap=DRAWS,
    )
    print(*found, sep="\n")
    report: dict[str, object] = {"data": split.name, "scores": [scores.as_dict() for scores in found]}
    if arguments.roc or arguments.plots:
        pairs = verify_split(split, query, gallery, seed=arguments.seed)
        print(pairs)
        report["pairs"] = pairs.as_dict()
        if arguments.plots:
            write_plots(arguments.plots / own, found, pairs)
    if arguments.pictures:
        write_showcase(arguments.pictures / own, split, query, gallery)
    return report


def _options_of(name: str, options: Sequence[tuple[str, object]]) -> dict[str, Any]:
    """The options of one data set: those without a name before them, and those with its own."""
    split = [(key.rpartition("."), value) for key, value in options]
    return {key: value for (owner, _, key), value in split if owner in ("", name)}


def _add_efficiency(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("efficiency", help="parameters, MACs, latency and memory of a network")
    command.add_argument("weights", help=f"{_WEIGHTS}; anything that runs in torch")
    command.add_argument("--card", type=Path, help="card of the weights, if it is not beside them")
    command.add_argument("--device", default="cpu", help="cpu or cuda")
    command.add_argument("--threads", type=_whole_from(1), default=1, help="how many threads compute")
    command.add_argument("--warmup", type=_whole_from(0), default=50, help="calls before timing")
    command.add_argument("--runs", type=_whole_from(1), default=200, help="timed calls")
    _add_out(command, "write the measurements as JSON")
    command.set_defaults(run=_efficiency)


def _efficiency(arguments: argparse.Namespace) -> None:
    model, card = _module(arguments)
    import torch

    from reid.analysis.efficiency import measure

    torch.set_num_threads(arguments.threads)
    found = measure(model, card.size_hw, device=arguments.device, warmup=arguments.warmup, runs=arguments.runs)
    print(found)
    if arguments.out:
        _write_json(arguments.out, {"weights": str(arguments.weights), **found.as_dict()})


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("explain", help="saliency maps: which pixels make two crops similar")
    command.add_argument("query", type=Path, help="a picture")
    command.add_argument("gallery", type=Path, help="another")
    command.add_argument("-w", "--weights", required=True, help=f"{_WEIGHTS}; anything that runs in torch")
    _add_out(command, "the picture to write, .png or .jpg", required=True)
    command.add_argument("--card", type=Path, help="card of the weights, if it is not beside them")
    command.set_defaults(run=_explain)


def _explain(arguments: argparse.Namespace) -> None:
    from reid.analysis.visualization import save_picture
    from reid.data.augment import resize
    from reid.data.images import read_image

    model, card = _module(arguments)
    from reid.analysis.saliency import explain_pair

    pair = [
        resize(read_image(path), card.size_hw, card.interpolation) for path in (arguments.query, arguments.gallery)
    ]
    similarity, picture = explain_pair(model, card, *pair)
    save_picture(arguments.out, picture)
    print(f"similarity {similarity:.4f}")


def _module(arguments: argparse.Namespace) -> tuple[Any, Card]:
    from reid.inference import open_module

    if arguments.weights.endswith((".onnx", ".xml")):
        raise ConfigError(
            "expected weights that run in torch, got an exported file",
            path=arguments.weights,
            remedy="give the .torchscript or .safetensors file, or timm:NAME",
        )
    return open_module(arguments.weights, arguments.card)


def _option(text: str, data: Sequence[str]) -> tuple[str, object]:
    """Key and value of an option of the named data sets, or of one of them."""
    from reid.settings import parse_value

    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--data-option {text}: expected key=value", remedy="for example --data-option size=1600")
    owner = name.rpartition(".")[0]
    if owner not in ("", *data):
        raise ConfigError(
            f"--data-option {text}: no data set {owner} is measured", remedy=f"-d names {', '.join(data)}"
        )
    return name.replace("-", "_"), parse_value(value)


def _write_json(path: Path, content: object) -> None:
    import json

    _write_text(path, json.dumps(content, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write this file ({error.strerror or error})", path=path) from error


def _whole_from(least: int) -> Callable[[str], int]:
    """What reads a whole number that is not less than some other one."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text}")
        return int(text)

    return number


def _three(text: str) -> list[float]:
    try:
        red, green, blue = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected three numbers such as 0.5,0.5,0.5, got {text}") from None
    return [red, green, blue]


def _size_hw(text: str) -> list[int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--size: expected height x width in pixels, such as 256x128, got {text}")
    return [int(part) for part in parts]
