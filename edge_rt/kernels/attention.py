"""The softmax of attention scores, over the keys that each query may see."""

from __future__ import annotations

from numba import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import F32, address
from edge_rt.kernels.reduce import row_folder, same
from edge_rt.kernels.simd import Vec, load_first, splat, store_first
from edge_rt.kernels.softmax import row_normalizer
from edge_rt.lowering.attention import SCORES_F32

I64 = types.int64
INF = float("inf")


@kernel(SCORES_F32)
def attention_scores_f32(target):
    LANES, V = target.lanes, Vec(F32, target.lanes)
    find_largest, normalize = row_folder(target, same, vmath.larger, -INF), row_normalizer(target)

    def shift(x, y, n, cap, has_mask, mask, step):
        """y = cap(x) + mask; the mask is one number where step is 0."""
        each = splat(V, F32(0.0))
        if has_mask and step == 0:
            each = splat(V, mask[0])
        i = 0
        while i < n:
            count = min(LANES, n - i)
            if has_mask and step:
                each = load_first(V, mask + i, count)
            scores = load_first(V, x + i, count)
            if cap > 0.0:
                scores = vmath.tanh(scores / cap) * cap
            store_first(y + i, scores + each, count)
            i += LANES

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
        rows = count * queries
        has_mask, has_seen = address(mask) != 0, address(seen) != 0
        shifts = has_mask or cap > 0.0 or address(x) != address(y)
        for unit in range(rows * part // parts, rows * (part + 1) // parts):
            matrix = unit // queries
            query = unit - matrix * queries
            number = first + query
            begin, end = max(I64(0), past + number - left), min(min(keys, given), past + number + right + 1)
            line = y + unit * keys
            n = end - begin
            top = F32(-INF)
            if n > 0:
                seeing, at = line + begin, starts[2 * matrix + 1] + number * row + begin * step
                if shifts:
                    scores = x + (starts[2 * matrix] + query * keys + begin)
                    shift(scores, seeing, n, cap, has_mask, mask + at, step)
                if has_seen:
                    hide(seeing, n, seen + at, step)
                top = find_largest(seeing, n, F32(0.0))
            if top == F32(-INF):
                clear(line, keys)
            else:
                clear(line, begin)
                normalize(line + begin, line + begin, n, top)
                clear(line + end, keys - end)

    return body
