"""Powers and remainders, whose accuracy takes f64 on the way."""

from __future__ import annotations

from edge_rt.kernels.simd import any_true, fma, select
from edge_rt.kernels.vbits import absolute, bits, bits64, copysign, floats64, narrow, truncate, widen
from edge_rt.kernels.vmath.constants import INF, NAN

MAGIC64 = 6755399441055744.0
"""1.5 * 2**52, which does for f64 what MAGIC does for f32."""
MAGIC64_BITS = 0x4338000000000000
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD


def _log2_64(x):
    """log2 of positive finite normal f64 numbers, relative error 3e-13."""
    b = bits64(x)
    e = (b - SQRT_HALF_BITS) >> 52
    m = floats64(b - (e << 52))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    q = fma(z, 0.2844555725669667, 0.3197839646773158)
    q = fma(q, z, 0.4122126647379023)
    q = fma(q, z, 0.5770779017012967)
    q = fma(q, z, 0.9617966942984129)
    q = fma(q, z, 2.8853900817776634)
    return fma(q, s, floats64(e + MAGIC64_BITS) - MAGIC64)


def _exp2_64(t):
    """2**t for f64 numbers |t| <= 200, relative error 4e-11."""
    shifted = t + MAGIC64
    f = t - (shifted - MAGIC64)
    q = fma(f, 1.5316459444489493e-05, 0.00015469731707397816)
    q = fma(q, f, 0.0013333422655169404)
    q = fma(q, f, 0.009618025603958032)
    q = fma(q, f, 0.055504109760976576)
    q = fma(q, f, 0.24022651213586166)
    q = fma(q, f, 0.6931471805350294)
    p = fma(q, f, 1.0)
    return floats64(bits64(p) + (bits64(shifted) << 52))


def power(x, y):
    """x**y, within 0.51 ulp, with C's special cases (computed in f64)."""
    a, z = widen(absolute(x)), widen(y)
    logarithm = select(a == 0.0, -INF, select(a == INF, INF, _log2_64(a)))
    t = select(logarithm == 0.0, 0.0, logarithm * z)
    t = select(t < -200.0, -200.0, t)
    r = narrow(_exp2_64(select(t > 200.0, 200.0, t)))
    whole = truncate(y) == y
    half = 0.5 * y
    negative = bits(x) < 0
    r = select(negative & whole & ~(truncate(half) == half), -r, r)
    r = select((x < 0.0) & ~whole & (a < INF), NAN, r)
    r = select((x == x) & (y == y), r, x + y)
    return select((y == 0.0) | (x == 1.0), 1.0, r)


def remainder(x, y):
    """C's fmod, exact: the remainder of x / y truncated, with x's sign; NaN for y == 0 or infinite x."""
    r, b = widen(absolute(x)), widen(absolute(y))
    valid = (r < INF) & (b > 0.0)
    b = select(valid, b, 1.0)
    r = select(valid & (b < INF), r, 0.0)
    while any_true(r >= b):
        # q never exceeds the true quotient and has 53 bits, so that r - q * b is a number that f64 holds.
        q = truncate(r / b * 0.99999999999999977796)
        q = select(q < 1.0, 1.0, q)
        r = select(r >= b, fma(-q, b, r), r)
    r = select(valid & (b == INF), widen(absolute(x)), r)
    return select(valid, copysign(narrow(r), x), x * NAN + y)
