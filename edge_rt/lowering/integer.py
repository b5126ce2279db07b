"""Integer arithmetic, comparisons, logic and Where: loops over blocks, operands contiguous or broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.lowering._layout import MAX_DIMS, broadcast_strides, front_padded, merge
from edge_rt.lowering._spec import (
    Arg,
    BoundNode,
    Call,
    ErrorWord,
    In,
    KernelSpec,
    Lowered,
    Out,
    StepNumber,
    Table,
    lowers,
    parts_for,
)
from edge_rt.types import DType, TensorType

_TAIL = " table:i64* error:i64* step:i64 n:i64"


def _arithmetic(name: str) -> KernelSpec:
    text = f"a:{name}* b:{name}* p:{name}* q:{name}* out:{name}*" + _TAIL
    return KernelSpec(f"integer_{name}", text, in_place=(("a", "out"), ("b", "out")))


def _compare(name: str) -> KernelSpec:
    return KernelSpec(f"compare_{name}", f"a:{name}* b:{name}* p:{name}* q:{name}* out:u8*" + _TAIL)


def _choose(size: int, name: str) -> KernelSpec:
    return KernelSpec(
        f"where_{size}", f"a:{name}* b:{name}* p:{name}* q:{name}* mask:u8* m:u8* out:{name}*" + _TAIL,
        in_place=(("a", "out"), ("b", "out")),
    )  # fmt: skip


INTEGER = {t: _arithmetic(t.value.replace("uint", "u").replace("int", "i")) for t in
           (DType.INT8, DType.UINT8, DType.INT32, DType.INT64)}  # fmt: skip
"""out[0:n] = operator(a or p, b or q). a and b are as large as out and may be the very same; p and q broadcast.

