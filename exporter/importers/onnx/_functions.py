"""Functions: a model's own, and the bodies that ONNX gives for operators. Both are expanded in place of the call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge_rt.dims import is_known
from edge_rt.errors import ImporterError
from edge_rt.graph import Value
from edge_rt.types import TensorType
from exporter.importers.onnx._problems import Refused
from exporter.importers.onnx._proto import ELEMENTS
from exporter.importers.onnx._scope import LOST, Scope

if TYPE_CHECKING:
    from exporter.importers.onnx._scope import Call

MAX_DEPTH = 64
"""How deep functions may call functions."""


def resolve(attributes: Mapping[str, Any], environment: Mapping[str, Any] | None) -> dict[str, Any]:
    """AttributeProtos by name, with references to the attributes of the function around them replaced.

    A reference to an attribute that the caller did not give is dropped: the operator's own default holds then.
    """
    found = {}
    for name, attribute in attributes.items():
        if attribute.ref_attr_name:
            if environment is None:
                raise ImporterError(f"attribute '{name}' refers to a function's attribute outside of a function")
            target = environment.get(attribute.ref_attr_name)
            if target is None:
                continue
            attribute = onnx.AttributeProto.FromString(target.SerializeToString())
            attribute.name = name
        found[name] = attribute
    return found


def inline(call: Call, function: Any, attributes: Mapping[str, Any]) -> list[Value]:
    """Expands a FunctionProto. attributes: the caller's AttributeProtos by name. Raises ImporterError if too deep."""
    outer = call.scope
    if outer.depth >= MAX_DEPTH:
        raise ImporterError(f"{call.where}: functions call functions more than {MAX_DEPTH} deep")
    environment = {a.name: a for a in function.attribute_proto} | dict(attributes)
    opsets = {entry.domain: entry.version for entry in function.opset_import} or outer.opsets
    scope = Scope(outer.graph, opsets, None, f"{call.name}/", environment, outer.depth + 1)
    for position, name in enumerate(function.input):
        scope.names[name] = call.inputs[position] if position < len(call.inputs) else None
    call.builder.nodes(function.node, scope)
    made = [scope.lookup(name, call.where) for name in function.output]
    return [LOST if v is None else v for v in made]


@cache
def schema(op: str) -> Any:
    """ONNX's newest schema of an operator of the table's naming; None if ONNX does not know it."""
    domain, _, name = op.rpartition(".")
    try:
        return onnx.defs.get_schema(name, domain)
    except onnx.defs.SchemaError:
        return None


def changed_operators(graph: Any, version: int, later: int) -> list[str]:
    """ONNX's operators in the graph and its subgraphs that are not the same in opset `later` as in opset `version`."""
    found: set[str] = set()
    for node in graph.node:
        for attribute in node.attribute:
            found.update(changed_operators(attribute.g, version, later))
        if node.domain in ("", "ai.onnx") and not _is_same(node.op_type, version, later):
            found.add(node.op_type)
    return sorted(found)


@cache
def _is_same(op: str, version: int, later: int) -> bool:
    try:
        before, after = (onnx.defs.get_schema(op, v, "") for v in (version, later))
    except onnx.defs.SchemaError:
        return False
    return bool(before.since_version == after.since_version)


def has_body(op: str) -> bool:
    """Whether ONNX defines the operator by other ones."""
    found = schema(op)
    return found is not None and (found.has_function or found.has_context_dependent_function)


def schema_body(call: Call) -> Any:
    """The FunctionProto by which ONNX defines the operator for these inputs and attributes; None if it has none."""
    found = schema(call.op)
    if found is None:
        return None
    if found.has_function:
        return found.function_body
    if not found.has_context_dependent_function:
        return None
    inputs = [f"i{n}" if v is not None else "" for n, v in enumerate(call.inputs)]
    outputs = [f"o{n}" if name else "" for n, name in enumerate(call.outputs)]
    node = helper.make_node(found.name, inputs, outputs or ["o0"], domain=found.domain)
    node.attribute.extend(as_protos(call).values())
    types = [_type_proto(v.type).SerializeToString() if v is not None else b"" for v in call.inputs]
    raw = found.get_context_dependent_function(node.SerializeToString(), types)
    return onnx.FunctionProto.FromString(raw) if raw else None


def as_protos(call: Call) -> dict[str, Any]:
    """The call's attributes as AttributeProtos, over the defaults that ONNX's schema gives."""
    found = schema(call.op)
    protos = {}
    for name, declared in found.attributes.items() if found is not None else ():
        if declared.default_value.name:
            protos[name] = declared.default_value
    for name, value in call.attributes.items():
        if isinstance(value, np.ndarray):
            value = numpy_helper.from_array(value)
        declared = found.attributes.get(name) if found is not None else None
        if declared is None:
            raise Refused(f"attribute '{name}'")
        protos[name] = helper.make_attribute(name, value, attr_type=int(declared.type.value))
    return protos


def _type_proto(type: TensorType) -> Any:
    shape = None if type.shape is None else [d if is_known(d) else str(d) for d in type.shape]
    return helper.make_tensor_type_proto(ELEMENTS[type.dtype], shape)
