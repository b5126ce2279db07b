"""The graph: values, the nodes that compute them, and the builder that types each node when it is made.

A value knows its producer and its uses. Subgraphs (the branches of an If, the body of a Loop) are closed: what they need
from outside reaches them as inputs, which the node lists among its own, so no name is ever looked up in a scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from edge_rt import ops
from edge_rt.errors import GraphError
from edge_rt.names import Names
from edge_rt.ops._attrs import Attrs
from edge_rt.ops._spec import MAX_KNOWN, OpSpec
from edge_rt.types import TensorType

Array = np.ndarray[Any, Any]


class Value:
    """A tensor in a graph: an input, a constant (has `data`), a variable's value, or an output of `producer`."""

    __slots__ = ("data", "known", "name", "producer", "type", "uses")

    name: str
    type: TensorType
    producer: Node | None
    uses: list[tuple[Node, int]]
    """(node, input position) of each use by a node. Uses as graph output are not listed; see Graph.is_output."""
    data: Array | None
    """Contents of a constant."""
    known: Array | None
    """Contents as far as inference knows them; dtype object where elements are symbolic sizes."""

    def __init__(self, name: str, type: TensorType, producer: Node | None = None) -> None:
        self.name, self.type, self.producer = name, type, producer
        self.uses = []
        self.data = self.known = None

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


class Node:
    """An operator applied to values. Made by Graph.add only, which types its outputs."""

    __slots__ = ("attrs", "inputs", "name", "op", "outputs")

    op: OpSpec
    attrs: Any
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    name: str

    def __init__(self, op: OpSpec, attrs: Attrs, inputs: tuple[Value | None, ...], name: str) -> None:
        self.op, self.attrs, self.inputs, self.name = op, attrs, inputs, name
        self.outputs = ()

    @property
    def where(self) -> str:
        """How errors call this node."""
        return f"{self.op.name} '{self.name}'"

    @property
    def output(self) -> Value:
        """The only output (the first one, of several)."""
        return self.outputs[0]

    def infer(self) -> tuple[list[TensorType], list[Array | None]]:
        """Types and known contents of the outputs. Raises InferenceError."""
        types = [None if v is None else v.type for v in self.inputs]
        values = [None if v is None else v.known for v in self.inputs]
        return self.op.infer(self.attrs, types, values, self.where)

    def __repr__(self) -> str:
        left = ", ".join(map(repr, self.outputs))
        right = ", ".join("-" if v is None else f"%{v.name}" for v in self.inputs)
        fields = ", ".join(f"{n}={_brief(v)}" for n, v in self.attrs if v is not self.attrs.fields[n].default)
        return f"{left} = {self.op.name}({right})" + (f" {{{fields}}}" if fields else "")


class Variable:
    """State that lives across calls: `value` is what the graph reads, `update` what it leaves behind (None: unchanged)."""

    __slots__ = ("initial", "name", "update", "value")

    def __init__(self, name: str, initial: Array, value: Value, update: Value | None = None) -> None:
        self.name, self.initial, self.value, self.update = name, initial, value, update


