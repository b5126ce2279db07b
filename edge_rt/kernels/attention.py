"""The softmax of attention scores, over the keys that each query may see."""

from __future__ import annotations

from numba import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import F32, address, stack
from edge_rt.kernels.reduce import row_folder, same
from edge_rt.kernels.simd import (
    INT,
    Vec,
    iota,
    load,
    load_first,
    primitive,
    select,
    shuffle,
    splat,
    store,
    store_first,
    unpack,
)
from edge_rt.kernels.softmax import row_steps
from edge_rt.lowering.attention import SCORES_F32

I32, I64 = types.int32, types.int64
INF = float("inf")
TOGETHER = 8
"""Rows that take each step together, so that none waits for its own sum."""


@primitive(lambda x: x.dtype if isinstance(x, Vec) and x.dtype == F32 and x.count == 1 else None)
def highest(context, builder, sig, args):
    """highest(x): the largest lane; where one is NaN, that one or the largest of some others."""
    (vector,) = unpack(builder, sig.args[0], args[0]).flat
    width = sig.args[0].lanes
    while width > 1:
        width //= 2
        low, high = (shuffle(builder, vector, list(range(i, i + width))) for i in (0, width))
        vector = builder.select(builder.fcmp_ordered(">", low, high), low, high)
    return builder.extract_element(vector, INT(0))


@kernel(SCORES_F32)
def attention_scores_f32(target):
    LANES, V, POSITIONS = target.lanes, Vec(F32, target.lanes), Vec(I32, target.lanes)
    find_largest, (powers, scale) = row_folder(target, same, vmath.larger, -INF), row_steps(target)

    def capped(x, cap):
        if cap > 0.0:
            x = vmath.tanh(x / cap) * cap
        return x

    def shift(x, y, n, cap, has_mask, mask, step):
        """y = cap(x) + mask; the mask is one number where step is 0. Gives the largest, if none is NaN."""
        each, top = splat(V, F32(0.0)), splat(V, F32(-INF))
        if has_mask and step == 0:
            each = splat(V, mask[0])
        i = 0
        while i + LANES <= n:
            if has_mask and step:
                each = load(V, mask + i)
            scores = capped(load(V, x + i), cap) + each
            store(y + i, scores)
            top = select(top > scores, top, scores)
            i += LANES
        if i < n:
            if has_mask and step:
                each = load_first(V, mask + i, n - i)
            scores = capped(load_first(V, x + i, n - i), cap) + each
            store_first(y + i, scores, n - i)
            top = select((top > scores) | (iota(POSITIONS, 0) >= n - i), top, scores)
        return highest(top)

    def hide(y, n, seen, step):
        """y = -inf where the key is not seen."""
        for i in range(n):
            if seen[i * step] == 0:
                y[i] = F32(-INF)

    def clear(y, n):
        for i in range(n):
            y[i] = F32(0.0)

    def body(
        x, y, mask, seen, starts, count, first, queries, keys, past, given, row, step, left, right, cap, part, parts
    ):  # fmt: skip
        tops, begins, ends = stack(F32, TOGETHER), stack(I64, TOGETHER), stack(I64, TOGETHER)
        rows = count * queries
        has_mask, has_seen = address(mask) != 0, address(seen) != 0
        shifts = has_mask or cap > 0.0 or address(x) != address(y)
        first_row, last_row = rows * part // parts, rows * (part + 1) // parts
        matrix = first_row // max(I64(1), queries)
        query = first_row - matrix * queries
        for block in range(first_row, last_row, TOGETHER):
            some = min(TOGETHER, last_row - block)
            for r in range(some):
                number = first + query
                begin, end = max(I64(0), past + number - left), min(min(keys, given), past + number + right + 1)
                n = end - begin
                top = F32(-INF)
                if n > 0:
                    seeing, at = y + ((block + r) * keys + begin), starts[2 * matrix + 1] + number * row + begin * step
                    if shifts:
                        scores = x + (starts[2 * matrix] + query * keys + begin)
                        top = shift(scores, seeing, n, cap, has_mask, mask + at, step)
                    if has_seen:
                        hide(seeing, n, seen + at, step)
                    if has_seen or top == F32(-INF):
                        top = find_largest(seeing, n, F32(0.0))
                tops[r], begins[r], ends[r] = top, begin, end
                query += 1
                if query == queries:
                    matrix, query = matrix + 1, 0
            # Rows wait for their sums together.
            for r in range(some):
                seeing, n = y + ((block + r) * keys + begins[r]), ends[r] - begins[r]
                if tops[r] != F32(-INF):
                    tops[r] = F32(1.0) / powers(seeing, seeing, n, tops[r])
            for r in range(some):
                line, begin, end, factor = y + (block + r) * keys, begins[r], ends[r], tops[r]
                if factor == F32(-INF):
                    clear(line, keys)
                else:
                    clear(line, begin)
                    scale(line + begin, end - begin, factor)
                    clear(line + end, keys - end)

    return body
