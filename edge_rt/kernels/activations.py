"""Activations applied in place to a block of a matrix that was just computed and is still in the nearest cache."""

from __future__ import annotations

from edge_rt.kernels._registry import apart
from edge_rt.kernels.memory import F32, stack
from edge_rt.kernels.simd import Vec, clamp, fma, load, load_first, select, splat, store, store_first
from edge_rt.kernels.vbits import absolute
from edge_rt.kernels.vmath import erf, exp, expm1, gelu, mish, sigmoid, softplus, swish, tanh
from edge_rt.lowering.gemm import ACTIVATIONS


def hard_sigmoid(x):
    return clamp(fma(x, 0.2, 0.5), 0.0, 1.0)


def hard_swish(x):
    return x * clamp(fma(x, 1 / 6, 0.5), 0.0, 1.0)


def leaky_relu(x, alpha):
    return select(x < 0.0, x * alpha, x)


def elu(x):
    return select(x < 0.0, expm1(x), x)


def selu(x):
    return select(x > 0.0, x, expm1(x) * 1.67326319217681884765625) * 1.05070102214813232421875


def softsign(x):
    return x / (1.0 + absolute(x))


FUNCTIONS = {
    "Sigmoid": sigmoid, "Tanh": tanh, "HardSigmoid": hard_sigmoid, "HardSwish": hard_swish, "Swish": swish, "Gelu":
    gelu, "Erf": erf, "Exp": exp, "Softplus": softplus, "Mish": mish, "Elu": elu, "Selu": selu, "LeakyRelu":
    leaky_relu, "Softsign": softsign,
}  # fmt: skip

SHORT = ("HardSigmoid", "HardSwish", "LeakyRelu", "Softsign")
"""Those of so few constants that 16 registers hold them."""


def without_alpha(function):
    return lambda x, alpha: function(x)


def activator(target):
    """activate(code, alpha, y, y_row, rows, columns): y[r, q] = function(y[r, q]) for the activation with this code.

    alpha: the slope of LeakyRelu below 0.
    """
    LANES = target.lanes
    BLOCK, ONE = Vec(F32, LANES, (16 // LANES,)), Vec(F32, LANES, (1,))

    FOUR = Vec(F32, LANES, (2, 16 // LANES))

    @apart
    def move(to, to_row, source, source_row, rows, columns):
        for _ in range(rows):
            for q in range(columns):
                to[q] = source[q]
            to += to_row
            source += source_row

    def loop_of_fours(function):
        """For 16 registers: four vectors at a time, of two rows or of one, share what is loaded of constants. What is less
        goes through a buffer, so that the function stands there once."""

        @apart
        def apply(alpha, y, y_row, rows, columns):
            buffer = stack(F32, 32)
            for r in range(0, rows, 2):
                together = min(rows - r, 2)
                step, width = (y_row, 16) if together == 2 else (16, 32)
                for at in range(0, columns, width):
                    here, here_step, left = y + (r * y_row + at), step, columns - at
                    if left < width:
                        store(buffer, splat(FOUR, 1.0))
                        move(buffer, 16, here, y_row, together, left)
                        here, here_step = buffer, 16
                    store(here, function(load(FOUR, here, here_step), alpha), here_step)
                    if left < width:
                        move(y + (r * y_row + at), y_row, buffer, 16, together, left)

        return apply

    def loop(function):
        @apart
        def apply(alpha, y, y_row, rows, columns):
            for r in range(rows):
                line = y + r * y_row
                at = 0
                while at + 16 <= columns:
                    store(line + at, function(load(BLOCK, line + at), alpha))
                    at += 16
                while LANES < 16 and at + LANES <= columns:
                    store(line + at, function(load(ONE, line + at), alpha))
                    at += LANES
                if at < columns:
                    store_first(line + at, function(load_first(ONE, line + at, columns - at), alpha), columns - at)

        return apply

    def chain(remaining):
        name, function = remaining[0]
        made = loop_of_fours if LANES == 8 and name not in SHORT else loop
        code, apply = ACTIVATIONS[name], made(function if name == "LeakyRelu" else without_alpha(function))
        if len(remaining) == 1:
            return lambda wanted, alpha, y, y_row, rows, columns: apply(alpha, y, y_row, rows, columns)
        others = chain(remaining[1:])

        def activate(wanted, alpha, y, y_row, rows, columns):
            if wanted == code:
                apply(alpha, y, y_row, rows, columns)
            else:
                others(wanted, alpha, y, y_row, rows, columns)

        return activate

    return chain(list(FUNCTIONS.items()))
