"""Hyperbolic functions and their inverses; `tanh` is among the activations."""

from __future__ import annotations

from edge_rt.kernels.simd import fma, select
from edge_rt.kernels.vbits import absolute, copysign, square_root
from edge_rt.kernels.vmath.constants import NAN
from edge_rt.kernels.vmath.exponential import exp_times, log, log1p


def sinh(x):
    """Hyperbolic sine, within 2 ulp."""
    a = absolute(x)
    half = exp_times(a, -1)
    z = x * x
    q = fma(z, 2.817439735736116e-06, 0.0001983606634894386)
    q = fma(q, z, 0.008333350531756878)
    q = fma(q, z, 0.1666666716337204)
    return select(a > 1.0, copysign(half - 0.25 / half, x), fma(x * z, q, x))


def cosh(x):
    """Hyperbolic cosine, within 2 ulp."""
    half = exp_times(absolute(x), -1)
    return half + 0.25 / half


def asinh(x):
    """Inverse hyperbolic sine, within 3 ulp (asinh a = log1p(a + a**2 / (1 + sqrt(1 + a**2))))."""
    a = absolute(x)
    large = a > 1e9
    b = select(large, 1.0, a)
    square = b * b
    y = log1p(b + square / (1.0 + square_root(1.0 + square)))
    return copysign(select(large, log(a) + 0.69314718055994531, y), x)


def acosh(x):
    """Inverse hyperbolic cosine, within 3 ulp; NaN below 1."""
    t = x - 1.0
    near = log1p(t + square_root(fma(t, t, 2.0 * t)))
    y = select(x > 1e9, log(x) + 0.69314718055994531, near)
    return select(x < 1.0, NAN, y)


def atanh(x):
    """Inverse hyperbolic tangent, within 3 ulp; NaN outside -1..1."""
    a = absolute(x)
    return copysign(0.5 * log1p(2.0 * a / (1.0 - a)), x) + (a - a)
