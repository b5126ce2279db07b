"""Sums of depthwise windows for machines with dot products of four bytes: four rows of the image lie together.

What a line of the result sees is woven into quads first: for each column and each channel the bytes of four rows, as one
int32. A vector has a quarter of a group's channels, of one column or of several: quarter k has channels 4 * k to 4 * k + 3
of each 16. The four quarters lie apart; columns whose distance is the stride are neighbours then. So one dot product adds up
to four taps, and two lines share what was woven. A group is GROUP channels, or as many as a vector has bytes.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.saturation import kind_of, packer, to_whole
from edge_rt.kernels.simd import (
    Vec,
    call,
    convert,
    load,
    machine,
    new,
    pack,
    pointer,
    primitive,
    shuffle,
    splat,
    store,
    tile,
    unpack,
)
from edge_rt.kernels.simd.memory import addresses
from edge_rt.lowering.depthwise_int8 import GROUP

F32, I8, I32, U8 = types.float32, types.int8, types.int32, types.uint8
DEPTH = 4
LONG = ir.IntType(64)


@primitive(lambda vec, p, step, size: new(vec) if isinstance(size, types.IntegerLiteral) else None)
def load_pieces(context, builder, sig, args):
    """load_pieces(V, p, step, size): V of bytes; each `size` of them are `step` bytes apart at p."""
    vec, (_, p, step, _) = sig.return_type, args
    piece = Vec(vec.dtype, sig.args[3].literal_value)
    p, made = builder.bitcast(p, ir.IntType(8).as_pointer()), []
    for i in range(vec.lanes // piece.lanes):
        at = builder.gep(p, [builder.mul(step, LONG(i))])
        made.append(builder.load(builder.bitcast(at, piece.ir.as_pointer()), align=1))
    while len(made) > 1:
        lanes = list(range(2 * made[0].type.count))
        made = [shuffle(builder, x, lanes, y) for x, y in zip(made[::2], made[1::2])]
    return pack(builder, vec, made)


@primitive(lambda vec, p, size, *strides: new(vec) if isinstance(size, types.IntegerLiteral) else None)
def load_repeated(context, builder, sig, args):
    """load_repeated(V, p, size, *strides): for each vector `size` bytes, repeated."""
    vec, (_, p, _, *strides) = sig.return_type, args
    piece, made = vec.to(lanes=sig.args[2].literal_value * 8 // vec.dtype.bitwidth), []
    order = list(range(piece.lanes)) * (vec.lanes // piece.lanes)
    for at in addresses(context, builder, piece, p, strides, sig.args[3:]):
        found = builder.load(builder.bitcast(at, piece.ir.as_pointer()), align=vec.dtype.bitwidth // 8)
        made.append(shuffle(builder, found, order))
    return pack(builder, vec, made)


@primitive(lambda p, x, line, size: types.none if isinstance(size, types.IntegerLiteral) else None)
def store_columns(context, builder, sig, args):
    """store_columns(p, x, line, group): sums x [lines, vectors, 4] as int32[columns, group], lines `line` numbers apart."""
    vec, group, (p, x, line, _) = sig.args[1], sig.args[3].literal_value, args
    vectors, sixteens = unpack(builder, vec, x), group // GROUP
    for row, v, k, q in np.ndindex(*vec.shape, vec.lanes // DEPTH):
        part = shuffle(builder, vectors[row, v, k], list(range(DEPTH * q, DEPTH * q + DEPTH)))
        column = v * (4 * vec.lanes // group) + q // sixteens
        place = column * group + q % sixteens * GROUP + k * DEPTH
        at = builder.gep(p, [builder.add(builder.mul(line, LONG(row)), LONG(place))])
        builder.store(part, builder.bitcast(at, part.type.as_pointer()), align=4)
    return context.get_dummy_value()


@primitive(lambda x: x if isinstance(x, Vec) and x.shape == (4,) and x.dtype.bitwidth == 8 else None)
def weave(context, builder, sig, args):
    """weave(x): byte i of the four vectors of x together, as quad i; within each 16 bytes."""
    a, b, c, d = unpack(builder, sig.args[0], args[0])
    n = a.type.count

    def mix(x, y, size, half):
        """Numbers of `size` bytes, alternately, of each 16 bytes' first or second half."""
        count = GROUP // size
        wide = ir.VectorType(ir.IntType(8 * size), n // size)
        order = [
            base + half * count // 2 + i // 2 + (n // size if i % 2 else 0)
            for base in range(0, n // size, count)
            for i in range(count)
        ]
        return builder.bitcast(shuffle(builder, builder.bitcast(x, wide), order, builder.bitcast(y, wide)), a.type)

    upper, lower = ([mix(x, y, 1, half) for half in (0, 1)] for x, y in ((a, b), (c, d)))
    return pack(builder, sig.return_type, [mix(x, y, 2, half) for x, y in zip(upper, lower) for half in (0, 1)])


def safe_columns(w, channels, size):
    """Columns, of w with so many channels, that may be read `size` bytes at a time."""
    return w - (size - 1 + channels) // channels + 1 if channels < size else w


def gatherer(target, size):
    """gather(...): weaves what the windows of lines see to `to`, u8[groups, residues, quads, 4, count, size].

    image: where the channels begin; row_step, pixel: bytes of a row, and from column to column; rows: of them, from
    first_row on, `row_gap` apart, are seen. Column i of residue r is number first_column + r + i * stride. Rows and columns
    that are not there are as `blank`, which is as long as a vector's columns and the channels; columns from w_safe on may
    not be read 16 bytes at a time.
    """
    B = 4 * target.lanes // size
    LINE, ROW, ROWS = Vec(U8, size), Vec(U8, size * B), Vec(U8, size * B, (4,))

    def row_of(image, row, h, row_step, advance, blank):
        """Where a row begins, and how far to go from vector to vector."""
        if row >= 0 and row < h:
            return image + row * row_step, advance
        return blank, 0 * advance

    def copy_pixel(to, source, is_there, channels, blank):
        if not is_there:
            store(to, load(LINE, blank))
        elif channels >= size:
            store(to, load(LINE, source))
        else:
            for q in range(channels):
                to[q] = source[q]

    def many(to, k_step, a, b, c, d, a_next, b_next, c_next, d_next, step, vectors, flip):
        mask = splat(ROW, flip)
        for _ in range(vectors):
            seen = tile(
                load_pieces(ROW, a, step, size), load_pieces(ROW, b, step, size), load_pieces(ROW, c, step, size),
                load_pieces(ROW, d, step, size),
            )  # fmt: skip
            store(to, weave(seen ^ mask), k_step)
            to += B * size
            a += a_next
            b += b_next
            c += c_next
            d += d_next

    def edge_block(
        to, k_step, a, b, c, d, a_next, b_next, c_next, d_next, column, stride, pixel, w, channels, blank, flip, edge
    ):  # fmt: skip
        for j in range(B):
            at = column + j * stride
            inside, place = at >= 0 and at < w, at * pixel
            copy_pixel(edge + j * size, a + place, inside and a_next != 0, channels, blank)
            copy_pixel(edge + (B + j) * size, b + place, inside and b_next != 0, channels, blank)
            copy_pixel(edge + (2 * B + j) * size, c + place, inside and c_next != 0, channels, blank)
            copy_pixel(edge + (3 * B + j) * size, d + place, inside and d_next != 0, channels, blank)
        store(to, weave(load(ROWS, edge) ^ splat(ROW, flip)), k_step)

    def gather(
        image, row_step, pixel, channels, h, w, w_safe, first_row, row_gap, rows, first_column, stride, residues, count,
        blank, flip, edge, to,
    ):  # fmt: skip
        k_step, advance = count * size, B * stride * pixel
        quads, groups = (rows + DEPTH - 1) // DEPTH, (channels + size - 1) // size
        group_size = residues * quads * DEPTH * k_step
        for residue in range(residues):
            column = first_column + residue
            # Vectors from `begin` to `end` see nothing but columns that are there.
            begin = (max(0, -column) + B * stride - 1) // (B * stride) * B
            inside = w_safe - column - (B - 1) * stride
            end = max(begin, min(count, ((inside + stride - 1) // stride + B - 1) // B * B)) if inside > 0 else begin
            for quad in range(quads):
                row = first_row + DEPTH * quad * row_gap
                # Rows beyond the last meet weights of 0.
                a, a_next = row_of(image, row, h, row_step, advance, blank)
                b, b_next = row_of(image, row + row_gap, h, row_step, advance, blank)
                c, c_next = row_of(image, row + 2 * row_gap, h, row_step, advance, blank)
                d, d_next = row_of(image, row + 3 * row_gap, h, row_step, advance, blank)
                for group in range(groups):
                    at, place = min(group * size, max(0, channels - size)), to + group * group_size
                    for i in range(0, min(begin, count), B):
                        edge_block(
                            place + i * size, k_step, a + at, b + at, c + at, d + at, a_next, b_next, c_next, d_next,
                            column + i * stride, stride, pixel, w, channels, blank, flip, edge,
                        )  # fmt: skip
                    start, vectors = (column + begin * stride) * pixel, (end - begin) // B
                    many(
                        place + begin * size, k_step, a + (at + (start if a_next else 0)),
                        b + (at + (start if b_next else 0)), c + (at + (start if c_next else 0)),
                        d + (at + (start if d_next else 0)), a_next, b_next, c_next, d_next, stride * pixel, vectors, flip,
                    )  # fmt: skip
                    for i in range(end, count, B):
                        edge_block(
                            place + i * size, k_step, a + at, b + at, c + at, d + at, a_next, b_next, c_next, d_next,
                            column + i * stride, stride, pixel, w, channels, blank, flip, edge,
                        )  # fmt: skip
                to += DEPTH * k_step

    return gather


def weight_weaver(size):
    """woven(taps, none, row, column, kernel_h, kernel_w): what a quad of rows is multiplied by, from `row` of the kernel on:
    weights u8[kernel_h, kernel_w, size] of a group, as u8[4, size]. none: zeros for a group."""
    ROW = Vec(U8, size)

    def row_of(taps, none, row, column, kernel_h, kernel_w):
        return load(ROW, taps + (row * kernel_w + column) * size if row >= 0 and row < kernel_h else none)

    def woven(taps, none, row, column, kernel_h, kernel_w):
        rows = tile(
            row_of(taps, none, row, column, kernel_h, kernel_w), row_of(taps, none, row + 1, column, kernel_h, kernel_w),
            row_of(taps, none, row + 2, column, kernel_h, kernel_w),
            row_of(taps, none, row + 3, column, kernel_h, kernel_w),
        )  # fmt: skip
        return weave(rows)

    return woven


def weight_packer(size):
    """pack(taps, none, kernel_h, kernel_w, lines, stride, to): weights u8[kernel_h, kernel_w, size] of a group as
    u8[steps, 4, lines, size]. A step is a quad of rows and a column of the kernel; line i sees kernel row r in row r + i *
    stride.
    """
    woven = weight_weaver(size)

    def pack(taps, none, kernel_h, kernel_w, lines, stride, to):
        for quad in range((kernel_h + (lines - 1) * stride + DEPTH - 1) // DEPTH):
            for column in range(kernel_w):
                for line in range(lines):
                    rows = woven(taps, none, DEPTH * quad - line * stride, column, kernel_h, kernel_w)
                    store(to + line * size, rows, lines * size)
                to += DEPTH * lines * size

    return pack


@primitive(lambda acc, x, k_step, w, size: acc if isinstance(size, types.IntegerLiteral) else None)
def add_step(context, builder, sig, args):
    """add_step(acc, x, k_step, w, size): acc [lines, vectors, 4] plus products of what windows see and weights
    i8[4, lines, size].

    As one primitive, so that loads stand before what needs them: all before all take too many registers.
    """
    vec, (acc, x, k_step, w, _) = sig.return_type, args
    target, lanes, size = machine(context), vec.lanes, sig.args[4].literal_value
    made = unpack(builder, vec, acc)
    whole, piece = ir.VectorType(ir.IntType(8), 4 * lanes), ir.VectorType(ir.IntType(8), size)

    def load_at(p, offset, t):
        return builder.load(builder.bitcast(builder.gep(p, [offset]), t.as_pointer()), align=1)

    for k in range(DEPTH):
        weights = [load_at(w, LONG((k * vec.shape[0] + line) * size), piece) for line in range(vec.shape[0])]
        weights = [shuffle(builder, v, [i % size for i in range(4 * lanes)]) for v in weights]
        for v in range(vec.shape[1]):
            seen = load_at(x, builder.add(builder.mul(k_step, LONG(k)), LONG(v * 4 * lanes)), whole)
            for line, weight in enumerate(weights):
                name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
                if target.arch != "aarch64":
                    name = f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
                made[line, v, k] = call(builder, name, vec.ir, made[line, v, k], seen, weight)
    return pack(builder, vec, made.flat)


@primitive(lambda p, x, line, step, size: types.none if isinstance(size, types.IntegerLiteral) else None)
def store_pixels(context, builder, sig, args):
    """store_pixels(p, x, line, step, size): bytes x [lines, vectors], of which each `size` are a column's, `step` apart."""
    vec, size, (p, x, line, step, _) = sig.args[1], sig.args[4].literal_value, args
    for row, vectors in enumerate(unpack(builder, vec, x)):
        at = builder.gep(p, [builder.mul(line, LONG(row))])
        for vector in vectors:
            for i in range(0, vec.lanes, size):
                part = shuffle(builder, vector, list(range(i, i + size)))
                builder.store(part, builder.bitcast(at, part.type.as_pointer()), align=1)
                at = builder.gep(at, [step])
    return context.get_dummy_value()


def _tile(target, size, lines, vectors):
    """tile(...): sums of `lines` lines and `vectors` vectors of columns, as bytes or as int32."""
    SUMS, START = Vec(I32, target.lanes, (lines, vectors, 4)), Vec(I32, target.lanes, (1, 1, 4))
    NUMBERS, FACTOR = SUMS.to(dtype=F32), START.to(dtype=F32)
    whole, packed = to_whole(target), packer(target)

    def run(x, k_step, offsets, steps, w, start, factor, as_bytes, zero, lo, hi, flip, y, y_line, y_step):
        acc = splat(SUMS, 0) + load_repeated(START, start, size)
        for step in range(steps):
            acc = add_step(acc, x + offsets[step] * size, k_step, w, size)
            w += DEPTH * lines * size
        if as_bytes:
            made = whole(convert(NUMBERS, acc) * load_repeated(FACTOR, factor, size))
            store_pixels(y, packed(made, kind_of(zero, lo, hi), zero, lo, hi, flip), y_line, y_step, size)
        else:
            store_columns(pointer(I32, y), acc, y_line, size)

    return run


def sweeper(target, size, lines):
    """sweep(...): the sums of `lines` lines of `columns` columns. Bytes go to y, if `is_whole` says that there are all lines
    and channels; else, and int32, to `apart`, u8 or int32 [lines, columns, size] with apart_line numbers in a line, with
    what follows up to whole vectors. Gives how many columns went to y.
    """
    B = 4 * target.lanes // size
    most = 4 if B == 1 and lines == 1 else 2
    many, one = _tile(target, size, lines, most), _tile(target, size, lines, 1)
    # With several columns in a vector, one that is partly of use costs less than two tiles.
    least = most if B == 1 else B + 1

    def sweep(
        x, k_step, offsets, steps, w, start, factor, as_bytes, zero, lo, hi, flip, is_whole, y, y_line, y_step, apart,
        apart_line, columns,
    ):  # fmt: skip
        width, i, direct = size if as_bytes else 4 * size, 0, 0
        while i < columns:
            wide = most * B if columns - i >= least else B
            here, to, line, step = x + i * size, apart + i * width, apart_line, size
            if is_whole and i + wide <= columns:
                to, line, step, direct = y + i * y_step, y_line, y_step, i + wide
            if wide > B:
                many(here, k_step, offsets, steps, w, start, factor, as_bytes, zero, lo, hi, flip, to, line, step)
            else:
                one(here, k_step, offsets, steps, w, start, factor, as_bytes, zero, lo, hi, flip, to, line, step)
            i += wide
        return direct

    return sweep
