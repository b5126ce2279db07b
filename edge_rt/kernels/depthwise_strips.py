"""Strips of a depthwise convolution: some neighbouring columns of the output, down the rows of a band, for all channels.

A strip walks down the image. A row of pixels is loaded once and added to all outputs whose windows it lies in; those wait
in registers, and the one whose window ends here is written. Rows and columns of padding count as zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from numba import types

from edge_rt.kernels.endings import INF
from edge_rt.kernels.memory import F32, stack
from edge_rt.kernels.neon import load_anew, load_rows, row_distances, settle, store_rows
from edge_rt.kernels.registers import hide
from edge_rt.kernels.simd import Vec, call, clamp, load, maximum, pack, primitive, splat, store, suffix, unpack

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


def load_or_zero(vec, p, inside, zeros):
    """The vectors at p, or zeros where it is not inside; by a branch."""
    made = splat(vec, 0.0)
    if inside:
        made = load(vec, p)
    return made


def load_or_zeros(vec, p, inside, zeros):
    """As load_or_zero, by choosing the address, so that a loop has no branch."""
    return load(vec, p if inside else zeros)


class Reach(NamedTuple):
    """What strips are made of. They reach neighbouring pixels, c apart, by load(V, p, distances) and store(p, x, distances)
    for distances(V, c), and those that may be padding by load_inside; settle and again: see neon.py. keeps: whether weights
    for which registers are too few are kept side by side. apart: whether rows that need no guards have a loop of their own,
    which costs code."""

    distances: Callable
    load: Callable
    store: Callable
    load_inside: Callable
    settle: Callable
    again: Callable
    keeps: bool
    apart: bool


REACH = {
    "x86_64": Reach(lambda vec, c: c, load, store, load_or_zero, lambda p, acc: (p, acc), lambda x, p: x, False, False),
    "aarch64": Reach(row_distances, load_rows, store_rows, load_or_zeros, settle, load_anew, True, True),
}


def pixel_reader(kernel, stride, outputs, lanes, has_edges, reach):
    """read(x, c, pixels, edges): the pixels of a row that the windows of `outputs` neighbours see.

    With edges, the first and last of them, at most kernel // 2 each, are padding, and read from zeros: (how many of the
    first, how many of the last, zeros). pixels: their distances.
    """
    count, most, load_pixels, load_inside = (outputs - 1) * stride + kernel, kernel // 2, reach.load, reach.load_inside
    if not has_edges:
        SEEN = Vec(F32, lanes, (count,))
        return lambda x, c, pixels, edges: load_pixels(SEEN, x, pixels)
    INNER, ONE = Vec(F32, lanes, (count - 2 * most,)), Vec(F32, lanes, (1,))

    def inner(x, c, pixels, edges):
        return load_pixels(INNER, x + most * c, pixels)

    def extended(before, i):
        """With the i-th pixel from the middle on both sides."""
        first, last = most - 1 - i, count - most + i

        def read(x, c, pixels, edges):
            left, right, zeros = edges
            begin = load_inside(ONE, x + first * c, left <= first, zeros)
            end = load_inside(ONE, x + last * c, right < count - last, zeros)
            return joined(joined(begin, before(x, c, pixels, edges)), end)

        return read

    read = inner
    for i in range(most):
        read = extended(read, i)
    return read


def walking_strip(kernel, stride, outputs, lanes, has_edges, holds_weights, reach, bound):
    """strip(...): see `strip_runner`. holds_weights: whether registers are enough for all weights of a channel, too.
    bound(x, lo, hi): what becomes of x."""
    waiting = (kernel - 1) // stride + 1
    ACC, START = Vec(F32, lanes, (waiting, outputs)), Vec(F32, lanes, (outputs,))
    WEIGHTS, SEEN = Vec(F32, lanes, (kernel, kernel)), Vec(F32, lanes, ((outputs - 1) * stride + kernel,))
    distances_of, _, store_pixels, _, rest, again, keeps, apart = reach
    keeps, kept = keeps and not holds_weights, kernel * kernel * lanes
    read = pixel_reader(kernel, stride, outputs, lanes, has_edges, reach)

    def weights_of(weights, taps, c):
        if holds_weights:
            return weights
        return load(WEIGHTS, hide(taps[0])) if keeps else load(WEIGHTS, taps[0], taps[1], c)

    def adder(i, guards):
        """Of the `stride` rows that a step adds, the i-th. guards: whether it may lie outside of the image."""
        tap = kernel - stride + i

        def add(acc, row, here, image, taps, weights, edges):
            x_row, c, first_row, h, pixels = image
            if not guards or (first_row <= row + i and row + i < h):
                seen = read(here + i * x_row, c, pixels, edges)
                acc = add_row(acc, seen, weights_of(weights, taps, c), tap, stride)
            return rest(here, acc)

        return add

    def stepper(guards):
        """guards: whether rows may lie outside of the image, and whether there may be no output, or a residual."""
        add_first, add_second = adder(0, guards), adder(stride - 1, guards)

        def step(acc, o, row, here, there, also, first, image, taps, weights, edges, output):
            x_row, c, _, _, pixels = image
            y_row, has_residual, lo, hi, _ = output
            here, acc = add_first(acc, row, here, image, taps, weights, edges)
            if stride == 2:
                here, acc = add_second(acc, row, here, image, taps, weights, edges)
            if not guards or o >= 0:
                made = first_of(acc)
                if guards and has_residual:
                    made = made + load(START, also, c)
                store_pixels(there, bound(made, lo, hi), pixels)
            if not guards:
                first = again(first, taps[2])
            return shifted(acc, first), o + 1, row + stride, here + stride * x_row, there + y_row, also + y_row

        return step

    def steps(step, count, guards):
        """`count` of them, so that outputs come back to the registers they started from, without moves."""
        if count == 1:
            return step
        before = steps(step, count - 1, guards)

        def run(acc, o, row, here, there, also, first, image, taps, weights, edges, output):
            n = output[4]
            acc, o, row, here, there, also = before(
                acc, o, row, here, there, also, first, image, taps, weights, edges, output
            )
            if not guards or o < n:
                acc, o, row, here, there, also = step(
                    acc, o, row, here, there, also, first, image, taps, weights, edges, output
                )
            return acc, o, row, here, there, also

        return run

    guarded, steady = steps(stepper(True), 1 if apart else waiting, True), steps(stepper(False), waiting, False)

    def strip(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels):
        x_row, c, first_row, h = image
        y_row, has_residual, _, _, n = output
        image = x_row, c, first_row, h, distances_of(SEEN, c)
        buffer = stack(F32, kept) if keeps else w
        # Steps before the first row that is there change nothing.
        begin = top + kernel - stride * waiting
        skipped = min(max(0, first_row - begin) // stride, waiting - 1)
        begin += skipped * stride
        q = 0
        while q < channels:
            # The last vector reaches back over channels that are done, and computes them again.
            at = min(q, channels - lanes)
            first = load(START, start + at * start_step, 0)
            acc = load(ACC, start + at * start_step, 0, 0)
            weights = load(WEIGHTS, w + at, w_row, c) if holds_weights else 0
            taps = w + at, w_row, start + at * start_step
            if keeps:
                store(buffer, load(WEIGHTS, w + at, w_row, c))
                taps = buffer, w_row, start + at * start_step
            o, row, here = skipped - (waiting - 1), begin, x + (at + (begin - top) * x_row)
            there, also = y + (at + o * y_row), residual + (at + o * y_row)
            while o < n:
                turns = 0
                if apart and o >= 0 and row >= first_row and not has_residual:
                    turns = min((h - row) // (stride * waiting), (n - o) // waiting)
                if turns <= 0:
                    acc, o, row, here, there, also = guarded(
                        acc, o, row, here, there, also, first, image, taps, weights, edges, output
                    )
                while turns > 0:
                    acc, o, row, here, there, also = steady(
                        acc, o, row, here, there, also, first, image, taps, weights, edges, output
                    )
                    turns -= 1
            q += lanes

    return strip


def single_strip(kernel, stride, outputs, lanes, has_edges, reach):
    """strip(...): see `strip_runner`. One row of outputs after the other, where registers are too few for more."""
    ACC, WEIGHTS = Vec(F32, lanes, (1, outputs)), Vec(F32, lanes, (1, kernel))
    START = Vec(F32, lanes, (outputs,))
    read = pixel_reader(kernel, stride, outputs, lanes, has_edges, reach._replace(load=load))

    def strip(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels):
        x_row, c, first_row, h = image
        y_row, has_residual, lo, hi, n = output
        q = 0
        while q < channels:
            at = min(q, channels - lanes)
            for o in range(n):
                row = top + o * stride
                acc = load(ACC, start + at * start_step, 0, 0)
                for tap in range(max(0, first_row - row), min(kernel, h - row)):
                    seen = read(x + ((o * stride + tap) * x_row + at), c, c, edges)
                    acc = add_row(acc, seen, load(WEIGHTS, w + (tap * w_row + at), 0, c), 0, stride)
                made = first_of(acc)
                if has_residual:
                    made = made + load(START, residual + (o * y_row + at), c)
                store(y + (o * y_row + at), clamp(made, lo, hi), c)
            q += lanes

    return strip


def strip_runner(kernel, stride, lanes, arch):
    """(run(outputs, ...) for square kernels and equal strides, sizes(out_w): most, inner, down): how many outputs strips
    have in rows of out_w.

    Strips have NARROW outputs or `most`; `inner` of them only where no window sees padding at its sides. down: rows.

    run(outputs, (left, right, zeros), x, (x_row, c, first_row, h), w, w_row, top, start, start_step, y, residual,
    (y_row, has_residual, lo, hi, n), channels): n rows of `outputs` columns. x: the first pixel of the first output's
    window, which lies in row `top` of the image; rows first_row to h - 1 are there. left, right: columns of padding.
    """
    # Single rows need more sums than four to hide how long each takes; walks need registers for all rows that wait.
    walks, most = kernel < 7, 4
    inner = most if walks else 8

    def strip_of(outputs, has_edges, bound=clamp):
        if walks:
            return walking_strip(kernel, stride, outputs, lanes, has_edges, kernel == 3, REACH[arch], bound)
        return single_strip(kernel, stride, outputs, lanes, has_edges, REACH[arch])

    def wide_of(bound):
        within, edge = strip_of(inner, False, bound), strip_of(most, True, bound)

        def wide(wanted, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels):
            left, right, _ = edges
            if wanted == inner and left + right == 0:
                within(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels)
            else:
                edge(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels)

        return wide

    narrow, bounded = strip_of(NARROW, True), wide_of(clamp)
    # On Arm a comparison takes the place of a multiply: of nine, more than of 25.
    has_free, has_rectified = walks and arch == "aarch64", walks and arch == "aarch64" and kernel == 3
    free = wide_of(lambda x, lo, hi: x) if has_free else bounded
    rectified = wide_of(lambda x, lo, hi: maximum(x, lo)) if has_rectified else bounded

    def run(wanted, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels):
        _, _, lo, hi, _ = output
        if wanted == NARROW:
            narrow(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels)
        elif has_free and hi == INF and lo == -INF:
            free(wanted, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels)
        elif has_rectified and hi == INF:
            rectified(wanted, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels)
        else:
            bounded(wanted, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels)

    down = 1 << 62 if walks else 1
    return run, lambda out_w: (most, inner, down)
