"""Wrong arguments of calls, told apart from wrong contents: loaded when something went wrong, or where nothing is fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_rt.errors import InputError


def require_named(inputs: Any) -> None:
    """Raises InputError unless these can be inputs by name."""
    if not hasattr(inputs, "keys"):
        kind = type(inputs).__name__
        raise InputError(f"inputs must be arrays by name, {{'x': array}}, got {kind}; model(array, ...) takes them in order")


def require_target(name: str, target: Any) -> None:
    """Raises InputError unless `target` is an array that an output can be written to."""
    if not isinstance(target, np.ndarray):
        raise InputError(f"out '{name}': expected an array, got {type(target).__name__}")
    if not target.flags.writeable:
        raise InputError(f"out '{name}': the array is read-only")


def require_shapes(shapes: Any, names: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """The shapes of inputs, {name: sizes}, as tuples of int. Raises InputError."""
    if not hasattr(shapes, "items"):
        raise InputError(f"shapes must be sizes by name, {{'x': (1, 3)}}, got {type(shapes).__name__}")
    made = {}
    for name, shape in shapes.items():
        if name not in names:
            raise InputError(f"shapes: no input is named '{name}', there are {', '.join(names) or 'none'}")
        is_shape = isinstance(shape, (tuple, list)) or (isinstance(shape, np.ndarray) and shape.ndim == 1)
        if not is_shape or not all(isinstance(size, (int, np.integer)) and size >= 0 for size in shape):
            raise InputError(f"shapes: sizes of '{name}' must be numbers that are not negative, got {shape!r}")
        made[name] = tuple(int(size) for size in shape)
    return made
