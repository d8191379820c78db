"""Every command that a page shows: it runs as printed, or its program understands its arguments.

Blocks in ``sh`` run as they stand, beside the first seconds of the sample. Blocks in ``text``, and commands within
sentences, need other files or hours; the program's own parser reads them, so that no page names an option, a setting,
a target or an extra that does not exist.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import mtmc.cli
import reid.cli
from mtmc.config import load_config
from mtmc.errors import MtmcError
from reid.config import load_config as load_training
from tests.builders import first_seconds

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "sample_videos/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")),
]
#: Of each camera of the sample; all of it takes minutes, and what is shipped with it is the same.
SAMPLE_FRAMES = 40
MAINS = {"mtmc": mtmc.cli.main, "reid": reid.cli.main}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
PROGRAMS = ("mtmc", "reid", "python", "torchrun", "make", "pip")
#: ``KEY=VALUE`` stands for any.
SETTING = re.compile(r"`-o (?!(?i:(?:learn\.)?key=value))([\w.]+=[^`…]+)`")
#: Several data sets, one of which a setting may change.
SEVERAL = "data=[{name: veri776, root: a}, {name: cityflow, root: b}]"
SPAN = re.compile(rf"`((?:{'|'.join(PROGRAMS)})\s[^`]+)`")


def blocks(page: str, *languages: str) -> list[str]:
    """The fenced blocks of some languages."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [block for language, block in FENCE.findall(text) if language in languages]


def commands(page: str, *languages: str) -> list[str]:
    """The lines of these blocks that are commands, without their comments."""
    lines = "\n".join(blocks(page, *languages)).replace("\\\n", " ").splitlines()
    commands = [re.split(r"\s+#\s", line)[0].strip() for line in lines]
    return [command for command in commands if command.startswith(tuple(f"{name} " for name in PROGRAMS))]


def in_sentences(page: str) -> list[str]:
    """The commands that stand within the text of a page."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [" ".join(span.split()) for span in SPAN.findall(text)]


class _Caught(BaseException):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


@cache
def parser_of(program: str) -> argparse.ArgumentParser | None:
    """The parser that a program reads its arguments with; None if it takes none.

    The program is called, and stopped where it is about to read its arguments.
    """
    if program in MAINS:
        main: Callable[[], object] = MAINS[program]
    else:
        module = importlib.import_module(program)
        module = importlib.import_module(f"{program}.__main__") if hasattr(module, "__path__") else module
        assert module.__file__ is not None
        if "parse_args" not in Path(module.__file__).read_text(encoding="utf-8"):
            return None
        main = module.main

    def catch(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _Caught(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", catch)
        try:
            main()
        except _Caught as caught:
            return caught.parser
    raise AssertionError(f"{program} did not read its arguments")


def program_and_words(command: str) -> tuple[str, list[str]]:
    """Name of the program (of ``python -m`` and ``torchrun … -m``, the module) and its arguments."""
    name, *words = shlex.split(command)
    if name in ("python", "torchrun") and "-m" in words:
        module = words.index("-m") + 1
        return words[module], words[module + 1 :]
    return name, words


def installed_parser_of(program: str) -> argparse.ArgumentParser | None:
    """As :func:`parser_of`; skips where the program's own requirements are not installed."""
    try:
        return parser_of(program)
    except ImportError as error:
        pytest.skip(f"{program} needs {error.name}, which is not installed")


def arguments_of(program: str, words: list[str]) -> argparse.Namespace:
    """What the program reads from the words; fails where it would refuse them."""
    parser = installed_parser_of(program)
    if parser is None:
        assert not words, f"{program} takes no arguments"
        return argparse.Namespace()
    try:
        return parser.parse_args(words)
    except SystemExit:
        raise AssertionError(f"{program} refuses {shlex.join(words)}") from None


def check_options(program: str, words: list[str]) -> None:
    """The options exist under these names; parsers take abbreviations, too. The command is one of the program's."""
    parser = installed_parser_of(program)
    known = set(options_of(parser, words)) if parser else set()
    options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert options <= known
    assert not words or not commands_of(parser) or words[0] in commands_of(parser) | known


