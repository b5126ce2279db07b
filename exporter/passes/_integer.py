"""Integer products as passes build them: weights in panels, a scale and a bias per column."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops._panels import pack_q_panels
from edge_rt.ops._windows import Geometry
from edge_rt.ops.edge_int8_panels import column_sums, pack_q_conv, pack_q_depthwise
from edge_rt.types import DType
from exporter.passes._layout import is_pointwise, two, window_attributes
from exporter.passes._match import Array


class Weights(NamedTuple):
    """The right operand of a product. op: which one; b_zero: None for 0; attributes: what the weights decide."""

    op: str
    panels: Value
    sums: Value
    b_zero: Value | None
    attributes: dict[str, Any]


def _zero(graph: Graph, zero: Array | None, dtype: Any, name: str) -> Value | None:
    """Zero points of weights as panels store them: those of uint8 are 128 lower."""
    moved = np.zeros(1, np.int32) if zero is None else zero.astype(np.int32).reshape(-1)
    if dtype == np.uint8:
        moved = moved - np.int32(128)
    if not moved.any():
        return None
    return graph.constant(moved if moved.size > 1 else moved.reshape(()), f"{name}.zero")


def conv_weights(graph: Graph, w: Value, zero: Array | None, group: int, g: Geometry) -> Weights:
    """Constant w: bytes [n, c/group, kw] or [n, c/group, kh, kw]; zero: of all of it or of each n; g: as for its axes."""
    assert w.data is not None
    n, depth, *kernel = w.data.shape
    data = w.data.reshape(n, depth, *two(kernel, 1))
    b_zero = _zero(graph, zero, data.dtype, w.name)
    window = window_attributes(kernel, g)
    if group == n and depth == 1 and group > 1:
        return _constants(graph, "edge.QDepthwiseConv", w, pack_q_depthwise(data), b_zero, window)
    if is_pointwise(kernel, group, g):
        return matrix_weights(graph, w, zero, data.reshape(n, depth), transposed=True)
    return _constants(graph, "edge.QConv", w, pack_q_conv(data, group), b_zero, {"n": n, "group": group, **window})


def matrix_weights(
    graph: Graph, b: Value, zero: Array | None, data: Array | None = None, transposed: bool = False
) -> Weights:
    """Constant b: bytes [..., k, n] (transposed: [..., n, k]), or `data` in its place."""
    data = b.data if data is None else data
    assert data is not None
    k, n = data.shape[-2:] if not transposed else data.shape[-1:-3:-1]
    packed = pack_q_panels(data, transposed), column_sums(data, transposed)
    return _constants(graph, "edge.QGemm", b, packed, _zero(graph, zero, data.dtype, b.name), {"n": n, "k": k})


def packed_at_run_time(graph: Graph, b: Value, zero: Array | None, before: Node) -> Weights | None:
    """b: bytes [..., k, n] that are computed; None where k or n is not known."""
    shape = b.type.shape
    k, n = (shape[-2], shape[-1]) if shape is not None and len(shape) > 1 else (None, None)
    if type(k) is not int or type(n) is not int:
        return None
    panels, sums = graph.add("edge.PackQPanels", b, before=before)
    return Weights("edge.QGemm", panels, sums, _zero(graph, zero, b.type.dtype.numpy, b.name), {"n": n, "k": k})


def _constants(
    graph: Graph, op: str, w: Value, packed: tuple[Array, Array], b_zero: Value | None, attributes: dict[str, Any]
) -> Weights:
    panels, sums = packed
    named = graph.constant(panels, f"{w.name}.panels"), graph.constant(sums, f"{w.name}.sums")
    return Weights(op, *named, b_zero, attributes)


def per_column(scale: Array) -> Array:
    """A scale as products take it: a number, or one per column."""
    flat = np.ascontiguousarray(scale.reshape(-1), np.float32)
    return flat if flat.size > 1 else flat.reshape(())


def columns_of(c: Array, n: int, axis: int = -1) -> Array | None:
    """One number per column of a constant that broadcasts along all other axes; None where it does not."""
    if c.size == 1:
        return np.broadcast_to(c.reshape(-1), (n,))
    along = c.shape[axis] if c.ndim >= (-axis if axis < 0 else axis + 1) else 0
    return c.reshape(-1) if c.size == along == n else None


def add_product(
    graph: Graph, weights: Weights, a: Value, before: Node, *, a_zero: Value | None, output: str,
    a_scale: Value | None = None, scale: Array | None = None, bias: Value | Array | None = None, **attributes: Any,
) -> Value:  # fmt: skip
    """The product in front of the node `before`, and named after it. Arrays scale and bias: one number or one per column."""
    if isinstance(bias, np.ndarray):
        bias = graph.constant(bias, f"{before.name}.bias")
    factor = None if scale is None else graph.constant(per_column(scale), f"{before.name}.scale")
    made: Value = graph.add(
        weights.op, a, weights.panels, weights.sums, a_zero, a_scale, factor, bias, None, weights.b_zero, name=before.name,
        before=before, output=output, **weights.attributes, **attributes,
    )  # fmt: skip
    return made


def is_scalar(value: Value | None) -> bool:
    """Whether a value is absent or one number, of rank 0 or 1."""
    return value is None or value.type.shape in ((), (1,))


def is_bytes(*values: Value | None) -> bool:
    return all(v is None or v.type.dtype in (DType.INT8, DType.UINT8) for v in values)
