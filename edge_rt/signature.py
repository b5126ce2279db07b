"""What a model takes and gives: named, typed tensors, and the check of a call's inputs against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_rt.dims import Sym
from edge_rt.errors import InputError
from edge_rt.graph import Graph
from edge_rt.instance import is_dense
from edge_rt.types import Dim, TensorType

Array = np.ndarray[Any, Any]


class TensorInfo:
    """Name, dtype (NumPy's) and shape of an input or output; symbolic sizes are strings, None is an unknown rank."""

    __slots__ = ("_type", "name")

    def __init__(self, name: str, type: TensorType) -> None:
        self.name, self._type = name, type

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._type.dtype.numpy

    @property
    def shape(self) -> tuple[int | str, ...] | None:
        if self._type.shape is None:
            return None
        return tuple(d if isinstance(d, int) else str(d) for d in self._type.shape)

    @property
    def type(self) -> TensorType:
        return self._type

    def __repr__(self) -> str:
        return f"{self.name}: {self._type}"


class Signature:
    """One entry point of a model."""

    __slots__ = ("graph", "input_names", "inputs", "name", "outputs")

    def __init__(self, name: str, graph: Graph) -> None:
        self.name, self.graph = name, graph
        self.inputs = tuple(TensorInfo(v.name, v.type) for v in graph.inputs)
        self.input_names = tuple(i.name for i in self.inputs)
        self.outputs = tuple(TensorInfo(n, v.type) for n, v in zip(graph.output_names, graph.outputs))

    def check(self, inputs: Mapping[str, Any]) -> list[Array]:
        """The inputs as C-contiguous arrays, in order. Raises InputError that names input, expected and got."""
        if len(inputs) != len(self.inputs) or not all(i.name in inputs for i in self.inputs):
            self._wrong_names(inputs)
        sizes: dict[Dim, int] = {}
        arrays = []
        for info in self.inputs:
            given = inputs[info.name]
            if type(given) is np.ndarray and given.dtype == info.dtype:
                array = given
            else:
                array = _as_array(info, given)
            _check_shape(info, array.shape, sizes)
            if not is_dense(array):
                array = np.array(array, order="C")
            arrays.append(array)
        return arrays

    def accepts(self, inputs: Mapping[str, Any]) -> bool:
        """Whether `check` would pass."""
        try:
            self.check(inputs)
        except InputError:
            return False
        return True

    def _wrong_names(self, inputs: Mapping[str, Any]) -> None:
        expected = ", ".join(i.name for i in self.inputs) or "none"
        got = ", ".join(map(str, inputs)) or "none"
        raise InputError(f"signature '{self.name}': expected the inputs {expected}, got {got}")

    def __repr__(self) -> str:
        inputs, outputs = ", ".join(map(repr, self.inputs)), ", ".join(map(repr, self.outputs))
        return f"{self.name}({inputs}) -> ({outputs})"


def _as_array(info: TensorInfo, given: Any) -> Array:
    """An object that is not an array of the right dtype: other arrays are refused, scalars converted where exact."""
    expected = info.dtype
    if isinstance(given, (bool, int, float, complex, np.generic)):
        return _exact_scalar(info, given)
    if not isinstance(given, np.ndarray) and not hasattr(given, "__array__"):
        raise InputError(f"input '{info.name}': expected a {info.type} array, got {type(given).__name__}")
    array = np.asarray(given)
    if array.dtype != expected:
        raise InputError(f"input '{info.name}': expected dtype {expected}, got {array.dtype}")
    if isinstance(given, np.ndarray) and np.any(getattr(given, "mask", False)):
        raise InputError(f"input '{info.name}': the model would see what the mask hides; give it array.filled(...)")
    return array.astype(expected, copy=False)


def _exact_scalar(info: TensorInfo, given: Any) -> Array:
    expected = info.dtype
    if isinstance(given, (bool, np.bool_)) != (expected.kind == "b"):
        raise InputError(f"input '{info.name}': expected dtype {expected}, got {given!r}")
    try:
        with np.errstate(all="ignore"):
            array = np.array(given).astype(expected)
    except (OverflowError, TypeError, ValueError):
        raise InputError(f"input '{info.name}': {expected} does not represent {given!r} exactly") from None
    exact = array.item() == given or (given != given and expected.kind in "fc")
    if not exact:
        raise InputError(f"input '{info.name}': {expected} does not represent {given!r} exactly")
    return array


def _check_shape(info: TensorInfo, got: Sequence[int], sizes: dict[Dim, int]) -> None:
    shape = info.type.shape
    if shape is None or shape == got:
        return
    matches = len(shape) == len(got) and all(
        want == size if not isinstance(want, Sym) else sizes.setdefault(want, size) == size
        for want, size in zip(shape, got)
    )
    if not matches:
        known = ", ".join(f"{s} = {n}" for s, n in sizes.items() if isinstance(s, Sym))
        note = f" (where {known})" if known else ""
        wanted = ", ".join(map(str, shape))
        raise InputError(f"input '{info.name}': expected shape ({wanted}){note}, got {tuple(got)}")
