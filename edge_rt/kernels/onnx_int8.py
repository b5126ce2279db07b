"""What products of 8-bit integers need of zero points and scales that are only known when a model runs."""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import address
from edge_rt.lowering.onnx_int8 import TERMS_INT8

F32, I8, I32, U8 = types.float32, types.int8, types.int32, types.uint8


@kernel(TERMS_INT8)
def product_terms_int8(target):
    def body(zero, zeros, zero_count, flip, left, right, made, scales, count, part, parts):
        if part == 0:
            for i in range(zero_count):
                zeros[i] = I32(I8(U8(zero[i] ^ flip)))
            by = F32(1) if address(left) == 0 else left[0]
            over = F32(1) if address(made) == 0 else made[0]
            for i in range(count):
                scales[i] = by * right[i] / over

    return body
