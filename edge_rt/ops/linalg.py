"""Matrix products: MatMul, Gemm, Einsum; Det."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float
from edge_rt.ops._rules import broadcast, broadcasts_to, equal_size, has, require_rank, shape_of, shown, unary, widened
from edge_rt.ops._spec import SUMS, Array, Shape, Types, Values, define
from edge_rt.types import FLOATS, Dim, DType

WIDE = FLOATS | {DType.INT32, DType.INT64, DType.UINT32, DType.UINT64}


def product_shape(a: tuple[Dim, ...], b: tuple[Dim, ...]) -> list[Dim | None]:
    """Shape of a @ b: matrices broadcast over the leading axes; a vector is a row (left) or a column (right).

    Raises GraphError unless the inner sizes are equal.
    """
    if not a or not b:
        raise GraphError(f"inputs must have rank 1 or more, got {shown(a)} and {shown(b)}")
    inner, other = a[-1], b[-2] if len(b) > 1 else b[0]
    if isinstance(inner, int) and isinstance(other, int) and inner != other:
        raise GraphError(f"inner sizes must be equal, got {shown(a)} and {shown(b)}")
    batch = broadcast(a[:-2], b[:-2])
    return [*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ())]


def _matmul(attrs: Attrs, a: Array, b: Array) -> Any:
    return np.matmul(widened(a), widened(b)).astype(a.dtype, copy=False)


define(
    "MatMul", "A:T B:T -> Y:T", T=WIDE, since=13, accuracy=SUMS, reference=_matmul,
    shapes=lambda attrs, types, values: [product_shape(shape_of(types, 0), shape_of(types, 1))],
)  # fmt: skip


# ---- Gemm -----------------------------------------------------------------------------------------------------------


class Gemm(Attrs):
    alpha = Float(1.0)
    beta = Float(1.0)
    transA = Bool(False)
    transB = Bool(False)


def _gemm_shapes(attrs: Gemm, types: Types, values: Values) -> list[Shape]:
    a, b = require_rank(types, 0, 2, "A"), require_rank(types, 1, 2, "B")
    m, k = a[::-1] if attrs.transA else a
    other, n = b[::-1] if attrs.transB else b
    equal_size(k, other, "inner sizes")
    if has(types, 2):
        broadcasts_to(shape_of(types, 2), (m, n), "C")
    return [(m, n)]


def _scaled(x: Array, factor: float) -> Any:
    """factor * x as the dtype of x; of integers rounded toward zero."""
    if factor == 1.0:
        return x
    if x.dtype.kind == "f":
        return np.multiply(x, x.dtype.type(factor))
    return np.trunc(np.multiply(x, factor)).astype(x.dtype)


def _gemm(attrs: Gemm, a: Array, b: Array, c: Array | None = None) -> Any:
    left, right = widened(a), widened(b)
    y = _scaled(np.matmul(left.T if attrs.transA else left, right.T if attrs.transB else right), attrs.alpha)
    if c is not None and attrs.beta != 0:
        y = np.add(y, _scaled(widened(c), attrs.beta))
    return y.astype(a.dtype, copy=False)


define(
    "Gemm", "A:T B:T C:T? -> Y:T", T=WIDE, since=13, attrs=Gemm, accuracy=SUMS, shapes=_gemm_shapes, reference=_gemm
)


# ---- com.microsoft.FusedMatMul --------------------------------------------------------------------------------------


class FusedMatMul(Attrs):
    """transA, transB: swap the last two axes. transBatchA, transBatchB: first move axis 0 in front of the last one."""

    alpha = Float(1.0)
    transA = Bool(False)
    transB = Bool(False)
    transBatchA = Bool(False)
    transBatchB = Bool(False)


def operand_axes(rank: int, transpose: bool, transpose_batch: bool) -> list[int]:
    """Order in which the axes of an operand enter the product. A vector stays as it is."""
    axes = list(range(rank))
    if rank > 1:
        if transpose_batch:
            axes.insert(rank - 2, axes.pop(0))
        if transpose:
            axes[-2:] = axes[:-3:-1]
    return axes


def _fused_shapes(attrs: FusedMatMul, types: Types, values: Values) -> list[Shape]:
    a, b = shape_of(types), shape_of(types, 1)
    left = tuple(a[i] for i in operand_axes(len(a), attrs.transA, attrs.transBatchA))
    right = tuple(b[i] for i in operand_axes(len(b), attrs.transB, attrs.transBatchB))
    return [product_shape(left, right)]


def _fused(attrs: FusedMatMul, a: Array, b: Array) -> Any:
    left = np.transpose(widened(a), operand_axes(a.ndim, attrs.transA, attrs.transBatchA))
    right = np.transpose(widened(b), operand_axes(b.ndim, attrs.transB, attrs.transBatchB))
    return _scaled(np.matmul(left, right), attrs.alpha).astype(a.dtype, copy=False)


define(
    "com.microsoft.FusedMatMul", "A:T B:T -> Y:T", T=FLOATS, attrs=FusedMatMul, accuracy=SUMS, shapes=_fused_shapes,
    reference=_fused,
)  # fmt: skip


# ---- Det ------------------------------------------------------------------------------------------------------------


def _det_shapes(attrs: Attrs, types: Types, values: Values) -> list[Shape]:
    shape = shape_of(types)
    if len(shape) < 2:
        raise GraphError(f"input must be square matrices, got shape {shown(shape)}")
    equal_size(shape[-2], shape[-1], "rows and columns")
    return [shape[:-2]]


define(
    "Det", "X:T -> Y:T", T=FLOATS, since=22, accuracy=SUMS, shapes=_det_shapes, reference=unary(np.linalg.det)
)
