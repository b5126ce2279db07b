"""8-bit products of one row: what `gemm_int8` does in general costs more there than the products themselves."""

from __future__ import annotations

from typing import Any

from edge_rt.lowering._spec import Arg, Call, KernelSpec, parts_for
from edge_rt.lowering.gemm import ceil_div
from edge_rt.ops.edge_gemm import WIDTH

GEMV_INT8 = KernelSpec(
    "gemv_int8",
    "a:u8* b:i8* sums:i32* a_zero:u8* scale:f32* bias:i32* y:u8* n:i64 depth:i64 scale_step:i64 flip:i64 "
    "lo:f32 hi:f32 y_zero:i64 y_flip:i64",
)
"""Bytes y [n], halves to even, of one row a of 4 * depth bytes; arguments as of GEMM_INT8. Work is shared by panels."""

_PANELS = 8
"""Panels of a part, at least."""


def gemv_call(a: Arg, b: Arg, y: Arg, n: int, depth: int, work: int, epilogue: dict[str, Any], **more: Any) -> Call:
    args = {p.name: epilogue[p.name] for p in GEMV_INT8.params if p.name in epilogue}
    parts = parts_for(work // 24, ceil_div(n, _PANELS * WIDTH))
    return GEMV_INT8(a=a, b=b, y=y, n=n, depth=depth, parts=parts, flops=work, **args, **more)