def options_of(parser: argparse.ArgumentParser, words: list[str]) -> Iterator[str]:
    """The options of a program, and of its commands that are among the words."""
    for action in parser._actions:
        yield from action.option_strings
        for name, inner in (action.choices or {}).items() if isinstance(action, argparse._SubParsersAction) else ():
            if name in words:
                yield from options_of(inner, words)


def commands_of(parser: argparse.ArgumentParser | None) -> set[str]:
    """The names of a program's commands; none if it has only one."""
    actions = parser._actions if parser else []
    return {name for action in actions if isinstance(action, argparse._SubParsersAction) for name in action.choices}


def check_settings(program: str, words: list[str], arguments: argparse.Namespace) -> None:
    """The settings that a command names exist and take these values."""
    if program == "mtmc" and words[0] in ("run", "config"):
        load_config(arguments.config, arguments.overrides)
    elif program == "mtmc" and words[:2] == ["site", "learn"]:
        load_config(overrides=[f"learn.{text}" for text in arguments.overrides])
    elif program == "reid" and words[0] == "train":
        load_training(ROOT / arguments.config, arguments.override)


def check_make(words: list[str]) -> None:
    """The targets and variables exist."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_variable, _ = word.partition("=")
        assert f"$({name})" in makefile if is_variable else re.search(rf"^{name}:", makefile, re.M), word


def check_pip(words: list[str]) -> None:
    """The extras exist."""
    section = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.optional-dependencies]")[1]
    extras = set(re.findall(r"^(\w+) = \[", section.split("\n[")[0], re.M))
    for names in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        assert set(names.split(",")) <= extras, names


def cases(find: Callable[[str], list[str]]) -> list[object]:
    return [pytest.param(command, id=f"{page}: {command}") for page in PAGES for command in dict.fromkeys(find(page))]


@pytest.mark.parametrize("command", cases(lambda page: commands(page, "", "sh", "text")))
def test_commands_in_blocks_are_understood(command: str) -> None:
    program, words = program_and_words(command)
    if program == "make":
        check_make(words)
    elif program == "pip":
        check_pip(words)
    else:
        check_options(program, words)
        check_settings(program, words, arguments_of(program, words))


@pytest.mark.parametrize("command", cases(in_sentences))
def test_options_in_sentences_exist(command: str) -> None:
    """Commands within a sentence may leave out what is required."""
    program, words = program_and_words(command)
    if program == "make":
        check_make(words)
    elif program == "pip":
        check_pip(words)
    elif program == "python":
        compile(words[words.index("-c") + 1], command, "exec")
    else:
        check_options(program, words)


def is_accepted(load: Callable[..., object], *arguments: object) -> bool:
    try:
        load(*arguments)
    except MtmcError:
        return False
    return True


@pytest.mark.parametrize("setting", cases(lambda page: SETTING.findall((ROOT / page).read_text(encoding="utf-8"))))
def test_settings_in_sentences_exist(setting: str) -> None:
    """A run, learning or some training takes them."""
    trainings = sorted(ROOT.glob("configs/reid/*.yaml"))
    assert (
        is_accepted(load_config, (), [setting])
        or is_accepted(load_config, (), [f"learn.{setting}"])
        or any(is_accepted(load_training, path, [setting]) for path in trainings)
        or is_accepted(load_training, trainings[0], [SEVERAL, setting])
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")])
def test_sh_blocks_run_as_printed(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other; ``make`` only says what it would do."""
    first_seconds(ROOT / "sample_videos", tmp_path / "sample_videos", SAMPLE_FRAMES)
    monkeypatch.chdir(tmp_path)
    for command in commands(page, "sh"):
        name, *words = shlex.split(command)
        if name == "make":
            dry = ["make", "--dry-run", *words]
            assert subprocess.run(dry, cwd=ROOT, capture_output=True, check=False).returncode == 0, command
        else:
            assert MAINS[name](words) == 0, command


@pytest.mark.parametrize("page", ["README.md", "docs/place.md"])
def test_python_blocks_run(page: str, tmp_path: Path) -> None:
    for snippet in blocks(page, "python"):
        done = subprocess.run(
            [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
