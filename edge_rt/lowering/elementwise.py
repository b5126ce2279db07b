"""f32 elementwise operators: all are programs of one kernel, which runs a block at a time so that it stays in L1."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Union

from edge_rt.lowering import integer
from edge_rt.lowering._layout import MAX_DIMS, broadcast_strides, front_padded, merge
from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.ops.edge_elementwise import INSTRUCTIONS, MAX_INPUTS, parse
from edge_rt.types import DType

ELEMENTWISE_F32 = KernelSpec(
    "elementwise_f32",
    " ".join(f"x{i}:f32*" for i in range(MAX_INPUTS)) + " "
    + " ".join(f"b{i}:f32*" for i in range(MAX_INPUTS)) + " out:f32* program:i64* registers:f32* n:i64",
    in_place=tuple((f"x{i}", "out") for i in range(MAX_INPUTS)),
)  # fmt: skip
"""out[0:n] by the program. x0...: operands as large as out, which may be out itself; b0...: those that broadcast.

program: inputs, instructions, block, numbers of registers per part, MAX_DIMS dims; then for each input
(kind, pointer or bits, register, MAX_DIMS strides), for each instruction (code, a, b, c, register or -1 for out). PERIODIC
is a BROADCAST of rows that blocks hold whole numbers of, so that it is the same in all of them.
"""

FULL, BROADCAST, SCALAR, CONSTANT, PERIODIC = range(5)
HEADER, INPUT_WORDS, INSTRUCTION_WORDS = 4 + MAX_DIMS, 3 + MAX_DIMS, 5
CODES = {name: code for code, name in enumerate(INSTRUCTIONS)}
COSTS = {"Pow": 40, "Mod": 30, "Sin": 20, "Cos": 20, "Tan": 24} | dict.fromkeys(
    [
        "Exp",
        "Log",
        "Sigmoid",
        "Tanh",
        "Erf",
        "Gelu",
        "GeluTanh",
        "Softplus",
        "Mish",
        "Asin",
        "Acos",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
        "Acosh",
        "Atanh",
        "Elu",
        "Celu",
        "Selu",
        "Swish",
    ],
    12,
)
"""Work of an instruction per element, where that is not 1."""
_L1_NUMBERS = 4096
_LANES = 16
"""Of the widest vectors: blocks are multiples of it, so that only the last one has a tail."""
_SELU = 1.67326319217681884765625, 1.05070102214813232421875
_EPILOGUE = {"Swish": (1.0,), "HardSigmoid": (0.2, 0.5), "Elu": (1.0,), "Selu": _SELU}
"""Numbers that an activation of an epilogue stands for, as an instruction."""
Operand = Union[tuple[Arg, Sequence[int]], float]
"""An input of a program: address and shape, or a number."""


class _Registers:
    """Hands out registers; `free` gives one back."""

    def __init__(self) -> None:
        self.count = 0
        self._free: list[int] = []

    def take(self) -> int:
        if self._free:
            return self._free.pop()
        self.count += 1
        return self.count - 1

    def free(self, register: int) -> None:
        self._free.append(register)


def program_call(
    program: Sequence[str], operands: Sequence[Operand], shape: Sequence[int], out: Arg | None = None, scratch: int = 0,
    scratch_before: Sequence[int] = (),
) -> Call | None:  # fmt: skip
    """A call that runs the program over operands that broadcast to `shape`; None if they need too many dimensions.

    out: the first output by default; scratch: index of the scratch buffer for registers; scratch_before: bytes of the
    node's buffers before that one.
    """
    n = 1
    for d in shape:
        n *= d
    pointers: dict[str, Any] = {f"{kind}{i}": 0 for kind in "xb" for i in range(MAX_INPUTS)}
    inputs: list[list[Any]] = []
    strided: list[list[int]] = []
    for operand in operands:
        if isinstance(operand, float):
            inputs.append([CONSTANT, struct.unpack("<i", struct.pack("<f", operand))[0]])
            strided.append([0] * len(shape))
            continue
        address, own = operand
        size = 1
        for d in own:
            size *= d
        kind = FULL if size == n else SCALAR if size == 1 else BROADCAST
        index = sum(i[0] == FULL for i in inputs) if kind == FULL else sum(i[0] in (SCALAR, BROADCAST) for i in inputs)
        pointers[f"{'x' if kind == FULL else 'b'}{index}"] = address
        inputs.append([kind, index])
        strided.append(broadcast_strides(own, shape))
    instructions = parse(program, len(operands))
    walked = [i for i, entry in enumerate(inputs) if entry[0] == BROADCAST]
    dims, strides = merge(shape, *(strided[i] for i in walked))
    if len(dims) > MAX_DIMS:
        return None
    by_input = dict(zip(walked, strides))

    registers = _Registers()
    for entry in inputs:
        entry.append(-1 if entry[0] == FULL else registers.take())
    last_use = {o: i for i, (_, operands_) in enumerate(instructions) for o in operands_}
    placed: dict[int, int] = {}
    code: list[int] = []
    for i, (name, used) in enumerate(instructions):
        for o in set(used):
            if last_use[o] == i and placed.get(o, -1) >= 0:
                registers.free(placed[o])
        target = -1 if i == len(instructions) - 1 else registers.take()
        code += [CODES[name], *used, *[0] * (3 - len(used)), target]
        placed[len(inputs) + i] = target
    block = max(128, min(1024, _L1_NUMBERS // max(registers.count, 1) // 128 * 128))
    period = math.lcm(dims[-1], _LANES)
    if walked and 0 < period <= block and all(not any(s[:-1]) and s[-1] == 1 for s in strides):
        block = block // period * period
        for i in walked:
            inputs[i][0] = PERIODIC
    table = [len(inputs), len(instructions), block, registers.count * block, *front_padded(dims, MAX_DIMS, 1)]
    for i, entry in enumerate(inputs):
        table += [*entry, *front_padded(by_input.get(i, ()), MAX_DIMS, 0)]
    work = n * sum(COSTS.get(name, 1) for name, _ in instructions)
    parts = parts_for(work // 4, -(-n // block))
    sizes = [*scratch_before, 4 * parts * registers.count * block] if registers.count else []
    return ELEMENTWISE_F32(
        **pointers, out=Out(0) if out is None else out, program=Table(table + code),
        registers=Scratch(scratch) if registers.count else 0, n=n,
        parts=parts, scratch=sizes, flops=work,
    )  # fmt: skip


def activation_call(name: str, alpha: float, n: int, scratch_before: Sequence[int]) -> Call:
    """The activation of an epilogue, by its name there, over the node's output of n numbers, which it changes in place."""
    numbers = (alpha,) if name == "LeakyRelu" else _EPILOGUE.get(name, ())
    program = " ".join([name, *map(str, range(1 + len(numbers)))])
    made = program_call(
        [program], [(Out(0), [n]), *numbers], [n], scratch=len(scratch_before), scratch_before=scratch_before
    )
    assert made is not None
    return made


