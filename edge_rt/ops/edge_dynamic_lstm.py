"""LSTM with int8 weights whose inputs and hidden states are quantised as they come, with default activations.

Weights are panels as edge.PackQPanels makes them, int8 [dirs, ceil(4H/16), ceil(K/4), 16, 4]. What belongs to a column
(scale, zero point, sum over k of weight - zero point) and the bias have columns up to the end of the last panel, those
behind 4H being 0. Gate order as ONNX: i o f c.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt import ops
from edge_rt.dims import ceil_div
from edge_rt.ops._panels import DEPTH, unpack_q_panels
from edge_rt.ops._rules import has, shape_of
from edge_rt.ops._spec import Array, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape
from edge_rt.ops.edge_gemm import WIDTH
from edge_rt.ops.edge_recurrent import LstmAttrs, directions
from edge_rt.ops.microsoft import QUANTISED

GATES = 4


def _shapes(attrs: LstmAttrs, types: Types, values: Values) -> Any:
    x = shape_of(types)
    check_rank("x", x, 3)
    seq, batch, size = x
    dirs, hidden = directions(attrs), attrs.hidden_size
    count = ceil_div(GATES * hidden, WIDTH)
    columns, state = [dirs, count * WIDTH], [dirs, batch, hidden]
    expected = [
        ("w", [dirs, count, ceil_div(size, DEPTH), WIDTH, DEPTH]), ("w_scale", columns), ("w_zero", columns),
        ("w_sums", columns), ("r", [dirs, count, ceil_div(hidden, DEPTH), WIDTH, DEPTH]), ("r_scale", columns),
        ("r_zero", columns), ("r_sums", columns), ("bias", columns), ("lengths", [batch]), ("h0", state), ("c0", state),
    ]  # fmt: skip
    for i, (name, shape) in enumerate(expected, 1):
        if has(types, i):
            check_shape(name, shape_of(types, i), shape)
    return [[seq, dirs, batch, hidden], state, state]


def _reference(
    attrs: LstmAttrs, x: Array, w: Array, w_scale: Array, w_zero: Array, w_sums: Array, r: Array, r_scale: Array,
    r_zero: Array, r_sums: Array, bias: Array | None = None, lengths: Array | None = None, h0: Array | None = None,
    c0: Array | None = None,
) -> Any:  # fmt: skip
    hidden = attrs.hidden_size
    n = GATES * hidden
    plain, recurrent = unpack_q_panels(w, x.shape[2], n), unpack_q_panels(r, hidden, n)
    both = None if bias is None else np.concatenate([bias[:, :n], np.zeros_like(bias[:, :n])], axis=1)
    spec = ops.get("com.microsoft.DynamicQuantizeLSTM")
    columns = [p[:, :n].astype(t) for p, t in ((w_scale, x.dtype), (w_zero, np.int8), (r_scale, x.dtype), (r_zero, np.int8))]
    return spec.reference(spec.attrs(**dict(attrs)), x, plain, recurrent, both, lengths, h0, c0, None, *columns)


DYNAMIC_LSTM = define(
    "edge.DynamicLstm",
    "x:float32 w:int8 w_scale:float32 w_zero:int32 w_sums:int32 r:int8 r_scale:float32 r_zero:int32 r_sums:int32 "
    "bias:float32? lengths:int32? h0:float32? c0:float32? -> y:float32 y_h:float32 y_c:float32",
    attrs=LstmAttrs, shapes=_shapes, reference=_reference, accuracy=QUANTISED,
)  # fmt: skip
