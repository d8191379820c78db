"""Mutants of a source file, and a seeded sample of them that is spread over files and operators."""

from __future__ import annotations

import ast
import difflib
import hashlib
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from tools.mutate.operators import OPERATORS, is_untested

#: Never mutated: types, imports, and the text of errors (tests/test_bad_input.py freezes it).
SKIPPED_NODES = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom, cst.Raise)
#: Calls whose arguments change no result.
SKIPPED_CALLS = {"TypeVar", "cast", "debug", "info", "warning"}


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        key: names the change wherever its lines stand in the file.
        path: file relative to the repository.
        line: the first line that changes.
        statement: first and last line of the statement that changes (the head only of one with a body).
        function: qualified name of the function or class around it; empty at module level.
        operator: how it was made.
        before: the lines that change, without indentation.
        after: what they change to.
        text: the whole changed file.
    """

    key: str
    path: PurePosixPath
    line: int
    statement: tuple[int, int]
    function: str
    operator: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    text: str

    def diff(self) -> str:
        """The change as two groups of lines marked ``-`` and ``+``."""
        removed = [f"    - {line}" for line in self.before]
        added = [f"    + {line}" for line in self.after]
        return "\n".join([*removed, *added])


@dataclass(frozen=True, eq=False)
class _Change:
    """A node and what replaces it."""

    original: cst.CSTNode
    changed: cst.CSTNode
    operator: str
    statement: tuple[int, int]
    function: str


def _is_text(node: cst.CSTNode) -> bool:
    """Whether a statement is a docstring or another free-standing text."""
    return isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString | cst.ConcatenatedString)


def _is_skipped_call(node: cst.CSTNode) -> bool:
    node = node.value if isinstance(node, cst.Expr) else node
    if not isinstance(node, cst.Call):
        return False
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    return isinstance(name, cst.Name) and name.value in SKIPPED_CALLS


def _is_only_for_tools(node: cst.CSTNode) -> bool:
    """``if TYPE_CHECKING``, ``if __name__ == …`` and ``__all__ = …``."""
    if isinstance(node, cst.If):
        return any(word in cst.Module([]).code_for_node(node.test) for word in ("TYPE_CHECKING", "__name__"))
    if isinstance(node, cst.Assign):
        target = node.targets[0].target
        return isinstance(target, cst.Name) and target.value == "__all__"
    return False


class _Collector(cst.CSTVisitor):
    """Every change of a module, in the order of its nodes."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[_Change] = []
        self._names: list[str] = []
        self._statements: list[tuple[int, int]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        skipped = isinstance(node, SKIPPED_NODES) or _is_text(node) or _is_skipped_call(node)
        untested = isinstance(node, cst.Arg) and is_untested(node)
        if skipped or untested or _is_only_for_tools(node):
            return False

        if isinstance(node, cst.BaseCompoundStatement | cst.SimpleStatementLine):
            self._statements.append(self._lines_of(node))
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._names.append(node.name.value)

        statement = self._statements[-1] if self._statements else (1, 1)
        for kind, name, operator in OPERATORS:
            if isinstance(node, kind):
                for changed in operator(node):
                    self.changes.append(_Change(node, changed, name, statement, ".".join(self._names)))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        # libcst leaves nodes whose visit returned False, too; of those only `if` would have been pushed.
        if _is_only_for_tools(original_node):
            return
        if isinstance(original_node, cst.BaseCompoundStatement | cst.SimpleStatementLine):
            self._statements.pop()
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._names.pop()

    def _lines_of(self, node: cst.BaseCompoundStatement | cst.SimpleStatementLine) -> tuple[int, int]:
        place = self._place(node)
        if isinstance(node, cst.SimpleStatementLine):
            return place.start.line, place.end.line
        body = getattr(node, "body", None)
        if isinstance(body, cst.CSTNode):
            return place.start.line, max(place.start.line, self._place(body).start.line - 1)
        return place.start.line, place.start.line

    def _place(self, node: cst.CSTNode) -> CodeRange:
        place = self.get_metadata(PositionProvider, node)
        assert isinstance(place, CodeRange)
        return place


def _changed_lines(before: str, after: str) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Number of the first line that differs, the lines removed and those added, without indentation."""
    old, new = before.splitlines(), after.splitlines()
    edits = [
        edit for edit in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if edit[0] != "equal"
    ]
    removed = [line.strip() for _, start, end, _, _ in edits for line in old[start:end]]
    added = [line.strip() for _, _, _, start, end in edits for line in new[start:end]]
    first = edits[0][1] + 1
    return first, tuple(removed), tuple(added)


def _same_program(before: ast.Module, after: str) -> bool | None:
    """Whether a changed text means the same; None where it is no program."""
    try:
        return ast.dump(before) == ast.dump(ast.parse(after))
    except SyntaxError:
        return None


def _spread_over_operators(changes: Sequence[_Change], chance: random.Random) -> list[_Change]:
    """All changes, each operator in turn, in random order within it.

    Calls have several changes for each argument, most of them noticed by any test at all; a plain sample would hold
    little else.
    """
    groups: dict[str, list[_Change]] = {}
    for change in changes:
        groups.setdefault(change.operator, []).append(change)
    for group in groups.values():
        chance.shuffle(group)

    names = sorted(groups)
    chance.shuffle(names)
    ordered = []
    while any(groups.values()):
        ordered += [groups[name].pop() for name in names if groups[name]]
    return ordered


def mutants_of(
    root: Path,
    path: PurePosixPath,
    *,
    seed: int = 0,
    count: int | None = None,
    lines: Collection[int] | None = None,
) -> list[Mutant]:
    """Mutants of one file: all of them, or the first ``count`` of an order that the seed gives.

    Args:
        root: the repository.
        path: a file relative to it.
        seed: names the random order.
        count: at most so many; None for all.
        lines: numbers of lines, from 1; only statements that hold one of them are changed. None for all.
    """
    text = (root / path).read_text(encoding="utf-8")
    program = ast.parse(text)
    wrapper = MetadataWrapper(cst.parse_module(text))
    collector = _Collector()
    wrapper.visit(collector)

    changes = _spread_over_operators(collector.changes, random.Random(f"{seed}:{path}"))
    mutants: list[Mutant] = []
    seen: set[str] = set()
    for change in changes:
        if count is not None and len(mutants) == count:
            break
        first, last = change.statement
        if lines is not None and not any(first <= line <= last for line in lines):
            continue
        changed = wrapper.module.deep_replace(change.original, change.changed)
        assert isinstance(changed, cst.Module)
        if changed.code in seen or _same_program(program, changed.code) is not False:
            continue
        seen.add(changed.code)

        line, before, after = _changed_lines(text, changed.code)
        key = hashlib.sha256("\0".join([str(path), change.function, *before, "→", *after]).encode()).hexdigest()[:12]
        mutants.append(
            Mutant(
                key=key,
                path=path,
                line=line,
                statement=change.statement,
                function=change.function,
                operator=change.operator,
                before=before,
                after=after,
                text=changed.code,
            )
        )
    return mutants


def change_count(root: Path, path: PurePosixPath) -> int:
    """How many changes a file allows."""
    wrapper = MetadataWrapper(cst.parse_module((root / path).read_text(encoding="utf-8")))
    collector = _Collector()
    wrapper.visit(collector)
    return len(collector.changes)


def shares(sizes: Mapping[PurePosixPath, int], total: int) -> dict[PurePosixPath, int]:
    """Parts of a sample for files: in proportion to their sizes, but one at least for each, by largest remainder.

    >>> shares({PurePosixPath("a"): 90, PurePosixPath("b"): 9, PurePosixPath("c"): 1, PurePosixPath("d"): 0}, 10)
    {PurePosixPath('a'): 7, PurePosixPath('b'): 2, PurePosixPath('c'): 1, PurePosixPath('d'): 0}
    """
    whole = sum(sizes.values())
    if whole <= total:
        return dict(sizes)

    parts = {path: min(size, 1) for path, size in sizes.items()}
    left = max(total - sum(parts.values()), 0)
    exact = {path: left * size / whole for path, size in sizes.items()}
    for path in sizes:
        parts[path] += int(exact[path])
    remainders = sorted(sizes, key=lambda path: (int(exact[path]) - exact[path], str(path)))
    missing = max(total - sum(parts.values()), 0)
    for path in remainders[:missing]:
        parts[path] += 1
    return {path: min(part, sizes[path]) for path, part in parts.items()}


def sample(root: Path, files: Sequence[PurePosixPath], total: int, seed: int) -> list[Mutant]:
    """A seeded sample of all mutants of some files; fewer than ``total`` where there are not as many."""
    parts = shares({path: change_count(root, path) for path in files}, total)
    return [
        mutant for path in files if parts[path] for mutant in mutants_of(root, path, seed=seed, count=parts[path])
    ]
