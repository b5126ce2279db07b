"""Strips of a depthwise convolution for machines of few registers: rows of outputs, each whole before the next.

Where registers do not hold the outputs that wait for pixels of later rows, a strip takes as many columns as there are
registers for, and loads the rows of its windows anew for each row of outputs: from the nearest cache, since it goes down
the image with some of the channels before it turns to the next ones.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels._registry import apart
from edge_rt.kernels.endings import INF
from edge_rt.kernels.memory import F32
from edge_rt.kernels.simd import Vec, call, clamp, load, load_first, pack, primitive, store, store_first, suffix, unpack
from edge_rt.kernels.simd.memory import size

NEAR = 128
"""Channels that a strip goes down the image with."""
MOST = 8
"""Columns of the widest strip: their sums, the weights of a row of 7x7 windows and a pixel fill 16 registers."""
WIDTHS, FEW_WIDTHS, NARROW_WIDTHS = (8, 7, 6, 5, 4, 3, 2), (8, 7, 4, 2), (8, 2)
"""Columns of the strips that there are: for 3x3 windows side by side, for all others, and for channels that fill half a
vector."""


def _sums(acc, x, c, weights, left, right, zeros, kernel, stride):
    return acc if all(isinstance(i, types.IntegerLiteral) for i in (kernel, stride)) else None


@primitive(_sums)
def add_pixels(context, builder, sig, args):
    """add_pixels(acc, x, c, weights, left, right, zeros, kernel, stride): acc plus the products of a row of pixels, c apart,
    with a row of weights. `left` of the first pixels and `right` of the last are padding, read from zeros.

    Each pixel is loaded once and goes to all outputs that see it; each of these gets its products from left to right.
    """
    vec, (acc, x, c, weights, left, right, zeros, _, _) = sig.return_type, args
    kernel, stride = (t.literal_value for t in sig.args[7:])
    sums, outputs, name = list(unpack(builder, vec, acc)), vec.count, f"llvm.fma.{suffix(vec.ir)}"
    whole, vector = ir.IntType(64), vec.ir.as_pointer()
    pixels, most = (outputs - 1) * stride + kernel, kernel // 2

    def at(p, i):
        return builder.gep(p, [builder.mul(c, whole(i))])

    factors = [builder.load(builder.bitcast(at(weights, k), vector), align=size(vec)) for k in range(kernel)]
    for i in range(pixels):
        place = at(x, i)
        if i < most:
            place = builder.select(builder.icmp_signed(">", left, whole(i)), zeros, place)
        if i >= pixels - most:
            place = builder.select(builder.icmp_signed(">=", right, whole(pixels - i)), zeros, place)
        pixel = builder.load(builder.bitcast(place, vector), align=size(vec))
        for output in range(outputs):
            if 0 <= (k := i - output * stride) < kernel:
                sums[output] = call(builder, name, vec.ir, pixel, factors[k], sums[output])
    return pack(builder, vec, sums)


def row_strip(kernel, stride, outputs, lanes):
    """strip(...): see `strip_runner`. `outputs` columns; a residual is not yet added, and nothing clamped then."""
    ACC = Vec(F32, lanes, (outputs,))

    @apart
    def strip(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels):
        x_row, c, first_row, h = image
        y_row, has_residual, lo, hi, n = output
        left, right, zeros = edges
        low, high = (-INF, INF) if has_residual else (lo, hi)
        for begin in range(0, channels, NEAR):
            end = min(begin + NEAR, channels)
            for o in range(n):
                row = top + o * stride
                first, last = max(0, first_row - row), min(kernel, h - row)
                source, weights, to = x + (o * stride + first) * x_row, w + first * w_row, y + o * y_row
                q = begin
                while q < end:
                    # The last vector reaches back over channels that are done, and computes them again.
                    at = min(q, channels - lanes)
                    acc = load(ACC, start + at * start_step, 0)
                    here, factors = source + at, weights + at
                    for _ in range(first, last):
                        acc = add_pixels(acc, here, c, factors, left, right, zeros, kernel, stride)
                        here += x_row
                        factors += w_row
                    store(to + at, clamp(acc, low, high), c)
                    q += lanes

    return strip


def residual_adder(lanes):
    """add(y, residual, c, columns, rows, y_row, lo, hi, channels): y = clamp(y + residual), for what a strip has written."""
    ONE = Vec(F32, lanes)

    @apart
    def add(y, residual, c, columns, rows, y_row, lo, hi, channels):
        for o in range(rows):
            for i in range(columns):
                to, also, left = y + (o * y_row + i * c), residual + (o * y_row + i * c), channels
                while left > 0:
                    store_first(to, clamp(load_first(ONE, to, left) + load_first(ONE, also, left), lo, hi), left)
                    to += lanes
                    also += lanes
                    left -= lanes

    return add


def row_strips(kernel, stride, lanes):
    """(run(outputs, ...), sizes(out_w)): see `strip_runner`; outputs are one of its widths, and all may see padding."""
    widths = NARROW_WIDTHS if lanes < 8 else WIDTHS if (kernel, stride) == (3, 1) else FEW_WIDTHS

    def nothing(wanted, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels):
        pass

    def chain(remaining):
        outputs = remaining[0]
        strip = row_strip(kernel, stride, outputs, lanes)
        others = chain(remaining[1:]) if len(remaining) > 1 else nothing

        def run(wanted, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels):
            if wanted == outputs:
                strip(x, image, w, w_row, top, edges, start, start_step, y, residual, output, channels)
            else:
                others(wanted, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels)

        return run

    def width_chain(remaining):
        """width_for(even, out_w): the narrowest that is not narrower than `even` and fits, else the widest that fits."""
        width = remaining[0]
        if len(remaining) == 1:
            return lambda even, out_w: width
        others = width_chain(remaining[1:])
        return lambda even, out_w: others(even, out_w) if width > out_w or remaining[1] >= even else width

    width_for = width_chain(widths)

    def sizes(out_w):
        strips = (out_w + MOST - 1) // MOST
        width = width_for((out_w + strips - 1) // strips, out_w)
        return width, width, 1 << 62

    return chain(widths), sizes
