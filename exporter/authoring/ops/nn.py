"""Activations and other parts of neural networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exporter.authoring.dispatch import apply, convert
from exporter.authoring.ops import math
from exporter.authoring.tensor import Tensor


def _activation(op: str, what: str, **attributes: Any) -> Callable[..., Tensor]:
    def function(x: Any, name: str | None = None) -> Tensor:
        result: Tensor = apply(op, x, name=name, **attributes)
        return result

    function.__doc__ = f"{what}: the operator {op}."
    return function


relu = _activation("Relu", "max(x, 0)")
selu = _activation("Selu", "scale * (x if x > 0 else alpha * (exp(x) - 1))")
sigmoid = math.sigmoid
softplus = math.softplus
softsign = _activation("Softsign", "x / (1 + |x|)")
mish = _activation("Mish", "x * tanh(softplus(x))")
silu = _activation("Swish", "x * sigmoid(x)")
swish = silu
hard_swish = _activation("HardSwish", "x * relu6(x + 3) / 6")
hard_sigmoid = _activation("HardSigmoid", "relu6(x + 3) / 6", alpha=1 / 6)
tanh = math.tanh


def relu6(x: Any, name: str | None = None) -> Tensor:
    """min(max(x, 0), 6)."""
    return math.clip_by_value(x, 0, 6, name=name)


def leaky_relu(x: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """x if x >= 0 else alpha * x."""
    result: Tensor = apply("LeakyRelu", x, alpha=alpha, name=name)
    return result


def elu(x: Any, alpha: float = 1.0, name: str | None = None) -> Tensor:
    """x if x > 0 else alpha * (exp(x) - 1)."""
    result: Tensor = apply("Elu", x, alpha=alpha, name=name)
    return result


def celu(x: Any, alpha: float = 1.0, name: str | None = None) -> Tensor:
    """x if x > 0 else alpha * (exp(x / alpha) - 1)."""
    result: Tensor = apply("Celu", x, alpha=alpha, name=name)
    return result


def gelu(x: Any, approximate: bool = False, name: str | None = None) -> Tensor:
    """x times the normal distribution's cumulative function; `approximate` by tanh."""
    result: Tensor = apply("Gelu", x, approximate="tanh" if approximate else "none", name=name)
    return result


def softmax(x: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis."""
    result: Tensor = apply("Softmax", x, axis=axis, name=name)
    return result


def log_softmax(x: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """x - log(sum(exp(x))) along an axis."""
    result: Tensor = apply("LogSoftmax", x, axis=axis, name=name)
    return result


def bias_add(x: Any, bias: Any, name: str | None = None) -> Tensor:
    """x + bias, over the last axis."""
    x = convert(x)
    return math.add(x, convert(bias, x.type.dtype), name=name)


def moments(x: Any, axes: Any, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance over the given axes."""
    return math.reduce_mean(x, axes, keepdims), math.reduce_variance(x, axes, keepdims)


def dropout(x: Any, rate: float) -> Tensor:
    """Zeros with probability `rate`, and x / (1 - rate) elsewhere. In a graph it draws anew in each call."""
    from exporter.authoring.ops.array import where, zeros_like
    from exporter.authoring.ops.random import uniform_like

    x = convert(x)
    kept = math.greater_equal(uniform_like(x), rate)
    return where(kept, math.multiply(x, 1 / (1 - rate)), zeros_like(x))
