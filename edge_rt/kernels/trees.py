"""Decision trees: eight at a time go down in step, so that their loads overlap."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import stack
from edge_rt.kernels.simd import is_null, pointer
from edge_rt.lowering.trees import TREE_ENSEMBLE
from edge_rt.types import DType

F32, F64, I64 = types.float32, types.float64, types.int64
NUMBERS = {DType.FLOAT32: F32, DType.FLOAT64: F64, DType.INT32: types.int32, DType.INT64: I64}
INF = float("inf")
COLUMN = 0xFFFF_FFFF
"""Of the second word of a node: its column."""
TOGETHER = 8


def step(nodes, splits, columns, at):
    """The node behind `at`; a leaf's is itself."""
    word = nodes[2 * at + 1]
    return (word >> 32) + (I64(0) if columns[word & COLUMN] <= splits[2 * at] else I64(1))


def descend(nodes, splits, columns, at):
    """The leaf below `at`."""
    following = step(nodes, splits, columns, at)
    while following != at:
        at = following
        following = step(nodes, splits, columns, at)
    return at


def descend_together(nodes, splits, columns, roots, leaves):
    """The leaves below the next TOGETHER roots. Two steps between looks at whether all have arrived."""
    a0, b0, c0, d0 = roots[0], roots[1], roots[2], roots[3]
    e0, f0, g0, h0 = roots[4], roots[5], roots[6], roots[7]
    moved = I64(1)
    while moved:
        a1, b1 = step(nodes, splits, columns, a0), step(nodes, splits, columns, b0)
        c1, d1 = step(nodes, splits, columns, c0), step(nodes, splits, columns, d0)
        e1, f1 = step(nodes, splits, columns, e0), step(nodes, splits, columns, f0)
        g1, h1 = step(nodes, splits, columns, g0), step(nodes, splits, columns, h0)
        a0, b0 = step(nodes, splits, columns, a1), step(nodes, splits, columns, b1)
        c0, d0 = step(nodes, splits, columns, c1), step(nodes, splits, columns, d1)
        e0, f0 = step(nodes, splits, columns, e1), step(nodes, splits, columns, f1)
        g0, h0 = step(nodes, splits, columns, g1), step(nodes, splits, columns, h1)
        moved = (a0 ^ a1) | (b0 ^ b1) | (c0 ^ c1) | (d0 ^ d1) | (e0 ^ e1) | (f0 ^ f1) | (g0 ^ g1) | (h0 ^ h1)
    leaves[0], leaves[1], leaves[2], leaves[3] = a0, b0, c0, d0
    leaves[4], leaves[5], leaves[6], leaves[7] = e0, f0, g0, h0


def _register(dtype, spec):
    @kernel(spec)
    def tree_ensemble(target):
        NUMBER = NUMBERS[dtype]

        def spread_row(x, columns, features):
            columns[0] = -INF
            for f in range(features):
                value = F64(x[f])
                columns[1 + 2 * f] = value
                columns[2 + 2 * f] = value if value == value else -INF

        def combine(a, b, aggregate):
            if aggregate == 0:
                return a + b
            if aggregate == 1:
                return b if b < a else a
            return b if b > a else a

        def add_leaf(leaf, nodes, splits, offsets, pair_targets, weights, sums, targets, aggregate):
            if targets == 1:
                sums[0] = combine(sums[0], splits[2 * leaf], aggregate)
            else:
                number = nodes[2 * leaf]
                for pair in range(offsets[number], offsets[number + 1]):
                    t = pair_targets[pair]
                    sums[t] = combine(sums[t], weights[pair], aggregate)

        def body(
            x, nodes, roots, offsets, pair_targets, pair_weights, base, room, out, wide, rows, features, trees,
            targets, aggregate, part, parts,
        ):  # fmt: skip
            splits, weights, numbers = pointer(F64, nodes), pointer(F64, pair_weights), pointer(NUMBER, x)
            columns = pointer(F64, room) + part * (1 + 2 * features + targets)
            sums = columns + (1 + 2 * features)
            made, bases = pointer(F64, wide), pointer(F64, base)
            leaves = stack(I64, TOGETHER)
            for row in range(rows * part // parts, rows * (part + 1) // parts):
                spread_row(numbers + row * features, columns, features)
                for t in range(targets):
                    sums[t] = 0.0 if aggregate == 0 else INF if aggregate == 1 else -INF
                for tree in range(0, trees, TOGETHER):
                    n = min(TOGETHER, trees - tree)
                    if n == TOGETHER:
                        descend_together(nodes, splits, columns, roots + tree, leaves)
                    else:
                        for i in range(n):
                            leaves[i] = descend(nodes, splits, columns, roots[tree + i])
                    for i in range(n):
                        add_leaf(leaves[i], nodes, splits, offsets, pair_targets, weights, sums, targets, aggregate)
                for t in range(targets):
                    score = sums[t]
                    if aggregate != 0 and (score == INF or score == -INF):
                        score = 0.0
                    if not is_null(base):
                        score += bases[t]
                    if is_null(out):
                        made[row * targets + t] = score
                    else:
                        out[row * targets + t] = F32(score)

        return body


for _dtype, _spec in TREE_ENSEMBLE.items():
    _register(_dtype, _spec)
