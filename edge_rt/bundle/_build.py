"""Builds the graphs of a validated header, which also infers all types anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt import ops
from edge_rt.bundle._attributes import codec_of
from edge_rt.bundle._types import decode_type
from edge_rt.bundle.validate import check_sizes
from edge_rt.errors import BundleOpError, BundleSchemaError, DataError, GraphError
from edge_rt.graph import Graph, Node, Value, Variable
from edge_rt.ops._attrs import Attrs
from edge_rt.ops._spec import OpSpec
from edge_rt.types import TensorType

Array = np.ndarray[Any, Any]

RULE_FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What an operator's rule may run into, given inputs that nobody who wrote it thought of."""


if TYPE_CHECKING:
    from typing import Protocol

    class TensorSource(Protocol):
        """Arrays by index in the tensor table."""

        def __getitem__(self, index: int) -> Array: ...

        def attribute(self, index: int) -> Array: ...


class Builder:
    """Makes graphs from a header that `validate` accepted. prefix: what error paths start with."""

    __slots__ = ("_header", "_ops", "_prefix", "_records", "_tensors")

    def __init__(self, header: dict[str, Any], tensors: TensorSource, prefix: str = "") -> None:
        self._header, self._tensors, self._prefix = header, tensors, prefix
        self._ops = [ops.get(name) for name in header["requires"]["ops"]]
        self._records: dict[tuple[str, str], Attrs] = {}

    def signatures(self) -> dict[str, Graph]:
        """All graphs by signature name.

        Raises BundleSchemaError where an operator does not accept its inputs or attributes, or where a declared type is
        not the one that inference gives; BundleLimitError where an inferred shape is beyond the limits.
        """
        with np.errstate(all="ignore"):
            return {
                name: self._graph(raw, f"{self._prefix}signatures.{name}")
                for name, raw in self._header["signatures"].items()
            }

    def tensor(self, index: int) -> Array:
        return self._tensors.attribute(index)

    def subgraph(self, raw: dict[str, Any], path: str) -> Graph:
        return self._graph(raw, path)

    def _graph(self, raw: dict[str, Any], path: str) -> Graph:
        # Names are known to be unique: Graph.input and the like would look for each among all others again.
        graph = Graph(raw["name"])
        graph.inputs = [Value(name, decode_type(type_)) for name, type_ in raw["inputs"]]
        for index, _ in raw.get("variables", ()):
            name, tensor = self._header["variables"][index]
            initial = self._tensors[tensor]
            graph.variables.append(Variable(name, initial, Value(name, TensorType.of(initial))))
        values = [*graph.inputs, *(variable.value for variable in graph.variables)]
        for index in raw["constants"]:
            name, tensor = self._header["constants"][index]
            values.append(graph.constant(self._tensors[tensor], name))
        for i, node in enumerate(raw["nodes"]):
            values += self._node(graph, node, values, f"{path}.nodes[{i}]")
        for i, entry in enumerate(raw["outputs"]):
            value = values[entry[1]]
            if len(entry) == 3:
                declared = decode_type(entry[2])
                if value.type != declared:
                    raise BundleSchemaError(f"{path}.outputs[{i}].type must be {value.type}, got {declared}")
            graph.outputs.append(value)
            graph.output_names.append(entry[0])
        for variable, (_, update) in zip(graph.variables, raw.get("variables", ())):
            if update is not None:
                variable.update = values[update]
                _check_update(variable.value.type, variable.update.type, f"{path}.variables: '{variable.name}'")
        return graph

    def _node(self, graph: Graph, raw: list[Any], values: Sequence[Value], path: str) -> tuple[Value, ...]:
        op, name, inputs, outputs, attributes = raw
        spec: OpSpec = self._ops[op]
        given = [None if i < 0 else values[i] for i in inputs]
        try:
            graph.add(spec, *given, name=name, attrs=self._record(spec, attributes, path))
        except (DataError, GraphError) as error:
            raise BundleSchemaError(f"{path}: {error}") from None
        except RULE_FAILURES as error:
            raise BundleOpError(
                f"{path}: {spec.name} '{name}' cannot be applied: {type(error).__name__}: {error}"
            ) from error
        node: Node = graph.nodes[-1]
        if len(node.outputs) != len(outputs):
            requirement = f"{len(node.outputs)} names, as {spec.name} has outputs"
            raise BundleSchemaError(f"{path}.outputs must be {requirement}, got {len(outputs)}")
        for i, (value, stored) in enumerate(zip(node.outputs, outputs)):
            if stored:
                value.name = stored
            if value.type.shape is not None:
                check_sizes(value.type.shape, f"{path}.outputs[{i}]")
        return node.outputs

    def _record(self, spec: OpSpec, attributes: dict[str, Any], path: str) -> Attrs:
        """The attribute record; the same one for nodes with equal attributes, unless these are graphs, which may change."""
        shared = (spec.name, repr(attributes)) if dict not in map(type, attributes.values()) else None
        found = None if shared is None else self._records.get(shared)
        if found is None:
            fields = spec.attrs.fields
            found = spec.attrs(
                **{
                    key: codec_of(fields[key]).decode(value, f"{path}.attrs.{key}", self)
                    for key, value in attributes.items()
                }
            )
            if shared is not None:
                self._records[shared] = found
        return found


def _check_update(held: TensorType, update: TensorType, path: str) -> None:
    """Raises BundleSchemaError unless a value of type `update` may be what a variable of type `held` becomes."""
    fits = held.dtype is update.dtype and (
        update.shape is None
        or (
            len(update.shape) == len(held.static_shape)
            and all(type(d) is not int or d == s for d, s in zip(update.shape, held.static_shape))
        )
    )
    if not fits:
        raise BundleSchemaError(f"{path} must be updated by {held}, got {update}")
