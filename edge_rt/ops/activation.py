"""Activation functions. float16 is computed in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Float, Str
from edge_rt.ops._erf import erf
from edge_rt.ops._rules import broadcasts_to, f32, same_shape, shape_of, shown, unary, unary_with, widened
from edge_rt.ops._spec import ARITHMETIC, TRANSCENDENTAL, Accuracy, Array, Shape, Types, Values, define
from edge_rt.types import FLOATS, NUMERIC, SIGNED, DType

LINEAR = Accuracy(rtol=2e-6, atol=5e-7)
"""Of a x + b, whose rounding error is that of b where the two cancel."""


def _sigmoid(x: Array) -> Any:
    one = x.dtype.type(1)
    return np.divide(one, np.add(one, np.exp(-x)))


def _swish(x: Array, alpha: float) -> Any:
    return x * _sigmoid(x * x.dtype.type(alpha))


def _softplus(x: Array) -> Any:
    return np.logaddexp(x, x.dtype.type(0))


define("Relu", "X:T -> Y:T", T=FLOATS | SIGNED, since=14, shapes=same_shape,
       reference=lambda attrs, x: np.maximum(x, x.dtype.type(0)))  # fmt: skip
define("Sigmoid", "X:T -> Y:T", T=FLOATS, since=13, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary(_sigmoid))  # fmt: skip
define("Softplus", "X:T -> Y:T", T=FLOATS, since=22, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary(_softplus))  # fmt: skip
define("Softsign", "input:T -> output:T", T=FLOATS, since=22, shapes=same_shape, accuracy=ARITHMETIC,
       reference=unary(lambda x: x / (x.dtype.type(1) + np.absolute(x))))  # fmt: skip
define("Mish", "X:T -> Y:T", T=FLOATS, since=22, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary(lambda x: x * np.tanh(_softplus(x))))  # fmt: skip


# ---- with parameters ------------------------------------------------------------------------------------------------


class LeakyRelu(Attrs):
    alpha = Float(f32(0.01))


class Alpha(Attrs):
    alpha = Float(1.0)


class Selu(Attrs):
    alpha = Float(f32(1.67326319217681884765625))
    gamma = Float(f32(1.05070102214813232421875))


class HardSigmoid(Attrs):
    alpha = Float(f32(0.2))
    beta = Float(0.5)


class Shrink(Attrs):
    lambd = Float(0.5)
    bias = Float(0.0)


class Gelu(Attrs):
    approximate = Str("none", choices=("none", "tanh"))


def _leaky_relu(x: Array, attrs: LeakyRelu) -> Any:
    return np.where(x < 0, x * x.dtype.type(attrs.alpha), x)


def _elu(x: Array, attrs: Alpha) -> Any:
    return np.where(x < 0, np.expm1(np.minimum(x, 0)) * x.dtype.type(attrs.alpha), x)


def _celu(x: Array, attrs: Alpha) -> Any:
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1))"""
    alpha = x.dtype.type(attrs.alpha)
    return np.maximum(x, 0) + np.minimum(alpha * np.expm1(x / alpha), 0)


def _selu(x: Array, attrs: Selu) -> Any:
    kind = x.dtype.type
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)) * kind(attrs.alpha)) * kind(attrs.gamma)


def _hard_sigmoid(x: Array, attrs: HardSigmoid) -> Any:
    kind = x.dtype.type
    return np.clip(x * kind(attrs.alpha) + kind(attrs.beta), kind(0), kind(1))


def _hard_swish(x: Array) -> Any:
    kind = x.dtype.type
    return x * np.clip(x / kind(6) + kind(0.5), kind(0), kind(1))


def _thresholded_relu(x: Array, attrs: Alpha) -> Any:
    return np.where(x > x.dtype.type(attrs.alpha), x, x.dtype.type(0))


def _shrink(attrs: Shrink, x: Array) -> Any:
    """x + bias below -lambd, x - bias above lambd, else 0; of integers rounded toward zero."""
    wide = widened(x) if x.dtype.kind == "f" else x.astype(np.float64)
    kind = wide.dtype.type
    below, above = wide < kind(-attrs.lambd), wide > kind(attrs.lambd)
    result = np.where(below, wide + kind(attrs.bias), np.where(above, wide - kind(attrs.bias), kind(0)))
    return result.astype(x.dtype)


