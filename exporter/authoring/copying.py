"""Copies of traced graphs for bundles: variables under their paths, those that never change as constants if wanted."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from edge_rt.graph import Graph, Value
from edge_rt.ops._attrs import Attrs
from exporter.authoring.concrete import ConcreteFunction
from exporter.authoring.variable import Variable


def copied(concrete: ConcreteFunction, name: str, paths: Mapping[int, str], states: Container[str] | None) -> Graph:
    """The function's graph with the present values of its variables.

    paths: of variables, by their births. states: paths of those that stay variables (None: all); others become constants.
    """
    graph = Graph(name)
    known: dict[int, Value] = {id(v): graph.input(v.name, v.type) for v in concrete.graph.inputs}
    kept: list[tuple[Any, Any]] = []
    for variable, state in zip(concrete.variables, concrete.graph.variables):
        path = paths[variable.birth]
        if states is None or path in states:
            made = graph.variable(path, variable.array)
            kept.append((state, made))
            known[id(state.value)] = made.value
        else:
            known[id(state.value)] = graph.constant(variable.array, path)
    _copy_body(concrete.graph, graph, known)
    for old, new in kept:
        new.update = None if old.update is None else _mapped(old.update, graph, known)
    return graph


def paths_of(variables: Mapping[str, Variable]) -> dict[int, str]:
    """Paths by the births of variables."""
    return {v.birth: path for path, v in variables.items()}


def _copy_body(old: Graph, new: Graph, known: dict[int, Value]) -> None:
    """Copies nodes and outputs. known: values of the new graph by those of the old one, inputs and variables so far."""
    for node in old.nodes:
        inputs = [None if v is None else _mapped(v, new, known) for v in node.inputs]
        names = [v.name for v in node.outputs]
        made = new.add(node.op, *inputs, name=node.name, outputs=names, attrs=_copied_attrs(node.attrs))
        known.update((id(a), b) for a, b in zip(node.outputs, made if isinstance(made, tuple) else (made,)))
    for name, value in zip(old.output_names, old.outputs):
        new.output(_mapped(value, new, known), name)


def _mapped(value: Value, graph: Graph, known: dict[int, Value]) -> Value:
    found = known.get(id(value))
    if found is None:
        # Only constants are met before a node made them.
        found = known[id(value)] = graph.constant(value.data, value.name)
    return found


def _copied_attrs(attrs: Attrs) -> Attrs:
    """The record, with graphs of its own: passes rewrite graphs in place."""
    inner = {name: _copied_graph(v) for name, v in attrs if isinstance(v, Graph)}
    copy: Attrs = attrs.replace(**inner) if inner else attrs
    return copy


def _copied_graph(old: Graph) -> Graph:
    graph = Graph(old.name)
    _copy_body(old, graph, {id(v): graph.input(v.name, v.type) for v in old.inputs})
    return graph
