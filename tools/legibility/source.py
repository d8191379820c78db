"""Python source files as text, syntax tree and line counts."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Folders that never belong to a code base: tests are written in another style, the others are not source.
SKIPPED_FOLDERS = {"tests", "test", "build", "dist", "node_modules", "__pycache__"}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
#: Tokens that stand on a line without making it a line of code.
LAYOUT_TOKENS = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One parsed module.

    Attributes:
        path: where it was read from.
        tree: its syntax tree.
        line_count: all lines of the file.
        code_lines: numbers of the lines that hold code; no blank lines, comments or docstrings.
        comment_lines: numbers of the lines that hold a comment, alone or after code.
    """

    path: Path
    tree: ast.Module
    line_count: int
    code_lines: frozenset[int]
    comment_lines: frozenset[int]


def docstring_of(node: ast.AST) -> ast.Expr | None:
    """The statement that is the docstring of a module, class or function."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return None

    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return first if is_text and isinstance(first, ast.Expr) else None


def lines_of(node: ast.stmt) -> range:
    """Line numbers from the first to the last line of a statement."""
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def nodes_without_docstrings(root: ast.AST) -> Iterator[ast.AST]:
    """``root`` and every node below it, in depth-first order, docstrings left out."""
    yield root
    docstring = docstring_of(root)
    for child in ast.iter_child_nodes(root):
        if child is not docstring:
            yield from nodes_without_docstrings(child)


def read_source(path: Path) -> SourceFile:
    """Parse one file.

    Raises:
        SyntaxError: the file is not Python.
        UnicodeDecodeError: the file is not UTF-8.
    """
    text = path.read_text(encoding="utf-8-sig")
    tree = ast.parse(text, filename=str(path))

    docstring_lines: set[int] = set()
    for node in ast.walk(tree):
        docstring = docstring_of(node)
        if docstring is not None:
            docstring_lines.update(lines_of(docstring))

    code_lines: set[int] = set()
    comment_lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comment_lines.add(token.start[0])
        elif token.type not in LAYOUT_TOKENS:
            # A string or bracket may span several lines; its blank lines count as code.
            code_lines.update(range(token.start[0], token.end[0] + 1))

    return SourceFile(
        path=path,
        tree=tree,
        line_count=len(text.splitlines()),
        code_lines=frozenset(code_lines - docstring_lines),
        comment_lines=frozenset(comment_lines),
    )


def read_tree(root: Path) -> list[SourceFile]:
    """Every module below a folder (or the one file), in the order of its path. Tests are left out.

    Files that cannot be parsed are left out as well: peers ship templates and code for other versions of Python.
    """
    if root.is_file():
        return [read_source(root)]

    sources = []
    for path in sorted(root.rglob("*.py")):
        folders = path.relative_to(root).parts[:-1]
        if SKIPPED_FOLDERS.intersection(folders):
            continue
        try:
            sources.append(read_source(path))
        except (SyntaxError, UnicodeDecodeError):
            continue
    return sources
