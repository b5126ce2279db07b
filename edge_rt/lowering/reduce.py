"""Reductions over axes: of rows, or of columns where numbers that lie together are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edge_rt.lowering._layout import dense_strides
from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, lowers, parts_for
from edge_rt.types import DType

REDUCTIONS = (
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
    "ReduceLogSum", "ReduceLogSumExp",
)  # fmt: skip
INTEGER_REDUCTIONS = ("ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin")
_PARAMS = "x:{0}* out:{0}* outer:i64 size:i64 inner:i64 code:i64"
REDUCE_F32 = KernelSpec("reduce_f32", _PARAMS.format("f32"))
"""out[outer, inner] = reduction of x[outer, size, inner] over its middle axis; code: position in REDUCTIONS."""
REDUCE = {t: KernelSpec(f"reduce_{n}", _PARAMS.format(n)) for t, n in {DType.INT32: "i32", DType.INT64: "i64"}.items()}
"""As REDUCE_F32, of integers, which wrap; code: position in INTEGER_REDUCTIONS."""
COLUMNS = 64
"""Columns that one share of the work covers at least."""


def parts_of(outer: int, size: int, inner: int, cost: int = 1) -> int:
    """Of a walk over [outer, size, inner]; cost: of a number, in that of adding it."""
    return parts_for(outer * size * inner * cost // 4, outer if inner == 1 else outer * -(-inner // COLUMNS))


def reduce_call(
    name: str, dtype: DType, outer: int, size: int, inner: int, source: Arg, target: Arg, scratch: Sequence[int] = ()
) -> Call | None:
    """A reduction of [outer, size, inner] over the middle axis; None if there is no kernel for this dtype."""
    args: dict[str, Any] = {"x": source, "out": target, "outer": outer, "size": size, "inner": inner}
    parts = parts_of(outer, size, inner, 8 if name == "ReduceLogSumExp" else 1)
    if dtype is DType.FLOAT32:
        return REDUCE_F32(**args, code=REDUCTIONS.index(name), parts=parts, scratch=scratch)
    if dtype in REDUCE and name in INTEGER_REDUCTIONS:
        return REDUCE[dtype](**args, code=INTEGER_REDUCTIONS.index(name), parts=parts, scratch=scratch)
    return None


def runs(shape: Sequence[int], axes: Sequence[int]) -> list[tuple[bool, int]]:
    """The shape as alternating (reduced, size): neighbours of one kind are joined, sizes of 1 dropped."""
    found: list[tuple[bool, int]] = []
    for i, d in enumerate(shape):
        if d == 1:
            continue
        if found and found[-1][0] == (i in axes):
            found[-1] = (found[-1][0], found[-1][1] * d)
        else:
            found.append((i in axes, d))
    return found


@lowers(*REDUCTIONS)
def reduce(node: BoundNode) -> Lowered:
    """Axes that do not lie together are first brought together at the end, by a copy into scratch."""
    shape = node.type(0).static_shape
    given = node.values[1] if node.has(1) else None
    if node.has(1) and given is None and node.type(1).size:
        return None
    if given is None or not given.size:
        axes = [] if node.attrs.noop_with_empty_axes else list(range(len(shape)))
    else:
        axes = [a % len(shape) for a in given.reshape(-1).tolist()]
    dtype, name = node.type(0).dtype, node.op.name
    pattern = runs(shape, axes)
    reduced = [i for i, (gone, _) in enumerate(pattern) if gone]
    if len(reduced) <= 1:
        at = reduced[0] if reduced else len(pattern)
        outer, inner = (math.prod(d for _, d in part) for part in (pattern[:at], pattern[at + 1 :]))
        call = reduce_call(name, dtype, outer, pattern[at][1] if reduced else 1, inner, In(0), Out(0))
        return None if call is None else [call]
    from edge_rt.lowering.copy import copy_call

    dims = [d for _, d in pattern]
    order = [i for i in range(len(dims)) if i not in reduced] + reduced
    strides, moved = dense_strides(dims), [dims[i] for i in order]
    copy = copy_call(In(0), Scratch(0), dtype.itemsize, moved, [strides[i] for i in order], dense_strides(moved))
    size = math.prod(dims[i] for i in reduced)
    outer = node.outputs[0].size
    call = reduce_call(name, dtype, outer, size, 1, Scratch(0), Out(0), [outer * size * dtype.itemsize])
    return None if copy is None or call is None else [copy, call]
