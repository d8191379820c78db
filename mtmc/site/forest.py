"""Pairs joined into trees, the first pairs first."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["grow"]


def grow(pairs: Sequence[tuple[str, str]]) -> tuple[list[int], dict[str, str]]:
    """Which pairs join what all before them left apart, and the tree of each name (Kruskal 1956).

    Args:
        pairs: Those that are kept rather than others come first.

    Returns:
        Indices of the pairs that are edges, and name → the name that stands for its tree.

    >>> grow([("a", "b"), ("c", "d"), ("b", "a"), ("e", "c")])
    ([0, 1, 3], {'a': 'a', 'b': 'a', 'c': 'e', 'd': 'e', 'e': 'e'})
    """
    home = {name: name for name in sorted({name for pair in pairs for name in pair})}
    edges = []
    for k, (one, other) in enumerate(pairs):
        a, b = home[one], home[other]
        if a != b:
            edges.append(k)
            home = {name: a if root == b else root for name, root in home.items()}
    return edges, home
