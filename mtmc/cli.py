"""The command line: argument parsing, and errors as one sentence. Everything else is imported when it is needed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mtmc import __version__
from mtmc.errors import ConfigError, MtmcError
from mtmc.log import configure, say

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0 all well, 1 interrupted, 2 something a user can act on."""
    arguments = _parser().parse_args(argv)
    configure(verbose=arguments.verbose, quiet=arguments.quiet)
    try:
        return int(arguments.command(arguments))
    except MtmcError as error:
        if arguments.debug:
            raise
        print(f"mtmc: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mtmc: interrupted; finished stages are kept, run the same command again to go on", file=sys.stderr)
        return 1


#: Options of earlier versions and what they are called now.
_RENAMED = {"--no-pictures": "--no-render", "--picture": "--plots DIR", "--set": "-o KEY=VALUE"}


class _Parser(argparse.ArgumentParser):
    """A parser whose error about an option of an earlier version names the new one."""

    def error(self, message: str) -> NoReturn:
        hints = [f"{old} is now called {new}" for old, new in _RENAMED.items() if old in message.split()]
        super().error("; ".join([message, *hints]))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mtmc", description="Multi-camera multi-target vehicle tracking.")
    parser.add_argument("--version", action="version", version=f"mtmc {__version__}")
    common = _Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    loudness = common.add_mutually_exclusive_group()
    loudness.add_argument("--verbose", action="store_true", help="log every stage, on a terminal too")
    loudness.add_argument("--quiet", action="store_true", help="log errors only, and draw no progress bars")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", parents=[common], help="track the vehicles of all cameras of a scene"))
    _add_evaluate(commands.add_parser("evaluate", parents=[common], help="score a result against ground truth"))
    _add_validate(
        commands.add_parser(
            "validate", parents=[common], help="check a result file against the rules of the challenge"
        )
    )
    _add_config(commands.add_parser("config", parents=[common], help="print the configuration a run would use"))
    _add_diagnose(
        commands.add_parser(
            "diagnose", parents=[common], help="explain which stages and which links cost a run its score"
        )
    )
    _add_count(
        commands.add_parser("count", parents=[common], help="write traffic counts, travel times and speeds of a run")
    )
    _add_report(
        commands.add_parser("report", parents=[common], help="write one self-contained page about a finished run")
    )
    _add_view(
        commands.add_parser("view", parents=[common], help="look at a run in the browser and correct its identities")
    )
    models = commands.add_parser("models", help="list, download and check the models that settings can name")
    _add_models(models.add_subparsers(title="commands", required=True, metavar="COMMAND"), common)
    site = commands.add_parser("site", help="learn the scene model from a finished run")
    inner = site.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_site_learn(
        inner.add_parser("learn", parents=[common], help="write zones, links, clocks and ground planes to scene.yaml")
    )
    return parser


def _add_models(commands: Any, common: argparse.ArgumentParser) -> None:
    folder = _Parser(add_help=False)
    folder.add_argument("--folder", type=Path, metavar="DIR", help="folder of downloaded models")
    parents = [common, folder]
    for name, help_text in (
        ("list", "all models: task, license, size, whether they are at hand"),
        ("show", "one model: source, license, checksum, what it was measured at, where its file lies"),
        ("fetch", "download a model, or go on with an interrupted download"),
        ("check", "compare the files at hand with their checksums"),
    ):
        parser = commands.add_parser(name, parents=parents, help=help_text)
        if name in ("show", "fetch"):
            parser.add_argument("name", metavar="NAME")
        parser.set_defaults(command=_models, action=name)


def _add_site_learn(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, metavar="FILE", help="scene file (default: RUN/site/scene.yaml)")
    _add_overrides(parser, "such as ground=learn")
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="draw zones, links and ground planes into this folder"
    )
    parser.add_argument("--fit-boxes", action="store_true", help="fit box scales to the cameras' ground truth")
    parser.set_defaults(command=_site_learn)


