"""LSTM on numbers quantised as they come: the inputs at once, with one scale, and the hidden states at each step."""

from __future__ import annotations

import math

from edge_rt.lowering._spec import (
    BoundNode,
    ErrorWord,
    In,
    KernelSpec,
    Lowered,
    Out,
    Scratch,
    StepNumber,
    lowers,
    parts_for,
)
from edge_rt.lowering.quantized import BLOCK, RANGE_U8, SPAN_U8
from edge_rt.ops.edge_recurrent import directions

QUANTIZE_ROWS = KernelSpec(
    "dynamic_quantize_rows", "x:f32* scale:f32* zero:u8* out:u8* sums:i32* rows:i64 k:i64"
)
"""Rows x f32[rows, k] quantised for products on this machine: bytes out [rows, ceil(k/4) * 4], zero padded, and the sum of
each row. On machines that multiply signed numbers only, bytes and zero point are 128 lower than those of uint8."""
PROJECT_Q = KernelSpec(
    "dynamic_lstm_project",
    "x:u8* sums:i32* scale:f32* zero:u8* w:i8* w_scale:f32* w_zero:i32* w_sums:i32* out:f32* rows:i64 quads:i64 "
    "panels:i64 dirs:i64",
)
"""out[d, row, panels * 16] = (x[row] - zero) @ (w[d] - w_zero[d]) * (scale * w_scale[d]); x: what QUANTIZE_ROWS gives."""
LSTM_Q = KernelSpec(
    "dynamic_lstm",
    "projected:f32* r:i8* r_scale:f32* r_zero:i32* r_sums:i32* bias:f32* lengths:i32* h0:f32* c0:f32* y:f32* y_h:f32* "
    "y_c:f32* state:f32* bytes:u8* sums:i32* error:i64* step:i64 seq:i64 batch:i64 hidden:i64 panels:i64 dirs:i64 "
    "reverse:i64 clip:f32 input_forget:i64",
)
"""All steps of each direction; `reverse`: the only direction runs backwards. bias, lengths, h0, c0, y, y_h, y_c may be null.

projected: what PROJECT_Q gives, with SLACK readable numbers behind. state, bytes, sums: per direction state_numbers(...)
f32, batch * ceil(hidden/4) * 4 bytes, and `batch` sums. Lengths out of range are clamped and reported.
"""
SLACK = 16


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def state_numbers(batch: int, hidden: int, panels: int) -> int:
    """f32 numbers of `state` per direction: the bias, gates, two hidden vectors, each with room for a vector behind."""
    return (1 + batch) * (16 * panels + SLACK) + 2 * batch * (16 * _ceil(hidden, 16) + SLACK)


@lowers("edge.DynamicLstm")
def dynamic_lstm(node: BoundNode) -> Lowered:
    attrs = node.attrs
    seq, batch, size = node.type(0).static_shape
    dirs, hidden, panels = directions(attrs), attrs.hidden_size, node.type(1).static_shape[1]
    rows, numbers, quads = seq * batch, seq * batch * size, _ceil(size, 4)
    work = rows * size * panels * 16 * dirs
    shares = parts_for(numbers, max(1, _ceil(numbers, BLOCK)))
    ranges, scale, zero, inputs, sums, projected, state, hidden_bytes, hidden_sums = map(Scratch, range(9))
    scratch = [
        8 * shares, 4, 4, max(4, 4 * rows * quads), max(4, 4 * rows), 4 * (dirs * rows * panels * 16 + SLACK),
        4 * dirs * state_numbers(batch, hidden, panels), max(4, 4 * dirs * batch * _ceil(hidden, 4)),
        max(4, 4 * dirs * batch),
    ]  # fmt: skip
    outs = [Out(i) if i < len(node.used) and node.used[i] else 0 for i in range(3)]
    return [
        RANGE_U8(x=In(0), ranges=ranges, n=numbers, count=shares, parts=shares, scratch=scratch),
        SPAN_U8(ranges=ranges, scale=scale, zero=zero, count=shares),
        QUANTIZE_ROWS(
            x=In(0), scale=scale, zero=zero, out=inputs, sums=sums, rows=rows, k=size, parts=parts_for(numbers, rows)
        ),
        PROJECT_Q(
            x=inputs, sums=sums, scale=scale, zero=zero, w=In(1), w_scale=In(2), w_zero=In(3), w_sums=In(4), out=projected,
            rows=rows, quads=quads, panels=panels, dirs=dirs, parts=parts_for(work // 16, dirs * _ceil(panels, 4)),
            flops=2 * work,
        ),
        LSTM_Q(
            projected=projected, r=In(5), r_scale=In(6), r_zero=In(7), r_sums=In(8), bias=node.optional(9),
            lengths=node.optional(10), h0=node.optional(11), c0=node.optional(12), y=outs[0], y_h=outs[1], y_c=outs[2],
            state=state, bytes=hidden_bytes, sums=hidden_sums, error=ErrorWord(), step=StepNumber(), seq=seq, batch=batch,
            hidden=hidden, panels=panels, dirs=dirs, reverse=int(attrs.direction == "reverse"),
            clip=math.inf if attrs.clip is None or attrs.clip <= 0 else float(attrs.clip),
            input_forget=int(attrs.input_forget), parts=dirs, flops=2 * dirs * rows * hidden * panels * 16,
        ),
    ]  # fmt: skip
