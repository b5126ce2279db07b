"""Sums of depthwise windows by dot products of four bytes, over what `depthwise_int8_seen` arranges: several columns of a
line or two at a time, all quarters of their channels."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.depthwise_int8_seen import DEPTH, LONG, quad_gatherer, safe_columns, weight_packer
from edge_rt.kernels.requantize import rounder
from edge_rt.kernels.simd import Vec, call, convert, machine, new, pack, pointer, primitive, shuffle, splat, unpack
from edge_rt.kernels.simd.memory import addresses
from edge_rt.lowering.depthwise_int8 import (
    CHANNELS,
    COLUMNS,
    GAP_DOWN,
    GAP_WIDE,
    GROUP,
    HEIGHT,
    KERNEL_H,
    KERNEL_W,
    LINE_ROOM,
    LINES,
    QUADS,
    RESIDUES,
    STEP_DOWN,
    STEP_WIDE,
    WIDTH,
)

F32, I32 = types.float32, types.int32


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
    rounded = rounder(target)

    def run(x, k_step, offsets, steps, w, start, factor, kind, zero, lo, hi, flip, y, y_line, y_step):
        acc = splat(SUMS, 0) + load_repeated(START, start, size)
        for step in range(steps):
            acc = add_step(acc, x + offsets[step] * size, k_step, w, size)
            w += DEPTH * lines * size
        if kind:
            x = convert(NUMBERS, acc) * load_repeated(FACTOR, factor, size)
            store_pixels(y, rounded(x, kind, zero, lo, hi, flip), y_line, y_step, size)
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
        x, k_step, offsets, steps, w, start, factor, kind, zero, lo, hi, flip, is_whole, y, y_line, y_step, apart,
        apart_line, columns,
    ):  # fmt: skip
        width, i, direct = size if kind else 4 * size, 0, 0
        while i < columns:
            wide = most * B if columns - i >= least else B
            here, to, line, step = x + i * size, apart + i * width, apart_line, size
            if is_whole and i + wide <= columns:
                to, line, step, direct = y + i * y_step, y_line, y_step, i + wide
            if wide > B:
                many(here, k_step, offsets, steps, w, start, factor, kind, zero, lo, hi, flip, to, line, step)
            else:
                one(here, k_step, offsets, steps, w, start, factor, kind, zero, lo, hi, flip, to, line, step)
            i += wide
        return direct

    return sweep


def by_quads(target, size):
    """(prepare, gather, sum_lines) with dot products, for groups of `size` channels.

    prepare(taps, none, g, to, places): weights u8[kernel_h, kernel_w, size] as sum_lines reads them, and in places, int64,
    where each step of sums lies in what windows see. gather(image, channels, row, column, g, blank, flip, edge, to): what
    windows of lines and columns from there on see; gives the bytes of a group. sum_lines(x, w, places, start, factor,
    kind, zero, lo, hi, flip, is_whole, y, y_line, apart, columns, count, g): sums of a group, see `sweeper`; kind: AS_SUMS
    for int32, or how bytes are packed, see `rounder`.
    """
    B = 4 * target.lanes // size
    pack, gather_quads = weight_packer(size), quad_gatherer(target, size)
    one, two = sweeper(target, size, 1), sweeper(target, size, 2)

    def columns_seen(g):
        """Columns of each residue, in whole vectors."""
        whole = (g[COLUMNS] + B - 1) // B * B
        return (whole + (g[KERNEL_W] - 1) * g[GAP_WIDE] // g[STEP_WIDE] + B - 1) // B * B

    def prepare(taps, none, g, to, places):
        pack(taps, none, g[KERNEL_H], g[KERNEL_W], g[LINES], g[STEP_DOWN], to)
        count, i = columns_seen(g), 0
        for quad in range(g[QUADS]):
            for tap in range(0, g[KERNEL_W] * g[GAP_WIDE], g[GAP_WIDE]):
                further = tap // g[STEP_WIDE]
                residue = tap - further * g[STEP_WIDE]
                places[i] = (residue * g[QUADS] + quad) * 4 * count + further
                i += 1

    def gather(image, channels, row, column, g, blank, flip, edge, to):
        w, c, rows, count = g[WIDTH], g[CHANNELS], g[KERNEL_H] + (g[LINES] - 1) * g[STEP_DOWN], columns_seen(g)
        gather_quads(
            image, w * c, c, channels, g[HEIGHT], w, safe_columns(w, channels, size), row, g[GAP_DOWN], rows, column,
            1, g[STEP_WIDE], g[RESIDUES], count, blank, flip, edge, to,
        )  # fmt: skip
        return g[QUADS] * g[RESIDUES] * count * 4 * size

    def sum_lines(x, w, places, start, factor, kind, zero, lo, hi, flip, is_whole, y, y_line, apart, columns, count, g):
        k_step, steps, line_size = columns_seen(g) * size, g[QUADS] * g[KERNEL_W], g[LINE_ROOM] * size
        y_step = g[CHANNELS]
        is_whole = is_whole and count == g[LINES]
        if g[LINES] == 2:
            return two(
                x, k_step, places, steps, w, start, factor, kind, zero, lo, hi, flip, is_whole, y, y_line, y_step, apart,
                line_size, columns,
            )  # fmt: skip
        return one(
            x, k_step, places, steps, w, start, factor, kind, zero, lo, hi, flip, is_whole, y, y_line, y_step, apart,
            line_size, columns,
        )  # fmt: skip

    return prepare, gather, sum_lines
