"""InputSpec: what a layer takes, checked before it is built and at every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_rt.errors import AuthoringError

Shape = tuple["int | None", ...]


class InputSpec:
    """Conditions on an input: dtype, shape (None for any size), ndim, min_ndim, max_ndim, axes (size by axis)."""

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}

    def unmet(self, dtype: str, shape: Shape) -> str | None:
        """What an input of this dtype and shape should be; None if it fits."""
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim:
            return f"ndim={self.ndim}"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"max_ndim={self.max_ndim}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"min_ndim={self.min_ndim}"
        if self.dtype is not None and dtype != self.dtype:
            return f"dtype={self.dtype}"
        for axis, size in self.axes.items():
            known = -rank <= axis < rank
            if not known or (size is not None and shape[axis] not in (size, None)):
                return f"axis {axis} of size {size}"
        if self.shape is not None and any(s is not None and d not in (s, None) for s, d in zip(self.shape, shape)):
            return f"shape {self.shape}"
        return None

    def __repr__(self) -> str:
        fields = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return f"InputSpec({', '.join(f'{n}={getattr(self, n)}' for n in fields if getattr(self, n))})"


def check_inputs(layer: str, specs: Any, inputs: Sequence[Any]) -> None:
    """Raises AuthoringError that names the layer, what it expects and what it got, unless the tensors meet the specs."""
    wanted = list(specs) if isinstance(specs, (list, tuple)) else [specs]
    if len(wanted) != len(inputs):
        raise AuthoringError(f"layer '{layer}': expected {len(wanted)} inputs, got {len(inputs)}")
    for i, (spec, x) in enumerate(zip(wanted, inputs)):
        if spec is None or x.shape is None:
            continue
        unmet = spec.unmet(x.dtype.name, x.shape)
        if unmet is not None:
            which = f"input {i}" if len(inputs) > 1 else "an input"
            raise AuthoringError(f"layer '{layer}': expected {which} with {unmet}, got shape {x.shape}, {x.dtype}")
