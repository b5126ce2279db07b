"""What depthwise windows see, with its padding, arranged in nearby memory.

For dot products of four bytes, what a line of the result sees is woven into quads: for each column and each channel the
bytes of four rows, as one int32. A vector has a quarter of a group's channels, of one column or of several: quarter k has
channels 4 * k to 4 * k + 3 of each 16. The four quarters lie apart; columns whose distance is the stride are neighbours
then. So one dot product adds up to four taps, and two lines share what was woven. A group is GROUP channels, or as many as a
vector has bytes.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels._registry import apart
from edge_rt.kernels.simd import Vec, load, new, pack, primitive, shuffle, splat, store, tile, unpack
from edge_rt.lowering.depthwise_int8 import GROUP

U8 = types.uint8
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


def quad_gatherer(target, size):
    """gather(...): weaves what the windows of lines see to `to`, u8[groups, residues, quads, 4, count, size].

    image: where the channels begin; row_step, pixel: bytes of a row, and from column to column; rows: of them, from
    first_row on, `row_gap` apart, are seen. Column i of residue r is number first_column + (r + i * step) * lattice. Rows
    and columns that are not there are as `blank`, which is as long as a vector's columns and the channels; columns from
    w_safe on may not be read 16 bytes at a time.
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

    if target.arch == "x86_64":
        many = apart(many)

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
        image, row_step, pixel, channels, h, w, w_safe, first_row, row_gap, rows, first_column, lattice, step, residues,
        count, blank, flip, edge, to,
    ):  # fmt: skip
        stride = step * lattice
        k_step, advance = count * size, B * stride * pixel
        quads, groups = (rows + DEPTH - 1) // DEPTH, (channels + size - 1) // size
        group_size = residues * quads * DEPTH * k_step
        for residue in range(residues):
            column = first_column + residue * lattice
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


def tap_gatherer(target):
    """gather(...): copies what the windows of lines see to `to`, u8[groups, rows, count, 16], with flipped bits: without dot
    products.

    Arguments as for `quad_gatherer`; count: columns from first_column on, `lattice` apart.
    """
    LINE, LINES = Vec(U8, GROUP), Vec(U8, GROUP, (4,))

    def gather(
        image, row_step, pixel, channels, h, w, w_safe, first_row, row_gap, rows, first_column, lattice, count, blank,
        flip, to,
    ):  # fmt: skip
        mask = splat(LINE, flip)
        outside = load(LINE, blank) ^ mask
        # Columns that are there, and those of them that may be read 16 bytes at a time.
        begin = min(count, (max(0, -first_column) + lattice - 1) // lattice)
        end = max(begin, min(count, (w - first_column + lattice - 1) // lattice))
        whole = max(begin, min(end, (w_safe - first_column + lattice - 1) // lattice))
        further = lattice * pixel
        for group in range((channels + GROUP - 1) // GROUP):
            at = max(0, min(group * GROUP, channels - GROUP))
            for r in range(rows):
                row, i = first_row + r * row_gap, 0
                if row >= 0 and row < h:
                    while i < begin:
                        store(to + i * GROUP, outside)
                        i += 1
                    source = image + (row * row_step + at + first_column * pixel + i * further)
                    while i + 4 <= whole:
                        store(to + i * GROUP, load(LINES, source, further) ^ mask)
                        source += 4 * further
                        i += 4
                    while i < whole:
                        store(to + i * GROUP, load(LINE, source) ^ mask)
                        source += further
                        i += 1
                    while i < end:
                        for q in range(channels):
                            to[i * GROUP + q] = source[q] ^ flip
                        source += further
                        i += 1
                while i < count:
                    store(to + i * GROUP, outside)
                    i += 1
                to += count * GROUP

    return gather


def weight_weaver(size, weave_rows=weave):
    """woven(taps, none, row, column, kernel_h, kernel_w): what a quad of rows is multiplied by, from `row` of the kernel on:
    weights u8[kernel_h, kernel_w, size] of a group, as u8[4, size], woven by weave_rows. none: zeros for a group."""
    ROW = Vec(U8, size)

    def row_of(taps, none, row, column, kernel_h, kernel_w):
        return load(ROW, taps + (row * kernel_w + column) * size if row >= 0 and row < kernel_h else none)

    def woven(taps, none, row, column, kernel_h, kernel_w):
        rows = tile(
            row_of(taps, none, row, column, kernel_h, kernel_w), row_of(taps, none, row + 1, column, kernel_h, kernel_w),
            row_of(taps, none, row + 2, column, kernel_h, kernel_w),
            row_of(taps, none, row + 3, column, kernel_h, kernel_w),
        )  # fmt: skip
        return weave_rows(rows)

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
