"""edge.Elementwise: a chain of f32 elementwise instructions over inputs that broadcast.

INSTRUCTIONS is the vocabulary of programs, which the fusion pass, the lowering and the kernel share. Names are ONNX's;
attributes of the ONNX operator have become further operands, in the order that its table entry gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Strs
from edge_rt.ops._rules import broadcast_shapes
from edge_rt.ops._spec import Accuracy, Types, Values, define
from edge_rt.types import DType

Array = np.ndarray[Any, Any]
MAX_INPUTS, MAX_INSTRUCTIONS = 8, 32

_erf = np.frompyfunc(math.erf, 1, 1)


def _sigmoid(x: Array) -> Any:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _erf_of(x: Array) -> Array:
    return np.asarray(_erf(x), np.float64)


INSTRUCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "Abs": (1, np.abs),
    "Neg": (1, np.negative),
    "Sign": (1, np.sign),
    "Floor": (1, np.floor),
    "Ceil": (1, np.ceil),
    "Round": (1, np.rint),
    "Sqrt": (1, np.sqrt),
    "Reciprocal": (1, np.reciprocal),
    "Relu": (1, lambda x: np.maximum(x, 0)),
    "Exp": (1, np.exp),
    "Log": (1, np.log),
    "Sigmoid": (1, _sigmoid),
    "Tanh": (1, np.tanh),
    "Erf": (1, _erf_of),
    "Gelu": (1, lambda x: 0.5 * x * (1 + _erf_of(x / math.sqrt(2)))),
    "GeluTanh": (1, lambda x: x * _sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))),
    "Softplus": (1, _softplus),
    "Softsign": (1, lambda x: x / (1 + np.abs(x))),
    "Mish": (1, lambda x: x * np.tanh(_softplus(x))),
    "HardSwish": (1, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "Sin": (1, np.sin),
    "Cos": (1, np.cos),
    "Tan": (1, np.tan),
    "Asin": (1, np.arcsin),
    "Acos": (1, np.arccos),
    "Atan": (1, np.arctan),
    "Sinh": (1, np.sinh),
    "Cosh": (1, np.cosh),
    "Asinh": (1, np.arcsinh),
    "Acosh": (1, np.arccosh),
    "Atanh": (1, np.arctanh),
    "Add": (2, np.add),
    "Sub": (2, np.subtract),
    "Mul": (2, np.multiply),
    "Div": (2, np.divide),
    "Pow": (2, np.power),
    "Min": (2, np.minimum),
    "Max": (2, np.maximum),
    "Mod": (2, np.fmod),
    "PRelu": (2, lambda x, slope: np.where(x < 0, x * slope, x)),
    "LeakyRelu": (2, lambda x, alpha: np.where(x < 0, x * alpha, x)),
    "Elu": (2, lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)),
    "Celu": (2, lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x / alpha, 0)), x)),
    "ThresholdedRelu": (2, lambda x, alpha: np.where(x > alpha, x, 0)),
    "Swish": (2, lambda x, alpha: x * _sigmoid(alpha * x)),
    "Clip": (3, lambda x, low, high: np.minimum(high, np.maximum(x, low))),
    "HardSigmoid": (3, lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1)),
    "Selu": (3, lambda x, alpha, gamma: gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))),
    "Shrink": (3, lambda x, bias, lambd: np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0))),
}
"""Name -> (number of operands, NumPy function). Mod is C's fmod; Round takes ties to even."""


class ElementwiseAttrs(Attrs):
    program = Strs()


def parse(program: Sequence[str], inputs: int) -> list[tuple[str, tuple[int, ...]]]:
    """Instructions as (name, operands); operand i < inputs is an input, else the result of instruction i - inputs.

    Raises GraphError for an unknown name, a wrong number of operands, or an operand not yet computed.
    """
    if not 1 <= len(program) <= MAX_INSTRUCTIONS:
        raise GraphError(f"program must have 1 to {MAX_INSTRUCTIONS} instructions, got {len(program)}")
    parsed = []
    for position, text in enumerate(program):
        name, *operands = text.split() or [""]
        if name not in INSTRUCTIONS:
            raise GraphError(f"unknown instruction '{text}'")
        known = inputs + position
        if len(operands) != INSTRUCTIONS[name][0] or not all(o.isdecimal() and int(o) < known for o in operands):
            raise GraphError(f"instruction '{text}' needs {INSTRUCTIONS[name][0]} operands below {known}")
        parsed.append((name, tuple(map(int, operands))))
    return parsed


def _shapes(attrs: Any, types: Types, values: Values) -> Any:
    if not 1 <= len(types) <= MAX_INPUTS:
        raise GraphError(f"takes 1 to {MAX_INPUTS} inputs, got {len(types)}")
    parse(attrs.program, len(types))
    return broadcast_shapes(attrs, types, values)


def run(attrs: ElementwiseAttrs, *inputs: Array) -> Array:
    """Each instruction in float64, rounded to float32, as the kernel does."""
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    known: list[Array] = list(inputs)
    for name, operands in parse(attrs.program, len(inputs)):
        result = INSTRUCTIONS[name][1](*(known[o].astype(np.float64) for o in operands))
        known.append(np.asarray(result, np.float32))
    return np.ascontiguousarray(np.broadcast_to(known[-1], shape))


ELEMENTWISE = define(
    "edge.Elementwise", "inputs:T* -> output:T", T=frozenset({DType.FLOAT32}), attrs=ElementwiseAttrs, shapes=_shapes,
    reference=run, accuracy=Accuracy(rtol=1e-5, atol=1e-6, scale=0.05),
)  # fmt: skip
