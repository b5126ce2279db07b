"""Operators of com.microsoft that tools put into ONNX models. Semantics: ONNX Runtime's, with one thread."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops import _rational
from edge_rt.ops._attrs import Floats, Str
from edge_rt.ops._rules import broadcasts_to, has, require_number, shape_of, widened
from edge_rt.ops._spec import SUMS, Accuracy, Array, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape, geometry
from edge_rt.ops.conv import ConvAttrs, conv_shape, convolve, per_channel
from edge_rt.ops.quantize import centred, dynamic_quantize, matmul_shape
from edge_rt.ops.recurrent import (
    ACTIVATIONS,
    LSTM_ACTIVATIONS,
    Activations,
    LstmAttrs,
    activations,
    check_recurrent,
    lstm_step,
    scan,
)
from edge_rt.types import BYTES, FLOATS, TensorType

QUANTISED = Accuracy(rtol=1e-3, atol=1e-4, scale=0.05)
"""Of products with dynamically quantised operands: a borderline value may round to its other neighbour."""


class FusedConvAttrs(ConvAttrs):
    activation = Str("")
    activation_params = Floats(())


def _fused_conv_shapes(attrs: Any, types: Types, values: Values) -> Any:
    if attrs.activation not in ("", "Clip") and attrs.activation.lower() not in ACTIVATIONS:
        raise GraphError(f"activation must be among {', '.join(ACTIVATIONS)}, got {attrs.activation}")
    bias = shape_of(types, 2) if has(types, 2) else None
    shape = conv_shape(attrs, shape_of(types, 0), shape_of(types, 1), bias)
    if has(types, 3):
        check_shape("Z", shape_of(types, 3), shape)
    return [shape]


def _fused_conv(attrs: Any, x: Array, w: Array, bias: Array | None = None, z: Array | None = None) -> Array:
    y = convolve(widened(x), widened(w), geometry(attrs, x.shape[2:], w.shape[2:]), attrs.group)
    if bias is not None:
        y += per_channel(bias, y.ndim)
    if z is not None:
        y += z
    if attrs.activation == "Clip":
        y = np.clip(y, *attrs.activation_params)
    elif attrs.activation:
        alpha, beta, function = ACTIVATIONS[attrs.activation.lower()]
        given = attrs.activation_params
        y = function(y, given[0] if given else alpha, given[1] if len(given) > 1 else beta)
    return y.astype(x.dtype, copy=False)


FUSED_CONV = define(
    "com.microsoft.FusedConv", "X:T W:T B:T? Z:T? -> Y:T", T=FLOATS, attrs=FusedConvAttrs,
    shapes=_fused_conv_shapes, reference=_fused_conv, accuracy=SUMS,
)  # fmt: skip


# ---- quantised products ---------------------------------------------------------------------------------------------


def _column_shapes(types: Types, a: int, b: int, *columns: int) -> list[Any]:
    """Shape of a @ b; inputs `columns` are scales and zero points of all of b or of each of its columns."""
    wide = shape_of(types, b)
    made = matmul_shape(shape_of(types, a), wide)
    for i in columns:
        if has(types, i) and shape_of(types, i) not in ((), (1,)):
            check_shape("scale or zero point of B", shape_of(types, i), [wide[-1]] if len(wide) > 1 else [1])
    return made


def _with_bias(shape: list[Any], types: Types, index: int) -> list[Any]:
    """The shape, after a check of the bias."""
    if has(types, index):
        broadcasts_to(shape_of(types, index), shape, "bias")
    return [shape]


def _plain(scale: Array) -> Array:
    """One number without an axis of its own."""
    return scale.reshape(()) if scale.size == 1 else scale


def _dynamic_matmul_shapes(attrs: Any, types: Types, values: Values) -> Any:
    return _with_bias(_column_shapes(types, 0, 1, 2, 3), types, 4)


def _dynamic_matmul(
    attrs: Any, a: Array, b: Array, b_scale: Array, b_zero: Array | None = None, bias: Array | None = None
) -> Array:
    whole, scale, zero = dynamic_quantize(a)
    sums = np.matmul(centred(whole, zero, -2), centred(b, b_zero, -1))
    y = sums.astype(np.float32) * (scale * _plain(b_scale))
    return np.asarray(y if bias is None else y + bias)


DYNAMIC_QUANTIZE_MATMUL = define(
    "com.microsoft.DynamicQuantizeMatMul", "A:float32 B:T b_scale:float32 b_zero_point:T? bias:float32? -> Y:float32",
    T=BYTES, shapes=_dynamic_matmul_shapes, reference=_dynamic_matmul, accuracy=QUANTISED,
)  # fmt: skip


def _to_float_shapes(attrs: Any, types: Types, values: Values) -> Any:
    require_number(types, 2, "a_scale")
    require_number(types, 4, "a_zero_point")
    return _with_bias(_column_shapes(types, 0, 1, 3, 5), types, 6)


def _matmul_to_float(
    attrs: Any, a: Array, b: Array, a_scale: Array, b_scale: Array,
    a_zero: Array | None = None, b_zero: Array | None = None, bias: Array | None = None,
) -> Array:  # fmt: skip
    sums = np.matmul(centred(a, a_zero, -2), centred(b, b_zero, -1))
    y = sums.astype(np.float32) * (a_scale.reshape(()) * _plain(b_scale))
    return np.asarray(y if bias is None else y + bias)


MATMUL_INTEGER_TO_FLOAT = define(
    "com.microsoft.MatMulIntegerToFloat",
    "A:T B:U a_scale:float32 b_scale:float32 a_zero_point:T? b_zero_point:U? bias:float32? -> Y:float32",
    T=BYTES, U=BYTES, shapes=_to_float_shapes, reference=_matmul_to_float, accuracy=SUMS,
)  # fmt: skip


def _dynamic_lstm_shapes(attrs: Any, types: Types, values: Values) -> Any:
    w, r = shape_of(types, 1), shape_of(types, 2)
    check_rank("W", w, 3)
    check_rank("R", r, 3)
    for index, name in ((8, "W_scale"), (9, "W_zero_point"), (10, "R_scale"), (11, "R_zero_point")):
        shape = shape_of(types, index)
        check_shape(name, shape, [w[0]] if len(shape) == 1 else [w[0], w[2]])
    moved = [TensorType(t.dtype, (s[0], s[2], s[1])) for t, s in zip(types[1:3], (w, r)) if t is not None]
    y, state = check_recurrent(attrs, [types[0], *moved, *types[3:8]], 4, LSTM_ACTIVATIONS)
    return [y, state, state]


ROUNDING_ALIKE: Activations = {
    **ACTIVATIONS,
    "sigmoid": (None, None, lambda x, a, b: _rational.logistic(x)),
    "tanh": (None, None, lambda x, a, b: _rational.tanh(x)),
}


def _quantised_product(weights: Array, scale: Array, zero_point: Array) -> Any:
    """Multiplication of rows with weights [in, out] after quantising them, all with one scale, to uint8."""
    centred_weights = centred(weights, zero_point, -1)

    def product(x: Array) -> Array:
        whole, x_scale, zero = dynamic_quantize(x)
        return np.asarray((centred(whole, zero, -1) @ centred_weights).astype(np.float32) * (x_scale * scale))

    return product


def _dynamic_lstm(
    attrs: Any, x: Array, w: Array, r: Array, bias: Array | None, lengths: Array | None, initial_h: Array | None,
    initial_c: Array | None, peepholes: Array | None, w_scale: Array, w_zero: Array, r_scale: Array, r_zero: Array,
) -> Any:  # fmt: skip
    data = x.swapaxes(0, 1) if attrs.layout == 1 else x
    dirs, _, gates = w.shape
    both = np.zeros((dirs, gates), np.float32) if bias is None else bias.reshape(dirs, 2, gates).sum(axis=1)
    functions = activations(attrs, LSTM_ACTIVATIONS, ROUNDING_ALIKE)
    rows = data.reshape(-1, data.shape[2])
    inputs = [
        _quantised_product(w[d], w_scale[d], w_zero[d])(rows).reshape(*data.shape[:2], gates) for d in range(dirs)
    ]
    steps = [
        lstm_step(
            _quantised_product(r[d], r_scale[d], r_zero[d]), both[d], None if peepholes is None else peepholes[d],
            functions[d], attrs.input_forget,
        )
        for d in range(dirs)
    ]  # fmt: skip
    states = [s.swapaxes(0, 1) if s is not None and attrs.layout == 1 else s for s in (initial_h, initial_c)]
    return scan(attrs, x, steps, inputs, states, r.shape[1], lengths)


DYNAMIC_QUANTIZE_LSTM = define(
    "com.microsoft.DynamicQuantizeLSTM",
    "X:float32 W:T R:U B:float32? sequence_lens:int32? initial_h:float32? initial_c:float32? P:float32? "
    "W_scale:float32 W_zero_point:T R_scale:float32 R_zero_point:U -> Y:float32 Y_h:float32 Y_c:float32",
    T=BYTES, U=BYTES, attrs=LstmAttrs, shapes=_dynamic_lstm_shapes, reference=_dynamic_lstm, accuracy=QUANTISED,
)  # fmt: skip
