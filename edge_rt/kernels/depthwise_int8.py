"""Depthwise convolution of 8-bit images, sixteen channels at a time: what a few lines see is arranged, with its padding, in
nearby memory, and summed from there."""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.depthwise_int8_lines import by_lines, no_lines
from edge_rt.kernels.depthwise_int8_quads import by_quads
from edge_rt.kernels.depthwise_int8_slides import by_slides
from edge_rt.kernels.depthwise_int8_streams import by_streams, no_streams
from edge_rt.kernels.depthwise_int8_taps import by_taps
from edge_rt.kernels.gemm_int8 import column_copier, column_terms, zero_of
from edge_rt.kernels.memory import address, stack
from edge_rt.kernels.requantize import are_small, finisher
from edge_rt.kernels.saturation import AS_BYTES, AS_SUMS, kind_of
from edge_rt.kernels.simd import Vec, load, pointer, splat, store
from edge_rt.lowering.depthwise_int8 import (
    APART_DOWN,
    APART_WIDE,
    BLANK_BYTES,
    CHANNEL_BLOCK,
    CHANNELS,
    COLUMNS,
    DEPTHWISE_INT8,
    GATHERED,
    GROUP,
    HEIGHT,
    IMAGES,
    KERNEL_H,
    KERNEL_W,
    LINE_ROOM,
    LINES,
    MOST_PREPARED,
    OUT_HEIGHT,
    OUT_WIDTH,
    PAD_LEFT,
    PAD_TOP,
    PART_BYTES,
    PREPARED_BYTES,
    SEEN_BYTES,
    STREAMS,
    STRIDE_DOWN,
    STRIDE_WIDE,
    SUMS_BYTES,
    WEIGHT_BYTES,
    WIDEST,
    WIDTH,
)
from edge_rt.lowering.gemm_int8 import EVEN, FLOAT32

F32, I32, I64, U8 = types.float32, types.int32, types.int64, types.uint8
ROOM, EDGE, EMPTY = MOST_PREPARED * GROUP, 4 * WIDEST, 4 * WIDEST


