"""The panel layout and GEMM over it. A panel is 16 output columns: [ceil(N/16), K, 16], zero padded.

The epilogue of GEMM and of the convolutions: y = act(clamp(a @ b + bias + residual, lo, hi)).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt import ops
from edge_rt.dims import ceil_div, is_known
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float, Int, Str
from edge_rt.ops._rules import broadcast, has, shape_of, shown
from edge_rt.ops._spec import EXACT, SUMS, Types, Values, define
from edge_rt.types import DType

Array = np.ndarray[Any, Any]
WIDTH = 16
"""Columns of a panel."""

ACTIVATIONS = (
    "", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Swish", "Gelu", "Erf", "Exp", "Softplus", "Mish", "Elu", "Selu",
    "LeakyRelu", "Softsign",
)  # fmt: skip
"""What an epilogue may end with: an elementwise operator with its default attributes, but for the `alpha` of
LeakyRelu. The position is its code."""


class EpilogueAttrs(Attrs):
    """How what was summed becomes y."""

    lo = Float(-np.inf)
    hi = Float(np.inf)
    activation = Str("", choices=ACTIVATIONS)
    alpha = Float(0.01)
    """Of LeakyRelu: its slope below 0."""


class PackPanelsAttrs(Attrs):
    transposed = Bool(False)


class GemmAttrs(EpilogueAttrs):
    n = Int()


def pack_panels(b: Array, transposed: bool = False) -> Array:
    """b: T[..., K, N] (transposed: [..., N, K]) as panels T[..., ceil(N/16), K, 16]."""
    if transposed:
        b = b.swapaxes(-1, -2)
    *batch, k, n = b.shape
    count = -(-n // WIDTH)
    panels = np.zeros((*batch, count, k, WIDTH), b.dtype)
    whole = n // WIDTH
    if whole:
        columns = b[..., : whole * WIDTH].reshape(*batch, k, whole, WIDTH)
        panels[..., :whole, :, :] = columns.swapaxes(-2, -3)
    if whole < count:
        panels[..., whole, :, : n - whole * WIDTH] = b[..., whole * WIDTH :]
    return panels


def unpack_panels(panels: Array, n: int) -> Array:
    """The matrix T[..., K, n] behind panels T[..., ceil(n/16), K, 16]."""
    *batch, count, k, width = panels.shape
    return panels.swapaxes(-2, -3).reshape(*batch, k, count * width)[..., :n]


def finish(attrs: EpilogueAttrs, y: Array, bias: Array | None, residual: Array | None) -> Array:
    """The epilogue; y has its columns last and is not kept."""
    if bias is not None:
        y = y + bias
    if residual is not None:
        y = y + residual
    if attrs.lo > -np.inf:
        y = np.maximum(y, np.asarray(attrs.lo, y.dtype))
    if attrs.hi < np.inf:
        y = np.minimum(y, np.asarray(attrs.hi, y.dtype))
    if attrs.activation:
        spec = ops.get(attrs.activation)
        given = {"alpha": attrs.alpha} if attrs.activation == "LeakyRelu" else {}
        y = spec.reference(spec.attrs(**given), y)
    return np.ascontiguousarray(y)


def require(name: str, shape: Any, expected: Any) -> None:
    """Raises GraphError if a shape is known not to be the expected one (None: any size)."""
    if len(shape) != len(expected) or any(
        e is not None and is_known(s - e) and s - e != 0 for s, e in zip(shape, expected)
    ):
        raise GraphError(f"{name} must be {shown(expected)}, got {shown(shape)}")


def check_epilogue(types: Types, first: int, n: int, y: Any) -> None:
    """Checks the optional inputs bias [n] at position `first` and residual (shape y) after it."""
    if n < 0:
        raise GraphError(f"n must be at least 0, got {n}")
    if has(types, first):
        require("bias", shape_of(types, first), [n])
    if has(types, first + 1):
        require("residual", shape_of(types, first + 1), y)


def _pack_shapes(attrs: PackPanelsAttrs, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    if len(shape) < 2:
        raise GraphError(f"b must have rank 2 or more, got {shown(shape)}")
    k, n = (shape[-1], shape[-2]) if attrs.transposed else shape[-2:]
    return [[*shape[:-2], ceil_div(n, WIDTH), k, WIDTH]]


PACK_PANELS = define(
    "edge.PackPanels", "b:T -> panels:T", T=frozenset({DType.FLOAT32, DType.FLOAT16}), attrs=PackPanelsAttrs,
    shapes=_pack_shapes, reference=lambda attrs, b: pack_panels(b, attrs.transposed), accuracy=EXACT,
)  # fmt: skip


def _gemm_shapes(attrs: GemmAttrs, types: Types, values: Values) -> Any:
    a, panels = shape_of(types, 0), shape_of(types, 1)
    if not a:
        raise GraphError("a must have rank 1 or more, got a scalar")
    if len(panels) < 3:
        raise GraphError(f"panels must have rank 3 or more, got {shown(panels)}")
    require("panels", panels, [*[None] * (len(panels) - 3), ceil_div(attrs.n, WIDTH), a[-1], WIDTH])
    y: list[Any] = [*a[:-1], attrs.n]
    if len(panels) > 3:
        if len(a) < 2:
            raise GraphError(f"a must have rank 2 or more for batched panels, got {shown(a)}")
        y = [*broadcast(a[:-2], panels[:-3]), a[-2], attrs.n]
    check_epilogue(types, 2, attrs.n, y)
    return [y]


def _gemm(attrs: GemmAttrs, a: Array, panels: Array, bias: Array | None = None, residual: Array | None = None) -> Array:
    return finish(attrs, np.matmul(a, unpack_panels(panels, attrs.n)), bias, residual)


GEMM = define(
    "edge.Gemm", "a:float32 panels:float32 bias:float32? residual:float32? -> y:float32", attrs=GemmAttrs,
    shapes=_gemm_shapes, reference=_gemm, accuracy=SUMS,
)  # fmt: skip
