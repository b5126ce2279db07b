"""A row of the op test table."""

from __future__ import annotations

from typing import Any

import numpy as np


class Case:
    """An operator with attributes and inputs.

    native: whether a kernel must cover it (a NumPy step fails the test). constants: positions of the inputs that are
    constants of the graph rather than its inputs (weights); those that decide shapes always are.
    """

    __slots__ = ("attributes", "constants", "inputs", "name", "native", "op")

    def __init__(
        self, op: str, *inputs: np.ndarray[Any, Any] | None, name: str = "", native: bool = False,
        constants: tuple[int, ...] = (), **attributes: Any,
    ) -> None:  # fmt: skip
        self.op, self.inputs, self.native, self.attributes = op, inputs, native, attributes
        self.constants = constants
        shapes = "-".join("none" if x is None else f"{x.dtype}{list(x.shape)}".replace(" ", "") for x in inputs)
        self.name = f"{op}-{name or shapes}"

    def __repr__(self) -> str:
        return self.name


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray[Any, Any]:
    """float32 numbers from a normal distribution."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def integers(*shape: int, low: int = 0, high: int = 10, dtype: Any = np.int64, seed: int = 0) -> np.ndarray[Any, Any]:
    """Integers in [low, high)."""
    return np.random.default_rng(seed).integers(low, high, shape, dtype=dtype)