def operand(node: BoundNode, index: int) -> Operand:
    """Input `index` of a node, as a number where it is a known one."""
    value = node.values[index] if index < len(node.values) else None
    if value is not None and value.size == 1 and len(node.inputs) > 1:
        return float(value.reshape(()))
    return In(index), node.type(index).static_shape


def _calls(node: BoundNode, program: Sequence[str], *operands: Operand) -> Lowered:
    call = program_call(program, operands, node.outputs[0].static_shape)
    return None if call is None else [call]


def _is_f32(node: BoundNode) -> bool:
    return node.type(0).dtype is DType.FLOAT32


@lowers("edge.Elementwise")
def elementwise(node: BoundNode) -> Lowered:
    return _calls(node, node.attrs.program, *(operand(node, i) for i in range(len(node.inputs))))


@lowers(
    "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Sqrt", "Reciprocal", "Relu", "Exp", "Log", "Sigmoid", "Tanh",
    "Erf", "Softplus", "Softsign", "Mish", "HardSwish", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh",
    "Asinh", "Acosh", "Atanh",
)  # fmt: skip
def unary(node: BoundNode) -> Lowered:
    if not _is_f32(node):
        return integer.unary(node)
    return _calls(node, [f"{node.op.name} 0"], operand(node, 0))


@lowers("Add", "Sub", "Mul", "Div", "PRelu")
def binary(node: BoundNode) -> Lowered:
    if not _is_f32(node):
        return integer.binary(node)
    return _calls(node, [f"{node.op.name} 0 1"], operand(node, 0), operand(node, 1))


