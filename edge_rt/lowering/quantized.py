"""QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear."""

from __future__ import annotations

from edge_rt.lowering._layout import around
from edge_rt.lowering._spec import BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, lowers, parts_for
from edge_rt.types import DType

QUANTIZE = {
    t: KernelSpec(f"quantize_{n}", f"x:f32* scale:f32* zero:{n}* out:{n}* outer:i64 channels:i64 inner:i64")
    for t, n in {DType.INT8: "i8", DType.UINT8: "u8"}.items()
}
"""out[o, c, i] = round(x / scale[c]) + zero[c], saturated; ties to even; NaN gives the zero point (null: 0)."""
DEQUANTIZE = {
    t: KernelSpec(f"dequantize_{n}", f"x:{n}* scale:f32* zero:{n}* out:f32* outer:i64 channels:i64 inner:i64")
    for t, n in {DType.INT8: "i8", DType.UINT8: "u8", DType.INT32: "i32"}.items()
}
"""out[o, c, i] = (x - zero[c]) * scale[c]."""
RANGE_U8 = KernelSpec("quantized_range_u8", "x:f32* ranges:f32* n:i64 count:i64")
"""ranges[2 i], ranges[2 i + 1]: smallest and largest of 0 and the i-th of `count` equal shares of x[0:n]."""
SPAN_U8 = KernelSpec("quantized_span_u8", "ranges:f32* scale:f32* zero:u8* count:i64")
"""Scale and zero point of numbers that span `count` ranges."""


def _layout(node: BoundNode) -> tuple[int, int, int] | None:
    """(outer, channels, inner) for a scale per tensor or per index of an axis; None for blocks."""
    shape, scale = node.type(0).static_shape, node.type(1)
    if scale.size == 1:
        return 1, 1, node.type(0).size
    if node.attrs.block_size or len(scale.static_shape) != 1:
        return None
    return around(shape, node.attrs.axis if len(shape) > 1 else 0)


def _parts(layout: tuple[int, int, int]) -> int:
    outer, channels, inner = layout
    return parts_for(2 * outer * channels * inner, outer * channels * -(-max(inner, 1) // BLOCK))


BLOCK = 4096
"""Numbers that one share of the work covers at least."""


def _by_channel(spec: KernelSpec, node: BoundNode, layout: tuple[int, int, int]) -> Call:
    """The call of a kernel with a scale and a zero point per channel."""
    outer, channels, inner = layout
    return spec(
        x=In(0), scale=In(1), zero=node.optional(2), out=Out(0), outer=outer, channels=channels, inner=inner,
        parts=_parts(layout),
    )  # fmt: skip


@lowers("QuantizeLinear")
def quantize(node: BoundNode) -> Lowered:
    spec, layout = QUANTIZE.get(node.outputs[0].dtype), _layout(node)
    if spec is None or layout is None or not node.type(0).dtype is node.type(1).dtype is DType.FLOAT32:
        return None
    if node.attrs.precision not in (None, DType.FLOAT32):
        return None
    return [_by_channel(spec, node, layout)]


@lowers("DequantizeLinear")
def dequantize(node: BoundNode) -> Lowered:
    spec, layout = DEQUANTIZE.get(node.type(0).dtype), _layout(node)
    if spec is None or layout is None or not node.outputs[0].dtype is node.type(1).dtype is DType.FLOAT32:
        return None
    return [_by_channel(spec, node, layout)]


@lowers("DynamicQuantizeLinear")
def dynamic_quantize(node: BoundNode) -> Lowered:
    n = node.type(0).size
    parts = parts_for(n, -(-max(n, 1) // BLOCK))
    return [
        RANGE_U8(x=In(0), ranges=Scratch(0), n=n, count=parts, parts=parts, scratch=[8 * parts]),
        SPAN_U8(ranges=Scratch(0), scale=Out(1), zero=Out(2), count=parts),
        QUANTIZE[DType.UINT8](
            x=In(0), scale=Out(1), zero=Out(2), out=Out(0), outer=1, channels=1, inner=n, parts=parts
        ),
    ]
