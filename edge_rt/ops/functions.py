"""Exponentials, logarithms, trigonometric and hyperbolic functions, and the error function."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.ops._erf import erf
from edge_rt.ops._rules import same_shape, unary
from edge_rt.ops._spec import TRANSCENDENTAL, define
from edge_rt.types import FLOATS


def _function(name: str, since: int, function: Any) -> None:
    define(name, "input:T -> output:T", T=FLOATS, since=since, shapes=same_shape, accuracy=TRANSCENDENTAL,
           reference=unary(function))  # fmt: skip


_function("Exp", 13, np.exp)
_function("Log", 13, np.log)
_function("Erf", 13, erf)
_function("Sin", 22, np.sin)
_function("Cos", 22, np.cos)
_function("Tan", 22, np.tan)
_function("Asin", 22, np.arcsin)
_function("Acos", 22, np.arccos)
_function("Atan", 22, np.arctan)
_function("Sinh", 22, np.sinh)
_function("Cosh", 22, np.cosh)
_function("Tanh", 13, np.tanh)
_function("Asinh", 22, np.arcsinh)
_function("Acosh", 22, np.arccosh)
_function("Atanh", 22, np.arctanh)
