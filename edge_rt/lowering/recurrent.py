"""LSTM and GRU: the inputs of all steps are projected at once, then one kernel runs over the steps of a direction."""

from __future__ import annotations

import math
from typing import Any

from edge_rt.lowering._spec import (
    Arg,
    BoundNode,
    Call,
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
from edge_rt.lowering.gemm import pack_call
from edge_rt.types import DType

PROJECT_F32 = KernelSpec(
    "recurrent_project_f32",
    "x:f32* w:f32* bias:f32* out:f32* rows:i64 k:i64 panels:i64 dirs:i64 columns:i64 both:i64",
)
"""out[d, row, panels * 16] = x[row] @ w[d] + bias[d, 0], and + bias[d, 1] for columns below `both`.

x: f32[rows, k]; w: f32[dirs, panels, k, 16]; bias: f32[dirs, 2, columns] or null.
"""
_STATE = "seq:i64 batch:i64 hidden:i64 panels:i64 dirs:i64 reverse:i64 clip:f32"
LSTM_F32 = KernelSpec(
    "lstm_f32",
    "projected:f32* r:f32* lengths:i32* h0:f32* c0:f32* y:f32* y_h:f32* y_c:f32* state:f32* error:i64* step:i64 "
    f"{_STATE} input_forget:i64",
)
"""All steps of each direction; `reverse`: the only direction runs backwards. lengths, h0, c0, y, y_h, y_c may be null.

projected: what PROJECT_F32 gives, with SLACK readable numbers behind; r: f32[dirs, panels, hidden, 16].
state: state_numbers(...) per direction. Lengths out of range are clamped and reported.
"""
GRU_F32 = KernelSpec(
    "gru_f32",
    "projected:f32* r:f32* bias:f32* lengths:i32* h0:f32* y:f32* y_h:f32* state:f32* error:i64* step:i64 "
    f"{_STATE} linear_before_reset:i64",
)
"""As LSTM_F32. bias: as in PROJECT_F32, read where linear_before_reset."""
SLACK = 16


def _panels(columns: int) -> int:
    return -(-columns // 16)


def state_numbers(batch: int, hidden: int, panels: int) -> int:
    """f32 numbers of `state` per direction: gates twice, three hidden vectors, each with room for a vector behind."""
    return 2 * batch * (16 * panels + SLACK) + 3 * batch * (16 * _panels(hidden) + SLACK)


def _calls(
    node: BoundNode, gates: int, hidden: int, w: Arg, r: Arg, before: list[Call], scratch: int
) -> Lowered:
    """before: calls that make w and r in the scratch buffers below `scratch`."""
    attrs = node.attrs
    seq, batch, size = node.type(0).static_shape
    dirs = 2 if attrs.direction == "bidirectional" else 1
    columns, panels = gates * hidden, _panels(gates * hidden)
    lbr = gates == 3 and attrs.linear_before_reset
    both = 2 * hidden if lbr else columns
    projected = 4 * (dirs * seq * batch * panels * 16 + SLACK)
    sizes = [4] * scratch + [projected, 4 * dirs * state_numbers(batch, hidden, panels)]
    work = seq * batch * size * columns * dirs
    project = PROJECT_F32(
        x=In(0), w=w, bias=node.optional(3), out=Scratch(scratch), rows=seq * batch, k=size, panels=panels, dirs=dirs,
        columns=columns, both=both, parts=parts_for(work // 4, dirs * panels), scratch=sizes, flops=2 * work,
    )  # fmt: skip
    outs = [Out(i) if i < len(node.used) and node.used[i] else 0 for i in range(3)]
    shared: dict[str, Any] = {
        "projected": Scratch(scratch), "r": r, "lengths": node.optional(4), "h0": node.optional(5), "y": outs[0],
        "y_h": outs[1], "state": Scratch(scratch + 1), "error": ErrorWord(), "step": StepNumber(), "seq": seq,
        "batch": batch, "hidden": hidden, "panels": panels, "dirs": dirs, "reverse": int(attrs.direction == "reverse"),
        "clip": math.inf if attrs.clip is None or attrs.clip <= 0 else float(attrs.clip), "parts": dirs,
        "flops": 2 * dirs * seq * batch * hidden * columns,
    }  # fmt: skip
    if gates == 4:
        steps = LSTM_F32(**shared, c0=node.optional(6), y_c=outs[2], input_forget=int(attrs.input_forget))
    else:
        steps = GRU_F32(**shared, bias=node.optional(3), linear_before_reset=int(lbr))
    return [*before, project, steps]


@lowers("edge.Lstm", "edge.Gru")
def packed(node: BoundNode) -> Lowered:
    return _calls(node, 4 if node.op.name == "edge.Lstm" else 3, node.attrs.hidden_size, In(1), In(2), [], 0)


@lowers("LSTM", "GRU")
def plain(node: BoundNode) -> Lowered:
    """With default activations, time first, without peepholes; the weights are packed at each run."""
    attrs = node.attrs
    gates = 4 if node.op.name == "LSTM" else 3
    defaults = ("sigmoid", "tanh", "tanh")[: gates - 1]
    dirs, columns, size = node.type(1).static_shape
    hidden = node.type(2).static_shape[2]
    names = tuple(name.lower() for name in attrs.activations)
    if node.type(0).dtype is not DType.FLOAT32 or names not in ((), defaults * dirs) or attrs.layout or node.has(7):
        return None
    bytes_ = [4 * dirs * _panels(columns) * 16 * k for k in (size, hidden)]
    pack = [
        pack_call(In(i + 1), Scratch(i), dirs, k, columns, True, scratch=bytes_) for i, k in enumerate((size, hidden))
    ]
    return _calls(node, gates, hidden, Scratch(0), Scratch(1), pack, 2)
