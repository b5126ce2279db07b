"""Elementary functions of f32 vectors, without libm: the same bits on every lane count, for any Vec tile.

Every function takes and gives f32 tiles, follows C's rules for infinities, NaN and signed zeros where the docstring
does not say otherwise, and keeps denormals. `ulp` in a docstring bounds the error that tests/test_vmath.py finds over
all magnitudes. The polynomials are minimax fits of our own (iteratively reweighted least squares on Chebyshev nodes);
the range reductions are the classic ones (Cody & Waite 1980; Muller, Elementary Functions, 2016; Payne & Hanek 1983).
"""

from edge_rt.kernels.vmath.activations import erf, gelu, gelu_tanh, mish, sigmoid, softplus, swish, tanh
from edge_rt.kernels.vmath.circular import acos, asin, atan, cos, sin, tan
from edge_rt.kernels.vmath.exponential import exp, expm1, log, log1p
from edge_rt.kernels.vmath.hyperbolic import acosh, asinh, atanh, cosh, sinh
from edge_rt.kernels.vmath.order import larger, smaller
from edge_rt.kernels.vmath.power import power, remainder

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "exp", "expm1", "gelu", "gelu_tanh",
    "larger", "log", "log1p", "mish", "power", "remainder", "sigmoid", "sin", "sinh", "smaller", "softplus", "swish",
    "tan", "tanh",
]  # fmt: skip
