"""Integer arithmetic, comparisons and Where: scalar loops over blocks, which LLVM vectorises, but for divisions."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.errors import report
from edge_rt.kernels.memory import stack
from edge_rt.kernels.registers import hide
from edge_rt.kernels.strided import choose, stretch_reader
from edge_rt.lowering._errors import DIVISION_BY_ZERO
from edge_rt.lowering._layout import MAX_DIMS
from edge_rt.lowering.integer import BLOCK, COMPARE, COMPARISONS, INTEGER, OPERATORS, WHERE

NUMBERS = {
    "int8": types.int8, "uint8": types.uint8, "int32": types.int32, "int64": types.int64, "float32": types.float32,
}  # fmt: skip
BITS = {1: types.uint8, 2: types.uint16, 4: types.int32, 8: types.int64}


def rounded_to_zero(a, b):
    """a / b of signed integers, b not 0: never traps."""
    if b == -1:
        return -a
    quotient = a // b
    if quotient * b != a and (a < 0) != (b < 0):
        quotient += 1
    return quotient


def signed_functions(number):
    def divide(a, b):
        return number(0) if b == 0 else number(rounded_to_zero(a, b))

    def fmod(a, b):
        return number(0) if b == 0 or b == -1 else number(a - rounded_to_zero(a, b) * b)

    def mod(a, b):
        return number(0) if b == 0 or b == -1 else number(a - (a // b) * b)

    return divide, mod, fmod, lambda a, b: -a if a < 0 else a, lambda a, b: (a > 0) - (a < 0)


def unsigned_functions(number):
    def divide(a, b):
        return number(0) if b == 0 else number(a // b)

    def mod(a, b):
        return number(0) if b == 0 else number(a - (a // b) * b)

    return divide, mod, mod, lambda a, b: a, lambda a, b: a > 0


def functions(number):
    """The function of each operator, by name."""
    width = number.bitwidth
    divide, mod, fmod, absolute, sign = (signed_functions if number.signed else unsigned_functions)(number)
    return {
        "Add": lambda a, b: a + b,
        "Sub": lambda a, b: a - b,
        "Mul": lambda a, b: a * b,
        "Div": divide,
        "Mod": mod,
        "Fmod": fmod,
        "Min": lambda a, b: a if a < b else b,
        "Max": lambda a, b: a if a > b else b,
        "BitwiseAnd": lambda a, b: a & b,
        "BitwiseOr": lambda a, b: a | b,
        "BitwiseXor": lambda a, b: a ^ b,
        "ShiftLeft": lambda a, b: a << b if b < width else 0,
        "ShiftRight": lambda a, b: a >> b if b < width else 0,
        "Abs": absolute,
        "Sign": sign,
    }


COMPARISON_FUNCTIONS = {
    "Equal": lambda a, b: a == b,
    "Less": lambda a, b: a < b,
    "LessOrEqual": lambda a, b: a <= b,
    "NotEqual": lambda a, b: a != b,
    "SameMagnitude": lambda a, b: a == b or a == -b,
}
DIVISIONS = tuple(OPERATORS.index(name) for name in ("Div", "Mod", "Fmod"))


def each(f, result):
    def loop(a, b, c, out, n):
        for i in range(n):
            out[i] = result(f(a[i], b[i]))

    return loop


def one_by_one(f, result):
    """As `each`, of divisions: vectors, whose numbers LLVM would take out one by one, are five times the code."""

    def loop(a, b, c, out, n):
        for i in range(n):
            at = hide(i)
            out[at] = result(f(a[at], b[at]))

    return loop


def zero_finder(number):
    """Reports a divisor of 0 among n, if `code` divides."""

    def find(code, b, n, error, step):
        if code >= DIVISIONS[0] and code <= DIVISIONS[-1]:
            zeros = 0
            for i in range(n):
                zeros += b[i] == 0
            if zeros > 0:
                report(error, step, DIVISION_BY_ZERO)

    def nothing(code, b, n, error, step):
        pass

    return find if number is not None else nothing


def blocks(number, cases, divisor=None):
    """The body that runs one of `cases` over blocks, reading operands that broadcast into buffers first."""
    calculate, read, check = choose(cases), stretch_reader(number), zero_finder(divisor)

    def body(a, b, p, q, out, table, error, step, n, part, parts):
        p_buffer, q_buffer = stack(number, BLOCK), stack(number, BLOCK)
        dims = table + 3
        count = (n + BLOCK - 1) // BLOCK
        for block in range(count * part // parts, count * (part + 1) // parts):
            start = block * BLOCK
            size = min(BLOCK, n - start)
            for i in range(2):
                if table[1 + i]:
                    buffer, source = (q_buffer, q) if i else (p_buffer, p)
                    read(buffer, source, dims, dims + (1 + i) * MAX_DIMS, start, size)
            left = p_buffer if table[1] else a + start
            right = q_buffer if table[2] else b + start
            check(table[0], right, size, error, step)
            calculate(table[0], left, right, right, out + start, size)

    return body


def _register_arithmetic(dtype, spec):
    number = NUMBERS[dtype.value]
    made = functions(number)

    @kernel(spec)
    def integer(target):
        loops = [one_by_one if code in DIVISIONS else each for code in range(len(OPERATORS))]
        return blocks(number, [loop(made[name], number) for loop, name in zip(loops, OPERATORS)], number)


def _register_comparison(dtype, spec):
    number = NUMBERS[dtype.value]

    @kernel(spec)
    def compare(target):
        return blocks(number, [each(COMPARISON_FUNCTIONS[name], types.uint8) for name in COMPARISONS])


def _register_choice(size, spec):
    number = BITS[size]
    read, read_mask = stretch_reader(number), stretch_reader(types.uint8)

    @kernel(spec)
    def where(target):
        def body(a, b, p, q, mask, m, out, table, error, step, n, part, parts):
            p_buffer, q_buffer, m_buffer = stack(number, BLOCK), stack(number, BLOCK), stack(types.uint8, BLOCK)
            dims = table + 3
            count = (n + BLOCK - 1) // BLOCK
            for block in range(count * part // parts, count * (part + 1) // parts):
                start = block * BLOCK
                size = min(BLOCK, n - start)
                for i in range(2):
                    if table[1 + i]:
                        buffer, source = (q_buffer, q) if i else (p_buffer, p)
                        read(buffer, source, dims, dims + (1 + i) * MAX_DIMS, start, size)
                left = p_buffer if table[1] else a + start
                right = q_buffer if table[2] else b + start
                chosen, made = mask + start, out + start
                if table[3 + 3 * MAX_DIMS]:
                    read_mask(m_buffer, m, dims, dims + (3 * MAX_DIMS + 1), start, size)
                    chosen = m_buffer
                for i in range(size):
                    x, y = left[i], right[i]
                    made[i] = x if chosen[i] else y

        return body


for _dtype, _spec in INTEGER.items():
    _register_arithmetic(_dtype, _spec)
for _dtype, _spec in COMPARE.items():
    _register_comparison(_dtype, _spec)
for _size, _spec in WHERE.items():
    _register_choice(_size, _spec)
