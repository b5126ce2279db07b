"""LSTM and GRU over all steps. The gates of a step come from a small product with panels of 16 columns."""

from __future__ import annotations

import numpy as np
from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.errors import report
from edge_rt.kernels.memory import stack
from edge_rt.kernels.simd import Vec, clamp, is_null, load, load_first, store, store_first
from edge_rt.kernels.tiles import WIDTH, lane_tile, spread_tile
from edge_rt.lowering._errors import BAD_LENGTH
from edge_rt.lowering.recurrent import GRU_F32, LSTM_F32, PROJECT_F32, SLACK

F32, I64 = types.float32, types.int64
INF = np.float32(np.inf)
ROWS = 4
"""Of the tile for what the tallest one leaves."""
TILES = {16: (12, 4, 4), 8: (6, 4, 1), 4: (5, 4, 1)}
"""By lanes: rows of the tallest tile of one panel, panels of the widest tile of one row, and of the widest one of ROWS: so
many sums that none waits for the one before."""


def panel_product(target):
    """multiply(start, a, a_row, b, out, out_row, rows, k, panels): out = start + a @ b for panels b [panels, k, 16].

    start: a row, of as many panels as the widest tile has.
    """
    make, (tall, wide, broad) = (lane_tile if target.arch == "aarch64" else spread_tile), TILES[target.lanes]
    tallest, several = make(tall, 1, target.lanes), make(ROWS, 1, target.lanes)
    broadest = make(ROWS, broad, target.lanes) if broad > 1 else several
    widest, one = make(1, wide, target.lanes), make(1, 1, target.lanes)

    def multiply(start, a, a_row, b, out, out_row, rows, k, panels):
        nowhere = stack(I64, 1)
        nowhere[0] = 0
        path, panel = (a_row, nowhere, 1, b, 0, 1), k * WIDTH
        row = 0
        while row + ROWS <= rows:
            height = tall if row + tall <= rows else ROWS
            at, to = a + row * a_row, out + row * out_row
            q = 0
            while broad > 1 and height == ROWS and q + broad <= panels:
                broadest(start, at, path, b + q * panel, panel, k, start, False, -INF, INF, to + q * WIDTH, out_row)
                q += broad
            while q < panels:
                if height == tall:
                    tallest(start, at, path, b + q * panel, panel, k, start, False, -INF, INF, to + q * WIDTH, out_row)
                else:
                    several(start, at, path, b + q * panel, panel, k, start, False, -INF, INF, to + q * WIDTH, out_row)
                q += 1
            row += height
        while row < rows:
            at, to = a + row * a_row, out + row * out_row
            q = 0
            while q + wide <= panels:
                widest(start, at, path, b + q * panel, panel, k, start, False, -INF, INF, to + q * WIDTH, out_row)
                q += wide
            while q < panels:
                one(start, at, path, b + q * panel, panel, k, start, False, -INF, INF, to + q * WIDTH, out_row)
                q += 1
            row += 1

    return multiply


def product_alone(target):
    """multiply(a, a_row, b, out, out_row, rows, k, panels): out = a @ b."""
    add_product, size = panel_product(target), TILES[target.lanes][1] * WIDTH

    def multiply(a, a_row, b, out, out_row, rows, k, panels):
        zeros = stack(F32, size)
        for i in range(size):
            zeros[i] = F32(0.0)
        add_product(zeros, a, a_row, b, out, out_row, rows, k, panels)

    return multiply


