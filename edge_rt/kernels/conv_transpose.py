"""The second half of a transposed convolution: every output gathers the products that fall on it."""

from __future__ import annotations

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.memory import F32, address
from edge_rt.kernels.simd import Vec, load, load_first, splat, store, store_first
from edge_rt.kernels.tiles import clamp
from edge_rt.lowering.conv_transpose import GATHER_PRODUCTS_F32


@kernel(GATHER_PRODUCTS_F32)
def gather_products_f32(target):
    lanes = target.lanes
    FOUR, ONE = Vec(F32, lanes, (4,)), Vec(F32, lanes, (1,))
    wide = 4 * lanes
    activate = activator(target)

    def body(
        products, bias, y, geometry, first_in, rows_in, first_out, rows_out, lo, hi, activation, alpha, part, parts,
    ):  # fmt: skip
        images, h, w, group, columns = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
        kernel_h, kernel_w, stride_h, stride_w = geometry[5], geometry[6], geometry[7], geometry[8]
        pad_top, pad_left, dilation_h, dilation_w = geometry[9], geometry[10], geometry[11], geometry[12]
        out_h, out_w = geometry[13], geometry[14]
        pixel = group * kernel_h * kernel_w * columns
        has_bias = address(bias) != 0
        lines = images * rows_out
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            image = line // rows_out
            row = first_out + (line - image * rows_out)
            to = y + (image * out_h + row) * out_w * group * columns
            source = products + image * rows_in * w * pixel
            for i in range(out_w):
                for g in range(group):
                    channel = g * columns
                    q = 0
                    while q < columns:
                        count = min(lanes, columns - q)
                        broad = q + wide <= columns
                        four, one = splat(FOUR, 0), splat(ONE, 0)
                        if has_bias:
                            if broad:
                                four = load(FOUR, bias + (channel + q))
                            else:
                                one = load_first(ONE, bias + (channel + q), count)
                        for r in range(kernel_h):
                            up = row + pad_top - r * dilation_h
                            in_row = up // stride_h
                            if up >= 0 and in_row * stride_h == up and in_row < h:
                                for k in range(kernel_w):
                                    across = i + pad_left - k * dilation_w
                                    in_column = across // stride_w
                                    if across >= 0 and in_column * stride_w == across and in_column < w:
                                        at = ((in_row - first_in) * w + in_column) * pixel
                                        at += ((g * kernel_h + r) * kernel_w + k) * columns + q
                                        if broad:
                                            four = four + load(FOUR, source + at)
                                        else:
                                            one = one + load_first(ONE, source + at, count)
                        place = to + (i * group * columns + channel + q)
                        if broad:
                            store(place, clamp(four, lo, hi))
                            q += wide
                        else:
                            store_first(place, clamp(one, lo, hi), count)
                            q += count
            if activation:
                activate(activation, alpha, to, group * columns, out_w, group * columns)

    return body
