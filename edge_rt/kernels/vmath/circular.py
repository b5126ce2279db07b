"""Circular functions and their inverses, for arguments of any size (Payne & Hanek 1983)."""

from __future__ import annotations

from edge_rt.kernels.simd import any_true, fma, select
from edge_rt.kernels.vbits import absolute, bits, copysign, extend, narrow, shorten, square_root, to_f64
from edge_rt.kernels.vmath.constants import INF, MAGIC, NAN

HALF_PI_1, HALF_PI_2, HALF_PI_3 = 1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15
"""pi / 2 as a sum of f32 numbers."""
TWO_OVER_PI = (0, 0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB)
"""A word of zeros and the first 224 bits of 2 / pi."""
LARGE = 30000.0
"""Up to here three-term Cody-Waite reduction is exact enough; beyond, Payne-Hanek."""


def _word(j, k):
    """TWO_OVER_PI[j + k] for a tile of j in 0..4."""
    w = select(j == 1, TWO_OVER_PI[k + 1], (j - j) + TWO_OVER_PI[k])
    w = select(j == 2, TWO_OVER_PI[k + 2], w)
    w = select(j == 3, TWO_OVER_PI[k + 3], w)
    return select(j == 4, TWO_OVER_PI[k + 4], w)


def _reduce_large(x):
    """As _reduce_quadrant, for |x| >= 16384: multiplies by 96 bits of 2 / pi, chosen by the exponent."""
    b = bits(x)
    mantissa = extend((b & 0x7FFFFF) | 0x800000)
    offset = extend((b >> 23) & 0xFF) - 120
    j, shift = offset >> 5, 32 - (offset & 31)
    w0, w1, w2, w3 = _word(j, 0), _word(j, 1), _word(j, 2), _word(j, 3)
    a0 = (((w0 << 32) | w1) >> shift) & 0xFFFFFFFF
    a1 = (((w1 << 32) | w2) >> shift) & 0xFFFFFFFF
    a2 = (((w2 << 32) | w3) >> shift) & 0xFFFFFFFF
    turn = ((mantissa * a0) << 32) + mantissa * a1 + ((mantissa * a2) >> 32)
    quadrant = (turn + (1 << 61)) >> 62
    r = narrow(to_f64(turn - (quadrant << 62)) * 3.4061215800865545e-19)
    return select(x < 0.0, -r, r), select(x < 0.0, -quadrant, quadrant)


def _reduce_quadrant(x):
    """x = n pi / 2 + r, |r| <= 0.786: returns r, and n modulo 4 in the low bits of an i32."""
    shifted = fma(x, 0.63661977236758134, MAGIC)
    n = shifted - MAGIC
    r = fma(n, -HALF_PI_1, x)
    r = fma(n, -HALF_PI_2, r)
    r = fma(n, -HALF_PI_3, r)
    quadrant = bits(shifted)
    large = absolute(x) > LARGE
    if any_true(large):
        r_large, quadrant_large = _reduce_large(x)
        r = select(large, r_large, r)
        quadrant = select(large, shorten(quadrant_large), quadrant)
        r = select(absolute(x) == INF, NAN, r)
    return r, quadrant


def _sin_cos_series(r):
    """sin(r) and cos(r) for |r| <= 0.786."""
    z = r * r
    s = fma(z, 2.71823728326126e-06, -0.00019839327433146536)
    s = fma(s, z, 0.008333329111337662)
    s = fma(s, z, -0.1666666716337204)
    c = fma(z, 2.4437727915938012e-05, -0.001388736185617745)
    c = fma(c, z, 0.04166664555668831)
    return fma(r * z, s, r), fma(z * z, c, fma(z, -0.5, 1.0))


def sin(x):
    """Sine, within 1.6 ulp, for any argument."""
    r, n = _reduce_quadrant(x)
    s, c = _sin_cos_series(r)
    y = select((n & 1) == 0, s, c)
    return select((n & 2) == 0, y, -y)


def cos(x):
    """Cosine, within 1.6 ulp, for any argument."""
    r, n = _reduce_quadrant(x)
    s, c = _sin_cos_series(r)
    y = select((n & 1) == 0, c, s)
    return select(((n + 1) & 2) == 0, y, -y)


def tan(x):
    """Tangent, within 3.1 ulp, for any argument."""
    r, n = _reduce_quadrant(x)
    s, c = _sin_cos_series(r)
    even = (n & 1) == 0
    return select(even, s, -c) / select(even, c, s)


def _asin_series(x):
    """asin(x) for |x| <= 1/2."""
    z = x * x
    q = fma(z, 0.04221854731440544, 0.02414761111140251)
    q = fma(q, z, 0.04547709599137306)
    q = fma(q, z, 0.07495241612195969)
    q = fma(q, z, 0.16666753590106964)
    return fma(x * z, q, x)


def asin(x):
    """Arc sine, within 2.5 ulp; NaN outside -1..1."""
    a = absolute(x)
    root = _asin_series(square_root(fma(a, -0.5, 0.5)))
    y = fma(root, -2.0, HALF_PI_2) + HALF_PI_1
    return select(a > 0.5, copysign(y, x) + (a - a), _asin_series(x))


def acos(x):
    """Arc cosine, within 2 ulp; NaN outside -1..1."""
    a = absolute(x)
    root = 2.0 * _asin_series(square_root(fma(a, -0.5, 0.5)))
    far = select(x > 0.0, root, 2.0 * HALF_PI_1 - (root - 2.0 * HALF_PI_2))
    return select(a > 0.5, far, HALF_PI_1 - (_asin_series(x) - HALF_PI_2))


def atan(x):
    """Arc tangent, within 2 ulp."""
    a = absolute(x)
    far = a > 1.0
    t = select(far, 1.0 / a, a)
    z = t * t
    q = fma(z, 0.0029745432548224926, -0.01658099703490734)
    q = fma(q, z, 0.04355324059724808)
    q = fma(q, z, -0.07580552995204926)
    q = fma(q, z, 0.10678929090499878)
    q = fma(q, z, -0.14214205741882324)
    q = fma(q, z, 0.19994136691093445)
    q = fma(q, z, -0.3333316743373871)
    y = fma(t * z, q, t)
    return copysign(select(far, HALF_PI_1 - (y - HALF_PI_2), y), x)
