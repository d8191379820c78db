"""Import circles of a package: sets of modules that need one another.

A circle at module level runs when the modules are loaded and can fail; one that closes only through an import inside
a function is hidden from the loader, but not from the reader. Imports below ``if TYPE_CHECKING`` never run and do not
count.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tools.legibility.source import SourceFile


def module_name(path: Path, package: Path) -> str:
    """Dotted name of a file of the package.

    >>> module_name(Path("src/mtmc/track/__init__.py"), Path("src/mtmc"))
    'mtmc.track'
    """
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _import_nodes(node: ast.AST, *, inside_functions: bool) -> list[ast.Import | ast.ImportFrom]:
    """Import statements below a node; on request those that do not run on loading as well."""
    found: list[ast.Import | ast.ImportFrom] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            found.append(child)
        found.extend(_import_nodes(child, inside_functions=inside_functions))
    return found


def _base_of(node: ast.ImportFrom, importer: str, is_package: bool) -> str:
    """Absolute dotted name that a ``from … import`` starts at."""
    if node.level == 0:
        return node.module or ""
    parts = importer.split(".")
    kept = len(parts) - node.level + (1 if is_package else 0)
    return ".".join([*parts[:kept], *([node.module] if node.module else [])])


def import_graph(sources: Mapping[str, SourceFile], *, inside_functions: bool) -> dict[str, set[str]]:
    """Which modules of the package each module names.

    ``from package import name`` is an edge to ``package.name`` where that is a module, to ``package`` otherwise.
    """
    graph: dict[str, set[str]] = {}
    for name, source in sources.items():
        is_package = source.path.name == "__init__.py"
        targets: set[str] = set()
        for node in _import_nodes(source.tree, inside_functions=inside_functions):
            if isinstance(node, ast.Import):
                targets.update(alias.name for alias in node.names)
                continue
            base = _base_of(node, name, is_package)
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                targets.add(submodule if submodule in sources else base)
        graph[name] = {target for target in targets if target in sources and target != name}
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of two or more modules, each sorted, the largest first.

    >>> circles({"a": {"b"}, "b": {"a"}, "c": {"a"}})
    [['a', 'b']]
    """
    names = sorted(graph)
    index = {name: i for i, name in enumerate(names)}
    edges = [(index[name], index[target]) for name in names for target in sorted(graph[name])]
    if not edges:
        return []

    source, target = np.array(edges).T
    adjacency = coo_array((np.ones(len(edges)), (source, target)), shape=(len(names), len(names)))
    _, component = connected_components(adjacency, directed=True, connection="strong")

    members: dict[int, list[str]] = {}
    for name, label in zip(names, component.tolist(), strict=True):
        members.setdefault(label, []).append(name)
    return sorted((group for group in members.values() if len(group) > 1), key=lambda group: (-len(group), group))
