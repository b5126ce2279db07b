"""Reading and writing rows by index."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.copy import line_copier, place
from edge_rt.kernels.copy import step as next_place
from edge_rt.kernels.errors import report
from edge_rt.kernels.memory import stack
from edge_rt.lowering._errors import INDEX_OUT_OF_RANGE
from edge_rt.lowering._layout import MAX_DIMS
from edge_rt.lowering.gather import COMBINE_F32, OFFSETS, PUT, TAKE

I64 = types.int64


def _register_offsets(spec):
    @kernel(spec)
    def offsets(target):
        def body(indices, out, table, error, step, n, part, parts):
            depth, dims = table[0], table + 1
            base, sizes = dims + MAX_DIMS, dims + 2 * MAX_DIMS
            strides = sizes + depth
            first, last = n * part // parts, n * (part + 1) // parts
            if first == last:
                return
            coordinates = stack(I64, MAX_DIMS)
            at, _ = place(coordinates, dims, base, base, MAX_DIMS, first)
            wrong = 0
            for i in range(first, last):
                offset = at
                for d in range(depth):
                    index, size = I64(indices[i * depth + d]), sizes[d]
                    if index < 0:
                        index += size
                    if index < 0 or index >= size:
                        wrong = 1
                        index = 0 if index < 0 else size - 1
                    offset += index * strides[d]
                out[i] = offset
                at, _ = next_place(coordinates, dims, base, base, MAX_DIMS, at, at)
            if wrong:
                report(error, step, INDEX_OUT_OF_RANGE)

        return body


def _register_take(size, spec):
    @kernel(spec)
    def take(target):
        copy_lines = line_copier(size, target.lanes)

        def body(x, offsets, out, outer, x_outer, count, inner, part, parts):
            units = outer * count
            for unit in range(units * part // parts, units * (part + 1) // parts):
                row = unit // count
                source = x + (row * x_outer + offsets[unit - row * count])
                if inner == 1:
                    out[unit] = source[0]
                else:
                    copy_lines(source, out + unit * inner, 1, inner, 0, 0, 1, 1)

        return body


def _register_put(size, spec):
    @kernel(spec)
    def put(target):
        copy_lines = line_copier(size, target.lanes)

        def body(updates, offsets, out, count, inner, part, parts):
            for c in range(count * part // parts, count * (part + 1) // parts):
                copy_lines(updates + c * inner, out + offsets[c], 1, inner, 0, 0, 1, 1)

        return body


def add(a, b):
    return a + b


def multiply(a, b):
    return a * b


def larger(a, b):
    """NaN if either is."""
    return a if a >= b or a != a else b


def smaller(a, b):
    """NaN if either is."""
    return a if a <= b or a != a else b


@kernel(COMBINE_F32)
def combine_f32(target):
    def by(join):
        def run(updates, offsets, out, count, inner, first, last):
            for c in range(count):
                given, made = updates + c * inner, out + offsets[c]
                for i in range(first, last):
                    made[i] = join(made[i], given[i])

        return run

    adding, multiplying, raising, lowering = by(add), by(multiply), by(larger), by(smaller)

    def body(updates, offsets, out, count, inner, code, part, parts):
        first, last = inner * part // parts, inner * (part + 1) // parts
        if code == 0:
            adding(updates, offsets, out, count, inner, first, last)
        elif code == 1:
            multiplying(updates, offsets, out, count, inner, first, last)
        elif code == 2:
            raising(updates, offsets, out, count, inner, first, last)
        else:
            lowering(updates, offsets, out, count, inner, first, last)

    return body


for _spec in OFFSETS.values():
    _register_offsets(_spec)
for _size, _spec in TAKE.items():
    _register_take(_size, _spec)
for _size, _spec in PUT.items():
    _register_put(_size, _spec)