def _add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        "-o",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"override a setting, {example}",
    )


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, action="append", default=[], metavar="FILE", help="YAML, repeatable")
    _add_overrides(parser, "such as detect.weights=yolo11s.pt")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--videos",
        type=Path,
        required=True,
        metavar="PATH",
        help="folder of videos, CityFlow or MOT challenge tree, folder with scene.yaml, or one video",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="results (default: runs/NAME)")
    _add_choices(parser)
    parser.add_argument("--runner", choices=["local", "ray"], default="local", help="where cameras are processed")
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one per core or camera)")
    parser.add_argument("--strict", action="store_true", help="stop at the first camera that fails")
    parser.add_argument("--no-render", action="store_true", help="tables and scores only: no videos, no page")
    parser.add_argument(
        "--blur",
        metavar="LIST",
        help="make unrecognizable in videos, pages and plots: plates, faces, vehicles (commas); not what no box "
        "holds, nor results/passages/, cache/ and 'mtmc view'",
    )
    parser.add_argument("--offline", action="store_true", help="download no model: take the best at hand")
    parser.add_argument("--no-learn", action="store_true", help="learn no zones, links, clocks and ground planes")
    parser.set_defaults(command=_run)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gt", type=Path, required=True, metavar="PATH", help="scene folder, MOT file, folder of them, or 9 columns"
    )
    parser.add_argument("--pred", type=Path, required=True, metavar="PATH", help="MOT file, folder, or track1.txt")
    parser.add_argument("--roi", type=Path, metavar="DIR", help="region-of-interest images (default: the scene's)")
    parser.add_argument("--cameras", metavar="LIST", help="such as 1-5 or c001,north: others do not count")
    parser.add_argument(
        "--protocol",
        choices=["auto", "aicity", "plain", "mot"],
        default="auto",
        help="mot: identities are per sequence, predictions on distractors do not count",
    )
    parser.add_argument("--min-iou", type=float, default=0.5, metavar="X", help="overlap of a match (default 0.5)")
    parser.add_argument(
        "--gt-offset", type=int, default=0, metavar="N", help="added to frame numbers; 1 if they count from 0"
    )
    parser.add_argument("--pred-offset", type=int, default=0, metavar="N", help="the same for the predictions")
    parser.add_argument("--reference", action="store_true", help="score once more with motmetrics, and compare")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores as JSON")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the scores as CSV")
    parser.set_defaults(command=_evaluate)


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="nine-column result such as track1.txt")
    parser.add_argument(
        "--scene", type=Path, metavar="DIR", help="scene folder: checks cameras, frame counts and regions of interest"
    )
    parser.add_argument("--cameras", metavar="LIST", help="cameras of the split: S06, 41-46 or names")
    parser.add_argument("--roi", type=Path, metavar="DIR", help="region-of-interest images (default: the scene's)")
    parser.set_defaults(command=_validate)


def _add_diagnose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--gt", type=Path, metavar="PATH", help="ground truth (default: that of the run's scene)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="results (default: RUN/diagnosis)")
    parser.add_argument("--no-reruns", action="store_true", help="do not run the pipeline on perfect input")
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one per core or camera)")
    parser.set_defaults(command=_diagnose)


def _add_count(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, metavar="DIR", help="results (default: RUN/traffic)")
    parser.add_argument("--bin", type=float, default=15.0, metavar="MINUTES", help="length of a bin (default 15)")
    parser.add_argument(
        "--conflicts", action="store_true", help="conflicts.csv, too: where to look, not evidence (docs/traffic.md)"
    )
    parser.set_defaults(command=_count)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, metavar="FILE", help="HTML file (default: RUN/full_report.html)")
    parser.set_defaults(command=_report)


def _add_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="clean videos and answers (default: RUN/view)")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="listen on it (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8767, metavar="N", help="default 8767; 0: any free port")
    parser.add_argument("--token", default="", metavar="TEXT", help="what a browser has to show once")
    parser.add_argument(
        "--export",
        nargs="?",
        const="track1",
        choices=["track1", "truth", "crops"],
        help="write the corrected track1.txt (default), ground truth for 'mtmc evaluate' or crops for 'reid train', "
        "and do not serve",
    )
    parser.add_argument(
        "--only-checked", action="store_true", help="of truth and crops: the vehicles marked on the page Check"
    )
    parser.set_defaults(command=_view)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--videos", type=Path, metavar="DIR", help="start from the overrides of this scene's scene.yaml"
    )
    _add_choices(parser)
    parser.set_defaults(command=_config)


