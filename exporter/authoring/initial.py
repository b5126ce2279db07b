"""Initial values of variables: arrays, or what a trace computes without its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from edge_rt.graph import Node, Value
from edge_rt.interpreter import run_node
from edge_rt.types import DType
from exporter.authoring import scope as scopes
from exporter.authoring.tensor import Operand, SymbolicTensor

Array = np.ndarray[Any, Any]


def initial_array(initial: Any, dtype: DType | None, name: str) -> Array:
    """A new array of the initial contents. Raises AuthoringError if they depend on inputs of a function."""
    from exporter.authoring.dispatch import to_array

    if callable(initial) and not isinstance(initial, Operand):
        with scopes.init_scope():
            initial = initial()
    if isinstance(initial, SymbolicTensor):
        initial = _evaluated(initial.value, name)
    elif isinstance(initial, Operand):
        with scopes.init_scope():
            initial = initial._contents()
    elif isinstance(initial, (list, tuple)):
        with scopes.init_scope():
            initial = [np.asarray(v) if isinstance(v, Operand) else v for v in initial]
    return np.array(to_array(initial, None, dtype))


def _evaluated(value: Value, name: str) -> Array:
    """The contents of a traced value that needs no inputs, computed now. Draws of random numbers follow `ex.random.seed`."""
    from exporter.authoring.ops.random import seeded

    known: dict[int, Array] = {}

    def contents(v: Value) -> Array:
        if v.data is not None:
            return v.data
        if id(v) not in known:
            if v.producer is None:
                raise AuthoringError(f"variable '{name}': its initial value must not depend on the tensor '{v.name}'")
            run(v.producer)
        return known[id(v)]

    def run(node: Node) -> None:
        results = run_node(seeded(node), [None if v is None else contents(v) for v in node.inputs])
        known.update((id(v), r) for v, r in zip(node.outputs, results) if r is not None)

    return contents(value)