@kernel(DEPTHWISE_INT8)
def depthwise_int8(target):
    has_dot = "+avx512vnni" in target.llvm_features or "+dotprod" in target.llvm_features
    # Whole vectors of channels, where there are so many: then no vector is put together from pieces.
    has_wide = has_dot and 4 * target.lanes > GROUP
    on_arm = target.arch == "aarch64"
    has_streams = has_dot and on_arm
    by_sixteen = by_slides(target) if has_streams else by_quads(target, GROUP) if has_dot else by_taps(target)
    prepare, gather, sum_lines = by_sixteen
    prepare_wide, gather_wide, sum_lines_wide = by_quads(target, WIDEST) if has_wide else (prepare, gather, sum_lines)
    stream_wide = by_lines(target) if has_wide else no_lines
    finish, activate, columns_of, zero_of_a = finisher(target), activator(target), column_terms(target), zero_of(target)
    copy_columns, small = column_copier(), are_small(target)
    prepare_stream, fit_shorts, stream_lines = by_streams(target) if has_streams else no_streams()
    LINE, FOUR, WHOLE = Vec(U8, GROUP), Vec(I32, 4), Vec(I32, target.lanes, (GROUP // target.lanes,))

    def copy_taps(w, c, channels, size, count, to):
        """Weights of a group of `size` channels, with zeros for channels that are not there."""
        for _ in range(count):
            for i in range(0, size, GROUP):
                if channels >= GROUP:
                    store(to + i, load(LINE, w + i))
                else:
                    store(to, splat(LINE, 0))
                    for q in range(channels):
                        to[q] = w[q]
            w += c
            to += size

    def group_of(index, most, apart, total):
        """The first of up to `most` results, `apart` from each other, of group `index`, and how many of `total` it has."""
        if apart == 1:  # nearly always: divisions take as long as a small group
            return index * most, min(most, total - index * most)
        whole = index // apart
        first = whole * most * apart + (index - whole * apart)
        return first, min(most, (total - first + apart - 1) // apart)

    def by_quarters(x, to):
        """WIDEST numbers of 32 bits in the order of quarters."""
        for quarter in range(4):
            for i in range(4):
                store(to + (quarter * GROUP + 4 * i), load(FOUR, x + (i * GROUP + 4 * quarter)))

    def body(
        x, w, sums, a_zero, a_scale, scale, bias, residual, b_zero, ones, y, buffer, geometry, scale_step, b_zero_step, flip,
        mode, lo, hi, y_zero, y_flip, activation, alpha, part, parts,
    ):  # fmt: skip
        start, factor, addend, b_zeros = stack(I32, ROOM), stack(F32, ROOM), stack(F32, ROOM), stack(I32, ROOM)
        turned_start, turned_factor = stack(I32, ROOM), stack(F32, ROOM)
        none, edge = stack(U8, EMPTY), stack(U8, EDGE)
        g = geometry
        h, image_w, c, lines, wide = g[HEIGHT], g[WIDTH], g[CHANNELS], g[LINES], g[COLUMNS]
        out_h, out_w, kernel_size = g[OUT_HEIGHT], g[OUT_WIDTH], g[KERNEL_H] * g[KERNEL_W]
        is_wide = has_wide and c >= WIDEST
        size = WIDEST if is_wide else GROUP
        line_size, weight_size = g[LINE_ROOM] * size, g[WEIGHT_BYTES] * (size // GROUP)
        blank = buffer + part * g[PART_BYTES]
        seen = blank + g[BLANK_BYTES]
        made = seen + g[SEEN_BYTES]
        seen_sums, weights = made + g[SUMS_BYTES], made + 2 * g[SUMS_BYTES]
        raw = weights + g[PREPARED_BYTES]
        places = pointer(I64, raw + kernel_size * WIDEST)
        for i in range(0, EMPTY, GROUP):
            store(none + i, splat(LINE, 0))
        missing = U8(0) if address(a_zero) == 0 else a_zero[0]
        for i in range(0, g[BLANK_BYTES], GROUP):
            store(blank + i, splat(LINE, missing))
        zero = zero_of_a(a_zero, flip)
        corrects, has_residual, is_float = address(b_zero) != 0, address(residual) != 0, mode == FLOAT32
        as_bytes = mode == EVEN and not corrects
        # As int8: those of uint8 are 128 lower.
        y_middle = y_zero - y_flip
        lowest, highest, kind = I64(0), I64(0), AS_SUMS
        if as_bytes:
            lowest, highest = I64(lo) + y_middle, I64(hi) + y_middle
            kind = kind_of(y_middle, lowest, highest)
        streams, by_line = has_streams and g[STREAMS] != 0, is_wide and g[STREAMS] != 0
        blocks = (c + CHANNEL_BLOCK - 1) // CHANNEL_BLOCK if is_wide else max(1, (c - GROUP) // CHANNEL_BLOCK + 1)
        apart_down, apart_wide = (g[APART_DOWN], g[APART_WIDE]) if on_arm else (1, 1)
        y_line, y_step = apart_down * out_w * c, apart_wide * c
        # As many groups of lines, and stretches of columns, as are `apart` lie within each other.
        line_groups = (out_h + lines * apart_down - 1) // (lines * apart_down) * apart_down
        stretches = (out_w + wide * apart_wide - 1) // (wide * apart_wide) * apart_wide
        units, prepared, is_small, how = blocks * g[IMAGES] * line_groups * stretches, I64(-1), False, kind
        for unit in range(units * part // parts, units * (part + 1) // parts):
            rest = unit // stretches
            first_column, columns = group_of(unit - rest * stretches, wide, apart_wide, out_w)
            above = rest // line_groups
            first_line, line_count = group_of(rest - above * line_groups, lines, apart_down, out_h)
            if columns <= 0 or line_count <= 0:
                continue
            block = above // g[IMAGES]
            image = above - block * g[IMAGES]
            # What is last reaches back over channels that are done, and computes them again: blocks, and groups below.
            first, room = block * CHANNEL_BLOCK, CHANNEL_BLOCK
            if block == blocks - 1:
                first = min(first, c - WIDEST) if is_wide else first
                room = c - first
            groups, here = (room + size - 1) // size, min(room, size)
            if block != prepared:
                columns_of(
                    start, factor, addend, b_zeros, room, (room + GROUP - 1) // GROUP * GROUP, zero, kernel_size,
                    sums + first, first, bias, scale, scale_step, a_scale, b_zero, b_zero_step, is_float,
                )  # fmt: skip
                for group in range(groups + 1 if corrects else groups):
                    at = max(0, min(group * size, room - size))
                    if group < groups:
                        copy_taps(pointer(U8, w) + (first + at), c, here, size, kernel_size, raw)
                        if is_wide:
                            by_quarters(start + at, turned_start + group * size)
                            by_quarters(pointer(I32, factor) + at, pointer(I32, turned_factor) + group * size)
                    else:
                        copy_taps(pointer(U8, ones), WIDEST, size, size, kernel_size, raw)
                    to = weights + group * weight_size
                    if is_wide:
                        prepare_wide(raw, none, g, to, places)
                    elif streams:
                        prepare_stream(raw, none, g, to, start + at, factor + at)
                    else:
                        prepare(raw, none, g, to, places)
                whole_room = (room + GROUP - 1) // GROUP * GROUP
                is_small = streams and fit_shorts(start, factor, whole_room)
                how = kind if kind <= AS_BYTES or small(start, factor, whole_room, kernel_size) else AS_BYTES
                prepared = block
            top, left = first_line * g[STRIDE_DOWN] - g[PAD_TOP], first_column * g[STRIDE_WIDE] - g[PAD_LEFT]
            source = x + (image * h * image_w * c + first)
            group_seen, base, gathered = I64(0), I64(0), I64(0)
            is_whole = as_bytes and room >= size
            for group in range(groups):
                at = max(0, min(group * size, room - size))
                place = ((image * out_h + first_line) * out_w + first_column) * c + first + at
                below = y_line if line_count == 2 else 0
                if streams:
                    stream_lines(
                        source + at, top, left, columns, g, blank, flip, weights + group * weight_size, kind, is_small,
                        (y_middle, lowest, highest, y_flip), y + place, y + (place + below),
                    )  # fmt: skip
                    continue
                if by_line:
                    stream_wide(
                        source + at, top, left, columns, g, blank, flip, weights + group * weight_size,
                        turned_start + group * size, turned_factor + group * size, (how, y_middle, lowest, highest, y_flip),
                        y + place, y + (place + below),
                    )  # fmt: skip
                    continue
                if is_wide:
                    gather_wide(source + at, size, top, left, g, blank, flip, edge, seen)
                elif group == gathered:
                    more = GATHERED if room - at >= GATHERED + GROUP else room - at
                    group_seen = gather(source + at, more, top, left, g, blank, flip, edge, seen)
                    base, gathered = group, group + (more + GROUP - 1) // GROUP
                begins, by = start + at, factor + at
                if is_wide:
                    begins, by = turned_start + group * size, turned_factor + group * size
                group_w, to, done = weights + group * weight_size, made, 0
                for _ in range(2 if corrects else 1):
                    if is_wide:
                        done = sum_lines_wide(
                            seen, group_w, places, begins, by, how, y_middle, lowest, highest, y_flip, is_whole,
                            y + place, y_line, to, columns, line_count, g,
                        )  # fmt: skip
                    else:
                        done = sum_lines(
                            seen + (group - base) * group_seen, group_w, places, begins, by, how, y_middle, lowest,
                            highest, y_flip, is_whole, y + place, y_line, to, columns, line_count, g,
                        )  # fmt: skip
                    # The second time, only what is seen.
                    group_w, to, begins = weights + groups * weight_size, seen_sums, pointer(I32, none)
                if as_bytes:
                    if done < columns:
                        for line in range(line_count):
                            copy_columns(
                                y + (place + line * y_line + done * y_step), y_step,
                                made + (line * line_size + done * size), size, columns - done, here,
                            )  # fmt: skip
                    continue
                for line in range(line_count):
                    acc = pointer(I32, made) + line * line_size
                    if corrects:
                        other = pointer(I32, seen_sums) + line * line_size
                        for i in range(0, columns * size, size):
                            for q in range(0, size, GROUP):
                                less = load(WHOLE, other + (i + q)) * load(WHOLE, b_zeros + (at + q))
                                store(acc + (i + q), load(WHOLE, acc + (i + q)) - less)
                    finish(
                        mode, acc, size, columns, here, factor + at, addend + at, lo, hi, y_zero, residual, has_residual, y,
                        place + line * y_line, y_step,
                    )  # fmt: skip
                    if is_float and activation:
                        activate(activation, alpha, pointer(F32, y) + (place + line * y_line), y_step, columns, here)

    return body
