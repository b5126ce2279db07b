"""One f32 elementwise program as a kernel of its own: numbers stay in registers from the inputs to the output.

The body has the parameters of ELEMENTWISE_F32. Which instructions there are, and how each input is read, is compiled in;
sizes, strides and constants are read from the program's table, whose contents the compiler knows when it specialises.
Each instruction is the function that the interpreter in elementwise.py runs, so results have the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

from numba.core import types

from edge_rt.kernels.elementwise import FUNCTIONS
from edge_rt.kernels.memory import stack
from edge_rt.kernels.simd import Vec, bitcast, load, load_first, splat, store, store_first
from edge_rt.lowering._layout import MAX_DIMS
from edge_rt.lowering.elementwise import (
    BROADCAST,
    CONSTANT,
    ELEMENTWISE_F32,
    FULL,
    HEADER,
    INPUT_WORDS,
    INSTRUCTION_WORDS,
    PERIODIC,
    SCALAR,
)  # fmt: skip
from edge_rt.ops.edge_elementwise import INSTRUCTIONS

F32, I32 = types.float32, types.int32
NAMES = list(INSTRUCTIONS)
REPEATED, DENSE, STRIDED = range(3)
"""How a broadcast input lies along the last dimension."""


class Program(NamedTuple):
    """What a program's table says of its code. inputs: (kind, number among the pointers of that kind, how it lies);
    instructions: (name, operands)."""

    inputs: tuple[tuple[int, int, int], ...]
    instructions: tuple[tuple[str, tuple[int, ...]], ...]

    @staticmethod
    def of(table: list[int]) -> Program:
        """table: the contents of the table that ELEMENTWISE_F32 describes."""
        inputs = []
        for i in range(table[0]):
            entry = table[HEADER + i * INPUT_WORDS :][:INPUT_WORDS]
            kind, number, step = entry[0], entry[1], entry[-1]
            kind = BROADCAST if kind == PERIODIC else kind
            lies = min(step, STRIDED) if kind == BROADCAST else DENSE
            inputs.append((kind, 0 if kind == CONSTANT else number, lies))
        first, instructions = HEADER + table[0] * INPUT_WORDS, []
        for i in range(table[1]):
            code, *operands = table[first + i * INSTRUCTION_WORDS :][:INSTRUCTION_WORDS]
            name = NAMES[code]
            instructions.append((name, tuple(operands[: INSTRUCTIONS[name][0]])))
        return Program(tuple(inputs), tuple(instructions))


def program_factory(program: Program):
    """The kernel factory of a program."""

    def factory(target):
        text = _source(program)
        names = {**_tools(target), **{f"f_{name}": FUNCTIONS[name] for name, _ in program.instructions}}
        exec(compile(text, f"<{program}>", "exec"), names)
        return names["body"]

    return factory


def _tools(target):
    """What the text of a body calls."""
    LANES, V, INTEGERS = target.lanes, Vec(F32, target.lanes), Vec(I32, target.lanes)

    def constant(bits):
        return bitcast(V, splat(INTEGERS, I32(bits)))

    def repeated(p):
        return splat(V, p[0])

    def dense(p, step, q):
        return load(V, p + q)

    def dense_first(p, step, q, n):
        return load_first(V, p + q, n)

    def strided(p, step, q):
        return strided_first(p, step, q, LANES)

    def strided_first(p, step, q, n):
        lanes = stack(F32, LANES)
        for i in range(n):
            lanes[i] = p[(q + i) * step]
        return load(V, lanes)

    def offset(dims, strides, row):
        total, rest = 0, row
        for axis in range(MAX_DIMS - 2, -1, -1):
            above = rest // dims[axis]
            total += (rest - above * dims[axis]) * strides[axis]
            rest = above
        return total

    return {
        "LANES": LANES, "constant": constant, "repeated": repeated, "dense": dense, "dense_first": dense_first,
        "strided": strided, "strided_first": strided_first, "offset": offset, "store": store, "store_first": store_first,
    }  # fmt: skip


def _source(program):
    """The body as Python text. It walks over rows of the last dimension, or over all numbers as one row where nothing
    broadcasts; its share is of rows, or of pieces of rows where these are few."""
    has_rows = any(kind == BROADCAST for kind, _, _ in program.inputs)
    before, inside, whole, first = [], [], [], []
    for i, (kind, number, lies) in enumerate(program.inputs):
        entry = HEADER + i * INPUT_WORDS
        if kind == CONSTANT:
            before.append(f"v{i} = constant(program[{entry + 1}])")
        elif kind == SCALAR:
            before.append(f"v{i} = repeated(b{number})")
        elif kind == FULL:
            inside.append(f"p{i} = x{number} + r * row")
        else:
            inside.append(f"p{i} = b{number} + offset(dims, program + {entry + 3}, r)")
        if kind == BROADCAST and lies == REPEATED:
            inside.append(f"v{i} = repeated(p{i})")
        elif kind in (FULL, BROADCAST):
            read, step = ("strided", f"program[{entry + INPUT_WORDS - 1}]") if lies == STRIDED else ("dense", "1")
            whole.append(f"v{i} = {read}(p{i}, {step}, q)")
            first.append(f"v{i} = {read}_first(p{i}, {step}, q, left)")
    count = len(program.inputs)
    steps = [
        f"v{count + i} = f_{name}({', '.join(f'v{o}' for o in operands)})"
        for i, (name, operands) in enumerate(program.instructions)
    ]
    result = f"v{count + len(steps) - 1}"
    lines = [
        f"def body({', '.join(p.name for p in ELEMENTWISE_F32.params)}, part, parts):",
        " dims = program + 4",
        f" row = {f'dims[{MAX_DIMS - 1}]' if has_rows else 'n'}",
        " rows = n // row",
        " pieces = (parts + rows - 1) // rows",
        " piece = ((row + pieces - 1) // pieces + LANES - 1) // LANES * LANES",
        *(f" {line}" for line in before),
        " units = rows * pieces",
        " for unit in range(units * part // parts, units * (part + 1) // parts):",
        "  r = unit // pieces",
        "  begin = (unit - r * pieces) * piece",
        "  left = max(0, min(piece, row - begin))",
        "  end = begin + left // LANES * LANES",
        "  left = begin + left - end",
        "  y = out + r * row",
        *(f"  {line}" for line in inside),
        "  for q in range(begin, end, LANES):",
        *(f"   {line}" for line in (*whole, *steps)),
        f"   store(y + q, {result})",
        "  if left > 0:",
        "   q = end",
        *(f"   {line}" for line in (*first, *steps)),
        f"   store_first(y + q, {result}, left)",
    ]
    return "\n".join(lines) + "\n"