class Graph:
    """Nodes in an order in which each comes after the producers of its inputs."""

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.output_names: list[str] = []
        """Public names of the outputs; one value may be given out under several."""
        self.variables: list[Variable] = []
        self.nodes: list[Node] = []
        self.node_names, self.value_names = Names(), Names()

    # ---- building ---------------------------------------------------------------------------------------------------

    def input(self, name: str, type: TensorType) -> Value:
        """A new input. Input names are public and must be unique: GraphError otherwise."""
        if any(v.name == name for v in self.inputs):
            raise GraphError(f"graph '{self.name}': two inputs are named '{name}'")
        value = Value(self.value_names.unique(name), type)
        value.name = name
        self.inputs.append(value)
        return value

    def constant(self, data: Any, name: str = "const") -> Value:
        """A value with fixed contents. The array is not copied; do not change it afterwards."""
        array = np.asarray(data)
        value = Value(self.value_names.unique(name), TensorType.of(array))
        value.data = array
        if array.size <= MAX_KNOWN:
            value.known = array
        return value

    def variable(self, name: str, initial: Array) -> Variable:
        """New state of this graph. Set the result's `update` to what the graph leaves behind."""
        if any(v.name == name for v in self.variables):
            raise GraphError(f"graph '{self.name}': two variables are named '{name}'")
        variable = Variable(name, initial, Value(self.value_names.unique(name), TensorType.of(initial)))
        self.variables.append(variable)
        return variable

    def output(self, value: Value, name: str | None = None) -> None:
        """Gives `value` out under the public name `name` (by default its own)."""
        name = value.name if name is None else name
        if name in self.output_names:
            raise GraphError(f"graph '{self.name}': two outputs are named '{name}'")
        self.outputs.append(value)
        self.output_names.append(name)

    def add(
        self,
        op: str | OpSpec,
        *inputs: Value | None,
        name: str | None = None,
        outputs: Iterable[str] | None = None,
        before: Node | None = None,
        attrs: Attrs | None = None,
        **attributes: Any,
    ) -> Any:
        """Applies an operator: types it, and returns its output (a tuple, of several).

        name: of the node, by default made from the operator's; outputs: names of the output values; before: the node in
        front of which to insert (default: at the end); attributes as keywords, or as the record `attrs`.
        Raises GraphError or InferenceError if the operator does not exist or does not accept the inputs.
        """
        spec = ops.get(op) if isinstance(op, str) else op
        label = self.node_names.unique(name or spec.name)
        try:
            record = spec.attrs(**attributes) if attrs is None else attrs
        except GraphError as error:
            raise GraphError(f"{spec.name} '{label}': {error}") from None
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        node = Node(spec, record, inputs, label)
        types, known = node.infer()
        given = list(outputs) if outputs is not None else []
        made = []
        for i, (type_, contents) in enumerate(zip(types, known)):
            default = label if len(types) == 1 else f"{label}:{i}"
            wanted = given[i] if i < len(given) and given[i] else default
            value = Value(self.value_names.unique(wanted), type_, node)
            value.known = contents
            made.append(value)
        node.outputs = tuple(made)
        for position, v in enumerate(inputs):
            if v is not None:
                v.uses.append((node, position))
        if before is None:
            self.nodes.append(node)
        else:
            self.nodes.insert(self.nodes.index(before), node)
        return made[0] if len(made) == 1 else tuple(made)

    # ---- rewriting --------------------------------------------------------------------------------------------------

    def is_output(self, value: Value) -> bool:
        """Whether the value leaves the graph, as an output or as a variable's update."""
        return any(value is v for v in self.outputs) or any(value is s.update for s in self.variables)

    def has_one_use(self, value: Value) -> bool:
        """Whether one node's input is all that the value is for."""
        return len(value.uses) == 1 and not self.is_output(value)

    def replace(self, old: Value, new: Value) -> None:
        """Makes all users of `old` (nodes, outputs, variable updates) use `new`."""
        for node, position in old.uses:
            inputs = list(node.inputs)
            inputs[position] = new
            node.inputs = tuple(inputs)
            new.uses.append((node, position))
        old.uses = []
        self.outputs = [new if v is old else v for v in self.outputs]
        for variable in self.variables:
            if variable.update is old:
                variable.update = new

    def set_input(self, node: Node, position: int, value: Value) -> None:
        """Changes one input of a node."""
        old = node.inputs[position]
        if old is not None:
            old.uses.remove((node, position))
        node.inputs = (*node.inputs[:position], value, *node.inputs[position + 1 :])
        value.uses.append((node, position))

    def remove(self, node: Node) -> None:
        """Takes out a node none of whose outputs is used. Raises GraphError otherwise."""
        for value in node.outputs:
            if value.uses or self.is_output(value):
                raise GraphError(f"{node.where}: cannot be removed, its output {value!r} is used")
        for position, v in enumerate(node.inputs):
            if v is not None:
                v.uses.remove((node, position))
        self.nodes.remove(node)

    def retype(self) -> None:
        """Infers all types anew, in order, after inputs or nodes were changed. Raises InferenceError."""
        for node in self.nodes:
            types, known = node.infer()
            for value, type_, contents in zip(node.outputs, types, known):
                value.type, value.known = type_, contents

    # ---- checking and printing --------------------------------------------------------------------------------------

    def subgraphs(self) -> Iterator[tuple[Node, str, Graph]]:
        """(node, attribute name, graph) of the graphs that nodes of this one run, not of deeper ones."""
        for node in self.nodes:
            for name, v in node.attrs:
                if isinstance(v, Graph):
                    yield node, name, v

    def verify(self) -> None:
        """Raises GraphError unless the graph is well formed: order, use lists, types as inference gives them."""
        seen = {id(v) for v in self.inputs} | {id(s.value) for s in self.variables}
        for node in self.nodes:
            for position, v in enumerate(node.inputs):
                if v is None:
                    continue
                if not v.is_constant and id(v) not in seen:
                    raise GraphError(f"{node.where}: input {v!r} is used before it is computed")
                if (node, position) not in v.uses:
                    raise GraphError(f"{node.where}: input {v!r} does not list this use")
            types, _ = node.infer()
            for v, t in zip(node.outputs, types):
                if v.producer is not node:
                    raise GraphError(f"{node.where}: output {v!r} names another producer")
                if v.type != t:
                    raise GraphError(f"{node.where}: output {v!r} must be {t}")
            seen.update(id(v) for v in node.outputs)
        for v in [*self.outputs, *(s.update for s in self.variables if s.update is not None)]:
            if not v.is_constant and id(v) not in seen:
                raise GraphError(f"graph '{self.name}': output {v!r} is never computed")
        for _, _, inner in self.subgraphs():
            inner.verify()

    def constants(self) -> list[Value]:
        """Constants that nodes or outputs use, each once, in the order of first use."""
        found: dict[int, Value] = {}
        for v in [*(v for n in self.nodes for v in n.inputs), *self.outputs, *(s.update for s in self.variables)]:
            if v is not None and v.is_constant:
                found.setdefault(id(v), v)
        return list(found.values())

    def __str__(self) -> str:
        lines = [f"graph {self.name}({', '.join(map(repr, self.inputs))})"]
        for s in self.variables:
            lines.append(f"  state {s.value!r}" + ("" if s.update is None else f", becomes %{s.update.name}"))
        lines += [f"  constant {v!r}{_contents(v.data)}" for v in self.constants()]
        lines += [f"  {node!r}" for node in self.nodes]
        outs = (f"{n}=%{v.name}" if n != v.name else f"%{v.name}" for n, v in zip(self.output_names, self.outputs))
        lines.append(f"  return {', '.join(outs)}".rstrip())
        for _, _, inner in self.subgraphs():
            lines += [f"  {line}" for line in str(inner).splitlines()]
        return "\n".join(lines)


def _contents(array: Array | None) -> str:
    """What a constant of a few elements holds, as text."""
    return "" if array is None or not 0 < array.size <= 4 else f", {array.tolist()}"


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    return f"graph {value.name}" if isinstance(value, Graph) else repr(value)
