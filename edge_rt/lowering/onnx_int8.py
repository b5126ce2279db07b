"""ONNX's 8-bit matrix products, as they reach the device where the right operand is not constant: it is packed first."""

from __future__ import annotations

import math
from typing import Any

from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Scratch, lowers, parts_for
from edge_rt.lowering.gemm_int8 import Epilogue, product_calls
from edge_rt.lowering.pack_int8 import Bytes, pack_call, panel_bytes
from edge_rt.lowering.quantized import BLOCK, QUANTIZE, RANGE_U8, SPAN_U8
from edge_rt.ops.edge_int8 import QEpilogueAttrs
from edge_rt.types import DType

TERMS_INT8 = KernelSpec(
    "product_terms_int8",
    "zero:u8* zeros:i32* zero_count:i64 flip:i64 left:f32* right:f32* made:f32* scales:f32* count:i64",
)
"""zeros = zero less 128 where it is uint8 (flip 128; else int8 and 0); scales = left[0] * right / made[0], made of y.

left, right and made may be null, for 1; zero_count and count say how many there are of zeros, and of right and scales.
"""

PANELS, SUMS, ZEROS, SCALES, RANGES, A_SCALE, A_ZERO, QUANTISED = range(8)
"""Scratch buffers."""


class _Product:
    """Inputs of a product, by position: b, its zero point, and the scales of a, b and y; None where it has no such."""

    __slots__ = ("a_scale", "a_zero", "b", "b_scale", "b_zero", "bias", "y_scale")

    def __init__(
        self, b: int, a_zero: int | None, b_zero: int, a_scale: int | None = None, b_scale: int | None = None,
        y_scale: int | None = None, bias: int | None = None,
    ) -> None:  # fmt: skip
        self.b, self.a_zero, self.b_zero, self.bias = b, a_zero, b_zero, bias
        self.a_scale, self.b_scale, self.y_scale = a_scale, b_scale, y_scale

    def fits(self, node: BoundNode) -> bool:
        """Whether zero points and scales are one number, or one for each column, and scales are float32."""
        n = node.type(self.b).static_shape[-1] if len(node.type(self.b).static_shape) > 1 else 1
        for index in (self.a_zero, self.a_scale, self.y_scale):
            if index is not None and node.has(index) and node.type(index).size != 1:
                return False
        for index in (self.b_zero, self.b_scale):
            if index is not None and node.has(index) and node.type(index).size not in (1, n):
                return False
        scales = (self.a_scale, self.b_scale, self.y_scale)
        return all(i is None or node.type(i).dtype is DType.FLOAT32 for i in scales)

    def calls(self, node: BoundNode, output: str, y_zero: int = 0, *, dynamic: bool = False) -> list[Call]:
        """The product of the node's first input, or, if `dynamic`, of what quantising that made."""
        a, b, y = node.type(0).static_shape, node.type(self.b).static_shape, node.outputs[0].static_shape
        if len(b) == 1:
            b, y = (*b, 1), (*y, 1)
        if len(a) == 1:
            a, y = (1, *a), (*y[:-1], 1, y[-1])
        k, n = b[-2:]
        batch, dtype = math.prod(b[:-2]), node.type(self.b).dtype
        zeros = node.type(self.b_zero).size if node.has(self.b_zero) else 0
        count = 0 if self.b_scale is None else node.type(self.b_scale).size
        scratch = [max(64, panel_bytes(batch, k, n)), 4 * batch * n, 4 * max(zeros, 1), 4 * max(count, 1)]
        calls = []
        if dynamic:
            size, parts = node.type(0).size, parts_for(node.type(0).size, -(-max(node.type(0).size, 1) // BLOCK))
            scratch += [8 * parts, 4, 1, max(1, size)]
            calls = _quantised(size, parts, scratch)
        calls.append(
            pack_call(In(self.b), Scratch(PANELS), Scratch(SUMS), dtype, batch, k, n, False, scratch=scratch)
        )  # fmt: skip
        if zeros or count:
            calls.append(self._terms(node, zeros, count, dtype))
        sign = Bytes(DType.UINT8 if dynamic else node.type(0).dtype, node.arch)
        epilogue = Epilogue(
            QEpilogueAttrs(output=output, y_zero=y_zero), sign, sums=Scratch(SUMS),
            a_zero=Scratch(A_ZERO) if dynamic else self._input(node, self.a_zero),
            a_scale=Scratch(A_SCALE) if dynamic else 0, scale=Scratch(SCALES) if count else 0,
            scale_step=int(count > 1), bias=self._input(node, self.bias), b_zero=Scratch(ZEROS) if zeros else 0,
            b_zero_step=int(zeros > 1),
        )  # fmt: skip
        source = Scratch(QUANTISED) if dynamic else In(0)
        return calls + product_calls(Scratch(PANELS), a, b[:-2], y[:-2], k, n, sign, epilogue, scratch, source)

    def _terms(self, node: BoundNode, zeros: int, count: int, dtype: DType) -> Call:
        return TERMS_INT8(
            zero=self._input(node, self.b_zero), zeros=Scratch(ZEROS), zero_count=zeros,
            flip=0 if dtype is DType.INT8 else 128, left=self._input(node, self.a_scale),
            right=self._input(node, self.b_scale), made=self._input(node, self.y_scale), scales=Scratch(SCALES), count=count,
        )  # fmt: skip

    @staticmethod
    def _input(node: BoundNode, index: int | None) -> Arg:
        return 0 if index is None else node.optional(index)


def _quantised(n: int, parts: int, scratch: list[int]) -> list[Call]:
    """As DynamicQuantizeLinear, into scratch buffers."""
    return [
        RANGE_U8(x=In(0), ranges=Scratch(RANGES), n=n, count=parts, parts=parts, scratch=scratch),
        SPAN_U8(ranges=Scratch(RANGES), scale=Scratch(A_SCALE), zero=Scratch(A_ZERO), count=parts),
        QUANTIZE[DType.UINT8](
            x=In(0), scale=Scratch(A_SCALE), zero=Scratch(A_ZERO), out=Scratch(QUANTISED), outer=1, channels=1, inner=n,
            parts=parts,
        ),
    ]  # fmt: skip


_INTEGER = _Product(1, 2, 3)
_LINEAR = _Product(3, 2, 5, 1, 4, 6)
_DYNAMIC = _Product(1, None, 3, None, 2, None, 4)
_TO_FLOAT = _Product(1, 4, 5, 2, 3, None, 6)


@lowers("MatMulInteger")
def matmul_integer(node: BoundNode) -> Lowered:
    return _lowered(node, _INTEGER, "int32")


@lowers("QLinearMatMul")
def qlinear_matmul(node: BoundNode) -> Lowered:
    """With a constant zero point of y."""
    zero: Any = node.values[7]
    if zero is None or zero.size != 1:
        return None
    return _lowered(node, _LINEAR, node.outputs[0].dtype.value, int(zero.reshape(())))


@lowers("com.microsoft.DynamicQuantizeMatMul")
def dynamic_quantize_matmul(node: BoundNode) -> Lowered:
    return _lowered(node, _DYNAMIC, "float32", dynamic=True)


@lowers("com.microsoft.MatMulIntegerToFloat")
def matmul_integer_to_float(node: BoundNode) -> Lowered:
    return _lowered(node, _TO_FLOAT, "float32")


def _lowered(node: BoundNode, product: _Product, output: str, y_zero: int = 0, *, dynamic: bool = False) -> Lowered:
    if not product.fits(node):
        return None
    if not node.outputs[0].size:
        return []
    return product.calls(node, output, y_zero, dynamic=dynamic)
