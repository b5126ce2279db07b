"""LSTM and GRU with default activations and panel weights. Gate order as ONNX: i o f c, and z r h."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt import ops
from edge_rt.dims import ceil_div
from edge_rt.ops._attrs import Attrs, Bool, Int, OptionalFloat, Str
from edge_rt.ops._rules import has, shape_of
from edge_rt.ops._spec import Array, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape
from edge_rt.ops.edge_gemm import WIDTH, unpack_panels
from edge_rt.ops.recurrent import RECURRENT
from edge_rt.types import DType

_F32 = frozenset({DType.FLOAT32})


class RecurrentAttrs(Attrs):
    hidden_size = Int()
    direction = Str("forward", choices=("forward", "reverse", "bidirectional"))
    clip = OptionalFloat()


class LstmAttrs(RecurrentAttrs):
    input_forget = Bool(False)


class GruAttrs(RecurrentAttrs):
    linear_before_reset = Bool(False)


def directions(attrs: RecurrentAttrs) -> int:
    return 2 if attrs.direction == "bidirectional" else 1


def _shapes(gates: int) -> Any:
    def rule(attrs: Any, types: Types, values: Values) -> Any:
        x = shape_of(types)
        check_rank("x", x, 3)
        seq, batch, size = x
        dirs, hidden = directions(attrs), attrs.hidden_size
        panels = ceil_div(gates * hidden, WIDTH)
        state = [dirs, batch, hidden]
        expected = [
            ("w", [dirs, panels, size, WIDTH]), ("r", [dirs, panels, hidden, WIDTH]),
            ("bias", [dirs, 2, gates * hidden]), ("lengths", [batch]), ("h0", state), ("c0", state),
        ]  # fmt: skip
        for i, (name, shape) in enumerate(expected, 1):
            if has(types, i):
                check_shape(name, shape_of(types, i), shape)
        return [[seq, dirs, batch, hidden], state, state][: 3 if gates == 4 else 2]

    return rule


def _reference(name: str, gates: int) -> Any:
    def reference(attrs: Any, x: Array, w: Array, r: Array, bias: Array | None = None, *rest: Array | None) -> Any:
        spec = ops.get(name)
        columns = gates * attrs.hidden_size
        plain = [np.ascontiguousarray(unpack_panels(p, columns).swapaxes(-1, -2)) for p in (w, r)]
        flat = None if bias is None else bias.reshape(len(bias), -1)
        return spec.reference(spec.attrs(**dict(attrs)), x, *plain, flat, *rest)

    return reference


LSTM = define(
    "edge.Lstm", "x:T w:T r:T bias:T? lengths:int32? h0:T? c0:T? -> y:T y_h:T y_c:T", T=_F32, attrs=LstmAttrs,
    shapes=_shapes(4), reference=_reference("LSTM", 4), accuracy=RECURRENT,
)  # fmt: skip
GRU = define(
    "edge.Gru", "x:T w:T r:T bias:T? lengths:int32? h0:T? -> y:T y_h:T", T=_F32, attrs=GruAttrs,
    shapes=_shapes(3), reference=_reference("GRU", 3), accuracy=RECURRENT,
)  # fmt: skip
