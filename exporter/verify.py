"""Inputs to try a model with, and the comparison of its outputs with those of the source runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from edge_rt.dims import Sym
from edge_rt.errors import VerificationError
from edge_rt.graph import Graph
from edge_rt.types import DType, TensorType
from exporter.importers import Oracle, OracleError

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-3
"""Largest difference of a float output, relative to the output's largest magnitude."""

HALF_TOLERANCE = 1e-2
"""The same for float16 outputs, whose own rounding is 1e-3 already."""

TRIED_SIZES = (16, 64, 1, 224, 576, 1024, 16000)
"""Numbers tried for sizes without one until the source runtime accepts them; a leading size (the batch) is always 1."""


class Difference(NamedTuple):
    """How far an output is from the source model's. relative: to the largest magnitude in the expected output."""

    output: str
    absolute: float
    relative: float
    allowed: float
    """What `relative` may be; for integers and booleans 0, for 8-bit integers one step."""

    @property
    def is_within(self) -> bool:
        return self.relative <= self.allowed

    def __str__(self) -> str:
        return f"{self.output}: max |difference| {self.absolute:.3g}, {self.relative:.3g} of the largest value"


def compare(name: str, expected: Array, got: Array) -> Difference:
    """The largest difference of two outputs. Raises VerificationError where dtype or shape differ, or where a NaN or
    an infinity stands in one of them only."""
    if expected.dtype != got.dtype or expected.shape != got.shape:
        raise VerificationError(
            f"output '{name}': the source model gives {expected.dtype}{list(expected.shape)}, "
            f"the exported one {got.dtype}{list(got.shape)}"
        )
    kind = expected.dtype.kind
    allowed = 0.0 if kind not in "fc" else HALF_TOLERANCE if expected.dtype == np.float16 else TOLERANCE
    if expected.size == 0:
        return Difference(name, 0.0, 0.0, allowed)
    wide: Any = np.complex128 if kind == "c" else np.float64
    a, b = expected.astype(wide), got.astype(wide)
    finite = np.isfinite(a)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not same[~finite | ~np.isfinite(b)].all():
        raise VerificationError(f"output '{name}': a NaN or an infinity stands in one of the outputs only")
    absolute = float(np.max(np.abs(np.where(finite, a - b, 0)), initial=0.0))
    largest = float(np.max(np.abs(np.where(finite, a, 0)), initial=0.0))
    if expected.dtype.itemsize == 1 and kind in "iu":
        allowed = 1 / largest if largest else 0.0
    relative = absolute / largest if largest else absolute
    return Difference(name, absolute, relative, allowed)


def compare_all(expected: Mapping[str, Array], got: Mapping[str, Array]) -> list[Difference]:
    """Differences of all outputs. Raises VerificationError that lists those beyond tolerance."""
    differences = [compare(name, expected[name], got[name]) for name in expected]
    beyond = [str(d) for d in differences if not d.is_within]
    if beyond:
        raise VerificationError(f"outputs differ from the source model's: {'; '.join(beyond)}")
    return differences


def sample_inputs(graph: Graph, size: int, seed: int = 0) -> dict[str, Array]:
    """Random inputs of a graph, the same for the same seed.

    Sizes that are not numbers become `size`, leading ones 1. Floats are normal; wide integers are 0 or 1, which any
    vocabulary and any mask accepts; 8-bit integers take all their values.
    """
    rng = np.random.default_rng(seed)
    sizes: dict[Sym, int] = {}
    return {v.name: _sample(rng, v.type, _shape(v.type, size, sizes)) for v in graph.inputs}


def _shape(type: TensorType, size: int, sizes: dict[Sym, int]) -> tuple[int, ...]:
    dims = type.shape if type.shape is not None else ()
    return tuple(
        sizes.setdefault(d, 1 if axis == 0 else size) if isinstance(d, Sym) else d for axis, d in enumerate(dims)
    )


def _sample(rng: np.random.Generator, type: TensorType, shape: tuple[int, ...]) -> Array:
    dtype = type.dtype.numpy
    if type.dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    if type.dtype.is_float:
        return np.asarray(rng.standard_normal(shape)).astype(dtype)
    if type.dtype in (DType.INT8, DType.UINT8):
        limits = np.iinfo(dtype)
        return np.asarray(rng.integers(limits.min, limits.max, shape, dtype, endpoint=True))
    return np.asarray(rng.integers(0, 2, shape)).astype(dtype)


def sample(graph: Graph, oracle: Oracle) -> tuple[dict[str, Array], dict[str, Array]]:
    """Random inputs that the source runtime accepts, and its outputs for them. Raises OracleError if none are found."""
    is_static = all(v.type.is_static for v in graph.inputs)
    for size in TRIED_SIZES:
        inputs = sample_inputs(graph, size)
        try:
            return inputs, oracle.run(inputs)
        except OracleError as error:
            failure = error
        if is_static:
            break
    raise failure
