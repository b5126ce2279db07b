"""TopK by a heap, cumulative sums, triangles, one-hot."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.lowering.sort import CUMULATIVE, ONE_HOT, TOP_K, TRIANGLE
from edge_rt.types import DType

NUMBERS = {DType.FLOAT32: types.float32, DType.INT32: types.int32, DType.INT64: types.int64}


def precedes(a, i, b, j, smallest):
    """Whether number a at position i comes before b at j."""
    if a == b or (a != a and b != b):
        return i < j
    larger = a > b or (a != a)
    return not larger if smallest else larger


def sink(values, indices, stride, at, count, smallest):
    """Moves element `at` of a heap down; its root is the one that comes last."""
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and precedes(
            values[child * stride], indices[child * stride],
            values[(child + 1) * stride], indices[(child + 1) * stride], smallest,
        ):  # fmt: skip
            child += 1
        v, i = values[at * stride], indices[at * stride]
        w, j = values[child * stride], indices[child * stride]
        if precedes(w, j, v, i, smallest):
            break
        values[at * stride], indices[at * stride] = w, j
        values[child * stride], indices[child * stride] = v, i
        at = child


def _register_top_k(spec):
    @kernel(spec)
    def top_k(target):
        def body(x, values, indices, outer, size, inner, k, smallest, part, parts):
            units = outer * inner if k > 0 else 0
            for unit in range(units * part // parts, units * (part + 1) // parts):
                row = unit // inner
                j = unit - row * inner
                column, first = x + (row * size * inner + j), row * k * inner + j
                best, places = values + first, indices + first
                for i in range(k):
                    best[i * inner] = column[i * inner]
                    places[i * inner] = i
                for i in range(k // 2 - 1, -1, -1):
                    sink(best, places, inner, i, k, smallest)
                for i in range(k, size):
                    v = column[i * inner]
                    if precedes(v, i, best[0], places[0], smallest):
                        best[0], places[0] = v, i
                        sink(best, places, inner, 0, k, smallest)
                for last in range(k - 1, 0, -1):
                    at = last * inner
                    v, i = best[at], places[at]
                    best[at], places[at] = best[0], places[0]
                    best[0], places[0] = v, i
                    sink(best, places, inner, 0, last, smallest)

        return body


def _register_cumulative(dtype, spec):
    number = NUMBERS[dtype]

    @kernel(spec)
    def cumulative(target):
        def body(x, out, outer, size, inner, product, exclusive, reverse, part, parts):
            units = outer * inner
            for unit in range(units * part // parts, units * (part + 1) // parts):
                row = unit // inner
                start = row * size * inner + unit - row * inner
                step = inner
                if reverse:
                    start, step = start + (size - 1) * inner, -inner
                total = number(1) if product else number(0)
                for i in range(size):
                    v = x[start + i * step]
                    before = total
                    total = number(total * v) if product else number(total + v)
                    out[start + i * step] = before if exclusive else total

        return body


def _register_triangle(spec):
    @kernel(spec)
    def triangle(target):
        def body(x, out, batch, rows, columns, diagonal, upper, part, parts):
            units = batch * rows
            for unit in range(units * part // parts, units * (part + 1) // parts):
                edge = unit % rows + diagonal
                source, made = x + unit * columns, out + unit * columns
                for j in range(columns):
                    keep = j >= edge if upper else j <= edge
                    made[j] = source[j] if keep else 0

        return body


def _register_one_hot(spec):
    @kernel(spec)
    def one_hot(target):
        def body(indices, values, out, outer, depth, inner, part, parts):
            off, on = values[0], values[1]
            for row in range(outer * part // parts, outer * (part + 1) // parts):
                given, made = indices + row * inner, out + row * depth * inner
                for i in range(depth * inner):
                    made[i] = off
                for i in range(inner):
                    index = given[i]
                    if index < 0:
                        index += depth
                    if index >= 0 and index < depth:
                        made[index * inner + i] = on

        return body


for _spec in TOP_K.values():
    _register_top_k(_spec)
for _dtype, _spec in CUMULATIVE.items():
    _register_cumulative(_dtype, _spec)
for _spec in TRIANGLE.values():
    _register_triangle(_spec)
for _spec in ONE_HOT.values():
    _register_one_hot(_spec)
