"""Activations applied in place to a block of a matrix that was just computed and is still in the nearest cache."""

from __future__ import annotations

from edge_rt.kernels._registry import apart
from edge_rt.kernels.memory import F32
from edge_rt.kernels.simd import Vec, clamp, fma, load, load_first, select, store, store_first
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


def without_alpha(function):
    return lambda x, alpha: function(x)


def activator(target):
    """activate(code, alpha, y, y_row, rows, columns): y[r, q] = function(y[r, q]) for the activation with this code.

    alpha: the slope of LeakyRelu below 0.
    """
    LANES = target.lanes
    BLOCK, ONE = Vec(F32, LANES, (16 // LANES,)), Vec(F32, LANES, (1,))

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
        code, apply = ACTIVATIONS[name], loop(function if name == "LeakyRelu" else without_alpha(function))
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
