"""GEMM over panels of f32, f16, int8 or int4 (see _panels.py).

The epilogue of GEMM and of the convolutions: y = act(clamp(a @ b + bias + residual, lo, hi)).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt import ops
from edge_rt.dims import ceil_div, is_known
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float, Int, Str
from edge_rt.ops._panels import BLOCK_MULTIPLE, decode_panels
from edge_rt.ops._panels import WIDTH as WIDTH
from edge_rt.ops._panels import pack_panels as pack_panels
from edge_rt.ops._panels import unpack_panels as unpack_panels
from edge_rt.ops._rules import broadcast, has, shape_of, shown
from edge_rt.ops._spec import EXACT, SUMS, Types, Values, define, unchanged
from edge_rt.types import DType

Array = np.ndarray[Any, Any]

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
    """block: how many k share a scale, where panels are integers; 0 for all."""

    n = Int()
    block = Int(0)


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
    if tuple(shape) == tuple(expected):
        return
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


PANELS = frozenset({DType.FLOAT32, DType.FLOAT16, DType.INT8, DType.UINT8})
"""Element types of panels; uint8 holds two int4."""
SCALE, ZERO = 4, 5
"""Positions of the inputs that say what integers mean."""
_GROUPED = {DType.INT8: 4, DType.UINT8: 8}
"""Neighbours of k that lie together in panels of integers."""


def panel_batch(types: Types) -> tuple[Any, ...]:
    """The axes in front of those of one matrix of the panels, input 1."""
    shape = shape_of(types, 1)
    rank = 4 if types[1].dtype in _GROUPED else 3  # type: ignore[union-attr]
    if len(shape) < rank:
        raise GraphError(f"panels must have rank {rank} or more, got {shown(shape)}")
    return tuple(shape[:-rank])


def require_panels(types: Types, batch: Any, n: Any, k: Any, block: int) -> None:
    """Raises GraphError unless panels (input 1), scale and zero fit matrices [*batch, k, n]."""
    dtype = types[1].dtype  # type: ignore[union-attr]
    depth, count = _GROUPED.get(dtype), ceil_div(n, WIDTH)
    if depth is None:
        require("panels", shape_of(types, 1), [*batch, count, k, WIDTH])
        if has(types, SCALE) or has(types, ZERO) or block:
            raise GraphError(f"scale, zero and block are for panels of integers, got {dtype.value}")
        return
    require("panels", shape_of(types, 1), [*batch, count, ceil_div(k, depth), WIDTH, 4])
    if block < 0 or block % BLOCK_MULTIPLE:
        raise GraphError(f"block must be a multiple of {BLOCK_MULTIPLE}, got {block}")
    if not has(types, SCALE):
        raise GraphError(f"scale is required for panels of {dtype.value}")
    rows = ceil_div(k, block) if block else 1
    for name, position in (("scale", SCALE), ("zero", ZERO)):
        if has(types, position):
            require(name, shape_of(types, position), [*batch, count, rows, WIDTH])


def _gemm_shapes(attrs: GemmAttrs, types: Types, values: Values) -> Any:
    a = shape_of(types, 0)
    if not a:
        raise GraphError("a must have rank 1 or more, got a scalar")
    batch = panel_batch(types)
    require_panels(types, batch, attrs.n, a[-1], attrs.block)
    y: list[Any] = [*a[:-1], attrs.n]
    if batch:
        if len(a) < 2:
            raise GraphError(f"a must have rank 2 or more for batched panels, got {shown(a)}")
        y = [*broadcast(a[:-2], batch), a[-2], attrs.n]
    check_epilogue(types, 2, attrs.n, y)
    return [y]


def _gemm(
    attrs: GemmAttrs, a: Array, panels: Array, bias: Array | None = None, residual: Array | None = None,
    scale: Array | None = None, zero: Array | None = None,
) -> Array:  # fmt: skip
    b = decode_panels(panels, a.shape[-1], attrs.n, scale, zero, attrs.block)
    return finish(attrs, np.matmul(a, b.astype(a.dtype, copy=False)), bias, residual)


GEMM = define(
    "edge.Gemm",
    "a:float32 panels:P bias:float32? residual:float32? scale:float32? zero:int8? -> y:float32", since=2, P=PANELS,
    attrs=GemmAttrs, shapes=_gemm_shapes, reference=_gemm, accuracy=SUMS, upgrades={1: unchanged},
)  # fmt: skip
