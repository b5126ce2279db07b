"""The second half of a transposed convolution: every output gathers the products that fall on it."""

from __future__ import annotations

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.memory import F32, address
from edge_rt.kernels.simd import Vec, clamp, load, load_first, splat, store, store_first
from edge_rt.lowering.conv_transpose import GATHER_PRODUCTS_F32


@kernel(GATHER_PRODUCTS_F32)
def gather_products_f32(target):
    lanes = target.lanes
    FOUR, ONE = Vec(F32, lanes, (4,)), Vec(F32, lanes, (1,))
    wide = 4 * lanes
    activate = activator(target)

    def begin(to, bias, has_bias, n):
        """to = bias, or zeros; n numbers."""
        q = 0
        while q < n:
            count = min(lanes, n - q)
            start = splat(ONE, 0)
            if has_bias:
                start = load_first(ONE, bias + q, count)
            store_first(to + q, start, count)
            q += count

    def add(to, source, n):
        """to += source; n numbers."""
        if n == 1:  # masks, heat maps
            to[0] += source[0]
            return
        q = 0
        while q + wide <= n:
            store(to + q, load(FOUR, to + q) + load(FOUR, source + q))
            q += wide
        while q < n:
            count = min(lanes, n - q)
            store_first(to + q, load_first(ONE, to + q, count) + load_first(ONE, source + q, count), count)
            q += count

    def limit(to, lo, hi, n):
        """to = clamp(to, lo, hi); n numbers."""
        q = 0
        while q + wide <= n:
            store(to + q, clamp(load(FOUR, to + q), lo, hi))
            q += wide
        while q < n:
            count = min(lanes, n - q)
            store_first(to + q, clamp(load_first(ONE, to + q, count), lo, hi), count)
            q += count

    def body(
        products, bias, y, geometry, first_in, rows_in, first_out, rows_out, lo, hi, activation, alpha, part, parts,
    ):  # fmt: skip
        images, h, w, group, columns = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
        kernel_h, kernel_w, stride_h, stride_w = geometry[5], geometry[6], geometry[7], geometry[8]
        pad_top, pad_left, dilation_h, dilation_w = geometry[9], geometry[10], geometry[11], geometry[12]
        out_h, out_w = geometry[13], geometry[14]
        taps = kernel_h * kernel_w * columns
        channels, has_bias = group * columns, address(bias) != 0
        lines = images * rows_out
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            image = line // rows_out
            row = first_out + (line - image * rows_out)
            to = y + (image * out_h + row) * out_w * channels
            if channels == 1:
                start = bias[0] if has_bias else F32(0)
                for i in range(out_w):
                    to[i] = start
            else:
                for i in range(out_w):
                    begin(to + i * channels, bias, has_bias, channels)
            for r in range(kernel_h):
                up = row + pad_top - r * dilation_h
                in_row = up // stride_h
                if up >= 0 and in_row * stride_h == up and in_row < h:
                    source = products + ((image * rows_in + in_row - first_in) * w * group * taps)
                    for k in range(kernel_w):
                        # Column j of the input falls on column j * stride_w - back of the output.
                        back = pad_left - k * dilation_w
                        first = max(0, back + stride_w - 1) // stride_w
                        last = min(w, max(0, out_w + back + stride_w - 1) // stride_w)
                        tap = (r * kernel_w + k) * columns
                        for j in range(first, last):
                            for g in range(group):
                                add(
                                    to + ((j * stride_w - back) * channels + g * columns),
                                    source + ((j * group + g) * taps + tap), columns,
                                )  # fmt: skip
            limit(to, lo, hi, out_w * channels)
            if activation:
                activate(activation, alpha, to, 0, 1, out_w * channels)

    return body
