"""Inputs to try a model with, and the comparison of its outputs with those of the source runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from edge_rt import verification
from edge_rt.dims import Sym
from edge_rt.errors import InferenceError, VerificationError
from edge_rt.graph import Graph, Value
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import DType, TensorType
from exporter.importers import Oracle, OracleError
from exporter.vocabulary import vocabulary

Array = np.ndarray[Any, Any]

TRIED_SIZES = (16, 64, 1, 224, 576, 1024, 16000)
"""Numbers tried for sizes without one until the source runtime accepts them; a leading size (the batch) is always 1."""


NUDGES = 3
"""How often a model is run on inputs that differ in their last bits, to see whether its outputs are stable."""

NUDGE = 8
"""By how many units in the last place of one those inputs may differ."""


class Difference(NamedTuple):
    """How far an output is from the source model's. relative: to the largest magnitude in the source model's output."""

    output: str
    largest: float
    relative: float

    def __str__(self) -> str:
        return f"{self.output}: largest difference {self.largest:.3g}, {self.relative:.3g} of the largest magnitude"


def compare(
    expected: Mapping[str, Array], got: Mapping[str, Array], instability: Mapping[str, float] | None = None,
    refuse: bool = True,
) -> list[Difference]:  # fmt: skip
    """Differences of all outputs, by the rule of `edge-rt verify`. Raises VerificationError for those too large.

    instability: relative differences that are allowed as well, because the source model shows them by itself. refuse: if
    False, any difference of numbers is allowed, because weights were rounded on request; NaN and infinities are not.
    """
    found, beyond = [], []
    for name, array in expected.items():
        if got[name].shape != array.shape or got[name].dtype != array.dtype:
            beyond.append(f"{name}: expected {TensorType.of(array)}, got {TensorType.of(got[name])}")
            continue
        largest, relative, is_allowed = verification.compare(got[name], array)
        found.append(Difference(name, largest, relative))
        bound = (instability or {}).get(name, 0.0) if refuse else np.finfo(np.float64).max
        if not is_allowed and not relative <= bound:
            beyond.append(str(found[-1]))
    if beyond:
        raise VerificationError(f"outputs differ from the source model's: {'; '.join(beyond)}")
    return found


def instability(oracle: Oracle, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> dict[str, float]:
    """How much the source model's own outputs change, relative to their largest magnitude, when its inputs change in
    their last bits; only outputs that change by more than any runtime may be off.

    Models that quantise activations while they run are so: one value that is rounded the other way early on shows in
    every output. Raises OracleError if the source runtime does not run the model.
    """
    found: dict[str, float] = {}
    rng = np.random.default_rng(0)
    for _ in range(NUDGES if any(a.dtype.kind == "f" for a in inputs.values()) else 0):
        nudged = oracle.run({name: _nudged(rng, a) for name, a in inputs.items()})
        for name, stable in outputs.items():
            _, relative, is_allowed = verification.compare(nudged[name], stable)
            if not is_allowed:
                found[name] = max(relative, found.get(name, 0.0))
    return found


def _nudged(rng: np.random.Generator, array: Array) -> Array:
    if array.dtype.kind != "f":
        return array
    factor = 1 + rng.uniform(-NUDGE, NUDGE, array.shape) * float(np.finfo(array.dtype).eps)
    return np.asarray(array * factor).astype(array.dtype)


def sample_inputs(graph: Graph, size: int) -> dict[str, Array]:
    """Random inputs of a graph, the same in each call.

    Sizes that are not numbers become `size`, leading ones 1. Floats are normal; wide integers are below what `vocabulary`
    finds; 8-bit integers take all their values.
    """
    rng = np.random.default_rng(0)
    sizes: dict[Sym, int] = {}
    return {v.name: _sample(rng, v, _shape(v.type, size, sizes)) for v in graph.inputs}


def _shape(type: TensorType, size: int, sizes: dict[Sym, int]) -> tuple[int, ...]:
    dims = type.shape if type.shape is not None else ()
    return tuple(
        sizes.setdefault(d, 1 if axis == 0 else size) if isinstance(d, Sym) else d for axis, d in enumerate(dims)
    )


def _sample(rng: np.random.Generator, value: Value, shape: tuple[int, ...]) -> Array:
    dtype = value.type.dtype
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype.numpy)
    if dtype.is_float:
        return np.asarray(rng.standard_normal(shape)).astype(dtype.numpy)
    if dtype in (DType.INT8, DType.UINT8):
        limits = np.iinfo(dtype.numpy)
        return np.asarray(rng.integers(limits.min, limits.max, shape, dtype.numpy, endpoint=True))
    return np.asarray(rng.integers(0, vocabulary(value), shape)).astype(dtype.numpy)


def sample(graph: Graph, oracle: Oracle) -> tuple[dict[str, Array], dict[str, Array]]:
    """Random inputs that the source runtime and the operators' shape rules accept, and the runtime's outputs for them.

    (onnxruntime pools over windows that do not fit, for one.) Raises OracleError or InferenceError if none are found.
    """
    is_static = all(v.type.is_static for v in graph.inputs)
    failure: Exception
    for size in TRIED_SIZES[: 1 if is_static else None]:
        inputs = sample_inputs(graph, size)
        try:
            outputs = oracle.run(inputs)
            plan = Plan(graph)
            contents = {s: inputs[v.name] for s, v in zip(plan.inputs, graph.inputs) if s in plan.decisive}
            state = [v.initial for v in graph.variables]
            Runner(plan, None, None, state).binding_for([TensorType.of(inputs[v.name]) for v in graph.inputs], contents)
        except (OracleError, InferenceError) as error:
            failure = error
        else:
            return inputs, outputs
    raise failure
