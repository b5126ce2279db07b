"""Strips of a depthwise convolution: some neighbouring columns of the output, down the rows of a band, for all channels.

A strip walks down the image. A row of pixels is loaded once and added to all outputs whose windows it lies in; those wait
in registers, and the one whose window ends here is written. Rows and columns of padding count as zeros.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels.memory import F32
from edge_rt.kernels.simd import Vec, call, load, pack, primitive, splat, store, suffix, unpack
from edge_rt.kernels.tiles import clamp

NARROW = 2
"""Columns of a strip that finishes a row, or takes one of few columns."""


@primitive(
    lambda acc, seen, weights, tap, stride: acc
    if all(isinstance(i, types.IntegerLiteral) for i in (tap, stride))
    else None
)
def add_row(context, builder, sig, args):
    """add_row(acc, seen, weights, tap, stride): acc [outputs down, across] plus a row of pixels times the kernel's rows.

    weights: [rows, columns]. The pixels lie in row `tap` of the first output's window, the next one's begins `stride`
    lower; those below get nothing. Each output gets its products one after the other, from left to right.
    """
    acc, seen, weights = (unpack(builder, t, a) for t, a in zip(sig.args[:3], args))
    vec, tap, stride = sig.return_type, sig.args[3].literal_value, sig.args[4].literal_value
    for down in range(min(vec.shape[0], tap // stride + 1)):
        for k, weight in enumerate(weights[tap - down * stride]):
            for across in range(vec.shape[1]):
                operands = seen[across * stride + k], weight, acc[down, across]
                acc[down, across] = call(builder, f"llvm.fma.{suffix(vec.ir)}", vec.ir, *operands)
    return pack(builder, vec, acc.flat)


@primitive(lambda acc: acc.to(shape=acc.shape[1:]))
def first_of(context, builder, sig, args):
    """first_of(acc): the first row of a tile."""
    return pack(builder, sig.return_type, unpack(builder, sig.args[0], args[0])[0])


@primitive(lambda acc, last: acc)
def shifted(context, builder, sig, args):
    """shifted(acc, last): all rows of a tile but the first, and then `last`."""
    acc, last = (unpack(builder, t, a) for t, a in zip(sig.args, args))
    return pack(builder, sig.return_type, [*acc[1:].flat, *last])


@primitive(lambda a, b: a.to(shape=(a.shape[0] + b.shape[0],)) if isinstance(a, Vec) and isinstance(b, Vec) else None)
def joined(context, builder, sig, args):
    """joined(a, b): the vectors of two tiles of one axis."""
    return pack(builder, sig.return_type, [v for t, a in zip(sig.args, args) for v in unpack(builder, t, a)])


def pixel_reader(kernel, stride, outputs, lanes, has_edges):
    """read(x, c, left, right): the pixels of a row that the windows of `outputs` neighbours see.

    With edges, `left` and `right` of them, at most kernel // 2 each, are padding: zeros.
    """
    count, most = (outputs - 1) * stride + kernel, kernel // 2
    if not has_edges:
        SEEN = Vec(F32, lanes, (count,))
        return lambda x, c, left, right: load(SEEN, x, c)
    INNER, ONE = Vec(F32, lanes, (count - 2 * most,)), Vec(F32, lanes, (1,))

    def inner(x, c, left, right):
        return load(INNER, x + most * c, c)

    def extended(before, i):
        """With the i-th pixel from the middle on both sides."""
        first, last = most - 1 - i, count - most + i

        def read(x, c, left, right):
            begin, end = splat(ONE, 0.0), splat(ONE, 0.0)
            if left <= first:
                begin = load(ONE, x + first * c)
            if right < count - last:
                end = load(ONE, x + last * c)
            return joined(joined(begin, before(x, c, left, right)), end)

        return read

    read = inner
    for i in range(most):
        read = extended(read, i)
    return read


def walking_strip(kernel, stride, outputs, lanes, has_edges, holds_weights):
    """strip(...): see `strip_runner`. holds_weights: whether registers are enough for all weights of a channel, too."""
    waiting = (kernel - 1) // stride + 1
    ACC, START = Vec(F32, lanes, (waiting, outputs)), Vec(F32, lanes, (outputs,))
    WEIGHTS = Vec(F32, lanes, (kernel, kernel))
    read = pixel_reader(kernel, stride, outputs, lanes, has_edges)

    def adder(i):
        """Of the `stride` rows that a step adds, the i-th."""
        tap = kernel - stride + i

        def add(acc, row, here, image, taps, weights, edges):
            x_row, c, first_row, h = image
            if first_row <= row + i and row + i < h:
                w, w_row = taps
                left, right = edges
                seen = read(here + i * x_row, c, left, right)
                acc = add_row(acc, seen, weights if holds_weights else load(WEIGHTS, w, w_row, c), tap, stride)
            return acc

        return add

    add_first, add_second = adder(0), adder(stride - 1)

    def step(acc, o, row, here, there, also, first, image, taps, weights, edges, output):
        x_row, c, _, _ = image
        y_row, has_residual, lo, hi, _ = output
        acc = add_first(acc, row, here, image, taps, weights, edges)
        if stride == 2:
            acc = add_second(acc, row, here, image, taps, weights, edges)
        if o >= 0:
            made = first_of(acc)
            if has_residual:
                made = made + load(START, also, c)
            store(there, clamp(made, lo, hi), c)
        return shifted(acc, first), o + 1, row + stride, here + stride * x_row, there + y_row, also + y_row

    def steps(count):
        """`count` of them, so that outputs come back to the registers they started from, without moves."""
        if count == 1:
            return step
        before = steps(count - 1)

        def run(acc, o, row, here, there, also, first, image, taps, weights, edges, output):
            n = output[4]
            acc, o, row, here, there, also = before(
                acc, o, row, here, there, also, first, image, taps, weights, edges, output
            )
            if o < n:
                acc, o, row, here, there, also = step(
                    acc, o, row, here, there, also, first, image, taps, weights, edges, output
                )
            return acc, o, row, here, there, also

        return run

    walk = steps(waiting)

    def strip(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels):
        x_row, c, _, _ = image
        y_row, _, _, _, n = output
        begin = kernel - stride * waiting
        q = 0
        while q < channels:
            # The last vector reaches back over channels that are done, and computes them again.
            at = min(q, channels - lanes)
            first = load(START, start + at * start_step, 0)
            acc = load(ACC, start + at * start_step, 0, 0)
            weights = load(WEIGHTS, w + at, w_row, c) if holds_weights else 0
            taps = w + at, w_row
            o, row, here = 1 - waiting, top + begin, x + (at + begin * x_row)
            there, also = y + (at - (waiting - 1) * y_row), residual + (at - (waiting - 1) * y_row)
            while o < n:
                acc, o, row, here, there, also = walk(
                    acc, o, row, here, there, also, first, image, taps, weights, edges, output
                )
            q += lanes

    return strip


def single_strip(kernel, stride, outputs, lanes, has_edges):
    """strip(...): see `strip_runner`. One row of outputs after the other, where registers are too few for more."""
    ACC, WEIGHTS = Vec(F32, lanes, (1, outputs)), Vec(F32, lanes, (1, kernel))
    START = Vec(F32, lanes, (outputs,))
    read = pixel_reader(kernel, stride, outputs, lanes, has_edges)

    def strip(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels):
        x_row, c, first_row, h = image
        y_row, has_residual, lo, hi, n = output
        left, right = edges
        q = 0
        while q < channels:
            at = min(q, channels - lanes)
            for o in range(n):
                row = top + o * stride
                acc = load(ACC, start + at * start_step, 0, 0)
                for tap in range(max(0, first_row - row), min(kernel, h - row)):
                    seen = read(x + ((o * stride + tap) * x_row + at), c, left, right)
                    acc = add_row(acc, seen, load(WEIGHTS, w + (tap * w_row + at), 0, c), 0, stride)
                made = first_of(acc)
                if has_residual:
                    made = made + load(START, residual + (o * y_row + at), c)
                store(y + (o * y_row + at), clamp(made, lo, hi), c)
            q += lanes

    return strip


def strip_runner(kernel, stride, lanes, registers):
    """(run(outputs, ...) for square kernels and equal strides, most, inner, down): how many outputs strips have.

    Strips have NARROW outputs or `most`; `inner` of them only where no window sees padding at its sides. down: rows.

    run(outputs, left, right, x, (x_row, c, first_row, h), w, w_row, top, start, start_step, y, residual,
    (y_row, has_residual, lo, hi, n), channels): n rows of `outputs` columns. x: the first pixel of the first output's
    window, which lies in row `top` of the image; rows first_row to h - 1 are there. left, right: columns of padding.
    """
    walks = kernel < 7 and (kernel, stride, registers) != (5, 1, 16)
    # Single rows need more sums than four to hide how long each takes; walks need registers for all rows that wait.
    most = 3 if walks and registers == 16 and (kernel, stride) != (3, 2) else 4
    inner = most if walks else 6 if registers == 16 else 8

    def strip_of(outputs, has_edges):
        if walks:
            return walking_strip(kernel, stride, outputs, lanes, has_edges, kernel == 3 and registers == 32)
        return single_strip(kernel, stride, outputs, lanes, has_edges)

    within, edge, narrow = strip_of(inner, False), strip_of(most, True), strip_of(NARROW, True)

    def run(wanted, left, right, x, image, w, w_row, top, start, start_step, y, residual, output, channels):
        edges = left, right
        if wanted == NARROW:
            narrow(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels)
        elif wanted == inner and left + right == 0:
            within(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels)
        else:
            edge(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels)

    return run, most, inner, 1 << 62 if walks else 1
