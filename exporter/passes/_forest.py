"""Trees in the records of edge.TreeEnsemble: any comparison as a step function, that as comparisons x <= split.

    x < 3          x <= 2.999...
    x == 3         x <= 2.999..., x <= 3
    x in {1, 5}    a search tree over 0.999..., 1, 4.999..., 5
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from edge_rt.ops.trees import MODES, Forest

Array = np.ndarray[Any, Any]
Leaf = dict[int, float]
"""Weight by target."""

MAX_FEATURES = 1 << 30
LEAF_COLUMN = 0


class NotATree(Exception):
    """Nodes that are no trees, or numbers that no record holds."""


class Steps(NamedTuple):
    """outcomes[0] where x <= bounds[0], else outcomes[1] where x <= bounds[1], ..., else the last one.

    missing: the interval that NaN is in.
    """

    bounds: list[float]
    outcomes: list[bool]
    missing: int


def condition(mode: str, split: float, members: Iterable[float], missing: bool) -> Steps:
    """How a node decides. missing: whether a NaN goes the true way, whatever the comparison says."""
    before = math.nextafter(split, -math.inf)
    bounds: list[float]
    outcomes: list[bool]
    if mode in ("BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"):
        bounds, outcomes = _points(sorted({v for v in (members if mode == "BRANCH_MEMBER" else [split]) if v == v}))
        if mode == "BRANCH_NEQ":
            outcomes, missing = [not o for o in outcomes], True
    elif split != split:
        bounds, outcomes = [], [False]
    elif mode == "BRANCH_LEQ":
        bounds, outcomes = [split], [True, False]
    elif mode == "BRANCH_GT":
        bounds, outcomes = [split], [False, True]
    elif split == -math.inf:
        bounds, outcomes = [], [mode == "BRANCH_GTE"]
    else:
        bounds, outcomes = [before], [mode == "BRANCH_LT", mode == "BRANCH_GTE"]
    if missing not in outcomes:
        bounds, outcomes = [*bounds, math.inf], [*outcomes, missing]
    return Steps(bounds, outcomes, outcomes.index(missing))


def _points(points: list[float]) -> tuple[list[float], list[bool]]:
    """True at the points, which rise."""
    bounds: list[float] = []
    outcomes = [False]
    for p in points:
        before = math.nextafter(p, -math.inf)
        if bounds and bounds[-1] == before:
            bounds[-1] = p
        elif p == -math.inf:
            bounds, outcomes = [p], [True, False]
        else:
            bounds, outcomes = [*bounds, before, p], [*outcomes, True, False]
    return bounds, outcomes


def pack_forest(forest: Forest) -> tuple[Array, Array, list[int]]:
    """(nodes i64[n, 2], roots i64[trees], the forest's leaf behind each leaf number); leaves have numbers for words.

    Raises NotATree if a node is reached twice or a feature is out of range.
    """
    return _Packer(forest).run()


class _Packer:
    __slots__ = ("children", "columns", "forest", "inner", "leaves", "numbers", "seen", "splits")

    def __init__(self, forest: Forest) -> None:
        self.forest, self.inner = forest, len(forest.feature)
        self.splits: list[float] = []
        self.columns: list[int] = []
        self.children: list[int] = []
        self.numbers: list[int] = []
        """Of the leaf in each slot."""
        self.leaves: list[int] = []
        self.seen: set[int] = set()

    def run(self) -> tuple[Array, Array, list[int]]:
        roots = []
        for root in self.forest.roots.tolist():
            slot = self._new_slots(1)
            roots.append(slot)
            self._pack_tree(slot, root)
        nodes = np.empty((len(self.splits), 2), np.int64)
        columns, children = np.array(self.columns, np.int64), np.array(self.children, np.int64)
        nodes[:, 0] = np.where(columns == LEAF_COLUMN, self.numbers, np.array(self.splits, np.float64).view(np.int64))
        nodes[:, 1] = children << 32 | columns
        return nodes, np.array(roots, np.int64), self.leaves

    def _new_slots(self, count: int) -> int:
        first = len(self.splits)
        for values, filler in ((self.splits, 0.0), (self.columns, 0), (self.children, 0), (self.numbers, 0)):
            values += [filler] * count
        return first

    def _pack_tree(self, root_slot: int, root: int) -> None:
        """Level by level; a node's record stands in all slots of its, whose children stand behind the last of them."""
        pending: list[tuple[list[int], int]] = [([root_slot], root)]
        for slots, source in pending:
            if source >= self.inner:
                for slot in slots:
                    self.children[slot], self.numbers[slot] = slot, len(self.leaves)
                self.leaves.append(source - self.inner)
                continue
            if source in self.seen:
                raise NotATree
            self.seen.add(source)
            ways = self._pack_condition(slots, source)
            for outcome, child in ((True, self.forest.on_true), (False, self.forest.on_false)):
                if ways[outcome]:
                    pending.append((ways[outcome], int(child[source])))

    def _pack_condition(self, slots: list[int], source: int) -> dict[bool, list[int]]:
        """Writes a search tree over the bounds of a node's condition; the slots where each outcome goes on."""
        feature = int(self.forest.feature[source])
        if not 0 <= feature < MAX_FEATURES:
            raise NotATree
        bounds, outcomes, missing = condition(
            MODES[self.forest.mode[source]], float(self.forest.split[source]), self._members(source),
            bool(self.forest.missing[source]),
        )  # fmt: skip
        ways: dict[bool, list[int]] = {True: [], False: []}
        pending = [(slots, 0, len(bounds))]
        for own, first, last in pending:
            if first == last:
                ways[outcomes[first]] += own
                continue
            middle = (first + last) // 2
            child = self._new_slots(2)
            for slot in own:
                self.splits[slot], self.children[slot] = bounds[middle], child
                self.columns[slot] = 2 * feature + (2 if missing <= middle else 1)
            pending += [([child], first, middle), ([child + 1], middle + 1, last)]
        return ways

    def _members(self, source: int) -> list[float]:
        return [float(v) for v in self.forest.members.get(source, ())]