@kernel(PROJECT_F32)
def recurrent_project_f32(target):
    multiply = panel_product(target)

    def body(x, w, bias, out, rows, k, panels, dirs, columns, both, part, parts):
        units, width, start = dirs * panels, panels * WIDTH, stack(F32, WIDTH)
        for unit in range(units * part // parts, units * (part + 1) // parts):
            d = unit // panels
            first = (unit - d * panels) * WIDTH
            for j in range(first, first + WIDTH):
                b = F32(0.0)
                if j < columns and not is_null(bias):
                    own = bias + (2 * d * columns + j)
                    b = F32(own[0] + own[columns]) if j < both else own[0]
                start[j - first] = b
            multiply(start, x, k, w + unit * k * WIDTH, out + (d * rows * width + first), width, rows, k, 1)

    return body


def set_state(to, source, batch, hidden, row):
    """Initial state [batch, hidden] from `source`, or 0 if that is null; rows of `to` are `row` apart."""
    for b in range(batch):
        for j in range(row):
            to[b * row + j] = F32(0.0)
        if not is_null(source):
            for j in range(hidden):
                to[b * row + j] = source[b * hidden + j]


def get_state(to, state, batch, hidden, row):
    if not is_null(to):
        for b in range(batch):
            for j in range(hidden):
                to[b * hidden + j] = state[b * row + j]


def length_of(lengths, b, seq, error, step):
    """Steps of sequence b; out of range it is clamped and reported."""
    if is_null(lengths):
        return seq
    length = I64(lengths[b])
    if length < 0 or length > seq:
        report(error, step, BAD_LENGTH)
        return min(max(length, 0), seq)
    return length


def clear(y, n):
    if not is_null(y):
        for j in range(n):
            y[j] = F32(0.0)


def output_writer(lanes):
    def write(y, at, j, hidden, h):
        """Puts the lanes of h, numbers j.. of the hidden state, into y; as many as there are."""
        if not is_null(y):
            if j + lanes <= hidden:
                store(y + (at + j), h)
            else:
                store_first(y + (at + j), h, hidden - j)

    return write


@kernel(LSTM_F32)
def lstm_f32(target):
    LANES, V = target.lanes, Vec(F32, target.lanes)
    multiply, write = product_alone(target), output_writer(target.lanes)

    def cell_step(p, g, h, c, y, at, hidden, clip, input_forget):
        """One cell row: gates are p + g (i, o, f, c); updates h and c."""
        for j in range(0, hidden, LANES):
            i = vmath.sigmoid(clamp(load(V, p + j) + load(V, g + j), -clip, clip))
            q = hidden + j
            o = vmath.sigmoid(clamp(load(V, p + q) + load(V, g + q), -clip, clip))
            f = 1.0 - i
            if not input_forget:
                q = 2 * hidden + j
                f = vmath.sigmoid(clamp(load(V, p + q) + load(V, g + q), -clip, clip))
            q = 3 * hidden + j
            new = vmath.tanh(clamp(load(V, p + q) + load(V, g + q), -clip, clip))
            cell = f * load(V, c + j) + i * new
            out = o * vmath.tanh(cell)
            store(c + j, cell)
            store(h + j, out)
            write(y, at, j, hidden, out)

    def body(
        projected, r, lengths, h0, c0, y, y_h, y_c, state, error, step, seq, batch, hidden, panels, dirs, reverse, clip,
        input_forget, part, parts,
    ):  # fmt: skip
        gate_row, state_row = panels * WIDTH + SLACK, (hidden + WIDTH - 1) // WIDTH * WIDTH + SLACK
        for d in range(dirs * part // parts, dirs * (part + 1) // parts):
            gates = state + d * (2 * batch * gate_row + 3 * batch * state_row)
            h = gates + 2 * batch * gate_row
            c = h + batch * state_row
            start = d * batch * hidden
            set_state(h, h0 if is_null(h0) else h0 + start, batch, hidden, state_row)
            set_state(c, c0 if is_null(c0) else c0 + start, batch, hidden, state_row)
            backwards = reverse or d == 1
            for s in range(seq):
                multiply(h, state_row, r + d * panels * hidden * WIDTH, gates, gate_row, batch, hidden, panels)
                for b in range(batch):
                    length = length_of(lengths, b, seq, error, step)
                    if s < length:
                        t = length - 1 - s if backwards else s
                        p = projected + ((d * seq + t) * batch + b) * panels * WIDTH
                        at = ((t * dirs + d) * batch + b) * hidden
                        cell_step(
                            p, gates + b * gate_row, h + b * state_row, c + b * state_row, y, at, hidden, clip,
                            input_forget,
                        )  # fmt: skip
                    else:
                        clear(y if is_null(y) else y + ((s * dirs + d) * batch + b) * hidden, hidden)
            get_state(y_h if is_null(y_h) else y_h + start, h, batch, hidden, state_row)
            get_state(y_c if is_null(y_c) else y_c + start, c, batch, hidden, state_row)

    return body


@kernel(GRU_F32)
def gru_f32(target):
    LANES, V = target.lanes, Vec(F32, target.lanes)
    multiply, write = product_alone(target), output_writer(target.lanes)

    def gate_step(p, g, made, h, reset_h, hidden, clip):
        """made = gates z and r of a row from their sums p + g, and up to a vector behind; reset_h = r * h."""
        for q in range(0, 2 * hidden, LANES):
            store(made + q, vmath.sigmoid(clamp(load(V, p + q) + load(V, g + q), -clip, clip)))
        for j in range(0, hidden, LANES):
            store(reset_h + j, load(V, made + (hidden + j)) * load(V, h + j))

    def output_step(p, g, n, h, y, at, hidden, clip, bias, linear_before_reset):
        """h = (1 - z) * tanh(candidate) + z * h for a row; n: product of the candidate's columns, bias: its R bias."""
        for j in range(0, hidden, LANES):
            q = 2 * hidden + j
            recurrent = load(V, n + q)
            if linear_before_reset:
                if not is_null(bias):
                    recurrent += load_first(V, bias + j, min(LANES, hidden - j))
                recurrent = load(V, g + (hidden + j)) * recurrent
            new = vmath.tanh(clamp(load(V, p + q) + recurrent, -clip, clip))
            z = load(V, g + j)
            out = (1.0 - z) * new + z * load(V, h + j)
            store(h + j, out)
            write(y, at, j, hidden, out)

    def body(
        projected, r, bias, lengths, h0, y, y_h, state, error, step, seq, batch, hidden, panels, dirs, reverse, clip,
        linear_before_reset, part, parts,
    ):  # fmt: skip
        gate_row, state_row = panels * WIDTH + SLACK, (hidden + WIDTH - 1) // WIDTH * WIDTH + SLACK
        for d in range(dirs * part // parts, dirs * (part + 1) // parts):
            gates = state + d * (2 * batch * gate_row + 3 * batch * state_row)
            # the sums of the candidate's columns stay where gate_step does not write
            made, candidates = gates, gates + batch * gate_row
            if linear_before_reset:
                made, candidates = candidates, gates
            h = gates + 2 * batch * gate_row
            reset_h = h + batch * state_row
            start = d * batch * hidden
            set_state(h, h0 if is_null(h0) else h0 + start, batch, hidden, state_row)
            own_bias = bias if is_null(bias) else bias + ((2 * d + 1) * 3 * hidden + 2 * hidden)
            backwards = reverse or d == 1
            # Panels before the candidate's columns, which wait for reset_h, maybe one with both.
            weights, first = r + d * panels * hidden * WIDTH, (2 * hidden + WIDTH - 1) // WIDTH
            for s in range(seq):
                multiply(h, state_row, weights, gates, gate_row, batch, hidden, panels if linear_before_reset else first)
                for b in range(batch):
                    length = length_of(lengths, b, seq, error, step)
                    t = min(max(length - 1 - s, 0), seq - 1) if backwards else s
                    p = projected + ((d * seq + t) * batch + b) * panels * WIDTH
                    gate_step(
                        p, gates + b * gate_row, made + b * gate_row, h + b * state_row, reset_h + b * state_row,
                        hidden, clip,
                    )  # fmt: skip
                if not linear_before_reset:
                    q = 2 * hidden // WIDTH
                    multiply(
                        reset_h, state_row, weights + q * hidden * WIDTH, candidates + q * WIDTH, gate_row, batch, hidden,
                        panels - q,
                    )  # fmt: skip
                for b in range(batch):
                    length = length_of(lengths, b, seq, error, step)
                    if s < length:
                        t = length - 1 - s if backwards else s
                        p = projected + ((d * seq + t) * batch + b) * panels * WIDTH
                        at = ((t * dirs + d) * batch + b) * hidden
                        output_step(
                            p, made + b * gate_row, candidates + b * gate_row, h + b * state_row, y, at, hidden, clip,
                            own_bias, linear_before_reset,
                        )  # fmt: skip
                    else:
                        clear(y if is_null(y) else y + ((s * dirs + d) * batch + b) * hidden, hidden)
            get_state(y_h if is_null(y_h) else y_h + start, h, batch, hidden, state_row)

    return body
