"""Names while importing, and nodes on their way from ONNX to the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.errors import ImporterError
from edge_rt.graph import Graph, Value
from edge_rt.types import DType, TensorType

if TYPE_CHECKING:
    from exporter.importers.onnx._build import Builder

Array = np.ndarray[Any, Any]

LOST = Value("(lost)", TensorType(DType.FLOAT32, None))
"""Stands for what an unsupported node would have computed, so that the import can go on and find the other problems."""


class Scope:
    """The names that nodes of one graph or function body see, and the graph that they are built into.

    A subgraph's scope has a parent: a name found there only becomes an input of the (closed) subgraph, listed in
    `captures`, or a constant of it where the contents are known. A function's scope has no parent.
    """

    __slots__ = ("attributes", "captures", "depth", "graph", "names", "opsets", "parent", "prefix")

    def __init__(
        self,
        graph: Graph,
        opsets: Mapping[str, int],
        parent: Scope | None = None,
        prefix: str = "",
        attributes: Mapping[str, Any] | None = None,
        depth: int = 0,
    ) -> None:
        self.graph, self.opsets, self.parent, self.prefix, self.depth = graph, opsets, parent, prefix, depth
        self.names: dict[str, Value | None] = {"": None}
        self.attributes = attributes
        """AttributeProtos by the names under which a function's body refers to them; None outside of functions."""
        self.captures: list[tuple[Value, Value]] = []
        """(value of the parent's graph, input of this one)."""

    def lookup(self, name: str, where: str) -> Value | None:
        """The value called `name`; None for an absent input. Raises ImporterError if there is none."""
        if name in self.names:
            return self.names[name]
        if self.parent is None:
            raise ImporterError(f"{where}: input '{name}' is not computed before it is used")
        outer = self.parent.lookup(name, where)
        if outer is not None and outer is not LOST:
            outer = self._capture(outer)
        self.names[name] = outer
        return outer

    def _capture(self, outer: Value) -> Value:
        known = outer.data if outer.data is not None else outer.known
        if known is not None and known.dtype != object:
            return self.graph.constant(known, outer.name)
        for seen, inner in self.captures:
            if seen is outer:
                return inner
        inner = add_input(self.graph, outer.name, outer.type)
        self.captures.append((outer, inner))
        return inner


def add_input(graph: Graph, name: str, type: TensorType) -> Value:
    """A new input, called `name` or, where that is taken, something like it."""
    taken = {v.name for v in graph.inputs}
    unique, count = name, 1
    while unique in taken:
        unique, count = f"{name}_{count}", count + 1
    return graph.input(unique, type)


class Call:
    """An operator with its inputs and attributes: an ONNX node that is being converted to the newest semantics."""

    __slots__ = ("attributes", "builder", "inputs", "is_derived", "name", "op", "outputs", "scope", "version")

    def __init__(
        self,
        builder: Builder,
        scope: Scope,
        op: str,
        inputs: Iterable[Value | None],
        attributes: dict[str, Any],
        outputs: Iterable[str] = ("",),
        name: str = "",
        version: int = 0,
    ) -> None:
        self.builder, self.scope, self.op, self.name, self.version = builder, scope, op, name, version
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.attributes = attributes
        self.is_derived = False
        """Whether a conversion made it in place of (part of) the model's own operator."""

    @property
    def where(self) -> str:
        """How errors call this node."""
        return f"{self.op} '{self.name}'"

    def input(self, index: int) -> Value | None:
        """The index-th input; None if it is absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    def required(self, index: int) -> Value:
        """The index-th input. Raises ImporterError if it is absent."""
        value = self.input(index)
        if value is None:
            raise ImporterError(f"{self.where}: input {index} is required")
        return value

    def set_input(self, index: int, value: Value | None) -> None:
        """Puts `value` at a position that may lie beyond the inputs given."""
        self.inputs += [None] * (index + 1 - len(self.inputs))
        self.inputs[index] = value

    def contents(self, index: int) -> Array | None:
        """The contents of an input where the importer knows all of them, else None."""
        value = self.input(index)
        if value is None:
            return None
        known = value.data if value.data is not None else value.known
        return None if known is None or known.dtype == object else known

    def constant(self, data: Any, dtype: Any = np.int64, name: str = "") -> Value:
        """A constant in the graph of this node."""
        return self.scope.graph.constant(np.asarray(data, dtype), f"{self.name}/{name or 'const'}")

    def emit(self, op: str, *inputs: Value | None, outputs: Iterable[str] = ("",), **attributes: Any) -> Any:
        """Applies another operator, in its newest semantics, in place of (part of) this one: its output, or a tuple."""
        call = Call(self.builder, self.scope, op, inputs, attributes, outputs, f"{self.name}/{op}")
        call.is_derived = True
        made = self.builder.emit(call)
        return made[0] if len(made) == 1 else tuple(made)
