"""Cast and CastLike between the native element types."""

from __future__ import annotations

from edge_rt.lowering._spec import Alias, BoundNode, In, KernelSpec, Lowered, Out, lowers, parts_for
from edge_rt.types import DType

CAST = KernelSpec("cast", "x:u8* out:u8* code:i64 n:i64")
"""out[0:n] = x[0:n] in another type; code: the pair, by its positions in SOURCES and TARGETS.

Floats are rounded toward zero to integers; beyond the range they become the nearest one, NaN 0. Integers that do not
fit keep their low bits. Whatever is not 0 is true; beyond f16 is infinity. Rounding to floats is to even.
"""
SOURCES = (DType.FLOAT32, DType.FLOAT16, DType.INT8, DType.UINT8, DType.INT32, DType.INT64)
TARGETS = (*SOURCES, DType.BOOL)


@lowers("Cast", "CastLike")
def cast(node: BoundNode) -> Lowered:
    source, target = node.type(0).dtype, node.outputs[0].dtype
    if source is target:
        return Alias(0)
    if source is DType.BOOL:
        source = DType.UINT8
    if source not in SOURCES or target not in TARGETS:
        return None
    n = node.outputs[0].size
    code = SOURCES.index(source) * len(TARGETS) + TARGETS.index(target)
    return [CAST(x=In(0), out=Out(0), code=code, n=n, parts=parts_for(n, -(-n // 1024)))]
