"""The runtimes on which every case of the op table runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt import bundle, native
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import TensorType
from tests.cases._case import Case

Array = np.ndarray[Any, Any]
Runtime = Callable[[Case], "list[Array]"]


def graph_of(case: Case) -> tuple[Graph, list[Array]]:
    """A graph of one node, and its inputs. Inputs that decide shapes are constants, as in nearly all models."""
    graph = Graph(case.op)
    values, arrays = [], []
    node_inputs = [None if x is None else TensorType.of(x) for x in case.inputs]
    from edge_rt import ops

    decisive = ops.get(case.op).shape_inputs
    for i, (array, type_) in enumerate(zip(case.inputs, node_inputs)):
        if array is None or type_ is None:
            values.append(None)
        elif i in decisive or i in case.constants:
            values.append(graph.constant(array, f"in{i}"))
        else:
            values.append(graph.input(f"in{i}", type_))
            arrays.append(array)
    made = graph.add(case.op, *values, **case.attributes)
    for i, value in enumerate(made if isinstance(made, tuple) else (made,)):
        graph.output(value, f"out{i}")
    return graph, [np.asarray(a, order="C") for a in arrays]


def reference(case: Case) -> list[Array]:
    """The operator's NumPy reference, through the interpreter."""
    return evaluate(*graph_of(case))


def native_runner(case: Case, threads: int) -> tuple[Runner, list[Array]]:
    graph, arrays = graph_of(case)
    library = native.library()
    return Runner(Plan(graph), library, native.team(library, threads)), arrays


def native_one_thread(case: Case) -> list[Array]:
    """Machine code on the calling thread; twice, since the second run finds the arena used."""
    runner, arrays = native_runner(case, 1)
    before = [a.copy() for a in arrays]
    first = runner.run(arrays)
    second = runner.run(arrays)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(arrays, before):
        np.testing.assert_array_equal(a, b, "an input was changed")
    return first


def native_three_threads(case: Case) -> list[Array]:
    """Machine code by a team of three: the same bits as by one thread."""
    runner, arrays = native_runner(case, 3)
    alone, _ = native_runner(case, 1)
    made = runner.run(arrays)
    for a, b in zip(made, alone.run(arrays)):
        np.testing.assert_array_equal(a, b, "the bits depend on the number of threads")
    return made


def reloaded(case: Case) -> list[Array]:
    """Machine code, after the graph went through a bundle."""
    graph, arrays = graph_of(case)
    again = bundle.read(bundle.to_bytes(bundle.Bundle(signatures={"main": graph}))).signatures["main"]
    library = native.library()
    return Runner(Plan(again), library, native.team(library, 1)).run(arrays)


RUNTIMES: Sequence[Runtime] = (reference, native_one_thread, native_three_threads, reloaded)
