"""Activations of neural networks, and the error function that some are made of."""

from __future__ import annotations

from edge_rt.kernels.simd import fma, maximum, minimum, select
from edge_rt.kernels.vbits import absolute, bits, copysign, floats
from edge_rt.kernels.vmath.constants import INF, LN2_HIGH, LN2_LOW, MAGIC
from edge_rt.kernels.vmath.exponential import exp, expm1, log1p


def tanh(x):
    """Hyperbolic tangent, within 2.5 ulp."""
    t = expm1(-2.0 * absolute(x))
    return copysign(absolute(t) / (t + 2.0), x)


def sigmoid(x):
    """1 / (1 + e**-x), within 2.5 ulp, also where it is tiny."""
    e = exp(-absolute(x))
    s = 1.0 / (1.0 + e)
    return select(x < 0.0, e * s, s)


def swish(x):
    """x / (1 + e**-x), within 3.1 ulp where x > -87, and -2e-36..0 below."""
    # e**-|x| stays a normal number, so that its exponent is set by one addition.
    a = minimum(absolute(x), 87.0)
    shifted = fma(a, -1.44269504088896341, MAGIC)
    n = shifted - MAGIC
    r = fma(n, LN2_LOW, fma(n, LN2_HIGH, a))
    q = fma(r, 0.0013950724387541413, -0.008369024842977524)
    q = fma(q, r, 0.04166620224714279)
    q = fma(q, r, -0.166665181517601)
    q = fma(q, r, 0.5)
    e = floats(bits(fma(r * r, q, 1.0 - r)) + (bits(shifted) << 23))
    return maximum(x, -88.0) * select(x < 0.0, e, 1.0) / (1.0 + e)


def softplus(x):
    """log(1 + e**x), within 2.5 ulp."""
    return select(x < 0.0, 0.0, x) + log1p(exp(-absolute(x)))


def mish(x):
    """x * tanh(log(1 + e**x)), within 4.5 ulp where e**x is normal (tanh(log(1 + w)) = w (w + 2) / (w (w + 2) + 2))."""
    w = exp(select(x > 20.0, 20.0, x))
    n = w * (w + 2.0)
    return x * (n / (n + 2.0))


def _erfc_tail(a):
    """1 - erf(a) for a in 1..4 (beyond 4: as at 4)."""
    a = select(a > 4.0, 4.0, a)
    q = fma(a, -4.6452431234911273e-08, 1.096861865335086e-06)
    q = fma(q, a, -9.740336281538475e-06)
    q = fma(q, a, 2.212874278484378e-05)
    q = fma(q, a, 0.0003356139059178531)
    q = fma(q, a, -0.004091961309313774)
    q = fma(q, a, 0.02526840940117836)
    q = fma(q, a, -0.10875266045331955)
    q = fma(q, a, -0.6328021883964539)
    q = fma(q, a, -1.1298191547393799)
    return exp(fma(q, a, 0.00024298664357047528))


def _erf_center(x):
    """erf(x) for |x| <= 1."""
    z = x * x
    q = fma(z, 7.889119297033176e-05, -0.0008020841050893068)
    q = fma(q, z, 0.005189535208046436)
    q = fma(q, z, -0.026854444295167923)
    q = fma(q, z, 0.11283600330352783)
    q = fma(q, z, -0.3761262595653534)
    q = fma(q, z, 0.12837916612625122)
    return fma(x, q, x)


def erf(x):
    """Error function, within 1.1 ulp."""
    a = absolute(x)
    return select(a > 1.0, copysign(1.0 - _erfc_tail(a), x), _erf_center(x))


def gelu(x):
    """x / 2 * (1 + erf(x / sqrt(2))), as max(x, 0) - |x| * 2**t with 2**t = erfc(|x| / sqrt(2)) / 2.

    Relative error 3e-7 for x > -1, 2.3e-6 for x > -5.65, below that an error of 2e-13.
    """
    a = absolute(x)
    a = select(a > 8.0, 8.0, a)
    q = fma(a, 1.8076761199026237e-09, -7.184165440321522e-08)
    q = fma(q, a, 1.260628891941451e-06)
    q = fma(q, a, -1.2728719411825296e-05)
    q = fma(q, a, 7.909626583568752e-05)
    q = fma(q, a, -0.0002724105434026569)
    q = fma(q, a, -3.8666701584588736e-05)
    q = fma(q, a, 0.007015792187303305)
    q = fma(q, a, -0.052499208599328995)
    q = fma(q, a, -0.45919910073280334)
    q = fma(q, a, -1.151106834411621)
    # t = q * a - 1 is never rounded: only its whole part is, and what is left.
    shifted = fma(q, a, MAGIC - 1.0)
    f = fma(q, a, (MAGIC - 1.0) - shifted)
    p = fma(f, 0.0013269535265862942, 0.009671292267739773)
    p = fma(p, f, 0.0555071085691452)
    p = fma(p, f, 0.24022246897220612)
    p = fma(p, f, 0.6931470036506653)
    p = fma(p, f, 1.0)
    tail = floats(bits(p) + (bits(shifted) << 23))
    return fma(-a, tail, select(x < 0.0, 0.0, x))


def gelu_tanh(x):
    """x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3))), as x * sigmoid.

    Error 5e-8 + 2e-6 relative.
    """
    u = 1.5957691216057308 * fma(0.044715 * x * x, x, x)
    # e**-|u| stays a normal number: processors take 100 times as long to make others.
    e = exp(-select(absolute(u) > 80.0, 80.0, absolute(u)))
    s = 1.0 / (1.0 + e)
    return select(x == -INF, 0.0, x * select(u < 0.0, select(u < -80.0, 0.0, e * s), s))