def _run(arguments: argparse.Namespace) -> int:
    # Threads are limited through the environment, which BLAS reads when NumPy is first imported.
    from mtmc.threads import own_threads

    own_threads(1)
    from mtmc.commands import run_command

    return run_command(
        videos=arguments.videos,
        out=arguments.out,
        config_files=arguments.config,
        overrides=_run_overrides(arguments),
        runner=arguments.runner,
        workers=arguments.workers,
        strict=arguments.strict,
    )


def _run_overrides(arguments: argparse.Namespace) -> list[str]:
    no_render = _NO_RENDER if arguments.no_render else ()
    offline = ("models.offline=true",) if arguments.offline else ()
    no_learn = ("learn.enabled=false",) if arguments.no_learn else ()
    blur = (f"render.blur=[{arguments.blur}]",) if arguments.blur else ()
    return [*arguments.overrides, *no_render, *offline, *no_learn, *blur]


_NO_RENDER = ("render.videos=false", "render.mosaic=false", "render.report=false")


def _evaluate(arguments: argparse.Namespace) -> int:
    from mtmc.evaluate import evaluate_files

    result = evaluate_files(
        arguments.gt,
        arguments.pred,
        roi=arguments.roi,
        cameras=arguments.cameras,
        protocol=arguments.protocol,
        min_iou=arguments.min_iou,
        truth_offset=arguments.gt_offset,
        predicted_offset=arguments.pred_offset,
        reference=arguments.reference,
    )
    say(result.text().rstrip())
    if arguments.json:
        result.write_json(arguments.json)
    if arguments.csv:
        result.write_csv(arguments.csv)
    return 0


def _validate(arguments: argparse.Namespace) -> int:
    from mtmc.evaluate import check_submission, rules_of_scene

    rules = rules_of_scene(arguments.scene, arguments.cameras, arguments.roi)
    submission = check_submission(arguments.file, rules)
    say(submission.text())
    return 0 if submission.is_valid else 2


def _site_learn(arguments: argparse.Namespace) -> int:
    from mtmc.threads import own_threads

    own_threads(1)
    from mtmc.commands import site_learn_command

    out = arguments.out or arguments.run / "site" / "scene.yaml"
    text = site_learn_command(arguments.run, out, arguments.plots, arguments.overrides, arguments.fit_boxes)
    say(text.rstrip())
    return 0


def _diagnose(arguments: argparse.Namespace) -> int:
    from mtmc.threads import own_threads

    own_threads(1)
    from mtmc.commands import diagnose_command

    out = arguments.out or arguments.run / "diagnosis"
    text = diagnose_command(arguments.run, arguments.gt, out, not arguments.no_reruns, arguments.workers)
    say(text.rstrip())
    return 0


def _count(arguments: argparse.Namespace) -> int:
    from mtmc.traffic import count_run

    out = arguments.out or arguments.run / "traffic"
    tables = count_run(arguments.run, out, 60.0 * arguments.bin, with_conflicts=arguments.conflicts)
    say(f"{tables.text()}\n\nresults: {out}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from mtmc.threads import own_threads

    own_threads(1)
    from mtmc.report import report_run

    out = arguments.out or arguments.run / "full_report.html"
    report_run(arguments.run, out)
    say(f"results: {out}")
    return 0


def _view(arguments: argparse.Namespace) -> int:
    from mtmc.threads import own_threads

    own_threads(1)
    from mtmc.view import export_run, serve_run

    if arguments.only_checked and not arguments.export:
        raise ConfigError("--only-checked is about an export", remedy="add --export truth or --export crops")
    if arguments.export:
        path = export_run(arguments.run, arguments.folder, arguments.export, only_checked=arguments.only_checked)
        say(f"corrected result: {path}")
        return 0
    serve_run(
        arguments.run,
        folder=arguments.folder,
        host=arguments.host,
        port=arguments.port,
        token=arguments.token,
        announce=say,
    )
    return 0


def _models(arguments: argparse.Namespace) -> int:
    from mtmc.zoo import ModelsConfig, tables

    config = ModelsConfig(folder=arguments.folder)
    if arguments.action == "check":
        text, good = tables.check_text(config)
        say(text)
        return 0 if good else 2
    if arguments.action == "list":
        say(tables.list_text(config))
    else:
        describe = tables.show_text if arguments.action == "show" else tables.fetch_text
        say(describe(arguments.name, config))
    return 0


def _config(arguments: argparse.Namespace) -> int:
    from mtmc.commands import config_command

    say(config_command(arguments.videos, arguments.config, arguments.overrides).rstrip())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
