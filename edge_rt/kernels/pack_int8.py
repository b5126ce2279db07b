"""Panels of 8-bit matrices, and bytes of images arranged for products."""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import address
from edge_rt.kernels.registers import turn
from edge_rt.kernels.simd import Vec, bitcast, dot, interleave, load, pointer, splat, store, store_first
from edge_rt.kernels.simd import part as vector
from edge_rt.kernels.tiles_int8 import DEPTH, WIDTH, byte_of
from edge_rt.lowering.pack_int8 import PACK_INT8, WINDOWS_INT8

I8, U8, I16, I32 = types.int8, types.uint8, types.int16, types.int32


@kernel(PACK_INT8)
def pack_panels_int8(target):
    LINE, PAIRS = Vec(U8, 16), Vec(I16, 8)
    WORDS, BYTES = Vec(I32, 4, (4,)), Vec(U8, 16, (4,))
    SUMS = Vec(I32, target.lanes, (WIDTH // target.lanes,))
    STORED, ONES = Vec(I8, 4 * target.lanes, SUMS.shape), Vec(byte_of(target), 4 * target.lanes, SUMS.shape)
    QUAD = DEPTH * WIDTH

    def quad_of_rows(source, row, to, mask):
        """Four rows of sixteen columns."""
        first = interleave(load(LINE, source) ^ mask, load(LINE, source + row) ^ mask)
        second = interleave(load(LINE, source + 2 * row) ^ mask, load(LINE, source + 3 * row) ^ mask)
        low = interleave(bitcast(PAIRS, vector(first, 0)), bitcast(PAIRS, vector(second, 0)))
        high = interleave(bitcast(PAIRS, vector(first, 1)), bitcast(PAIRS, vector(second, 1)))
        store(pointer(I16, to), low)
        store(pointer(I16, to + 32), high)

    def any_quad(source, k_step, n_step, k, n, to, flip):
        """A quad that reaches beyond b: k rows and n columns of it are there."""
        for q in range(WIDTH):
            for d in range(DEPTH):
                to[q * DEPTH + d] = U8(source[d * k_step + q * n_step] ^ flip) if d < k and q < n else U8(0)

    def body(b, panels, sums, batch, k, n, transposed, flip, part, parts):
        count, depth = (n + WIDTH - 1) // WIDTH, (k + DEPTH - 1) // DEPTH
        total, mask, bits = batch * count, splat(LINE, flip), U8(flip)
        k_step, n_step = (1, k) if transposed else (n, 1)
        for unit in range(total * part // parts, total * (part + 1) // parts):
            matrix = unit // count
            column = (unit - matrix * count) * WIDTH
            columns = min(WIDTH, n - column)
            source = b + (matrix * k * n + column * n_step)
            to = pointer(U8, panels) + unit * depth * QUAD
            i = 0
            if columns == WIDTH and not transposed:
                while i + DEPTH <= k:
                    quad_of_rows(source + i * n, n, to + i * WIDTH, mask)
                    i += DEPTH
            elif columns == WIDTH:
                while i + 4 * DEPTH <= k:
                    for q in range(0, WIDTH, 4):
                        words = turn(bitcast(WORDS, load(BYTES, source + (q * k + i), k) ^ mask))
                        store(to + (i * WIDTH + q * DEPTH), bitcast(BYTES, words), QUAD)
                    i += 4 * DEPTH
            while i < k:
                any_quad(source + i * k_step, k_step, n_step, k - i, columns, to + i * WIDTH, bits)
                i += DEPTH
            made = splat(SUMS, 0)
            for d in range(depth):
                made = dot(splat(ONES, 1), load(STORED, panels + (unit * depth + d) * QUAD), made)
            store_first(sums + (matrix * n + column), made, columns)

    return body


def byte_mover():
    """move(to, source, n, mask): n bytes, each xored with the mask; touches nothing else."""
    WIDE, LINE = Vec(U8, 16, (4,)), Vec(U8, 16)

    def move(to, source, n, mask):
        at = 0
        while at + 64 <= n:
            store(to + at, load(WIDE, source + at) ^ mask)
            at += 64
        while at + 16 <= n:
            store(to + at, load(LINE, source + at) ^ splat(LINE, mask))
            at += 16
        if at < n and n >= 16:
            store(to + (n - 16), load(LINE, source + (n - 16)) ^ splat(LINE, mask))
        elif at < n:
            for i in range(at, n):
                to[i] = U8(source[i] ^ mask)

    def fill(to, n, value):
        at = 0
        while at + 16 <= n:
            store(to + at, splat(LINE, value))
            at += 16
        for i in range(at, n):
            to[i] = value

    return move, fill


@kernel(WINDOWS_INT8)
def windows_int8(target):
    move, fill = byte_mover()

    def body(x, zero, y, geometry, flip, part, parts):
        images, h, w, c = geometry[0], geometry[1], geometry[2], geometry[3]
        channels, rows, columns, pixel = geometry[5], geometry[6], geometry[7], geometry[8]
        taps, stride, dilation, top, left = geometry[9], geometry[10], geometry[11], geometry[12], geometry[13]
        down = geometry[14]
        mask = U8(flip)
        padding = U8(flip) if address(zero) == 0 else U8(zero[0] ^ mask)
        joined = taps == 1 and stride == 1 and channels == c and pixel == c
        first_inner, last_inner = min(left, columns), max(min(left, columns), min(columns, left + w))
        lines = geometry[4] * images * rows
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            matrix = line // rows
            group = matrix // images
            image = matrix - group * images
            row = (line - matrix * rows) * down - top
            to = y + line * columns * pixel
            if row < 0 or row >= h:
                fill(to, columns * pixel, padding)
            elif joined:
                source = x + ((image * h + row) * w + first_inner - left) * c
                fill(to, first_inner * c, padding)
                move(to + first_inner * c, source, (last_inner - first_inner) * c, mask)
                fill(to + last_inner * c, (columns - last_inner) * c, padding)
            else:
                source = x + ((image * h + row) * w * c + group * channels)
                for t in range(taps):
                    # Columns `begin` to `end` see pixels that are there.
                    first, into = t * dilation - left, to + t * channels
                    begin = min(columns, (max(0, -first) + stride - 1) // stride)
                    end = max(begin, min(columns, (w - first + stride - 1) // stride))
                    for i in range(columns):
                        if i >= begin and i < end:
                            move(into, source + (first + i * stride) * c, channels, mask)
                        else:
                            fill(into, channels, padding)
                        into += pixel

    return body
