"""Elementary functions of f32 vectors, without libm: the same bits on every lane count, for any Vec tile.

Every function takes and gives f32 tiles, follows C's rules for infinities, NaN and signed zeros where the docstring
does not say otherwise, and keeps denormals. `ulp` in a docstring bounds the error that tests/test_vmath.py finds over
all magnitudes. The polynomials are minimax fits of our own (iteratively reweighted least squares on Chebyshev nodes);
the range reductions are the classic ones (Cody & Waite 1980; Muller, Elementary Functions, 2016; Payne & Hanek 1983).
"""

from __future__ import annotations

from edge_rt.kernels.simd import any_true, fma, maximum, minimum, select
from edge_rt.kernels.vbits import (
    absolute,
    bits,
    bits64,
    copysign,
    extend,
    floats,
    floats64,
    narrow,
    shorten,
    square_root,
    to_f64,
    truncate,
    widen,
)
from edge_rt.kernels.vbits import to_f32 as _to_f32

INF = float("inf")
NAN = float("nan")
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
MAGIC = 12582912.0
"""1.5 * 2**23: adding it rounds to an integer, which then stands in the low bits."""
MAGIC_BITS = 0x4B400000
HALF_PI_1, HALF_PI_2, HALF_PI_3 = 1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15
"""pi / 2 as a sum of f32 numbers."""


def larger(x, y):
    """max(x, y); NaN if either is."""
    return select((x > y) | ~(x == x), x, y)


def smaller(x, y):
    """min(x, y); NaN if either is."""
    return select((x < y) | ~(x == x), x, y)


def clamp(x, low, high):
    """x limited to numbers low..high; NaN stays NaN."""
    return minimum(maximum(x, low), high)


def _power_of_two(n):
    """2**n for integers n in -126..127 (i32)."""
    return floats((n + 127) << 23)


def _reduce_exp(x):
    """x = n ln 2 + r, |r| <= 0.347: returns r and n, as i32."""
    shifted = fma(x, 1.44269504088896341, MAGIC)
    n = shifted - MAGIC
    r = fma(n, -LN2_HIGH, x)
    return fma(n, -LN2_LOW, r), bits(shifted) - MAGIC_BITS


def _exp_times(x, k):
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
    return _exp_times(x, 0)


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
    e = _to_f32(n)
    e = select(tiny, e - 23.0, e)
    f = m - 1.0
    y = fma(e, LN2_HIGH, _log_series(f, e * LN2_LOW))
    y = select(x > 0.0, y, select(x == 0.0, -INF, x * NAN))
    return select(x == INF, x, y)


def log1p(x):
    """log(1 + x), within 1.5 ulp."""
    u = 1.0 + x
    m, n = _split(u)
    e = _to_f32(n)
    lost = select(x > 1.0, 1.0 - (u - x), x - (u - 1.0)) / u
    near = n == 0
    low = fma(e, LN2_LOW, lost)
    f = select(near, x, m - 1.0)
    y = fma(e, LN2_HIGH, _log_series(f, select(near, 0.0, low)))
    y = select(x > -1.0, y, select(x == -1.0, -INF, x * NAN))
    return select(x == INF, x, y)


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


# ---- circular functions ----------------------------------------------------------------------------------------------

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


# ---- hyperbolic functions --------------------------------------------------------------------------------------------


def sinh(x):
    """Hyperbolic sine, within 2 ulp."""
    a = absolute(x)
    half = _exp_times(a, -1)
    z = x * x
    q = fma(z, 2.817439735736116e-06, 0.0001983606634894386)
    q = fma(q, z, 0.008333350531756878)
    q = fma(q, z, 0.1666666716337204)
    return select(a > 1.0, copysign(half - 0.25 / half, x), fma(x * z, q, x))


def cosh(x):
    """Hyperbolic cosine, within 2 ulp."""
    half = _exp_times(absolute(x), -1)
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


# ---- powers and remainders -------------------------------------------------------------------------------------------

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

