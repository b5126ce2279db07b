"""Reading a stretch of a tensor that broadcasts, as if it had the shape it broadcasts to."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels.memory import stack
from edge_rt.lowering._layout import MAX_DIMS

I64 = types.int64


def stretch_reader(dtype):
    """read(to, source, dims, strides, start, n): elements start..start+n of a walk over MAX_DIMS dims into `to`."""

    def read(to, source, dims, strides, start, n):
        coordinates = stack(I64, MAX_DIMS)
        rest, offset = start, 0
        for axis in range(MAX_DIMS - 1, -1, -1):
            size = dims[axis]
            above = rest // size
            coordinates[axis] = rest - above * size
            offset += coordinates[axis] * strides[axis]
            rest = above
        last = MAX_DIMS - 1
        row, step = dims[last], strides[last]
        at = 0
        while at < n:
            run = min(row - coordinates[last], n - at)
            if step == 0:
                value = source[offset]
                for i in range(run):
                    to[at + i] = value
            elif step == 1:
                for i in range(run):
                    to[at + i] = source[offset + i]
            else:
                for i in range(run):
                    to[at + i] = source[offset + i * step]
            at += run
            offset -= coordinates[last] * step
            coordinates[last] = 0
            axis = last - 1
            while axis >= 0:
                coordinates[axis] += 1
                offset += strides[axis]
                if coordinates[axis] < dims[axis]:
                    break
                offset -= dims[axis] * strides[axis]
                coordinates[axis] = 0
                axis -= 1

    return read


def choose(cases):
    """run(code, a, b, c, out, n): runs cases[code] - a loop over (a, b, c, out, n) - found in steps of four."""
    if len(cases) <= 4:
        first, second, third, fourth = (*cases, *[cases[-1]] * (4 - len(cases)))

        def run_one(code, a, b, c, out, n):
            if code == 0:
                first(a, b, c, out, n)
            elif code == 1:
                second(a, b, c, out, n)
            elif code == 2:
                third(a, b, c, out, n)
            else:
                fourth(a, b, c, out, n)

        return run_one
    quarter = 4
    while quarter * 4 < len(cases):
        quarter *= 4
    low, high = choose(cases[:quarter]), choose(cases[quarter:])

    def run(code, a, b, c, out, n):
        if code < quarter:
            low(code, a, b, c, out, n)
        else:
            high(code - quarter, a, b, c, out, n)

    return run
