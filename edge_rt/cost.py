"""How many multiply-adds an operator takes: convolutions, matrix products, attention and recurrent layers.

Other operators count as none; what they take is memory traffic. Sizes may be symbolic, and so is the count then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edge_rt.dims import IntLike, product
from edge_rt.types import Dim, TensorType

Shape = tuple[Dim, ...]
Shapes = Sequence["Shape | None"]


def macs(op: str, attrs: Any, inputs: Sequence[TensorType | None], outputs: Sequence[TensorType]) -> IntLike:
    """Multiply-adds of one operator for these types; 0 where a rank that matters is unknown."""
    rule = RULES.get(op)
    shapes = [None if t is None else t.shape for t in inputs]
    if rule is None or shapes[0] is None or outputs[0].shape is None:
        return 0
    return rule(attrs, shapes, outputs[0].shape)


def _weighted(position: int) -> Callable[[Any, Shapes, Shape], IntLike]:
    """Each output is a sum over all but the first axis of the weights (O, I/group, *kernel) at this position."""

    def rule(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
        weights = shapes[position]
        return 0 if weights is None else product(y) * product(weights[1:])

    return rule


def _transposed(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
    x, weights = shapes[:2]
    return 0 if x is None or weights is None else product(x) * product(weights[1:])


def _matrices(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
    a = shapes[0]
    inner: IntLike = 1 if not a else a[-2] if getattr(attrs, "transA", 0) else a[-1]
    return product(y) * inner


def _einsum(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
    """The product of the sizes of all labels, for two operands without an ellipsis."""
    terms = attrs.equation.replace(" ", "").partition("->")[0].split(",")
    if len(terms) != 2 or len(shapes) < 2 or "." in attrs.equation:
        return 0
    sizes = {label: size for term, shape in zip(terms, shapes) for label, size in zip(term, shape or ())}
    return product(sizes.values())


def _attention(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
    """Scores, and their sums of values; with the keys of the past."""
    q, k, past = shapes[0], shapes[1], shapes[4] if len(shapes) > 4 else None
    if q is None or k is None:
        return 0
    keys = k[-2] if past is None else k[-2] + past[-2]
    return (product(q) + product(y)) * keys


def _recurrent(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
    x, w, r = shapes[:3]
    return 0 if x is None or w is None or r is None else product(x[:2]) * (product(w) + product(r))


def _packed_recurrent(gates: int) -> Callable[[Any, Shapes, Shape], IntLike]:
    def rule(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
        x = shapes[0]
        if x is None:
            return 0
        hidden: int = attrs.hidden_size
        directions = 2 if attrs.direction == "bidirectional" else 1
        return product(x[:2]) * (x[2] + hidden) * (directions * gates * hidden)

    return rule


def _windows(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
    """Channels last; each output is a sum over a window of the channels of its group."""
    x = shapes[0]
    return 0 if x is None else product(y) * product(attrs.kernel) * (x[3] // attrs.group)


def _depthwise_windows(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
    return product(y) * product(attrs.kernel)


def _transposed_windows(attrs: Any, shapes: Shapes, y: Shape) -> IntLike:
    x = shapes[0]
    return 0 if x is None else product(x) * product(attrs.kernel) * (attrs.n // attrs.group)


RULES: dict[str, Callable[[Any, Shapes, Shape], IntLike]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "com.microsoft.FusedConv", "DeformConv", "CausalConvWithState"), _weighted(1)),
    "QLinearConv": _weighted(3),
    "ConvTranspose": _transposed,
    **dict.fromkeys(("MatMul", "Gemm", "MatMulInteger", "QLinearMatMul", "com.microsoft.FusedMatMul"), _matrices),
    **dict.fromkeys(("com.microsoft.DynamicQuantizeMatMul", "com.microsoft.MatMulIntegerToFloat"), _matrices),
    "Einsum": _einsum,
    "Attention": _attention,
    **dict.fromkeys(("LSTM", "GRU", "RNN", "com.microsoft.DynamicQuantizeLSTM"), _recurrent),
    **dict.fromkeys(("edge.Gemm", "edge.QGemm"), _matrices),
    **dict.fromkeys(("edge.Conv", "edge.QConv"), _windows),
    **dict.fromkeys(("edge.DepthwiseConv", "edge.QDepthwiseConv"), _depthwise_windows),
    "edge.ConvTranspose": _transposed_windows,
    **dict.fromkeys(("edge.Lstm", "edge.DynamicLstm"), _packed_recurrent(4)),
    "edge.Gru": _packed_recurrent(3),
}
