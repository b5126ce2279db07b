"""TensorSpec: dtype, shape and name of a tensor that a function takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import numpy as np

from edge_rt.dims import Sym, symbol
from edge_rt.errors import AuthoringError
from edge_rt.types import Dim, TensorType
from exporter.authoring.tensor import as_dtype

Size = Union[int, str, None]


class TensorSpec:
    """What a function's input must be. shape: numbers, None for a size that a call tells, or a name for one that must be
    the same wherever the name stands; None as a whole for an unknown rank. dtype: float32 by default."""

    __slots__ = ("_dtype", "name", "sizes")

    def __init__(self, shape: Sequence[Size] | None, dtype: Any = "float32", name: str | None = None) -> None:
        self.sizes = None if shape is None else tuple(_size(s) for s in shape)
        self._dtype = as_dtype(dtype)
        self.name = name

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        return None if self.sizes is None else tuple(s if isinstance(s, int) else None for s in self.sizes)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype.numpy

    @staticmethod
    def of(type: TensorType, name: str | None = None) -> TensorSpec:
        """The spec of tensors of this type."""
        sizes = None if type.shape is None else [str(s) if isinstance(s, Sym) else s for s in type.shape]
        return TensorSpec(sizes, type.dtype, name)

    def type(self, name: str) -> TensorType:
        """The type of an input called `name`: sizes that are None get names after it."""
        if self.sizes is None:
            return TensorType(self._dtype, None)
        dims: list[Dim] = []
        for axis, size in enumerate(self.sizes):
            dims.append(size if isinstance(size, int) else symbol(size or f"{name}.{axis}"))
        return TensorType(self._dtype, dims)

    def accepts(self, x: TensorType) -> bool:
        """Whether a tensor of this type matches."""
        if x.dtype is not self._dtype:
            return False
        if self.sizes is None:
            return True
        return (
            x.shape is not None
            and len(x.shape) == len(self.sizes)
            and all(not isinstance(s, int) or s == d for s, d in zip(self.sizes, x.shape))
        )

    def check(self, x: TensorType, where: str) -> None:
        """Raises AuthoringError unless `accepts`."""
        if not self.accepts(x):
            raise AuthoringError(f"{where}: expected {self!r}, got {x}")

    @property
    def key(self) -> tuple[Any, ...]:
        return self._dtype.value, self.sizes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and (self.key, self.name) == (other.key, other.name)

    def __hash__(self) -> int:
        return hash((self.key, self.name))

    def __repr__(self) -> str:
        shape = None if self.sizes is None else f"({', '.join(map(str, self.sizes))}{',' * (len(self.sizes) == 1)})"
        return f"TensorSpec(shape={shape}, dtype={self._dtype.value}, name={self.name!r})"


def _size(size: Size) -> Size:
    if size is None or isinstance(size, str):
        return size
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size >= 0:
        return int(size)
    raise AuthoringError(f"a size must be a number of at least 0, a name or None, got {size!r}")
