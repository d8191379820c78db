"""SSML's dictionary of features and the mining of reliable positives in it, exactly and without an n × n matrix.

n dictionary rows, d channels, B anchors; ``S = D Dᵀ`` and ``St`` is ``S`` with the entries below τ set to zero.

An anchor's positives (Eq. 7-14) are the rows j with ``S_ij ≥ τ`` that (rank) hold i among the K largest of their own
similarities and (adjacency) are among the K rows whose thresholded similarities differ least from the anchor's, where
K is the anchor's number of rows above τ. Only entries above τ are kept, as sparse rows, because they decide both:

* j's entries that exceed ``S_ji`` are all above τ, so j's sparse row alone gives the rank of i in it;
* ``‖St_i - St_j‖² = r_i + r_j - 2 (St_i · St_j)``, whose product needs nothing but the sparse rows of i's neighbors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from reid.errors import DataError
from reid.losses.precision import full_precision
from reid.progress import progress
from reid.training import distributed

__all__ = ["DictionaryMiner", "PositiveRule", "released_positives", "update_dictionary"]

#: Which rows are positives: ``similarity`` (Eq. 7), of these the ``rank``-consistent ones (Eq. 10), the rows of most
#: similar neighborhood (Eq. 13), or those that are ``both`` of the latter (Eq. 14, the method).
PositiveRule = Literal["both", "rank", "adjacent", "similarity"]

_CROWDED = 2000  # mean neighbors per row beyond which no threshold of the paper makes sense
_BLOCK = 1 << 22  # entries expanded at a time, and elements of a similarity block: tens of megabytes


def update_dictionary(dictionary: Tensor, index: Tensor, z: Tensor) -> None:
    """SSML Eq. 6 in place: ``D_i ← L2((D_i + z_i) / 2)``, sample by sample, so that a row given twice moves twice.

    Args:
        dictionary: (n, d) float32; a zero row becomes the feature itself.
        index: (B,) rows.
        z: (B, d) unit features.
    """
    z = z.detach().to(dictionary.dtype)
    for turn in _turns(index):
        rows = index[turn]
        dictionary[rows] = functional.normalize((dictionary[rows] + z[turn]) / 2, dim=1)


def _turns(index: Tensor) -> Iterator[Tensor]:
    """Positions of first occurrences, then of second ones, and so on: each yields no index twice."""
    order = torch.argsort(index, stable=True)
    ordered = index[order]
    occurrence = torch.arange(len(index), device=index.device) - torch.searchsorted(ordered, ordered)
    for turn in range(int(occurrence.max()) + 1 if len(index) else 0):
        yield order[occurrence == turn]


@dataclass(slots=True)
class _Rows:
    """Sparse rows: entry e of row i lies in ``start[i] <= e < start[i + 1]``, columns ascending."""

    start: Tensor  # (n + 1,) int64
    column: Tensor  # (nnz,) int32
    value: Tensor  # (nnz,) float32


class DictionaryMiner:
    """Positives of any dictionary row, kept current while rows change.

    Args:
        dictionary: (n, d) unit rows; read now, and again by :meth:`update`.
        threshold: τ.
        rule: See :data:`PositiveRule`; all but ``both`` are the paper's ablation.

    Raises:
        DataError: Rows have so many neighbors that the features must have collapsed.
    """

    def __init__(self, dictionary: Tensor, threshold: float, rule: PositiveRule = "both") -> None:
        self.dictionary, self.threshold, self.rule = dictionary, threshold, rule
        # The metal backend has no float64; its near-ties may then fall either way.
        self._exact = torch.float32 if dictionary.device.type == "mps" else torch.float64
        self._rows = self._build()
        self._length = self._squared_lengths()

    @property
    def entries(self) -> int:
        """Number of stored similarities."""
        return len(self._rows.value)

    def positives(self, anchors: Tensor) -> list[Tensor]:
        """Positive rows of each anchor, ascending; an anchor is always among its own.

        Args:
            anchors: (B,) int64 dictionary rows.
        """
        found: list[Tensor] = []
        for part in self._parts(anchors):
            found += self._positives(part)
        return found

    def update(self, changed: Tensor) -> None:
        """Follow a change of the dictionary's rows ``changed`` (any order, repeats allowed)."""
        changed = torch.unique(changed)
        n = len(self.dictionary)
        touched = torch.zeros(n, dtype=torch.bool, device=changed.device)
        touched[changed] = True
        row = self._row_of_entries()
        keep = ~(touched[row] | touched[self._rows.column.long()])
        old = row[keep] * n + self._rows.column[keep], self._rows.value[keep]
        new = self._entries_of(changed, touched)
        key, value = _merge(*old, *new)
        self._rows = _compress(key, value, n)
        self._check()
        self._length = self._squared_lengths()

    # --- mining ------------------------------------------------------------------------------------------------
    def _positives(self, anchors: Tensor) -> list[Tensor]:
        """The rule for a few anchors, from one expansion of their neighbors' sparse rows."""
        rows = self._rows
        pair_entry, which = _expand(rows.start, anchors)  # pair p: anchor which[p] and its neighbor[p]
        neighbor, similarity = rows.column[pair_entry].long(), rows.value[pair_entry]
        count = torch.bincount(which, minlength=len(anchors))
        if self.rule == "similarity":
            return list(neighbor.split(count.tolist()))

        entry, pair = _expand(rows.start, neighbor)  # every entry of every neighbor's row
        column, value = rows.column[entry].long(), rows.value[entry]
        chosen = torch.ones_like(neighbor, dtype=torch.bool)
        if self.rule != "adjacent":
            ahead = (value > similarity[pair]) | ((value == similarity[pair]) & (column < anchors[which[pair]]))
            rank = torch.zeros_like(neighbor).index_add_(0, pair, ahead.long())
            chosen = rank < count[which]
        if self.rule != "rank":
            n = len(self.dictionary)
            product = torch.zeros(len(anchors) * n, dtype=self._exact, device=anchors.device)
            product.index_add_(0, which[pair] * n + column, (similarity[pair] * value.to(self._exact)))
            squared = self._length[anchors][:, None] + self._length[None, :] - 2 * product.view(-1, n)
            if self.rule == "adjacent":  # by itself it does not ask for similarity: every row is a candidate
                place = torch.arange(squared.numel(), device=anchors.device)
                which, neighbor = place // n, place % n
                chosen = torch.ones_like(neighbor, dtype=torch.bool)
            chosen &= _among_smallest(squared, which, neighbor, count)
        sizes = torch.bincount(which[chosen], minlength=len(anchors)).tolist()
        return list(neighbor[chosen].split(sizes))

    def _parts(self, anchors: Tensor) -> Iterator[Tensor]:
        """The anchors in portions whose expansion stays within a few tens of megabytes."""
        width = self._rows.start[1:] - self._rows.start[:-1]
        entry, which = _expand(self._rows.start, anchors)
        work = torch.zeros(len(anchors), dtype=torch.int64, device=width.device)
        work.index_add_(0, which, width[self._rows.column[entry].long()])
        portion = (work + len(width)).cumsum(0) // _BLOCK
        yield from anchors.split(torch.unique_consecutive(portion, return_counts=True)[1].tolist())

    # --- the sparse rows ---------------------------------------------------------------------------------------
    def _build(self) -> _Rows:
        """All entries above τ; each pair is computed once and mirrored, so that S is symmetric to the bit."""
        n, device = len(self.dictionary), self.dictionary.device
        keys, values = [], []
        bounds = list(_blocks(n))
        for first, last in progress(bounds, f"neighbors of {n} features", shown=distributed.is_main()):
            block = self._similarity(torch.arange(first, last, device=device), first)
            row, column = torch.nonzero((block >= self.threshold).triu_(), as_tuple=True)
            value = block[row, column]
            row, column = row + first, column + first
            off = row != column
            keys += [row * n + column, column[off] * n + row[off]]
            values += [value, value[off]]
            if sum(map(len, keys)) > _CROWDED * n:
                self._complain(sum(map(len, keys)) / last)
        key, order = torch.cat(keys or [torch.zeros(0, dtype=torch.int64, device=device)]).sort()
        return _compress(key, torch.cat(values)[order], n)

    def _entries_of(self, changed: Tensor, touched: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, in order of key, of every entry in a changed row or column."""
        n = len(self.dictionary)
        keys, values = [], []
        for part in changed.split(max(16, _BLOCK * 4 // n)):
            block = self._similarity(part)
            local, column = torch.nonzero(block >= self.threshold, as_tuple=True)
            row, value = part[local], block[local, column]
            once = ~touched[column] | (row <= column)  # a pair of changed rows is met twice: keep one value
            row, column, value = row[once], column[once], value[once]
            off = row != column
            keys += [row * n + column, column[off] * n + row[off]]
            values += [value, value[off]]
        key, order = torch.cat(keys).sort()
        return key, torch.cat(values)[order]

    def _similarity(self, rows: Tensor, first: int = 0) -> Tensor:
        """Similarities of some rows and all rows from ``first`` on; one that is still zero is similar to itself."""
        features = self.dictionary[rows]
        with full_precision(features.device):
            block = features @ self.dictionary[first:].T
        zero = ~features.any(dim=1)
        block[zero.nonzero()[:, 0], rows[zero] - first] = 1.0
        return block

    def _row_of_entries(self) -> Tensor:
        start = self._rows.start
        return torch.repeat_interleave(torch.arange(len(start) - 1, device=start.device), start[1:] - start[:-1])

    def _squared_lengths(self) -> Tensor:
        """r: the squared length of every sparse row, (n,)."""
        length = torch.zeros(len(self.dictionary), dtype=self._exact, device=self._rows.value.device)
        return length.index_add_(0, self._row_of_entries(), self._rows.value.to(self._exact).square())

    def _check(self) -> None:
        if self.entries > _CROWDED * len(self.dictionary):
            self._complain(self.entries / len(self.dictionary))

    def _complain(self, neighbors: float) -> None:
        raise DataError(
            f"expected few neighbors above the similarity {self.threshold}, got {neighbors:.0f} per image",
            remedy="the features have collapsed, or the network lacks the normalization before them: "
            "lower the learning rate or raise the threshold",
        )


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of the upper triangle of an n × n matrix, of about as many elements each."""
    first = 0
    while first < n:
        last = min(n, first + max(16, _BLOCK * 4 // (n - first)))
        yield first, last
        first = last


def _expand(start: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Entries of the given sparse rows, one row after the other, and the position in ``rows`` each belongs to."""
    width = start[rows + 1] - start[rows]
    which = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), width)
    before = width.cumsum(0) - width
    entry = torch.arange(len(which), device=rows.device) - before[which] + start[rows][which]
    return entry, which


def _among_smallest(squared: Tensor, which: Tensor, column: Tensor, count: Tensor) -> Tensor:
    """Whether ``squared[which, column]`` is among the ``count[which]`` smallest of its row; ties to lower columns."""
    least = squared.topk(int(count.max()), dim=1, largest=False).values
    limit = least.gather(1, count[:, None] - 1)
    value = squared[which, column]
    among = value <= limit[which, 0]
    room = count - (least < limit).sum(1)  # for entries equal to the limit
    equal = squared == limit
    crowded = equal.sum(1) > room
    for row in torch.nonzero(crowded)[:, 0].tolist():
        of_row = which == row
        order = equal[row].cumsum(0)[column[of_row]]
        among[of_row] &= (value[of_row] < limit[row]) | (order <= room[row])
    return among


def _compress(key: Tensor, value: Tensor, n: int) -> _Rows:
    bounds = torch.arange(n + 1, device=key.device) * n
    return _Rows(torch.searchsorted(key, bounds), (key % n).int(), value)


def _merge(key_a: Tensor, value_a: Tensor, key_b: Tensor, value_b: Tensor) -> tuple[Tensor, Tensor]:
    """Two lists in order of key as one; no key is in both."""
    place = torch.searchsorted(key_a, key_b) + torch.arange(len(key_b), device=key_b.device)
    from_a = torch.ones(len(key_a) + len(key_b), dtype=torch.bool, device=key_a.device)
    from_a[place] = False
    key, value = key_a.new_empty(len(from_a)), value_a.new_empty(len(from_a))
    key[from_a], value[from_a] = key_a, value_a
    key[place], value[place] = key_b, value_b
    return key, value


def released_positives(dictionary: Tensor, anchors: Tensor, threshold: float) -> list[Tensor]:
    """Positives as the authors' published program mines them, which differs from the paper; ascending.

    Lists are at least ten long; adjacency looks at the anchor's hundred nearest rows with their full similarities;
    the rank test keeps a prefix of the candidates; and a candidate that failed adjacency is looked up as the
    dictionary's last row.

    Args:
        dictionary: (n, d) unit rows.
        anchors: (B,) rows.
        threshold: τ.
    """
    with full_precision(dictionary.device):
        return [_released(dictionary, int(anchor), threshold) for anchor in anchors]


def _released(dictionary: Tensor, anchor: int, threshold: float) -> Tensor:
    similarity = dictionary @ dictionary[anchor]
    count = int((similarity >= threshold).sum())
    order = similarity.argsort(descending=True, stable=True)
    length = min(max(count, 10), len(order))
    near = dictionary[order[:100]]
    local = (near @ near.T).fill_diagonal_(0)
    adjacent = order[torch.cdist(local[:1], local)[0].argsort(stable=True)[:length]]
    candidates = order[:length].clone()
    accepted = torch.isin(candidates, adjacent)
    if count > 1:
        candidates[~accepted] = len(dictionary) - 1
    rows = dictionary[candidates] @ dictionary.T
    place = (rows > rows[:, order[0]][:, None]).sum(1)
    failed = torch.nonzero(place > length)
    passed = int(failed[0]) if len(failed) else length
    prefix = min(max(1, passed - 1) + 1, count)
    positives = order[:prefix][accepted[:prefix] | (order[:prefix] == anchor)]
    return torch.unique(torch.cat([positives, order.new_tensor([anchor])]))
