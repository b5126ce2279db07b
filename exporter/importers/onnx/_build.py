"""Builds graphs from ONNX graphs: each node is brought to the newest opset and becomes a record or function body."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edge_rt import ops
from edge_rt.errors import GraphError, ImporterError
from edge_rt.graph import Value
from edge_rt.ops import _attrs as fields
from edge_rt.ops._attrs import Attrs
from edge_rt.ops._spec import OpSpec
from exporter.importers.onnx import _classic, _fused, _generation, _quantized  # noqa: F401  register conversions
from exporter.importers.onnx import _functions as functions
from exporter.importers.onnx._nibbles import only_decoded, read_nibbles
from exporter.importers.onnx._opsets import convert, is_converted
from exporter.importers.onnx._problems import Problems, Refused
from exporter.importers.onnx._proto import dtype_of, read_attribute, read_sparse, read_tensor
from exporter.importers.onnx._scope import LOST, Call, Scope
from exporter.importers.onnx._subgraphs import CONTROL_FLOW

MAX_NODES = 1_000_000
"""Nodes that a model may have after its functions are expanded."""


def full_name(domain: str, op: str) -> str:
    """The op table's name of an ONNX operator."""
    return op if domain in ("", "ai.onnx") else f"{domain}.{op}"


class Builder:
    """What is common to all graphs of one model while it is imported."""

    def __init__(self, folder: Path | None, functions: dict[tuple[str, str, str], Any], problems: Problems) -> None:
        self.folder, self.functions, self.problems = folder, functions, problems
        self.notes: list[str] = []
        self._nodes = 0

    # ---- constants and nodes ----------------------------------------------------------------------------------------

    def initializers(self, graph: Any, scope: Scope) -> None:
        """Makes the constants that an ONNX graph stores."""
        decoded = only_decoded(graph)
        for tensor in graph.initializer:
            read = read_nibbles if tensor.name in decoded else read_tensor
            self._constant(tensor.name, scope, lambda t=tensor, r=read: r(t, self.folder, f"initializer '{t.name}'"))
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            self._constant(
                name, scope, lambda s=sparse, n=name: read_sparse(s, self.folder, f"sparse initializer '{n}'")
            )

    def _constant(self, name: str, scope: Scope, read: Any) -> None:
        try:
            scope.names[name] = scope.graph.constant(read(), scope.prefix + name)
        except Refused as problem:
            self.problems.type(problem.reason, name)
            scope.names[name] = LOST

    def nodes(self, nodes: Sequence[Any], scope: Scope) -> None:
        """Imports nodes in order; what is unsupported is recorded, and its outputs are LOST."""
        for node in nodes:
            self._nodes += 1
            if self._nodes > MAX_NODES:
                raise ImporterError(f"more than {MAX_NODES:,} nodes after expanding functions")
            self._node(node, scope)

    def _node(self, node: Any, scope: Scope) -> None:
        op = full_name(node.domain, node.op_type)
        label = scope.prefix + (node.name or next(filter(None, node.output), "") or op)
        place = f"{op} '{label}'"
        inputs = [scope.lookup(name, place) for name in node.input]
        twice = next((name for name in node.output if name and name in scope.names), None)
        if twice is not None:
            raise ImporterError(f"{place}: there is a '{twice}' already")
        try:
            attributes = self._attributes(node, scope, place)
            if op == "Constant":
                made: Sequence[Value] = [self._constant_node(attributes, scope, next(iter(node.output), label))]
            else:
                outputs = [scope.prefix + n if n else "" for n in node.output]
                call = Call(self, scope, op, inputs, attributes, outputs, label, scope.opsets.get(node.domain, 0))
                made = self._import(call, node)
        except Refused as problem:
            self.problems.op(op, label, problem.reason)
            made = [LOST] * len(node.output)
        except GraphError as error:
            raise ImporterError(str(error)) from None
        for name, value in zip(node.output, made):
            if name:
                scope.names[name] = value

    def _import(self, call: Call, node: Any) -> Sequence[Value]:
        if call.op in CONTROL_FLOW:
            return CONTROL_FLOW[call.op](call)
        local = self.functions.get((node.domain, node.op_type, node.overload))
        if local is not None:
            given = {a.name: a for a in node.attribute}
            return functions.inline(call, local, functions.resolve(given, call.scope.attributes))
        if call.version == 0 and node.domain in ("", "ai.onnx", "ai.onnx.ml"):
            raise ImporterError(f"{call.where}: the model does not import an opset of '{node.domain or 'ai.onnx'}'")
        if any(v is LOST for v in call.inputs):
            if not self._is_supported(call):
                raise Refused
            return [LOST] * len(call.outputs)
        done = convert(call)
        return self.emit(call) if done is None else done

    def _is_supported(self, call: Call) -> bool:
        return ops.is_known(call.op) or is_converted(call.op, call.version) or functions.has_body(call.op)

    def emit(self, call: Call) -> list[Value]:
        """Adds an operator in its newest semantics: as a record of the table, else as its function body's nodes.

        Raises Refused if it is neither, or if the record does not take these attributes.
        """
        if not ops.is_known(call.op):
            body = functions.schema_body(call)
            if body is None:
                raise Refused(f"needs {call.op}" if call.is_derived else "")
            return functions.inline(call, body, functions.as_protos(call))
        spec = ops.get(call.op)
        record = _record(spec, call)
        made = call.scope.graph.add(spec, *call.inputs, name=call.name or None, outputs=call.outputs, attrs=record)
        results: list[Value] = list(made) if isinstance(made, tuple) else [made]
        if any(call.outputs[len(results) :]):
            raise Refused(f"output {len(results)} is not supported")
        return results

    # ---- attributes -------------------------------------------------------------------------------------------------

    def _attributes(self, node: Any, scope: Scope, place: str) -> dict[str, Any]:
        resolved = functions.resolve({a.name: a for a in node.attribute}, scope.attributes)
        return {name: read_attribute(a, self.folder, place) for name, a in resolved.items()}

    def _constant_node(self, attributes: dict[str, Any], scope: Scope, name: str) -> Value:
        if len(attributes) != 1:
            raise ImporterError(f"Constant '{name}': must have one value, got {', '.join(attributes) or 'none'}")
        ((kind, value),) = attributes.items()
        dtypes = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
        if kind in ("value", "sparse_value"):
            array = value
        elif kind in dtypes:
            array = np.asarray(value, dtypes[kind])
        else:
            raise Refused(f"attribute '{kind}'")
        return scope.graph.constant(array, scope.prefix + name)