@lowers("Mod")
def mod(node: BoundNode) -> Lowered:
    """f32 only as C's fmod, which is what ONNX asks for."""
    if not _is_f32(node):
        return integer.binary(node)
    return _calls(node, ["Mod 0 1"], operand(node, 0), operand(node, 1)) if node.attrs.fmod else None


@lowers("Pow")
def power(node: BoundNode) -> Lowered:
    """x**2 is x * x and x**0.5 a square root, where the exponent is a known number of f32."""
    if not _is_f32(node) or node.type(1).dtype is not DType.FLOAT32:
        return None
    x, y = operand(node, 0), operand(node, 1)
    if node.outputs[0].size == node.type(0).size:
        if y == 2.0:
            return _calls(node, ["Mul 0 0"], x)
        if y == 0.5:
            return _calls(node, ["Sqrt 0"], x)
    return _calls(node, ["Pow 0 1"], x, y)


@lowers("Min", "Max", "Sum", "Mean")
def variadic(node: BoundNode) -> Lowered:
    """Any number of inputs: several calls, each of which goes on from the result of the one before."""
    if not _is_f32(node):
        return integer.variadic(node)
    name = {"Sum": "Add", "Mean": "Add"}.get(node.op.name, node.op.name)
    shape = node.outputs[0].static_shape
    remaining = [operand(node, i) for i in range(len(node.inputs))]
    calls: list[Call] = []
    first: list[Operand] = []
    while remaining or not calls:
        taken = remaining[: MAX_INPUTS - len(first) - 1]
        remaining = remaining[len(taken) :]
        group = first + taken
        program = [f"{name} 0 1"] if len(group) > 1 else []
        program += [f"{name} {len(group) + i - 2} {i}" for i in range(2, len(group))]
        if node.op.name == "Mean" and not remaining:
            group = [*group, float(len(node.inputs))]
            program = [f"{name} {len(group) + i - 2 if i > 1 else 0} {i}" for i in range(1, len(group) - 1)]
            program.append(f"Div {len(group) + len(program) - 1 if program else 0} {len(group) - 1}")
        elif not program:
            program = [f"{name} 0 0"] if name in ("Min", "Max") else ["Mul 0 1"]
            group = group if name in ("Min", "Max") else [*group, 1.0]
        call = program_call(program, group, shape)
        if call is None:
            return None
        calls.append(call)
        first = [(Out(0), shape)]
    return calls


_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "LeakyRelu": ("alpha",), "Elu": ("alpha",), "Celu": ("alpha",), "ThresholdedRelu": ("alpha",), "Swish": ("alpha",),
    "HardSigmoid": ("alpha", "beta"), "Selu": ("alpha", "gamma"), "Shrink": ("bias", "lambd"),
}  # fmt: skip
"""Attributes that become operands of the instruction, in order."""


@lowers(*_ATTRIBUTES)
def with_attributes(node: BoundNode) -> Lowered:
    if not _is_f32(node):
        return None
    numbers = [float(getattr(node.attrs, name)) for name in _ATTRIBUTES[node.op.name]]
    text = " ".join([node.op.name, *(str(i) for i in range(len(numbers) + 1))])
    return _calls(node, [text], operand(node, 0), *numbers)


@lowers("Gelu")
def gelu(node: BoundNode) -> Lowered:
    if not _is_f32(node):
        return None
    name = "GeluTanh" if node.attrs.approximate == "tanh" else "Gelu"
    return _calls(node, [f"{name} 0"], operand(node, 0))


@lowers("Clip")
def clip(node: BoundNode) -> Lowered:
    """Absent bounds are infinite."""
    if not _is_f32(node):
        return integer.clip(node)
    low: Operand = operand(node, 1) if node.has(1) else -float("inf")
    high: Operand = operand(node, 2) if node.has(2) else float("inf")
    return _calls(node, ["Clip 0 1 2"], operand(node, 0), low, high)
