"""tanh and the logistic function by the rational approximations that ONNX Runtime evaluates, to the last bit.

Where a result is quantised again at every time step, a difference in the last bit moves some value to its neighbour,
and that is seen: such operators compare only if they round alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

TANH_LIMIT, LOGISTIC_LIMIT = np.float32(9), np.float32(18)
TANH_ODD = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08, 1.48572235717979e-05,
    6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
TANH_EVEN = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
LOGISTIC_ODD = (
    4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03, 2.48287947061529e-01,
)  # fmt: skip
LOGISTIC_EVEN = (
    6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03, 1.16817656904453e-01,
    9.93151921023180e-01,
)  # fmt: skip


def tanh(x: Array) -> Array:
    """tanh(x) in float32."""
    return _ratio(np.clip(x.astype(np.float32), -TANH_LIMIT, TANH_LIMIT), TANH_ODD, TANH_EVEN)


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)) in float32."""
    x = np.clip(x.astype(np.float32), -LOGISTIC_LIMIT, LOGISTIC_LIMIT)
    return np.clip(_ratio(x, LOGISTIC_ODD, LOGISTIC_EVEN) + np.float32(0.5), np.float32(0), np.float32(1))


def _ratio(x: Array, odd: tuple[float, ...], even: tuple[float, ...]) -> Array:
    square = x * x
    return np.asarray(_polynomial(square, odd) * x / _polynomial(square, even))


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's rule with fused multiply-adds: the product of two float32 is exact in float64."""
    result = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        result = (result.astype(np.float64) * x + np.float64(np.float32(c))).astype(np.float32)
    return result
