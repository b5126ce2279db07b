"""Operators of com.microsoft on 8-bit numbers, as quantisers write them: decode, the real operator, quantise again.

    com.microsoft.QLinearAdd(a, a_scale, a_zero, b, ...) -> QuantizeLinear(Add(DequantizeLinear(a), DequantizeLinear(b)))

Passes put integer steps in their place, as they do for models that are written this way from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.graph import Value
from exporter.importers.onnx._nibbles import decode_blocks
from exporter.importers.onnx._opsets import ALWAYS, since
from exporter.importers.onnx._problems import Refused
from exporter.importers.onnx._scope import Call


def _decoded(call: Call, first: int) -> Any:
    """Inputs first, first + 1 and first + 2: numbers, their scale and zero point (which may be absent)."""
    return call.emit("DequantizeLinear", call.required(first), call.required(first + 1), call.input(first + 2))


def _quantised(call: Call, y: Value, scale: int, like: int = 0) -> list[Value]:
    """The outputs: y quantised with inputs `scale` and the one behind it. Without zero point as input `like` is."""
    zero = call.input(scale + 1)
    if zero is None:
        zero = call.constant(0, call.required(like).type.dtype.numpy, "zero")
    return [call.emit("QuantizeLinear", y, call.required(scale), zero, outputs=call.outputs)]


@since("com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear", ALWAYS)
def _as_in_onnx(call: Call) -> Sequence[Value]:
    """16-bit types came to ONNX's own operators with opset 21; quantisers write these below it."""
    name = call.op.removeprefix("com.microsoft.")
    return [call.emit(name, *call.inputs, outputs=call.outputs, **call.attributes)]


@since("com.microsoft.MatMulNBits", ALWAYS)
def _matmul_n_bits(call: Call) -> Sequence[Value]:
    """a [..., K] times weights [N, K] of 2, 4 or 8 bits with a scale (and zero point) for each block of k; bias [N]?."""
    if call.input(4) is not None:
        raise Refused("input 'g_idx'")
    packed, scales, zeros = (call.contents(i) for i in (1, 2, 3))
    if packed is None or scales is None or (zeros is None and call.input(3) is not None):
        raise Refused("weights that are computed")
    weights = decode_blocks(packed, scales, zeros, *(call.attributes.get(n, 0) for n in ("N", "K", "bits", "block_size")))
    product = call.emit("MatMul", call.required(0), call.constant(weights.T, scales.dtype, "weights"),
                        outputs=call.outputs if call.input(5) is None else ("",))  # fmt: skip
    return [product if call.input(5) is None else call.emit("Add", product, call.required(5), outputs=call.outputs)]


@since("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul", ALWAYS)
def _binary(call: Call) -> Sequence[Value]:
    y = call.emit(call.op.removeprefix("com.microsoft.QLinear"), _decoded(call, 0), _decoded(call, 3))
    return _quantised(call, y, 6)


@since("com.microsoft.QLinearSigmoid", "com.microsoft.QLinearLeakyRelu", "com.microsoft.QLinearAveragePool", ALWAYS)
def _unary(call: Call) -> Sequence[Value]:
    if call.attributes.pop("channels_last", 0):
        raise Refused("attribute 'channels_last'")
    y = call.emit(call.op.removeprefix("com.microsoft.QLinear"), _decoded(call, 0), **call.attributes)
    return _quantised(call, y, 3)


@since("com.microsoft.QLinearGlobalAveragePool", ALWAYS)
def _global_average_pool(call: Call) -> Sequence[Value]:
    x = _decoded(call, 0)
    if call.attributes.get("channels_last", 0):
        axes = call.constant(np.arange(1, (x.type.rank or 4) - 1), np.int64, "axes")
        return _quantised(call, call.emit("ReduceMean", x, axes, keepdims=1), 3)
    return _quantised(call, call.emit("GlobalAveragePool", x), 3)


@since("com.microsoft.QLinearReduceMean", ALWAYS)
def _reduce_mean(call: Call) -> Sequence[Value]:
    axes = call.attributes.get("axes")
    given = None if axes is None else call.constant(axes, np.int64, "axes")
    y = call.emit("ReduceMean", _decoded(call, 0), given, keepdims=call.attributes.get("keepdims", 1))
    return _quantised(call, y, 3)


@since("com.microsoft.QLinearSoftmax", ALWAYS)
def _softmax(call: Call) -> Sequence[Value]:
    """With `opset` below 13 the input is seen as a matrix, [sizes before the axis, sizes from it on]."""
    x, axis = _decoded(call, 0), call.attributes.get("axis", -1)
    if call.attributes.get("opset", 13) >= 13 or axis in (-1, (x.type.rank or 0) - 1):
        return _quantised(call, call.emit("Softmax", x, axis=axis), 3)
    flat = call.emit("Softmax", call.emit("Flatten", x, axis=axis), axis=-1)
    return _quantised(call, call.emit("Reshape", flat, call.emit("Shape", x)), 3)


@since("com.microsoft.QLinearConcat", ALWAYS)
def _concat(call: Call) -> Sequence[Value]:
    """Inputs: scale and zero point of the result, then (numbers, scale, zero point) of each part."""
    parts = [_decoded(call, first) for first in range(2, len(call.inputs), 3)]
    return _quantised(call, call.emit("Concat", *parts, axis=call.attributes.get("axis", 0)), 0, like=2)


@since("com.microsoft.QGemm", ALWAYS)
def _gemm(call: Call) -> Sequence[Value]:
    """C counts in steps of alpha * a_scale * b_scale. Without y_scale the result is real."""
    alpha = call.attributes.get("alpha", 1.0)
    c = call.input(6)
    if c is not None:
        scale = call.emit("Mul", call.required(1), call.required(4))
        if alpha != 1.0:
            scale = call.emit("Mul", scale, call.constant(alpha, np.float32, "alpha"))
        c = call.emit("DequantizeLinear", c, scale, None, axis=-1)
    turns = {name: call.attributes.get(name, 0) for name in ("transA", "transB")}
    b = call.required(3)
    b = call.emit("DequantizeLinear", b, call.required(4), call.input(5), axis=0 if turns["transB"] else 1)
    y = call.emit("Gemm", _decoded(call, 0), b, c, alpha=alpha, outputs=("",) if call.input(7) else call.outputs, **turns)
    return [y] if call.input(7) is None else _quantised(call, y, 7)
