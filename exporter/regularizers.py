"""Regularisers: losses of weights or outputs, with Keras 3's names, arguments and defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.dispatch import convert
from exporter.authoring.ops import array, math
from exporter.authoring.tensor import Tensor

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "get"]


class Regularizer:
    """Base. A subclass computes a scalar in `__call__` and has its constructor's arguments as attributes."""

    arguments: tuple[str, ...] = ()

    def __call__(self, x: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**config)


class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x * x)."""

    arguments: tuple[str, ...] = ("l1", "l2")

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1, self.l2 = float(l1 or 0), float(l2 or 0)

    def __call__(self, x: Any) -> Tensor:
        total = array.zeros((), convert(x).type.dtype)
        if self.l1:
            total = math.add(total, math.multiply(self.l1, math.reduce_sum(math.abs(x))))
        if self.l2:
            total = math.add(total, math.multiply(self.l2, math.reduce_sum(math.square(x))))
        return total


class L1(L1L2):
    """l1 * sum(|x|)."""

    arguments = ("l1",)

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1, 0)


class L2(L1L2):
    """l2 * sum(x * x)."""

    arguments = ("l2",)

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(0, l2)


class OrthogonalRegularizer(Regularizer):
    """factor times the mean of |cosine| over all pairs of rows (mode "rows") or columns of a matrix."""

    arguments = ("factor", "mode")

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise AuthoringError(f"OrthogonalRegularizer: mode must be rows or columns, got {mode!r}")
        self.factor, self.mode = float(factor), mode

    def __call__(self, x: Any) -> Tensor:
        x = convert(x)
        if x.ndim != 2:
            raise AuthoringError(f"OrthogonalRegularizer: the weight must be a matrix, got {x.type}")
        rows = self.mode == "rows"
        unit = math.l2_normalize(x, axis=1 if rows else 0)
        product = math.matmul(unit, unit, transpose_a=not rows, transpose_b=rows)
        size = x.shape[0 if rows else 1]
        others = math.multiply(product, array.ones_like(product) - array.eye(size, dtype=x.type.dtype))
        pairs = max(1.0, size * (size - 1) / 2)
        return math.multiply(math.reduce_sum(math.abs(others)), self.factor * 0.5 / pairs)


def get(identifier: Any) -> Callable[..., Any] | None:
    """A regulariser for a name ("l2"), a config, a regulariser or a function; None for None."""
    names = {"l1": L1, "l2": L2, "l1l2": L1L2, "l1_l2": L1L2, "orthogonal": OrthogonalRegularizer}
    return _get(identifier, names, "regularizer")  # type: ignore[no-any-return]


def _get(identifier: Any, names: Mapping[str, Any], what: str) -> Any:
    from exporter.layers.serialization import deserialize, is_object, named

    if is_object(identifier):
        identifier = deserialize(identifier)
    if isinstance(identifier, str):
        identifier = names.get(identifier) or named(identifier, what)
    if isinstance(identifier, type):
        identifier = identifier()
    if identifier is None or callable(identifier):
        return identifier
    raise AuthoringError(f"a {what} must be a name, a config or a function, got {identifier!r}")
