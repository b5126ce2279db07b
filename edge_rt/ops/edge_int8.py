"""Products of 8-bit integers with exact int32 sums: matrices and convolutions over channels-last images, with an epilogue.

    acc = sum over k of (a - a_zero) * (b - b_zero)                       int32, wraps

    output "int32":            y = acc + bias
    output "float32":          y = act(clamp(acc * (scale * a_scale) + bias + residual, lo, hi))
    output "uint8" or "int8":  y = clamp(round((acc + bias) * scale) + y_zero, lo, hi), and within the type's range

b comes as panels of 16 columns with four neighbours of k together, [ceil(N/16), ceil(K/4), 16, 4], zero padded, always
int8: uint8 is stored less 128 (so is b_zero then); for convolutions each kernel row is padded to whole groups. `sums` are
the sums over k of b as stored: kernels take a as it is, of either sign, and correct what its zero point adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import ceil_div, is_known
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Int, Ints, Str
from edge_rt.ops._panels import DEPTH as DEPTH
from edge_rt.ops._panels import WIDTH, row_depth, unpack_q_panels
from edge_rt.ops._rules import broadcast, has, integer_range, shape_of, shown
from edge_rt.ops._spec import SUMS, Array, Types, Values, define
from edge_rt.ops._windows import padded, taps
from edge_rt.ops.edge_conv import check_groups, image, window_geometry
from edge_rt.ops.edge_gemm import EpilogueAttrs, finish, require
from edge_rt.types import BYTES, DType

OUTPUTS = ("int32", "float32", "uint8", "int8")
FACTORS = "a_zero:B? a_scale:float32? scale:float32? bias:S? residual:float32? b_zero:int32? -> y:Y"
SUMS_AT, A_ZERO, A_SCALE, SCALE, BIAS, RESIDUAL, B_ZERO = range(2, 9)
"""Positions of the inputs that all products share."""


class QEpilogueAttrs(EpilogueAttrs):
    """How the int32 sums become y. lo and hi are in y's own steps where y is uint8 or int8.

    rounding: of halves, to the even neighbour or away from zero.
    """

    output = Str(choices=OUTPUTS)
    y_zero = Int(0)
    rounding = Str("even", choices=("even", "away"))


class QGemmAttrs(QEpilogueAttrs):
    n = Int()
    k = Int()


class QWindowAttrs(QEpilogueAttrs):
    """kernel: (h, w); pads: top, left, bottom, right. Empty stands for ones, or zeros for pads."""

    kernel = Ints()
    strides = Ints(())
    pads = Ints(())
    dilations = Ints(())


class QConvAttrs(QWindowAttrs):
    n = Int()
    group = Int(1)


# ---- what all products share ----------------------------------------------------------------------------------------


def _dtypes(attrs: QEpilogueAttrs, given: Sequence[DType | None]) -> list[DType]:
    output = DType(attrs.output)
    there = [i < len(given) and given[i] is not None for i in range(B_ZERO + 1)]
    expected = DType.FLOAT32 if output is DType.FLOAT32 else DType.INT32
    bias = given[BIAS] if there[BIAS] else None
    if bias is not None and bias is not expected:
        raise GraphError(f"bias must be {expected.value} for output {attrs.output}, got {bias.value}")
    if there[SCALE] == (output is DType.INT32):
        raise GraphError(f"scale must be {'absent' if there[SCALE] else 'given'} for output {attrs.output}")
    if output is not DType.FLOAT32 and (attrs.activation or there[A_SCALE] or there[RESIDUAL]):
        raise GraphError(f"activation, a_scale and residual are for output float32, got output {attrs.output}")
    return [output]


def _check_epilogue(attrs: Any, types: Types, n: Any, y: Any, sums: Any = None) -> None:
    """Checks the shapes of the inputs behind the panels. sums: their shape, if it is not [n]."""
    require("sums", shape_of(types, SUMS_AT), [n] if sums is None else sums)
    for name, index in (("a_zero", A_ZERO), ("a_scale", A_SCALE)):
        if has(types, index) and shape_of(types, index) not in ((), (1,)):
            raise GraphError(f"{name} must be one number, got {shown(shape_of(types, index))}")
    for name, index in (("scale", SCALE), ("b_zero", B_ZERO)):
        if has(types, index) and shape_of(types, index) not in ((), (1,)):
            require(name, shape_of(types, index), [n])
    if has(types, BIAS):
        require("bias", shape_of(types, BIAS), [n])
    if has(types, RESIDUAL):
        require("residual", shape_of(types, RESIDUAL), y)
    if attrs.output in ("uint8", "int8"):
        low, high = integer_range(DType(attrs.output).numpy)
        if not low <= attrs.y_zero <= high:
            raise GraphError(f"y_zero must be in [{low}, {high}], got {attrs.y_zero}")


def whole_limits(attrs: QEpilogueAttrs) -> tuple[int, int]:
    """Smallest and largest y of output uint8 or int8."""
    low, high = integer_range(DType(attrs.output).numpy)
    if attrs.lo > low:
        low = math.ceil(min(attrs.lo, high))
    if attrs.hi < high:
        high = math.floor(max(attrs.hi, low))
    return low, high


def rounded(x: Array, rounding: str) -> Array:
    """The nearest integers; halves go to the even neighbour or away from zero."""
    if rounding == "even":
        return np.rint(x)
    whole = np.trunc(x)
    return np.asarray(whole + np.sign(x) * (np.abs(x - whole) >= 0.5))


def _corrected(
    products: Array, rows: Array, k: int, sums: Array, a_zero: Array | None, b_zero: Array | None
) -> Array:
    """acc int32[..., n] from sums of a * b, exact in float64; rows: the sums of a over k, [..., 1]."""
    acc = products.astype(np.int64)
    zero = 0 if a_zero is None else int(a_zero.reshape(()))
    acc -= zero * sums.astype(np.int64)
    if b_zero is not None:
        acc -= (rows.astype(np.int64) - k * zero) * b_zero.astype(np.int64)
    return acc.astype(np.int32)


def _finished(
    attrs: QEpilogueAttrs, acc: Array, a_scale: Array | None, scale: Array | None, bias: Array | None,
    residual: Array | None,
) -> Array:  # fmt: skip
    """The epilogue; acc is int32 and has its columns last."""
    if attrs.output == "float32":
        assert scale is not None
        factor = scale if a_scale is None else scale * a_scale
        return finish(attrs, acc.astype(factor.dtype) * factor, bias, residual)
    if bias is not None:
        acc = acc + bias
    if attrs.output == "int32":
        return np.ascontiguousarray(acc)
    assert scale is not None
    dtype = DType(attrs.output).numpy
    low, high = whole_limits(attrs)
    # In float32, as kernels do: a product next to a half must round to the same side everywhere.
    whole = rounded(acc.astype(np.float32) * scale.astype(np.float32), attrs.rounding) + np.float32(attrs.y_zero)
    whole = np.where(np.isnan(whole), attrs.y_zero, whole)
    return np.minimum(np.maximum(whole, low), high).astype(dtype)


# ---- matrices -------------------------------------------------------------------------------------------------------


def _gemm_shapes(attrs: QGemmAttrs, types: Types, values: Values) -> Any:
    a, panels = shape_of(types, 0), shape_of(types, 1)
    if not a or (is_known(a[-1]) and a[-1] != attrs.k):
        raise GraphError(f"a must be [..., {attrs.k}], got {shown(a)}")
    if attrs.n < 0 or len(panels) < 4:
        raise GraphError(f"n must be at least 0 and panels of rank 4 or more, got {attrs.n} and {shown(panels)}")
    batch = panels[:-4]
    require("panels", panels, [*batch, ceil_div(attrs.n, WIDTH), ceil_div(attrs.k, DEPTH), WIDTH, DEPTH])
    y: list[Any] = [*a[:-1], attrs.n]
    if batch:
        if len(a) < 2:
            raise GraphError(f"a must have rank 2 or more for batched panels, got {shown(a)}")
        y = [*broadcast(a[:-2], batch), a[-2], attrs.n]
    _check_epilogue(attrs, types, attrs.n, y, [*batch, attrs.n])
    return [y]


def _gemm(
    attrs: QGemmAttrs, a: Array, panels: Array, sums: Array, a_zero: Array | None = None, a_scale: Array | None = None,
    scale: Array | None = None, bias: Array | None = None, residual: Array | None = None, b_zero: Array | None = None,
) -> Array:  # fmt: skip
    wide, b = a.astype(np.float64), unpack_q_panels(panels, attrs.k, attrs.n).astype(np.float64)
    if sums.ndim > 1:
        sums = sums[..., None, :]
    acc = _corrected(np.matmul(wide, b), wide.sum(axis=-1, keepdims=True), attrs.k, sums, a_zero, b_zero)
    return _finished(attrs, acc, a_scale, scale, bias, residual)


QGEMM = define(
    "edge.QGemm", "a:B panels:int8 sums:int32 " + FACTORS, B=BYTES, S=frozenset({DType.INT32, DType.FLOAT32}),
    attrs=QGemmAttrs, dtypes=_dtypes, shapes=_gemm_shapes, reference=_gemm, accuracy=SUMS,
)  # fmt: skip


# ---- convolutions ---------------------------------------------------------------------------------------------------


def _patches(x: Array, attrs: QWindowAttrs, a_zero: Array | None) -> tuple[tuple[int, ...], list[Array]]:
    """Output sizes, and what each tap of the kernel sees of x, float64[n, oh, ow, c]; padding is a_zero."""
    g = window_geometry(attrs, x.shape[1:3])
    fill = 0 if a_zero is None else int(a_zero.reshape(()))
    seen = taps(padded(x.transpose(0, 3, 1, 2).astype(np.float64), g, fill), g)
    return g.out, [s.transpose(0, 2, 3, 1) for s in seen]


def _conv_shapes(attrs: QConvAttrs, types: Types, values: Values) -> Any:
    n, h, w, c = image(types)
    g = window_geometry(attrs, (h, w))
    deep = g.kernel[0] * row_depth(g.kernel[1], check_groups(attrs, c))  # type: ignore[arg-type]
    columns = ceil_div(attrs.n // attrs.group, WIDTH)
    require("panels", shape_of(types, 1), [attrs.group, columns, deep, WIDTH, DEPTH])
    y = [n, *g.out, attrs.n]
    _check_epilogue(attrs, types, attrs.n, y)
    return [y]


def _conv(
    attrs: QConvAttrs, x: Array, panels: Array, sums: Array, a_zero: Array | None = None, a_scale: Array | None = None,
    scale: Array | None = None, bias: Array | None = None, residual: Array | None = None, b_zero: Array | None = None,
) -> Array:  # fmt: skip
    from edge_rt.ops.edge_int8_panels import unpack_q_conv

    out, patches = _patches(x, attrs, a_zero)
    group, channels, columns = attrs.group, x.shape[3] // attrs.group, attrs.n // attrs.group
    k = channels * len(patches)
    weights = unpack_q_conv(panels, attrs, channels).astype(np.float64)
    products = np.zeros((group, x.shape[0], *out, columns))
    rows = np.zeros((group, x.shape[0], *out, 1))
    for tap, seen in enumerate(patches):
        grouped = np.moveaxis(seen.reshape(*seen.shape[:3], group, channels), 3, 0)
        products += np.matmul(grouped, weights[:, None, None, tap * channels : (tap + 1) * channels])
        rows += grouped.sum(axis=-1, keepdims=True)

    def joined(grouped: Array) -> Array:
        return np.moveaxis(np.broadcast_to(grouped, products.shape), 0, 3).reshape(x.shape[0], *out, attrs.n)

    acc = _corrected(joined(products), joined(rows), k, sums, a_zero, b_zero)
    return _finished(attrs, acc, a_scale, scale, bias, residual)


QCONV = define(
    "edge.QConv", "x:B panels:int8 sums:int32 " + FACTORS, B=BYTES, S=frozenset({DType.INT32, DType.FLOAT32}),
    attrs=QConvAttrs, dtypes=_dtypes, shapes=_conv_shapes, reference=_conv, accuracy=SUMS,
)  # fmt: skip


def _depthwise_shapes(attrs: QWindowAttrs, types: Types, values: Values) -> Any:
    n, h, w, c = image(types)
    g = window_geometry(attrs, (h, w))
    require("w", shape_of(types, 1), [*g.kernel, c])
    y = [n, *g.out, c]
    _check_epilogue(attrs, types, c, y)
    return [y]


def _depthwise(
    attrs: QWindowAttrs, x: Array, w: Array, sums: Array, a_zero: Array | None = None, a_scale: Array | None = None,
    scale: Array | None = None, bias: Array | None = None, residual: Array | None = None, b_zero: Array | None = None,
) -> Array:  # fmt: skip
    out, patches = _patches(x, attrs, a_zero)
    products = np.zeros((x.shape[0], *out, x.shape[3]))
    rows = np.zeros_like(products)
    for weight, seen in zip(w.reshape(-1, w.shape[2]).astype(np.float64), patches):
        products += seen * weight
        rows += seen
    return _finished(attrs, _corrected(products, rows, len(patches), sums, a_zero, b_zero), a_scale, scale, bias, residual)


QDEPTHWISE_CONV = define(
    "edge.QDepthwiseConv", "x:B w:int8 sums:int32 " + FACTORS, B=BYTES, S=frozenset({DType.INT32, DType.FLOAT32}),
    attrs=QWindowAttrs, dtypes=_dtypes, shapes=_depthwise_shapes, reference=_depthwise, accuracy=SUMS,
)  # fmt: skip
