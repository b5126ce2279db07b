"""TopK by a heap, cumulative sums, triangles, one-hot."""

from __future__ import annotations

import numpy as np
from numba.core import types

from edge_rt.kernels._registry import apart, kernel
from edge_rt.kernels.memory import address
from edge_rt.kernels.registers import hide
from edge_rt.kernels.simd import Vec, any_true, load, select, splat
from edge_rt.lowering.sort import CUMULATIVE, FEW, ONE_HOT, TOP_K, TRIANGLE
from edge_rt.types import DType

I32, I64 = types.int32, types.int64
LOW = 0xFFFFFFFF
LARGEST, INFINITE = np.int32(0x7FFFFFFF), np.int32(0x7F800000)
RUN = 4
"""Keys that are sorted by insertion, before such runs are merged."""
NUMBERS = {DType.FLOAT32: types.float32, DType.INT32: types.int32, DType.INT64: types.int64}


def given_for(floats, smallest):
    """What `ordered` needs of the kind of numbers, and of which come first."""
    return I32(-1 if floats else 0), INFINITE if floats else LARGEST, I32(-1 if smallest else 0)


def ordered(bits, given):
    """Of the bits of a 32-bit number, an integer of its order, the larger the earlier: -0 is 0, NaN the largest float."""
    sign = (bits >> I32(31)) & given[0]
    number = (bits ^ (sign & LARGEST)) - sign
    return (LARGEST if (bits & LARGEST) > given[1] else number) ^ given[2]


def packed(number, i):
    """A number of 32 bits and its position as one that is the larger the earlier."""
    return (I64(number) << 32) | (LOW - i)


def place_of(key):
    return LOW - (key & LOW)


def packed_order(target):
    """key_of, before, place_of, next_before for numbers of 32 bits, whose keys are `packed`."""
    LANES, V = target.lanes, Vec(I32, target.lanes)

    def key_of(column, inner, i, given):
        return packed(ordered(column[i * inner], given), i)

    def before(column, inner, given, a, b):
        return a > b

    def next_before(column, inner, i, size, given, last):
        """The first position from i on that comes before `last`, which lies before i; or size."""
        limit = I32(last >> 32)
        while inner == 1 and i + LANES <= size:
            bits = load(V, column + i)
            sign = (bits >> I32(31)) & given[0]
            number = (bits ^ (sign & LARGEST)) - sign
            number = select((bits & LARGEST) > given[1], splat(V, LARGEST), number) ^ given[2]
            if any_true(number > limit):
                break
            i += LANES
        while i < size and not ordered(column[i * inner], given) > limit:
            i += 1
        return i

    return key_of, before, place_of, next_before


def wide_order(target):
    """As packed_order, for numbers of 64 bits, whose keys are their positions."""

    def key_of(column, inner, i, given):
        return I64(i)

    def before(column, inner, given, a, b):
        v, w = column[a * inner], column[b * inner]
        if v == w:
            return a < b
        return v < w if given[2] else v > w

    def next_before(column, inner, i, size, given, last):
        while i < size and not before(column, inner, given, i, last):
            i += 1
        return i

    return key_of, before, lambda key: key, next_before


def sorter(before):
    """insert(keys, count, key, column, inner, given) puts a key where it belongs among `count` sorted ones.
    sort(keys, spare, count, column, inner, given) sorts keys; spare: as many."""

    def insert(keys, count, key, column, inner, given):
        at = count
        while at > 0 and before(column, inner, given, key, keys[at - 1]):
            keys[at] = keys[at - 1]
            at -= 1
        keys[at] = key

    def merge(source, middle, end, to, column, inner, given):
        """to[0:end] = the sorted source[0:middle] and source[middle:end] as one."""
        left, right, at = 0, middle, 0
        while left < middle and right < end:
            a, b = source[left], source[right]
            from_right = before(column, inner, given, b, a)
            to[at] = b if from_right else a
            right += I64(from_right)
            left += I64(not from_right)
            at += 1
        rest = left if left < middle else right
        while at < end:
            to[at] = source[rest]
            rest += 1
            at = hide(at + 1)  # few turns, which LLVM would unroll

    @apart
    def sort(keys, spare, count, column, inner, given):
        for start in range(0, count, RUN):
            for i in range(start + 1, min(start + RUN, count)):
                insert(keys + start, i - start, keys[i], column, inner, given)
        width, source, to = RUN, keys, spare
        while width < count:
            start = 0
            while start < count:
                end = min(2 * width, count - start)
                merge(source + start, min(width, end), end, to + start, column, inner, given)
                start += 2 * width
            source, to = to, source
            width *= 2
        if address(source) != address(keys):
            i = 0
            while i < count:
                keys[i] = source[i]
                i = hide(i + 1)

    return insert, sort


def _register_top_k(order, spec):
    @kernel(spec)
    def top_k(target):
        key_of, before, position, next_before = order(target)
        insert, sort = sorter(before)

        def sink(keys, count, column, inner, given):
            """Moves the root of a heap down; that is the key that comes last."""
            at, key = 0, keys[0]
            while 2 * at + 1 < count:
                child = 2 * at + 1
                if child + 1 < count:
                    child += I64(before(column, inner, given, keys[child], keys[child + 1]))
                if before(column, inner, given, keys[child], key):
                    break
                keys[at] = keys[child]
                at = child
            keys[at] = key

        def body(x, values, indices, keys, outer, size, inner, k, smallest, floats, part, parts):
            units, own, is_few = outer * inner if k > 0 else 0, keys + 2 * part * k, k <= FEW
            given = given_for(floats, smallest)
            for unit in range(units * part // parts, units * (part + 1) // parts):
                row = unit // inner
                j = unit - row * inner
                column, first = x + (row * size * inner + j), row * k * inner + j
                for i in range(k):
                    own[i] = key_of(column, inner, i, given)
                sort(own, own + k, k, column, inner, given)
                if not is_few:  # the last first, which is a heap
                    for i in range(k // 2):
                        own[i], own[k - 1 - i] = own[k - 1 - i], own[i]
                last = k - 1 if is_few else 0
                i = next_before(column, inner, k, size, given, own[last])
                while i < size:
                    key = key_of(column, inner, i, given)
                    if is_few:
                        insert(own, k - 1, key, column, inner, given)
                    else:
                        own[0] = key
                        sink(own, k, column, inner, given)
                    i = next_before(column, inner, i + 1, size, given, own[last])
                if not is_few:
                    sort(own, own + k, k, column, inner, given)
                for i in range(k):
                    at = position(own[i])
                    values[first + i * inner] = column[at * inner]
                    indices[first + i * inner] = at

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


_register_top_k(packed_order, TOP_K[4])
_register_top_k(wide_order, TOP_K[8])
for _dtype, _spec in CUMULATIVE.items():
    _register_cumulative(_dtype, _spec)
for _spec in TRIANGLE.values():
    _register_triangle(_spec)
for _spec in ONE_HOT.values():
    _register_one_hot(_spec)