table: code, 1 where the first operand is p, 1 where the second is q, MAX_DIMS dims, strides of p and of q. Results
wrap; the smallest integer / -1 is itself; a division by zero gives 0 and is reported; a shift by the width or more
gives 0.
"""
COMPARE = {
    t: _compare(name)
    for t, name in {
        DType.FLOAT32: "f32", DType.INT8: "i8", DType.UINT8: "u8", DType.INT32: "i32", DType.INT64: "i64",
    }.items()
}  # fmt: skip
"""out[0:n] = 1 where the comparison holds, else 0; operands and table as in INTEGER."""
WHERE = {1: _choose(1, "u8"), 2: _choose(2, "f16"), 4: _choose(4, "i32"), 8: _choose(8, "i64")}
"""out = a where mask, else b, by element size. table: as in INTEGER (code 0), 1 where the mask is m, its strides."""

OPERATORS = (
    "Add", "Sub", "Mul", "Div", "Mod", "Fmod", "Min", "Max", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "ShiftLeft",
    "ShiftRight", "Abs", "Sign",
)  # fmt: skip
COMPARISONS = ("Equal", "Less", "LessOrEqual", "NotEqual", "SameMagnitude")
BLOCK = 512
_NO_STRIDES = [0] * MAX_DIMS
Operand = tuple[Arg, Sequence[int]]


def _scalar(value: int | float, dtype: DType) -> Operand:
    return Table(np.array([value]).astype(dtype.numpy), dtype.numpy), ()


def _operand(node: BoundNode, index: int) -> Operand:
    return In(index), node.type(index).static_shape


def _size(shape: Sequence[int]) -> int:
    n = 1
    for d in shape:
        n *= d
    return n


def _call(spec: KernelSpec, code: int, operands: Sequence[Operand], names: Sequence[tuple[str, str]],
          shape: Sequence[int], out: Arg) -> Call | None:  # fmt: skip
    """A call over operands; names: for each its parameter when as large as `shape`, and when it broadcasts."""
    n = _size(shape)
    flags = [_size(own) != n for _, own in operands]
    repeated = [broadcast_strides(own, shape) for (_, own), f in zip(operands, flags) if f]
    dims, strides = merge(shape, *repeated)
    if len(dims) > MAX_DIMS:
        return None
    rest = iter(strides)
    rows = [front_padded(next(rest), MAX_DIMS, 0) if f else _NO_STRIDES for f in flags]
    table = [code, *map(int, flags[:2]), *front_padded(dims, MAX_DIMS, 1), *rows[0], *rows[1]]
    if len(operands) == 3:
        table += [int(flags[2]), *rows[2]]
    pointers: dict[str, Any] = {p: 0 for pair in names for p in pair}
    for (address, _), flag, pair in zip(operands, flags, names):
        pointers[pair[flag]] = address
    return spec(
        **pointers, out=out, table=Table(table), error=ErrorWord(), step=StepNumber(), n=n,
        parts=parts_for(n, -(-n // BLOCK)), flops=n,
    )  # fmt: skip


_PAIRS = (("a", "p"), ("b", "q"))


def _binary(node: BoundNode, dtype: DType, name: str, a: Operand, b: Operand) -> list[Call] | None:
    if dtype is DType.BOOL:
        dtype = DType.UINT8
    if dtype not in INTEGER:
        return None
    call = _call(INTEGER[dtype], OPERATORS.index(name), (a, b), _PAIRS, node.outputs[0].static_shape, Out(0))
    return None if call is None else [call]


def unary(node: BoundNode) -> Lowered:
    """Abs, Neg, Sign and Relu of integers; other operators have no integer kernels."""
    dtype, x = node.type(0).dtype, _operand(node, 0)
    if dtype not in INTEGER:
        return None
    if node.op.name == "Neg":
        return _binary(node, dtype, "Sub", _scalar(0, dtype), x)
    if node.op.name == "Relu":
        return _binary(node, dtype, "Max", x, _scalar(0, dtype))
    return _binary(node, dtype, node.op.name, x, x) if node.op.name in ("Abs", "Sign") else None


def binary(node: BoundNode) -> Lowered:
    """Add, Sub, Mul, Div and Mod of integers."""
    name = "Fmod" if node.op.name == "Mod" and node.attrs.fmod else node.op.name
    if name not in OPERATORS:
        return None
    return _binary(node, node.type(0).dtype, name, _operand(node, 0), _operand(node, 1))


def variadic(node: BoundNode) -> Lowered:
    """Min and Max of any number of integer inputs."""
    if node.op.name not in ("Min", "Max"):
        return None
    dtype, calls = node.type(0).dtype, []
    left = _operand(node, 0)
    for i in range(1, max(len(node.inputs), 2)):
        made = _binary(node, dtype, node.op.name, left, _operand(node, i if len(node.inputs) > 1 else 0))
        if made is None:
            return None
        calls += made
        left = Out(0), node.outputs[0].static_shape
    return calls


def clip(node: BoundNode) -> Lowered:
    """Max with the lower, then Min with the upper bound."""
    dtype, x = node.type(0).dtype, _operand(node, 0)
    if dtype not in INTEGER:
        return None
    info = np.iinfo(dtype.numpy)
    calls: list[Call] = []
    for name, index, absent in (("Max", 1, info.min), ("Min", 2, info.max)):
        bound = _operand(node, index) if node.has(index) else _scalar(absent, dtype)
        made = _binary(node, dtype, name, x, bound)
        if made is None:
            return None
        calls += made
        x = Out(0), node.outputs[0].static_shape
    return calls


@lowers("And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bitwise(node: BoundNode) -> Lowered:
    """Of booleans, which are 0 or 1, too."""
    name = node.op.name if node.op.name.startswith("Bitwise") else f"Bitwise{node.op.name}"
    return _binary(node, node.type(0).dtype, name, _operand(node, 0), _operand(node, 1))


@lowers("Not")
def logical_not(node: BoundNode) -> Lowered:
    return _binary(node, DType.UINT8, "BitwiseXor", _operand(node, 0), _scalar(1, DType.UINT8))


@lowers("BitwiseNot")
def bitwise_not(node: BoundNode) -> Lowered:
    dtype = node.type(0).dtype
    if dtype not in INTEGER:
        return None
    ones = (_scalar(255, dtype) if dtype is DType.UINT8 else _scalar(-1, dtype))
    return _binary(node, dtype, "BitwiseXor", _operand(node, 0), ones)


@lowers("BitShift")
def shift(node: BoundNode) -> Lowered:
    """Of uint8 only: the other unsigned types have no kernels, signed shifts are rare."""
    if node.type(0).dtype is not DType.UINT8:
        return None
    name = "ShiftLeft" if node.attrs.direction == "LEFT" else "ShiftRight"
    return _binary(node, DType.UINT8, name, _operand(node, 0), _operand(node, 1))


def _comparison(node: BoundNode, name: str, a: Operand, b: Operand) -> Lowered:
    dtype = node.type(0).dtype
    spec = COMPARE.get(DType.UINT8 if dtype is DType.BOOL else dtype)
    if spec is None:
        return None
    call = _call(spec, COMPARISONS.index(name), (a, b), _PAIRS, node.outputs[0].static_shape, Out(0))
    return None if call is None else [call]


@lowers("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
def compare(node: BoundNode) -> Lowered:
    a, b = _operand(node, 0), _operand(node, 1)
    if node.op.name.startswith("Greater"):
        return _comparison(node, node.op.name.replace("Greater", "Less"), b, a)
    return _comparison(node, node.op.name, a, b)


@lowers("IsNaN")
def is_nan(node: BoundNode) -> Lowered:
    return _comparison(node, "NotEqual", _operand(node, 0), _operand(node, 0))


@lowers("IsInf")
def is_inf(node: BoundNode) -> Lowered:
    """Of f32; where neither sign counts, nothing is infinite: x < -infinity."""
    if node.type(0).dtype is not DType.FLOAT32:
        return None
    negative, positive = node.attrs.detect_negative, node.attrs.detect_positive
    name = "SameMagnitude" if negative and positive else "Equal" if negative or positive else "Less"
    limit = np.inf if positive else -np.inf
    return _comparison(node, name, _operand(node, 0), _scalar(limit, DType.FLOAT32))


@lowers("Where")
def where(node: BoundNode) -> Lowered:
    kind: TensorType = node.outputs[0]
    spec = WHERE.get(kind.dtype.itemsize)
    if spec is None:
        return None
    operands = _operand(node, 1), _operand(node, 2), _operand(node, 0)
    call = _call(spec, 0, operands, (*_PAIRS, ("mask", "m")), kind.static_shape, Out(0))
    return None if call is None else [call]
