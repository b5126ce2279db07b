"""tanh and the logistic function as ONNX Runtime approximates them: what the NumPy reference computes, in vectors."""

from __future__ import annotations

from edge_rt.kernels.simd import clamp, fma
from edge_rt.ops import _rational


def _polynomial(coefficients):
    """Horner's rule; a chain of functions, since the coefficients of each step are constants to the compiler."""
    first, second = coefficients[:2]

    def start(x):
        return fma(x, first, second)

    evaluate = start
    for coefficient in coefficients[2:]:
        evaluate = _step(evaluate, coefficient)
    return evaluate


def _step(before, coefficient):
    def evaluate(x):
        return fma(before(x), x, coefficient)

    return evaluate


def _ratio(odd, even):
    above, below = _polynomial(odd), _polynomial(even)

    def ratio(x):
        square = x * x
        return above(square) * x / below(square)

    return ratio


_tanh_ratio = _ratio(_rational.TANH_ODD, _rational.TANH_EVEN)
_logistic_ratio = _ratio(_rational.LOGISTIC_ODD, _rational.LOGISTIC_EVEN)
_TANH_LIMIT, _LOGISTIC_LIMIT = float(_rational.TANH_LIMIT), float(_rational.LOGISTIC_LIMIT)


def tanh(x):
    return _tanh_ratio(clamp(x, -_TANH_LIMIT, _TANH_LIMIT))


def logistic(x):
    return clamp(_logistic_ratio(clamp(x, -_LOGISTIC_LIMIT, _LOGISTIC_LIMIT)) + 0.5, 0.0, 1.0)
