"""Products of 8-bit integers: matrices and convolutions over channels-last images."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.ops._panels import pack_q_panels
from edge_rt.ops.edge_int8_panels import column_sums, pack_q_conv, pack_q_depthwise
from tests.cases._case import Case, integers, normal

Array = np.ndarray[Any, Any]
U8, I8 = np.uint8, np.int8
OUTPUTS = ("int32", "float32", "uint8", "int8")


def whole_range(*shape: int, dtype: Any, seed: int = 0) -> Array:
    """Numbers from all over an 8-bit type, its ends included."""
    limits = np.iinfo(dtype)
    made = integers(*shape, low=limits.min, high=limits.max + 1, dtype=dtype, seed=seed)
    made.reshape(-1)[::7], made.reshape(-1)[3::7] = limits.min, limits.max
    return made


def epilogue(
    output: str, dtype: Any, n: int, k: int, residual: tuple[int, ...] = (), per_column: bool = True,
    zero: int | None = None, b_zero: int = 0, gain: float = 1.0,
) -> list[Array | None]:  # fmt: skip
    """The inputs from a_zero on. b_zero: how many there are. gain: how far results reach, 1: about as far as bytes."""
    columns = n if per_column else 1
    spread = 127.0 * gain / (74 * 74 * max(k, 1) ** 0.5)
    scale = None if output == "int32" else (integers(columns, low=1, high=9, seed=5) * spread / 5).astype(np.float32)
    bias = normal(n, seed=6) if output == "float32" else integers(n, low=-5000, high=5000, dtype=np.int32, seed=6)
    is_float = output == "float32"
    given: list[Array | None] = [
        None if zero is None else np.array(zero, dtype), np.array([0.25], np.float32) if is_float else None, scale, bias,
        normal(*residual, seed=7) if is_float and residual else None,
        integers(b_zero, low=-128, high=128, dtype=np.int32, seed=8) if b_zero else None,
    ]  # fmt: skip
    while given and given[-1] is None:
        given.pop()
    return given


ANY, NARROW, LOWEST = "any", "narrow", "lowest"


def factors(shape: tuple[int, ...], w_shape: tuple[int, ...], dtype: Any, kind: str) -> tuple[Array, Array]:
    """An image or matrix, and weights: of all over their types, or NARROW: no weight is -128, or LOWEST: all numbers are the
    least of their types."""
    x, w = whole_range(*shape, dtype=dtype), whole_range(*w_shape, dtype=I8, seed=1)
    if kind == LOWEST:
        return np.full_like(x, np.iinfo(dtype).min), np.full_like(w, -128)
    return x, np.maximum(w, -127) if kind == NARROW else w


def gemm(
    m: int, k: int, n: int, output: str = "uint8", dtype: Any = U8, per_column: bool = True, b_zero: int = 0,
    zero: int | None = 77, weights: str = ANY, gain: float = 1.0, **attributes: Any,
) -> Case:  # fmt: skip
    a, b = factors((m, k), (k, n), dtype, weights)
    more = epilogue(output, dtype, n, k, (m, n), per_column, zero, b_zero, gain)
    words = m, k, n, np.dtype(dtype).name, output, per_column, b_zero, zero, *attributes.values()
    name = "-".join(map(str, (*words, *([] if weights == ANY else [weights]), *([] if gain == 1 else [gain]))))
    return Case(
        "edge.QGemm", a, pack_q_panels(b), column_sums(b), *more, n=n, k=k, output=output, native=True, name=name,
        **attributes,
    )  # fmt: skip


def batched(a: tuple[int, ...], b: tuple[int, ...], dtype: Any = U8) -> Case:
    left, right = whole_range(*a, dtype=dtype), whole_range(*b, dtype=I8, seed=1)
    more = epilogue("float32", dtype, b[-1], b[-2], (), True, 3, 1)
    name = "-".join(map(str, (*a, "by", *b, np.dtype(dtype).name)))
    return Case(
        "edge.QGemm", left, pack_q_panels(right), column_sums(right), *more, n=b[-1], k=b[-2], output="float32", native=True,
        name=name,
    )  # fmt: skip


def conv(
    shape: tuple[int, int, int, int], n: int, kernel: tuple[int, int], output: str = "uint8", dtype: Any = U8, *,
    group: int = 1, zero: int | None = 100, b_zero: int = 0, per_column: bool = True, **attributes: Any,
) -> Case:  # fmt: skip
    depth = shape[3] // group
    w = whole_range(n, depth, *kernel, dtype=I8, seed=1)
    more = epilogue(output, dtype, n, depth * kernel[0] * kernel[1], (), per_column, zero, b_zero)
    name = "-".join(
        map(str, (*shape, n, *kernel, output, np.dtype(dtype).name, group, zero, b_zero, per_column, *attributes.values()))
    )
    return Case(
        "edge.QConv", whole_range(*shape, dtype=dtype), *pack_q_conv(w, group), *more, n=n, kernel=kernel, group=group,
        output=output, native=True, name=name.replace(" ", ""), **attributes,
    )  # fmt: skip


def depthwise(
    shape: tuple[int, int, int, int], kernel: tuple[int, int], output: str = "uint8", dtype: Any = U8, *,
    zero: int | None = 100, b_zero: int = 0, weights: str = ANY, gain: float = 1.0, **attributes: Any,
) -> Case:  # fmt: skip
    x, w = factors(shape, (shape[3], 1, *kernel), dtype, weights)
    more = epilogue(output, dtype, shape[3], kernel[0] * kernel[1], (), True, zero, b_zero, gain)
    words = *shape, *kernel, output, np.dtype(dtype).name, zero, b_zero, *attributes.values()
    name = "-".join(map(str, (*words, *([] if weights == ANY else [weights]), *([] if gain == 1 else [gain]))))
    return Case(
        "edge.QDepthwiseConv", x, *pack_q_depthwise(w), *more, kernel=kernel, output=output, native=True,
        name=name.replace(" ", ""), **attributes,
    )  # fmt: skip


def zero(dtype: Any, *shape: int, seed: int = 9) -> Array:
    """Zero points."""
    return whole_range(*shape, dtype=dtype, seed=seed) if shape else np.array(np.iinfo(dtype).max - 90, dtype)


def onnx(op: str, a: tuple[int, ...], b: tuple[int, ...], a_type: Any = U8, b_type: Any = I8, columns: int = 0) -> Case:
    """A product of ONNX; columns: how many zero points and scales b has (0: one)."""
    per_column = (columns,) if columns else ()
    left, right = whole_range(*a, dtype=a_type), whole_range(*b, dtype=b_type, seed=1)
    a_zero, b_zero = zero(a_type), zero(b_type, *per_column)
    a_scale, b_scale = np.array(0.02, np.float32), (integers(*per_column, low=1, high=9) * 0.01).astype(np.float32)
    bias = normal(columns) if columns else None
    inputs = {
        "MatMulInteger": (left, right, a_zero, b_zero),
        "QLinearMatMul": (
            left, a_scale, a_zero, right, b_scale, b_zero, np.array(3.5, np.float32), np.array(11, a_type),
        ),
        "com.microsoft.MatMulIntegerToFloat": (left, right, a_scale, b_scale, a_zero, b_zero, bias),
        "com.microsoft.DynamicQuantizeMatMul": (normal(*a), right, b_scale, b_zero, bias),
    }  # fmt: skip
    constants = (7,) if op == "QLinearMatMul" else ()
    name = "-".join(map(str, (*a, "by", *b, np.dtype(a_type).name, np.dtype(b_type).name, columns)))
    return Case(op, *inputs[op], native=True, name=name, constants=constants)


PRODUCTS = (
    "MatMulInteger", "QLinearMatMul", "com.microsoft.MatMulIntegerToFloat", "com.microsoft.DynamicQuantizeMatMul",
)  # fmt: skip
SAME: dict[str, Any] = {"pads": (1, 1, 1, 1)}
CASES = [
    *(
        Case("edge.PackQPanels", whole_range(*shape, dtype=dtype), transposed=transposed, native=True)
        for shape in ((1, 1), (5, 16), (33, 7), (2, 9, 40), (20, 64), (64, 48))
        for transposed in (False, True)
        for dtype in (U8, I8)
    ),
    *(
        gemm(m, k, n, output, dtype)
        for m, k, n in (
            (1, 1, 1), (3, 7, 17), (2, 64, 130), (13, 16, 32), (12, 700, 48), (25, 33, 31), (121, 320, 40), (250, 9, 64),
            (1, 1000, 1000), (1, 30, 70), (1, 128, 8), (4, 12, 66), (5, 20, 8), (6, 36, 3),
        )
        for output, dtype in (("uint8", U8), ("int8", I8))
    ),
    *(gemm(9, 40, 37, output, dtype, zero=zero) for output in OUTPUTS for dtype in (U8, I8) for zero in (None, 5)),
    *(gemm(30, 44, 37, output, dtype, b_zero=b_zero) for output in OUTPUTS for dtype in (U8, I8) for b_zero in (1, 37)),
    *(gemm(7, 24, 33, "int8", dtype, per_column=False, rounding="away", y_zero=-9) for dtype in (U8, I8)),
    gemm(7, 24, 33, y_zero=200, lo=190.5, hi=220.0),
    *(  # packed in each way that there is: from a zero point at the end of the range on, within limits, beyond 16 bits
        gemm(m, k, n, output, dtype, y_zero=y_zero, gain=gain, **limits)
        for m, k, n in ((11, 20, 33), (9, 300, 16))
        for output, dtype, y_zero in (("uint8", U8, 0), ("uint8", I8, 128), ("int8", I8, -128), ("int8", U8, 5))
        for gain in (0.1, 10.0, 1e4, 1e30)
        for limits in ({}, {"hi": 100.0})
    ),
    gemm(7, 24, 33, "float32", activation="HardSwish"),
    gemm(7, 24, 33, "float32", per_column=False, lo=-0.5, hi=0.5),
    batched((2, 3, 5, 7), (7, 9)),
    batched((2, 3, 5, 8), (3, 8, 9)),
    batched((2, 3, 5, 8), (2, 3, 8, 40), I8),
    batched((4, 7), (2, 7, 30)),
    batched((0, 7), (7, 9)),
    conv((1, 8, 8, 3), 16, (3, 3), strides=(2, 2), **SAME),
    conv((2, 9, 7, 5), 20, (3, 3), "int8", I8, **SAME),
    conv((2, 9, 7, 5), 20, (3, 3), "float32", activation="Swish", **SAME),
    conv((1, 12, 12, 16), 24, (1, 1)),
    conv((1, 12, 12, 16), 24, (1, 1), "int8", I8, y_zero=3),
    conv((2, 12, 12, 18), 24, (1, 1), strides=(2, 2)),
    conv((2, 12, 12, 20), 24, (1, 1), "int8", I8, strides=(2, 2)),
    conv((1, 6, 6, 12), 12, (1, 1), group=3),
    conv((1, 6, 6, 12), 12, (1, 1), "int8", I8, group=3),
    conv((1, 10, 11, 8), 9, (5, 3), strides=(2, 1), pads=(2, 0, 1, 3), dilations=(1, 2)),
    conv((1, 10, 11, 6), 9, (3, 3), "int32", I8, dilations=(2, 3)),
    conv((1, 10, 10, 8), 32, (3, 3), pads=(2, 2, 2, 2), dilations=(2, 2), group=2),
    conv((2, 1, 30, 4), 17, (1, 7), strides=(1, 2), pads=(0, 3, 0, 3), zero=None),
    conv((1, 14, 14, 64), 32, (3, 3), **SAME),
    conv((1, 14, 14, 64), 32, (3, 3), "int8", I8),
    conv((1, 6, 6, 12), 12, (3, 3), group=4, b_zero=1, **SAME),
    conv((1, 6, 6, 12), 24, (3, 3), "int32", I8, group=12, b_zero=24, **SAME),
    conv((1, 40, 40, 3), 16, (7, 7), strides=(2, 2), pads=(3, 3, 3, 3), b_zero=16),
    conv((1, 3, 3, 4), 1, (3, 3), pads=(2, 2, 2, 2)),
    conv((1, 2, 2, 4), 4, (3, 3), pads=(2, 2, 2, 2), dilations=(2, 2)),
    conv((1, 5, 5, 700), 40, (3, 3), "int8", I8, **SAME),
    conv((1, 30, 30, 1), 8, (5, 5)),
    conv((1, 9, 200, 8), 8, (3, 3), **SAME),
    conv((0, 8, 8, 3), 16, (3, 3)),
    *(depthwise((1, 8, 8, 16), (3, 3), output, dtype, **SAME) for output in OUTPUTS for dtype in (U8, I8)),
    *(
        gemm(m, k, n, "int32", dtype, weights=weights)
        for m, k, n in ((3, 16, 16), (4, 28, 20), (9, 44, 37), (120, 700, 16))
        for dtype in (U8, I8)
        for weights in (NARROW, LOWEST)
    ),
    *(
        depthwise((1, 9, 11, 20), (k, k), output, dtype, strides=(stride, stride), weights=weights, **SAME)
        for k in (3, 5)
        for stride in (1, 2)
        for output, dtype in (("int32", U8), ("int8", I8))
        for weights in (NARROW, LOWEST)
    ),
    depthwise((2, 9, 7, 20), (3, 3), strides=(2, 2), **SAME),
    depthwise((1, 19, 18, 35), (3, 3), "int8", I8, strides=(2, 2), rounding="away", **SAME),
    depthwise((1, 9, 9, 5), (3, 3), b_zero=5, **SAME),
    depthwise((1, 9, 9, 2), (3, 3), "float32", activation="HardSwish", **SAME),
    depthwise((1, 12, 13, 40), (5, 5), "int8", I8, pads=(2, 2, 2, 2), zero=None),
    depthwise((1, 12, 13, 40), (5, 5), "int32", b_zero=1, strides=(2, 2), pads=(1, 2, 2, 1)),
    depthwise((1, 14, 14, 33), (7, 7), pads=(3, 3, 3, 3), b_zero=33),
    depthwise((1, 14, 14, 33), (3, 3), pads=(2, 2, 2, 2), dilations=(2, 2)),
    depthwise((1, 19, 23, 20), (3, 3), pads=(2, 3, 2, 3), dilations=(2, 3)),
    depthwise((2, 19, 33, 33), (5, 3), "int8", I8, strides=(2, 2), pads=(6, 2, 6, 2), dilations=(3, 3)),
    depthwise((1, 25, 37, 18), (3, 5), "float32", activation="HardSwish", strides=(1, 2), pads=(4, 8) * 2, dilations=(4, 4)),
    depthwise((1, 13, 30, 16), (3, 4), "int32", I8, b_zero=16, strides=(2, 1), dilations=(2, 2)),
    *(
        depthwise((1, 12, 15, 40), (3, 3), output, dtype, strides=(stride, stride), y_zero=y_zero, weights=weights, **SAME)
        for stride in (1, 2)
        for output, dtype, y_zero in (("uint8", U8, 0), ("int8", I8, -128), ("int8", U8, -128), ("uint8", U8, 3))
        for weights in (NARROW, LOWEST)
    ),
    *(  # packed in each way that there is, as above
        depthwise((1, 7, 9, channels), (k, k), output, dtype, y_zero=y_zero, gain=gain, pads=(k // 2,) * 4, **limits)
        for channels, k in ((20, 5), (70, 3), (70, 5))
        for output, dtype, y_zero in (("uint8", U8, 0), ("int8", I8, -128), ("int8", U8, 5))
        for gain in (1.0, 1e4, 1e30)
        for limits in ({}, {"hi": 100.0})
    ),
    depthwise((1, 1, 50, 17), (1, 9), "int8", I8, pads=(0, 4, 0, 4)),
    depthwise((1, 6, 40, 17), (4, 7), "int8", I8),
    depthwise((1, 2, 2, 16), (5, 5), pads=(2, 2, 2, 2)),
    depthwise((1, 20, 20, 3), (3, 3), strides=(3, 3)),
    depthwise((1, 4, 100, 64), (4, 4), "int8", I8, strides=(2, 2), pads=(1, 1, 2, 2)),
    depthwise((1, 5, 5, 600), (3, 3), **SAME),
    depthwise((1, 9, 9, 271), (3, 3), "int8", I8),
    depthwise((0, 6, 3, 16), (3, 2)),
    *(
        onnx(op, (5, 37), (37, 40), a_type, b_type, columns)
        for op in PRODUCTS
        for a_type in (U8, I8)
        for b_type in (U8, I8)
        for columns in (0, 40)
    ),
    *(
        onnx(op, a, b)
        for op in PRODUCTS
        for a, b in (
            ((2, 3, 5, 8), (2, 3, 8, 17)), ((2, 1, 5, 7), (3, 7, 9)), ((3, 6, 16), (16, 20)), ((0, 3), (3, 4)),
        )
    ),
    *(
        Case("MatMulInteger", whole_range(*a, dtype=U8), whole_range(*b, dtype=I8, seed=1), native=True)
        for a, b in (((7,), (7, 9)), ((4, 5, 7), (7,)), ((7,), (7,)), ((2, 0), (0, 5)))
    ),
]  # fmt: skip
