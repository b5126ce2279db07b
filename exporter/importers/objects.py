"""Modules and functions written with this project, as graphs of their traces."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from edge_rt.dims import Sym, symbol
from edge_rt.errors import EdgeError, GraphError, ImporterError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.ops.control import infer_graph
from edge_rt.types import Dim, TensorType
from exporter.authoring.exported import exported
from exporter.importers import Imported, InputShapes, OracleError
from exporter.passes import widen

Array = np.ndarray[Any, Any]


def read(source: Any, input_shapes: InputShapes | None = None) -> Imported:
    """All traces of a module's functions, or of a function, named and ordered as `ex.save` does; the first one is the
    model, the rest its other signatures. Variables that none of them assigns are constants.

    input_shapes: sizes by input name that replace those of the traces. Raises AuthoringError where there is no trace,
    ImporterError for shapes that do not fit.
    """
    found = exported(source)
    graphs, originals = found.graphs(), found.graphs()
    inputs = {v.name for graph in graphs.values() for v in graph.inputs}
    unknown = sorted(set(input_shapes or {}) - inputs)
    if unknown:
        raise ImporterError(f"no input is named '{unknown[0]}', there are {', '.join(sorted(inputs)) or 'none'}")
    parts = {}
    for name, graph in graphs.items():
        for copy in (graph, originals[name]):
            _resize(copy, input_shapes or {})
        parts[name] = Imported(graph, [], {}, partial(References, originals[name]), name)
    first, *others = parts
    return parts[first]._replace(others={name: parts[name] for name in others})


class References:
    """The NumPy references, which are what eager calls compute with, as the oracle of a graph before passes.

    Arithmetic in float16 is done in float32, as in bundles: in deep models its roundings add up to more than is allowed.
    """

    name = "the NumPy references"

    def __init__(self, graph: Graph) -> None:
        widen(graph)
        self._graph = graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name, with all variables as they were when the graph was made."""
        arrays = [np.asarray(inputs[v.name]) for v in self._graph.inputs]
        try:
            infer_graph(self._graph, [*map(TensorType.of, arrays)], arrays)
            return dict(zip(self._graph.output_names, evaluate(self._graph, arrays)))
        except EdgeError as error:
            shapes = ", ".join(str(a.shape) for a in arrays)
            raise OracleError(f"the model does not accept inputs of shapes {shapes}: {error}") from None


def _resize(graph: Graph, shapes: InputShapes) -> None:
    """Replaces sizes of inputs; a symbol that one of them gives a number has it in all."""
    sizes: dict[Dim, Dim] = {}
    for value in graph.inputs:
        given, own = shapes.get(value.name), value.type.shape
        if given is None:
            continue
        if own is None:
            own = tuple(symbol(f"{value.name}.{axis}") for axis in range(len(given)))
            value.type = TensorType(value.type.dtype, own)
        if len(given) != len(own) or any(isinstance(o, int) and g not in (None, o) for o, g in zip(own, given)):
            raise ImporterError(f"input '{value.name}' has shape {value.type}, which {tuple(given)} does not fit")
        pairs = [(o, g) for o, g in zip(own, given) if g is not None and isinstance(o, Sym)]
        sizes.update((o, symbol(g) if isinstance(g, str) else g) for o, g in pairs)
    if not sizes:
        return
    for value in graph.inputs:
        if value.type.shape is not None:
            value.type = TensorType(value.type.dtype, (sizes.get(d, d) for d in value.type.shape))
    try:
        graph.retype()
    except GraphError as error:
        raise ImporterError(f"the model does not accept these sizes: {error}") from None
