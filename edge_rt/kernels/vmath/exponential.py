"""The exponential function and the natural logarithm (Cody & Waite 1980)."""

from __future__ import annotations

from edge_rt.kernels.simd import clamp, fma, select
from edge_rt.kernels.vbits import bits, floats, to_f32
from edge_rt.kernels.vmath.constants import INF, LN2_HIGH, LN2_LOW, MAGIC, MAGIC_BITS, NAN


def _power_of_two(n):
    """2**n for integers n in -126..127 (i32)."""
    return floats((n + 127) << 23)


def _reduce_exp(x):
    """x = n ln 2 + r, |r| <= 0.347: returns r and n, as i32."""
    shifted = fma(x, 1.44269504088896341, MAGIC)
    n = shifted - MAGIC
    r = fma(n, -LN2_HIGH, x)
    return fma(n, -LN2_LOW, r), bits(shifted) - MAGIC_BITS


def exp_times(x, k):
    """e**x * 2**k for a small integer k."""
    r, n = _reduce_exp(clamp(x, -105.0, 90.0))
    q = fma(r, 0.0013950724387541413, 0.008369024842977524)
    q = fma(q, r, 0.04166620224714279)
    q = fma(q, r, 0.166665181517601)
    q = fma(q, r, 0.5)
    p = fma(r * r, q, r) + 1.0
    n = n + k
    half = n >> 1
    return p * _power_of_two(half) * _power_of_two(n - half)


def exp(x):
    """e**x, within 1 ulp."""
    return exp_times(x, 0)


def expm1(x):
    """e**x - 1, within 1.5 ulp."""
    r, n = _reduce_exp(clamp(x, -18.0, 90.0))
    q = fma(r, 0.00019913853611797094, 0.0013941220240667462)
    q = fma(q, r, 0.008333273231983185)
    q = fma(q, r, 0.04166635125875473)
    q = fma(q, r, 0.1666666716337204)
    q = fma(q, r, 0.5)
    p = fma(r * r, q, r)
    scale = _power_of_two(n - 1)
    return select(n == 0, p, 2.0 * fma(scale, p, scale - 0.5))


def _log_series(f, low):
    """log(1 + f) + low for f in [sqrt(1/2) - 1, sqrt(2) - 1] and a tiny `low`."""
    q = fma(f, 0.06915146857500076, -0.11789695918560028)
    q = fma(q, f, 0.11873016506433487)
    q = fma(q, f, -0.12384369969367981)
    q = fma(q, f, 0.14218655228614807)
    q = fma(q, f, -0.16669249534606934)
    q = fma(q, f, 0.20002226531505585)
    q = fma(q, f, -0.24999986588954926)
    q = fma(q, f, 0.3333331048488617)
    square = f * f
    return f + fma(square, -0.5, fma(square * f, q, low))


def _split(x):
    """x = m * 2**e of a positive normal x, m in [sqrt(1/2), sqrt(2)): returns m, and e as i32."""
    e = (bits(x) - 0x3F3504F3) >> 23
    return floats(bits(x) - (e << 23)), e


def log(x):
    """Natural logarithm, within 1 ulp."""
    tiny = x < 1.1754943508222875e-38
    m, n = _split(select(tiny, x * 8388608.0, x))
    e = to_f32(n)
    e = select(tiny, e - 23.0, e)
    f = m - 1.0
    y = fma(e, LN2_HIGH, _log_series(f, e * LN2_LOW))
    y = select(x > 0.0, y, select(x == 0.0, -INF, x * NAN))
    return select(x == INF, x, y)


def log1p(x):
    """log(1 + x), within 1.5 ulp."""
    u = 1.0 + x
    m, n = _split(u)
    e = to_f32(n)
    lost = select(x > 1.0, 1.0 - (u - x), x - (u - 1.0)) / u
    near = n == 0
    low = fma(e, LN2_LOW, lost)
    f = select(near, x, m - 1.0)
    y = fma(e, LN2_HIGH, _log_series(f, select(near, 0.0, low)))
    y = select(x > -1.0, y, select(x == -1.0, -INF, x * NAN))
    return select(x == INF, x, y)
