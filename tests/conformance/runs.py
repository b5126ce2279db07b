"""Running a node test by one of our runtimes, or by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from edge_rt import native
from edge_rt.errors import EdgeError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from exporter.importers import OracleError
from exporter.importers.onnx import import_onnx
from exporter.importers.onnx._runtime import OnnxRuntime
from exporter.passes import optimize
from tests.conformance.cases import NodeCase

Array = np.ndarray[Any, Any]
RANDOM = "random numbers: ONNX does not say which generator makes them"


RunInputs = Callable[[Sequence[Array]], "tuple[list[Array], bool]"]
"""Gives outputs, and whether kernels made all of them."""


class Outcome(NamedTuple):
    """failure: why the test does not pass, "" if it does. how: "native", "numpy" or "unsupported"."""

    case: NodeCase
    failure: str
    how: str


def by_reference(case: NodeCase) -> Outcome:
    """The imported graph, node by node, with the NumPy references."""
    return _outcome(case, lambda graph: (lambda inputs: (evaluate(graph, inputs), False)))


def by_machine_code(case: NodeCase) -> Outcome:
    """The graph after all passes, with kernels where there are any."""
    return _outcome(case, _native)


def by_onnxruntime(case: NodeCase) -> Outcome:
    """onnxruntime, for comparison."""
    names = [info.name for info in case.model.graph.input]
    try:
        oracle = OnnxRuntime(case.model)
        for inputs, expected in case.data_sets:
            compare(list(oracle.run(dict(zip(names, inputs))).values()), expected, case)
    except (OracleError, AssertionError) as error:
        return Outcome(case, f"{type(error).__name__}: {error}", "unsupported")
    return Outcome(case, "", "native")


def _native(graph: Graph) -> RunInputs:
    optimize(graph)
    library = native.library()
    runner = Runner(Plan(graph), library, native.team(library, 1))

    def run(inputs: Sequence[Array]) -> tuple[list[Array], bool]:
        arrays = [np.asarray(x, order="C") for x in inputs]
        outputs = runner.run(arrays)
        instance, is_whole = runner.instance_for(arrays)
        return outputs, is_whole and all(step.is_native for step in instance.binding.steps)

    return run


def _outcome(case: NodeCase, prepare: Callable[[Graph], RunInputs]) -> Outcome:
    try:
        graph = import_onnx(case.model)
    except EdgeError as error:
        return Outcome(case, f"{type(error).__name__}: {error}", "unsupported")
    is_native = False
    try:
        run = prepare(graph)
        for inputs, expected in case.data_sets:
            outputs, is_native = run(inputs)
            compare(outputs, expected, case)
    except (EdgeError, AssertionError) as error:
        text = " ".join(str(error).split())
        return Outcome(case, f"{type(error).__name__}: {text}", "native" if is_native else "numpy")
    return Outcome(case, "", "native" if is_native else "numpy")


def compare(outputs: Sequence[Array], expected: Sequence[Array], case: NodeCase) -> None:
    """Raises AssertionError unless outputs agree as ONNX's own runner demands it."""
    assert len(outputs) == len(expected), f"{len(expected)} outputs expected, got {len(outputs)}"
    for i, (got, want) in enumerate(zip(outputs, expected)):
        assert got.shape == want.shape, f"output {i}: shape {want.shape} expected, got {got.shape}"
        assert got.dtype == want.dtype, f"output {i}: {want.dtype} expected, got {got.dtype}"
        assert not case.is_random, RANDOM
        np.testing.assert_allclose(got, want, rtol=case.rtol, atol=case.atol)
