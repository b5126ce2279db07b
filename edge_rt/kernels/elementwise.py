"""f32 elementwise programs: interprets a program once per block; an instruction is a vector loop over the block."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import address, stack
from edge_rt.kernels.simd import Vec, clamp, load, pointer, round_even, select, store
from edge_rt.kernels.strided import choose, stretch_reader
from edge_rt.kernels.vbits import absolute, ceil, floor, square_root
from edge_rt.lowering import elementwise as lowering
from edge_rt.ops.edge_elementwise import INSTRUCTIONS, MAX_INPUTS, MAX_INSTRUCTIONS

F32, I32, I64 = types.float32, types.int32, types.int64
FULL, BROADCAST, SCALAR, CONSTANT = lowering.FULL, lowering.BROADCAST, lowering.SCALAR, lowering.CONSTANT
PERIODIC = lowering.PERIODIC
HEADER, INPUT_WORDS, INSTRUCTION_WORDS = lowering.HEADER, lowering.INPUT_WORDS, lowering.INSTRUCTION_WORDS
WIDEST = 16
"""Lanes of the widest target: stretches below a vector are computed in buffers of this size."""


def sign(x):
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x))


def relu(x):
    return select(x < 0.0, 0.0, x)


def leaky_relu(x, alpha):
    return select(x < 0.0, x * alpha, x)


def elu(x, alpha):
    return select(x < 0.0, alpha * vmath.expm1(x), x)


def celu(x, alpha):
    return select(x < 0.0, alpha * vmath.expm1(x / alpha), x)


def clip(x, low, high):
    return vmath.smaller(vmath.larger(x, low), high)


def shrink(x, bias, lambd):
    y = select(x > lambd, x - bias, x * 0.0)
    return select(x < -lambd, x + bias, y)


FUNCTIONS = {
    "Abs": absolute,
    "Neg": lambda x: -x,
    "Sign": sign,
    "Floor": floor,
    "Ceil": ceil,
    "Round": round_even,
    "Sqrt": square_root,
    "Reciprocal": lambda x: 1.0 / x,
    "Relu": relu,
    "Exp": vmath.exp,
    "Log": vmath.log,
    "Sigmoid": vmath.sigmoid,
    "Tanh": vmath.tanh,
    "Erf": vmath.erf,
    "Gelu": vmath.gelu,
    "GeluTanh": vmath.gelu_tanh,
    "Softplus": vmath.softplus,
    "Softsign": lambda x: x / (1.0 + absolute(x)),
    "Mish": vmath.mish,
    "HardSwish": lambda x: x * clamp(x / 6.0 + 0.5, 0.0, 1.0),
    "Sin": vmath.sin,
    "Cos": vmath.cos,
    "Tan": vmath.tan,
    "Asin": vmath.asin,
    "Acos": vmath.acos,
    "Atan": vmath.atan,
    "Sinh": vmath.sinh,
    "Cosh": vmath.cosh,
    "Asinh": vmath.asinh,
    "Acosh": vmath.acosh,
    "Atanh": vmath.atanh,
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Div": lambda x, y: x / y,
    "Pow": vmath.power,
    "Min": vmath.smaller,
    "Max": vmath.larger,
    "Mod": vmath.remainder,
    "PRelu": leaky_relu,
    "LeakyRelu": leaky_relu,
    "Elu": elu,
    "Celu": celu,
    "ThresholdedRelu": lambda x, alpha: select(x > alpha, x, 0.0),
    "Swish": lambda x, alpha: x * vmath.sigmoid(alpha * x),
    "Clip": clip,
    "HardSigmoid": lambda x, alpha, beta: clamp(alpha * x + beta, 0.0, 1.0),
    "Selu": lambda x, alpha, gamma: gamma * select(x > 0.0, x, alpha * vmath.expm1(x)),
    "Shrink": shrink,
}
"""What an instruction computes, of one vector per operand."""


def loops(target):
    """The loop of each instruction, in the order of their codes: loop(a, b, c, out, n), n a multiple of the lanes."""
    V, LANES = Vec(F32, target.lanes), target.lanes

    def one(f):
        def loop(a, b, c, out, n):
            for i in range(0, n, LANES):
                store(out + i, f(load(V, a + i)))

        return loop

    def two(f):
        def loop(a, b, c, out, n):
            for i in range(0, n, LANES):
                store(out + i, f(load(V, a + i), load(V, b + i)))

        return loop

    def three(f):
        def loop(a, b, c, out, n):
            for i in range(0, n, LANES):
                store(out + i, f(load(V, a + i), load(V, b + i), load(V, c + i)))

        return loop

    return [(one, two, three)[count - 1](FUNCTIONS[name]) for name, (count, _) in INSTRUCTIONS.items()]


@kernel(lowering.ELEMENTWISE_F32)
def elementwise_f32(target):
    LANES = target.lanes
    VALUES = MAX_INPUTS + MAX_INSTRUCTIONS
    OUTSIDE, TAILS = 2 * MAX_INPUTS, WIDEST * (MAX_INPUTS + 1)
    calculate, read = choose(loops(target)), stretch_reader(I32)

    def instructions(code, inputs, count, values, registers, block, out, n):
        """Runs all instructions over n elements; values: addresses of the operands."""
        for i in range(count):
            target_register = code[4]
            made = out if target_register < 0 else registers + target_register * block
            a, b, c = pointer(F32, values[code[1]]), pointer(F32, values[code[2]]), pointer(F32, values[code[3]])
            calculate(code[0], a, b, c, made, n)
            values[inputs + i] = address(made)
            code += INSTRUCTION_WORDS

    def elementwise(
        x0, x1, x2, x3, x4, x5, x6, x7, b0, b1, b2, b3, b4, b5, b6, b7, out, program, registers, n, part, parts
    ):
        inputs, count, block, own = program[0], program[1], program[2], program[3]
        dims, code = program + 4, program + (HEADER + inputs * INPUT_WORDS)
        registers += part * own
        outside = stack(I64, OUTSIDE)
        outside[0], outside[1], outside[2], outside[3] = address(x0), address(x1), address(x2), address(x3)
        outside[4], outside[5], outside[6], outside[7] = address(x4), address(x5), address(x6), address(x7)
        outside[8], outside[9], outside[10], outside[11] = address(b0), address(b1), address(b2), address(b3)
        outside[12], outside[13], outside[14], outside[15] = address(b4), address(b5), address(b6), address(b7)
        values, tails = stack(I64, VALUES), stack(F32, TAILS)
        blocks = (n + block - 1) // block
        first, last = blocks * part // parts, blocks * (part + 1) // parts
        if first == last:
            return
        filled = min(block, (n + LANES - 1) // LANES * LANES)
        for i in range(inputs):
            entry = program + (HEADER + i * INPUT_WORDS)
            if entry[0] == CONSTANT or entry[0] == SCALAR:
                register = pointer(I32, registers + entry[2] * block)
                number = I32(entry[1])
                if entry[0] == SCALAR:
                    number = pointer(I32, outside[MAX_INPUTS + entry[1]])[0]
                for j in range(filled):
                    register[j] = number
        for number_of_block in range(first, last):
            start = number_of_block * block
            size = min(block, n - start)
            whole = size // LANES * LANES
            for i in range(inputs):
                entry = program + (HEADER + i * INPUT_WORDS)
                if entry[0] == FULL:
                    values[i] = outside[entry[1]] + 4 * start
                else:
                    register = registers + entry[2] * block
                    values[i] = address(register)
                    if entry[0] == BROADCAST or (entry[0] == PERIODIC and number_of_block == first):
                        source = pointer(I32, outside[MAX_INPUTS + entry[1]])
                        read(pointer(I32, register), source, dims, entry + 3, start, size)
            if whole > 0:
                instructions(code, inputs, count, values, registers, block, out + start, whole)
            if whole < size:
                for i in range(inputs):
                    kind = program[HEADER + i * INPUT_WORDS]
                    if kind == FULL:
                        tail, source = tails + i * WIDEST, pointer(F32, values[i])
                        for j in range(LANES):
                            tail[j] = source[whole + j] if whole + j < size else F32(1.0)
                        values[i] = address(tail)
                    elif kind in (BROADCAST, PERIODIC):
                        values[i] += 4 * whole
                tail_out = tails + MAX_INPUTS * WIDEST
                instructions(code, inputs, count, values, registers, block, tail_out, LANES)
                for j in range(size - whole):
                    out[start + whole + j] = tail_out[j]

    return elementwise


