"""What is measured of a tree of source files. Each figure describes; none is a limit."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.legibility.source import (
    FunctionNode,
    SourceFile,
    docstring_of,
    lines_of,
    nodes_without_docstrings,
)

SIMPLE_STATEMENTS = (
    ast.Assign,
    ast.AugAssign,
    ast.AnnAssign,
    ast.Return,
    ast.Expr,
    ast.Raise,
    ast.Assert,
    ast.Delete,
)
#: ``fooBar``, ``FOOBar`` and ``foo2bar`` are two words each.
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: A shape such as ``(N, 4)``, a range such as ``[0, 1]``, or a unit. Single letters count in brackets only.
SHAPE_OR_UNIT = re.compile(
    r"\(\s*(?:[A-Z]\w{0,2}|\d+)\s*(?:,\s*(?:[A-Z]\w{0,2}|\d+|\.\.\.)\s*)*,?\s*\)"
    r"|\[\s*-?[\d.]+\s*,\s*-?[\d.]+\s*[\])]"
    r"|\b(?:px|pixels?|seconds?|met(?:er|re)s?|degrees?|radians?|milliseconds?|hertz|Hz|fps|m/s)\b"
)


@dataclass(frozen=True)
class Spread:
    """Median, 90th percentile and maximum of a list of counts; each is a value of the list (0 without values)."""

    median: int
    high: int
    largest: int

    @classmethod
    def of(cls, values: Iterable[int]) -> Spread:
        """Order statistics at ranks ``floor(p · n)``.

        >>> Spread.of([4, 1, 3, 2])
        Spread(median=3, high=4, largest=4)
        """
        ordered = sorted(values)
        if not ordered:
            return cls(0, 0, 0)
        return cls(
            median=ordered[len(ordered) // 2],
            high=ordered[len(ordered) * 9 // 10],
            largest=ordered[-1],
        )


@dataclass(frozen=True)
class FunctionMeasure:
    """One function and how dense it is.

    Attributes:
        path: file of the function.
        line: its first line (``def``).
        name: qualified name, ``Class.method`` or ``outer.inner``.
        line_count: lines from ``def`` to the end, without the docstring.
        code_line_count: those of them that hold code.
        node_count: expressions and statements, without the docstring.
        local_names: parameters and names bound in the function, those of inner functions left out.
    """

    path: Path
    line: int
    name: str
    line_count: int
    code_line_count: int
    node_count: int
    local_names: int

    @property
    def density(self) -> float:
        """Nodes per line of code."""
        return self.node_count / max(self.code_line_count, 1)


@dataclass(frozen=True, eq=False)
class TreeMeasure:
    """The figures of one tree. Shares are in [0, 1]; NaN where there is nothing to count."""

    name: str
    modules: int
    file_lines: Spread
    function_lines: Spread
    nodes_per_line: float
    nodes_per_statement: Spread
    identifier_length: float
    one_letter: float
    comments_per_line: float
    documented: float
    typed: float
    shapes_in_docstrings: float
    raises: int
    asserts: int
    words: frozenset[str]
    functions: tuple[FunctionMeasure, ...]


def words_of(identifier: str) -> list[str]:
    """Words of an identifier in lower case; digits and single letters are no words.

    >>> words_of("HTTPServer_nameX2")
    ['http', 'server', 'name']
    """
    return [word.lower() for word in WORD.findall(identifier) if len(word) > 1]


def bound_names(nodes: Iterable[ast.AST]) -> list[str]:
    """Variables and parameters, once per binding; ``self``, ``cls`` and names of underscores are left out."""
    names = []
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
    return [name for name in names if name not in {"self", "cls"} and name.strip("_")]


def defined_identifiers(nodes: Iterable[ast.AST]) -> list[str]:
    """Names that the code itself chooses: variables, parameters, attributes set, functions and classes."""
    nodes = list(nodes)
    names = bound_names(nodes)
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.append(node.attr)
    return names


def is_typed(function: FunctionNode) -> bool:
    """Whether the return value (except of ``__init__``) and every parameter but ``self`` and ``cls`` is annotated."""
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    annotated = all(
        parameter.annotation is not None for parameter in parameters if parameter.arg not in {"self", "cls"}
    )
    return annotated and (function.returns is not None or function.name == "__init__")


def own_nodes(function: FunctionNode) -> list[ast.AST]:
    """Nodes of a function, without its docstring and without the bodies of functions and classes inside it."""
    collected: list[ast.AST] = []
    pending = [child for child in ast.iter_child_nodes(function) if child is not docstring_of(function)]
    while pending:
        node = pending.pop()
        collected.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
    return collected


def measure_function(source: SourceFile, function: FunctionNode, name: str) -> FunctionMeasure:
    """Size and density of one function, its decorators left out."""
    lines = set(lines_of(function))
    docstring = docstring_of(function)
    if docstring is not None:
        lines -= set(lines_of(docstring))

    nodes = [node for node in nodes_without_docstrings(function) if isinstance(node, ast.expr | ast.stmt)]
    return FunctionMeasure(
        path=source.path,
        line=function.lineno,
        name=name,
        line_count=len(lines),
        code_line_count=len(lines & source.code_lines),
        node_count=len(nodes),
        local_names=len(set(bound_names(own_nodes(function)))),
    )


def functions_of(node: ast.AST, prefix: str = "") -> list[tuple[str, FunctionNode]]:
    """Qualified names and nodes of all functions below a node, methods and inner functions included."""
    found: list[tuple[str, FunctionNode]] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append((prefix + child.name, child))
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.extend(functions_of(child, f"{prefix}{child.name}."))
        else:
            found.extend(functions_of(child, prefix))
    return found


def is_public(qualified: str) -> bool:
    """Whether no part of a qualified name begins with an underscore.

    >>> is_public("Tracker.update"), is_public("Tracker.__init__"), is_public("_Log.add")
    (True, False, False)
    """
    return not any(part.startswith("_") for part in qualified.split("."))


def ratio(part: float, whole: float) -> float:
    """``part / whole``, NaN when there is nothing to divide by."""
    return part / whole if whole else float("nan")


def measure_tree(name: str, sources: Sequence[SourceFile]) -> TreeMeasure:
    """All figures of one tree."""
    nodes = [node for source in sources for node in nodes_without_docstrings(source.tree)]
    counted = [node for node in nodes if isinstance(node, ast.expr | ast.stmt)]
    code_lines = sum(len(source.code_lines) for source in sources)
    comment_lines = sum(len(source.comment_lines) for source in sources)
    variables = bound_names(nodes)

    statements = [node for node in nodes if isinstance(node, SIMPLE_STATEMENTS)]
    statement_sizes = [sum(isinstance(part, ast.expr) for part in ast.walk(node)) for node in statements]

    functions = [(source, qualified, node) for source in sources for qualified, node in functions_of(source.tree)]
    measures = tuple(measure_function(source, node, qualified) for source, qualified, node in functions)
    public = [node for _, qualified, node in functions if is_public(qualified)]
    docstrings = [ast.get_docstring(node) for node in public]
    present = [text for text in docstrings if text]

    return TreeMeasure(
        name=name,
        modules=len(sources),
        file_lines=Spread.of(source.line_count for source in sources),
        function_lines=Spread.of(measure.line_count for measure in measures),
        nodes_per_line=ratio(len(counted), code_lines),
        nodes_per_statement=Spread.of(statement_sizes),
        identifier_length=ratio(sum(map(len, variables)), len(variables)),
        one_letter=ratio(sum(len(variable) == 1 for variable in variables), len(variables)),
        comments_per_line=ratio(comment_lines, code_lines),
        documented=ratio(len(present), len(public)),
        typed=ratio(sum(is_typed(node) for _, _, node in functions), len(functions)),
        shapes_in_docstrings=ratio(sum(bool(SHAPE_OR_UNIT.search(text)) for text in present), len(present)),
        raises=sum(isinstance(node, ast.Raise) for node in nodes),
        asserts=sum(isinstance(node, ast.Assert) for node in nodes),
        words=frozenset(word for identifier in defined_identifiers(nodes) for word in words_of(identifier)),
        functions=measures,
    )


def own_word_share(tree: TreeMeasure, others: Sequence[TreeMeasure]) -> float:
    """Share of a tree's distinct identifier words that no other tree uses; NaN without another tree."""
    if not others:
        return float("nan")
    known = frozenset[str]().union(*(other.words for other in others))
    return ratio(len(tree.words - known), len(tree.words))


def densest(functions: Iterable[FunctionMeasure], count: int = 10, *, least_lines: int = 10) -> list[FunctionMeasure]:
    """The functions with the most nodes per line of code, of those with at least ``least_lines`` lines of code."""
    long_enough = [function for function in functions if function.code_line_count >= least_lines]
    return sorted(long_enough, key=lambda function: (-function.density, str(function.path), function.line))[:count]
