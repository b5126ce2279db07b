"""LSTM over int8 panels. Sums of products are exact integers, so that tiles of any shape give the same bits.

With q and w as stored, z and v their zero points: sum of (q - z)(w - v) = sum of q w - v sum of q - z sum of (w - v).
"""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath, vrational
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.recurrent import clear, get_state, length_of, output_writer, set_state
from edge_rt.kernels.reduce import row_folder, same
from edge_rt.kernels.simd import (
    Vec,
    bitcast,
    clamp,
    convert,
    dot,
    dot_signs,
    extract,
    is_null,
    load,
    round_even,
    saturate,
    select,
    splat,
    spread,
    store,
    store_first,
    total,
)
from edge_rt.lowering.dynamic_lstm import LSTM_Q, PROJECT_Q, QUANTIZE_ROWS, SLACK

F32, I32, I64, I8, U8 = types.float32, types.int32, types.int64, types.int8, types.uint8
WIDTH, ROWS, INF = 16, 4, float("inf")


def offset_of(target):
    """What is subtracted from uint8 numbers and zero points, to fit the signs that the machine multiplies."""
    return 0 if dot_signs(target) == "us" else 128


def row_quantizer(target):
    """quantize(x, out, k, scale, zero): bytes of k numbers, zero padded to a multiple of four; gives their sum."""
    LANES, OFFSET = target.lanes, offset_of(target)

    def stepper(lanes):
        V, WIDE, BYTES = Vec(F32, lanes), Vec(I32, lanes), Vec(U8, lanes)

        def step(x, out, scale, zero):
            y = round_even(load(V, x) / scale) + zero
            whole = convert(WIDE, clamp(select(y == y, y, zero), 0.0, 255.0)) - OFFSET
            store(out, convert(BYTES, whole))
            return whole

        return step

    many, one, WIDE = stepper(LANES), stepper(1), Vec(I32, LANES)

    def quantize(x, out, k, scale, zero):
        whole = k // LANES * LANES
        sums = splat(WIDE, 0)
        for i in range(0, whole, LANES):
            sums += many(x + i, out + i, scale, zero)
        made = total(sums)
        for i in range(whole, k):
            made = I32(made + extract(one(x + i, out + i, scale, zero), 0))
        for i in range(k, (k + 3) // 4 * 4):
            out[i] = U8(0)
        return made

    return quantize


def multiplier(target):
    """multiply(a, sums, a_scale, zero, b, b_scale, b_zero, b_sums, out, out_row, rows, quads, first, last).

    out = (a - zero) @ (b - b_zero) * (a_scale * b_scale) for panels first..last of b; a: bytes [rows, quads * 4].
    """
    LANES = target.lanes
    VECTORS = WIDTH // LANES
    BYTE = U8 if offset_of(target) == 0 else I8

    def tile(rows, panels):
        shape = (rows, panels, VECTORS)
        SUMS, MADE = Vec(I32, LANES, shape), Vec(F32, LANES, shape)
        B, COLUMN, SCALE = (Vec(t, n, (1, *shape[1:])) for t, n in ((I8, 4 * LANES), (I32, LANES), (F32, LANES)))
        WORD, A = Vec(I32, LANES, (rows, 1, 1)), Vec(BYTE, 4 * LANES, (rows, 1, 1))

        def run(a, sums, a_scale, zero, b, b_scale, b_zero, b_sums, out, out_row, quads):
            b_panel = quads * (4 * WIDTH)
            acc = splat(SUMS, 0)
            for _ in range(quads):
                acc = dot(bitcast(A, spread(WORD, a, quads)), load(B, b, 0, b_panel), acc)
                a += 4
                b += 4 * WIDTH
            acc = acc - load(COLUMN, b_zero, 0, WIDTH) * spread(WORD, sums, 1) - load(COLUMN, b_sums, 0, WIDTH) * zero
            store(out, convert(MADE, acc) * (load(SCALE, b_scale, 0, WIDTH) * a_scale), out_row, WIDTH)

        return run

    several = 4 if VECTORS == 1 else 2
    # A row alone needs several panels for independent chains of sums; four rows have them.
    grid, row, column, single = tile(ROWS, several // 2), tile(1, several), tile(ROWS, 1), tile(1, 1)
    across_grid, across_row = several // 2, several

    def strip(alone, wide, across, a, sums, a_scale, zero, b, b_scale, b_zero, b_sums, out, out_row, quads, first, last):
        j = first
        while j < last:
            at = j * WIDTH
            args = b + j * (quads * (4 * WIDTH))
            if j + across <= last:
                wide(a, sums, a_scale, zero, args, b_scale + at, b_zero + at, b_sums + at, out + at, out_row, quads)
                j += across
            else:
                alone(a, sums, a_scale, zero, args, b_scale + at, b_zero + at, b_sums + at, out + at, out_row, quads)
                j += 1

    def many(a, sums, a_scale, zero, b, b_scale, b_zero, b_sums, out, out_row, quads, first, last):
        strip(
            column, grid, across_grid, a, sums, a_scale, zero, b, b_scale, b_zero, b_sums, out, out_row, quads, first, last
        )

    def one(a, sums, a_scale, zero, b, b_scale, b_zero, b_sums, out, out_row, quads, first, last):
        strip(
            single, row, across_row, a, sums, a_scale, zero, b, b_scale, b_zero, b_sums, out, out_row, quads, first, last
        )

    def multiply(a, sums, a_scale, zero, b, b_scale, b_zero, b_sums, out, out_row, rows, quads, first, last):
        r = 0
        while r < rows:
            at, made, own = a + r * quads * 4, out + r * out_row, sums + r
            if r + ROWS <= rows:
                many(at, own, a_scale, zero, b, b_scale, b_zero, b_sums, made, out_row, quads, first, last)
                r += ROWS
            else:
                one(at, own, a_scale, zero, b, b_scale, b_zero, b_sums, made, out_row, quads, first, last)
                r += 1

    return multiply


@kernel(QUANTIZE_ROWS)
def dynamic_quantize_rows(target):
    quantize = row_quantizer(target)

    def body(x, scale, zero, out, sums, rows, k, part, parts):
        row_bytes = (k + 3) // 4 * 4
        for r in range(rows * part // parts, rows * (part + 1) // parts):
            sums[r] = quantize(x + r * k, out + r * row_bytes, k, scale[0], F32(zero[0]))

    return body


@kernel(PROJECT_Q)
def dynamic_lstm_project(target):
    multiply, OFFSET = multiplier(target), offset_of(target)

    def body(x, sums, scale, zero, w, w_scale, w_zero, w_sums, out, rows, quads, panels, dirs, part, parts):
        width = panels * WIDTH
        for d in range(dirs):
            at = d * width
            multiply(
                x, sums, scale[0], I32(zero[0]) - OFFSET, w + at * quads * 4, w_scale + at, w_zero + at, w_sums + at,
                out + at * rows, width, rows, quads, panels * part // parts, panels * (part + 1) // parts,
            )  # fmt: skip

    return body


@kernel(LSTM_Q)
def dynamic_lstm(target):
    LANES, V, OFFSET = target.lanes, Vec(F32, target.lanes), offset_of(target)
    ONE, BYTE = Vec(F32, 1), Vec(U8, 1)
    quantize, multiply, write = row_quantizer(target), multiplier(target), output_writer(target.lanes)
    find_smallest = row_folder(target, same, vmath.smaller, INF)
    find_largest = row_folder(target, same, vmath.larger, -INF)

    def span(h, h_row, batch, hidden):
        """(scale, zero point) of all hidden states."""
        low, high = splat(ONE, 0.0), splat(ONE, 0.0)
        for b in range(batch):
            low = vmath.smaller(low, splat(ONE, find_smallest(h + b * h_row, hidden, F32(0.0))))
            high = vmath.larger(high, splat(ONE, find_largest(h + b * h_row, hidden, F32(0.0))))
        width = (high - low) / 255.0
        width = select(width == 0.0, 1.0, width)
        return extract(width, 0), extract(saturate(BYTE, round_even(-low / width)), 0)

    def gate(p, g, bias, at, clip):
        return clamp(load(V, p + at) + load(V, g + at) + load(V, bias + at), -clip, clip)

    def cell_step(p, g, bias, h, c, y, at, hidden, clip, input_forget):
        """One cell row: gates are p + g + bias (i, o, f, c); updates h and c."""
        for j in range(0, hidden, LANES):
            i = vrational.logistic(gate(p, g, bias, j, clip))
            o = vrational.logistic(gate(p, g, bias, hidden + j, clip))
            f = 1.0 - i
            if not input_forget:
                f = vrational.logistic(gate(p, g, bias, 2 * hidden + j, clip))
            cell = f * load(V, c + j) + i * vrational.tanh(gate(p, g, bias, 3 * hidden + j, clip))
            out = o * vrational.tanh(cell)
            store(c + j, cell)
            store_first(h + j, out, min(LANES, hidden - j))
            write(y, at, j, hidden, out)

    def body(
        projected, r, r_scale, r_zero, r_sums, bias, lengths, h0, c0, y, y_h, y_c, state, bytes, sums, error, step, seq,
        batch, hidden, panels, dirs, reverse, clip, input_forget, part, parts,
    ):  # fmt: skip
        width, quads = panels * WIDTH, (hidden + 3) // 4
        gate_row, state_row = width + SLACK, (hidden + WIDTH - 1) // WIDTH * WIDTH + SLACK
        for d in range(dirs * part // parts, dirs * (part + 1) // parts):
            own_bias = state + d * ((1 + batch) * gate_row + 2 * batch * state_row)
            gates = own_bias + gate_row
            h = gates + batch * gate_row
            c = h + batch * state_row
            own_bytes, own_sums = bytes + d * batch * quads * 4, sums + d * batch
            start, columns = d * batch * hidden, d * width
            for j in range(width):
                own_bias[j] = F32(0.0) if is_null(bias) else bias[columns + j]
            set_state(h, h0 if is_null(h0) else h0 + start, batch, hidden, state_row)
            set_state(c, c0 if is_null(c0) else c0 + start, batch, hidden, state_row)
            backwards = reverse or d == 1
            for s in range(seq):
                scale, zero = span(h, state_row, batch, hidden)
                for b in range(batch):
                    own_sums[b] = quantize(h + b * state_row, own_bytes + b * quads * 4, hidden, scale, F32(zero))
                multiply(
                    own_bytes, own_sums, scale, I32(zero) - OFFSET, r + columns * quads * 4, r_scale + columns,
                    r_zero + columns, r_sums + columns, gates, gate_row, batch, quads, 0, panels,
                )  # fmt: skip
                for b in range(batch):
                    length = length_of(lengths, b, seq, error, step)
                    if s < length:
                        t = length - 1 - s if backwards else s
                        p = projected + ((d * seq + t) * batch + b) * width
                        at = ((t * dirs + d) * batch + b) * hidden
                        cell_step(
                            p, gates + b * gate_row, own_bias, h + b * state_row, c + b * state_row, y, at, hidden, clip,
                            input_forget,
                        )  # fmt: skip
                    else:
                        clear(y if is_null(y) else y + ((s * dirs + d) * batch + b) * hidden, hidden)
            get_state(y_h if is_null(y_h) else y_h + start, h, batch, hidden, state_row)
            get_state(y_c if is_null(y_c) else y_c + start, c, batch, hidden, state_row)

    return body