def _record(spec: OpSpec, call: Call) -> Attrs:
    """The attribute record of a call. Raises Refused for attributes that the record does not have or does not take."""
    values = {}
    for name, value in call.attributes.items():
        field = spec.attrs.fields.get(name)
        if field is None:
            if value != _onnx_default(call.op, name):
                raise Refused(f"attribute '{name}' = {value!r}")
            continue
        values[name] = field_value(field, value)
    try:
        return spec.attrs(**values)
    except GraphError as error:
        raise Refused(str(error)) from None


def field_value(field: fields.Field[Any], value: Any) -> Any:
    """An ONNX attribute's value as this field of a record takes it."""
    if field.kind in (fields.ElementType, fields.OptionalElementType) and isinstance(value, int):
        optional = field.kind is fields.OptionalElementType
        return None if optional and value == onnx.TensorProto.UNDEFINED else dtype_of(value)
    if field.kind is fields.Bool and isinstance(value, int):
        return value != 0
    if field.kind in (fields.Array, fields.OptionalArray) and isinstance(value, tuple):
        return np.asarray(value, np.float32 if any(isinstance(v, float) for v in value) else None)
    return value


def _onnx_default(op: str, attribute: str) -> Any:
    """The newest default of an ONNX attribute; None where it has none or is unknown."""
    schema = functions.schema(op)
    if schema is None or attribute not in schema.attributes:
        return None
    default = schema.attributes[attribute].default_value
    return read_attribute(default, None, op) if default.name else None