def gelu(x: Array, approximate: str) -> Any:
    """0.5 x (1 + erf(x / sqrt 2)), or its approximation by tanh."""
    kind = x.dtype.type
    if approximate == "tanh":
        inner = np.tanh(kind(np.sqrt(2 / np.pi)) * (x + kind(0.044715) * x * x * x))
    else:
        inner = erf(x * kind(np.sqrt(0.5)))
    return kind(0.5) * x * (kind(1) + inner)


define("LeakyRelu", "X:T -> Y:T", T=FLOATS, since=16, attrs=LeakyRelu, shapes=same_shape, accuracy=ARITHMETIC,
       reference=unary_with(_leaky_relu))  # fmt: skip
define("Elu", "X:T -> Y:T", T=FLOATS, since=22, attrs=Alpha, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary_with(_elu))  # fmt: skip
define("Celu", "X:T -> Y:T", T=FLOATS, since=28, attrs=Alpha, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary_with(_celu))  # fmt: skip
define("Selu", "X:T -> Y:T", T=FLOATS, since=22, attrs=Selu, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary_with(_selu))  # fmt: skip
define("HardSigmoid", "X:T -> Y:T", T=FLOATS, since=22, attrs=HardSigmoid, shapes=same_shape, accuracy=LINEAR,
       reference=unary_with(_hard_sigmoid))  # fmt: skip
define("HardSwish", "X:T -> Y:T", T=FLOATS, since=22, shapes=same_shape, accuracy=LINEAR,
       reference=unary(_hard_swish))  # fmt: skip
define("ThresholdedRelu", "X:T -> Y:T", T=FLOATS, since=22, attrs=Alpha, shapes=same_shape,
       reference=unary_with(_thresholded_relu))  # fmt: skip
define("Shrink", "input:T -> output:T", T=NUMERIC, since=9, attrs=Shrink, shapes=same_shape, accuracy=LINEAR,
       reference=_shrink)  # fmt: skip
define("Swish", "X:T -> Y:T", T=FLOATS, since=24, attrs=Alpha, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary_with(lambda x, attrs: _swish(x, attrs.alpha)))  # fmt: skip
define("Gelu", "X:T -> Y:T", T=FLOATS, since=20, attrs=Gelu, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary_with(lambda x, attrs: gelu(x, attrs.approximate)))  # fmt: skip
define("com.microsoft.Gelu", "X:T -> Y:T", T=FLOATS, shapes=same_shape, accuracy=TRANSCENDENTAL,
       reference=unary(lambda x: gelu(x, "none")))  # fmt: skip


# ---- with two inputs ------------------------------------------------------------------------------------------------


def _prelu_shapes(attrs: Attrs, types: Types, values: Values) -> list[Shape]:
    broadcasts_to(shape_of(types, 1), shape_of(types), "slope")
    return [shape_of(types)]


def _prelu(attrs: Attrs, x: Array, slope: Array) -> Any:
    return np.where(x < 0, np.multiply(x, slope), x)


def _swiglu_shapes(attrs: Alpha, types: Types, values: Values) -> list[Shape]:
    a, b = shape_of(types), shape_of(types, 1)
    if len(a) != len(b) or any(isinstance(m, int) and isinstance(n, int) and m != n for m, n in zip(a, b)):
        raise GraphError(f"shapes must be equal, got {shown(a)} and {shown(b)}")
    return [[n if isinstance(n, int) else m for m, n in zip(a, b)]]


def _swiglu(attrs: Alpha, a: Array, b: Array) -> Any:
    return (_swish(widened(a), attrs.alpha) * widened(b)).astype(a.dtype)


define("PRelu", "X:T slope:T -> Y:T", since=16, shapes=_prelu_shapes, accuracy=ARITHMETIC, reference=_prelu,
       T=FLOATS | {DType.INT32, DType.INT64, DType.UINT32, DType.UINT64})  # fmt: skip
define("SwiGLU", "A:T B:T -> Y:T", T=FLOATS, since=28, attrs=Alpha, shapes=_swiglu_shapes, accuracy=TRANSCENDENTAL,
       reference=_swiglu)  # fmt: skip
