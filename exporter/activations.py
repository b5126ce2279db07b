"""Activation functions, with Keras 3's names, arguments and defaults. `get` finds one by name; None is `linear`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.dispatch import apply, convert
from exporter.authoring.ops import array, math, nn
from exporter.authoring.tensor import Tensor

__all__ = [
    "celu", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish",
    "tanh", "tanh_shrink", "threshold",
]  # fmt: skip

Activation = Callable[..., Any]


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """x between `threshold` and `max_value`; below the threshold negative_slope * (x - threshold)."""
    if not threshold and max_value is None:
        return leaky_relu(x, negative_slope) if negative_slope else nn.relu(x)
    x = convert(x)
    positive = nn.relu(x) if not threshold else math.multiply(x, math.cast(math.greater(x, threshold), x.type.dtype))
    if max_value is not None:
        positive = math.clip_by_value(positive if threshold else x, 0, max_value)
    if not negative_slope:
        return positive
    return math.subtract(positive, math.multiply(negative_slope, nn.relu(math.subtract(threshold, x))))


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6)."""
    return nn.relu6(x)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x if x >= 0 else negative_slope * x."""
    return nn.leaky_relu(x, negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x if x > 0 else alpha * (exp(x) - 1)."""
    return nn.elu(x, alpha)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x if x > 0 else alpha * (exp(x / alpha) - 1)."""
    return nn.celu(x, alpha)


def selu(x: Any) -> Tensor:
    """scale * (x if x > 0 else alpha * (exp(x) - 1))."""
    return nn.selu(x)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution's cumulative function; `approximate` by tanh."""
    return nn.gelu(x, approximate)


def glu(x: Any, axis: int = -1) -> Tensor:
    """The first half of x along an axis, times the sigmoid of the second."""
    first, second = array.split(x, 2, axis)
    return math.multiply(first, nn.sigmoid(second))


def silu(x: Any) -> Tensor:
    """x * sigmoid(x)."""
    return nn.silu(x)


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x))."""
    return nn.mish(x)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    return nn.sigmoid(x)


def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6."""
    return nn.hard_sigmoid(x)


def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x)."""
    return nn.hard_swish(x)


def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x))."""
    return math.negative(nn.softplus(math.negative(x)))


def sparse_sigmoid(x: Any) -> Tensor:
    """(x + 1) / 2, within 0 and 1."""
    result: Tensor = apply("HardSigmoid", x, alpha=0.5, beta=0.5)
    return result


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent."""
    return nn.tanh(x)


def hard_tanh(x: Any) -> Tensor:
    """x, within -1 and 1."""
    return math.clip_by_value(x, -1, 1)


def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    return math.subtract(x, nn.tanh(x))


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x, `threshold` closer to 0; 0 within it."""
    result: Tensor = apply("Shrink", x, lambd=threshold, bias=threshold)
    return result


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x, but 0 within `threshold` of 0."""
    result: Tensor = apply("Shrink", x, lambd=threshold)
    return result


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where it is above `threshold`, else `default_value`."""
    return array.where(math.greater(x, threshold), x, default_value)


def softplus(x: Any) -> Tensor:
    """log(exp(x) + 1)."""
    return nn.softplus(x)


def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x * x + b)) / 2."""
    return math.multiply(math.add(x, math.sqrt(math.add(math.square(x), b))), 0.5)


def sparse_plus(x: Any) -> Tensor:
    """0 below -1, x above 1, ((x + 1) / 2) ** 2 between."""
    between = math.square(math.multiply(math.add(x, 1), 0.5))
    return array.where(math.less_equal(x, -1), 0, array.where(math.less(x, 1), between, x))


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return nn.softsign(x)


def exponential(x: Any) -> Tensor:
    """exp(x)."""
    return math.exp(x)


def linear(x: Any) -> Any:
    """x itself."""
    return x


def softmax(x: Any, axis: int | Sequence[int] = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis, or over several together."""
    return _over(nn.softmax, x, axis)


def log_softmax(x: Any, axis: int | Sequence[int] = -1) -> Tensor:
    """The logarithm of `softmax`."""
    return _over(nn.log_softmax, x, axis)


def _over(function: Activation, x: Any, axis: int | Sequence[int]) -> Tensor:
    """A function along one axis, applied along several together."""
    if isinstance(axis, int):
        return function(x, axis)  # type: ignore[no-any-return]
    x = convert(x)
    joined = [a % x.ndim for a in axis]
    perm = [a for a in range(x.ndim) if a not in joined] + joined
    moved = array.transpose(x, perm)
    kept = x.ndim - len(joined)
    flat = array.reshape(moved, [*[None] * kept, -1])
    result = array.reshape(function(flat, -1), array.shape(moved))
    return array.transpose(result, np.argsort(perm).tolist())


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The closest point of the simplex along an axis: max(x - tau, 0), with tau so that the sum is 1."""
    x = convert(x)
    last = x.ndim - 1
    perm = [a for a in range(x.ndim) if a != axis % x.ndim] + [axis % x.ndim]
    rows = array.transpose(x, perm) if perm[-1] != last or perm != sorted(perm) else x
    count = rows.shape[-1]
    if count is None:
        raise AuthoringError(f"sparsemax: the size along axis {axis} must be known")
    values, _ = array.top_k(rows, count)
    sums = math.cumsum(values, -1)
    places = np.arange(1, count + 1, dtype=x.dtype)
    is_in = math.cast(math.greater(math.add(math.multiply(values, places), 1), sums), x.dtype)
    size = math.reduce_sum(is_in, -1, keepdims=True)
    total = math.reduce_sum(math.multiply(values, is_in), -1, keepdims=True)
    made = nn.relu(math.subtract(rows, math.divide(math.subtract(total, 1), size)))
    return made if rows is x else array.transpose(made, np.argsort(perm).tolist())


swish = silu
hard_swish = hard_silu

_BY_NAME: dict[str, Activation] = {name: globals()[name] for name in __all__ if name != "get"}
_NAMES = {function: name for name, function in _BY_NAME.items() if function.__name__ == name}


def name_of(function: Any) -> str | None:
    """The name of an activation of this module, None for anything else."""
    return _NAMES.get(function) if callable(function) else None


def get(identifier: Any) -> Activation:
    """An activation for a name, a config of a registered function or of an activation layer, a function, or None.

    Raises AuthoringError for anything else.
    """
    from exporter.layers.serialization import deserialize, is_object, named

    if identifier is None:
        return linear
    if is_object(identifier):
        identifier = deserialize(identifier)
    if isinstance(identifier, str):
        identifier = _BY_NAME.get(identifier) or named(identifier, "activation")
    if callable(identifier):
        found: Activation = identifier
        return found
    raise AuthoringError(f"an activation must be a name, a config or a function, got {identifier!r}")
