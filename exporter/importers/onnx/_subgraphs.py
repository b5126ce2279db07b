"""If, Loop and Scan: subgraphs become closed graphs, which get what they used from outside as extra inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edge_rt import ops
from edge_rt.dims import symbol
from edge_rt.errors import ImporterError
from edge_rt.graph import Graph, Value
from edge_rt.types import Dim, DType, TensorType
from exporter.importers.onnx._problems import Refused
from exporter.importers.onnx._scope import LOST, Call, Scope, add_input


class _Body:
    """A subgraph while its captures are being collected. lost: whether it holds anything unsupported."""

    __slots__ = ("graph", "lost", "scope")

    def __init__(self, call: Call, attribute: str) -> None:
        outer = call.scope
        self.graph, self.lost = Graph(f"{call.name}/{attribute}"), False
        self.scope = Scope(self.graph, outer.opsets, outer, "", outer.attributes, outer.depth)

    def output(self, value: Value | None, name: str) -> None:
        if value is None or value is LOST:
            self.lost = True
        else:
            self.graph.output(value, _unused(name, self.graph.output_names))


def _import(call: Call, attribute: str, types: Sequence[TensorType]) -> _Body:
    """The subgraph in an attribute, for inputs of these types."""
    proto = call.attributes.get(attribute)
    if proto is None or not hasattr(proto, "node"):
        raise ImporterError(f"{call.where}: attribute '{attribute}' must be a graph")
    if len(proto.input) != len(types):
        raise ImporterError(f"{call.where}: {attribute} must take {len(types)} inputs, it takes {len(proto.input)}")
    body = _Body(call, attribute)
    for info, type_ in zip(proto.input, types):
        body.scope.names[info.name] = add_input(body.graph, info.name, type_)
    call.builder.initializers(proto, body.scope)
    call.builder.nodes(proto.node, body.scope)
    for info in proto.output:
        body.output(body.scope.lookup(info.name, f"{call.where}: output of {attribute}"), info.name)
    return body


def _unused(name: str, taken: Sequence[str]) -> str:
    return name if name not in taken else _unused(f"{name}_{len(taken)}", taken)


def _close(bodies: Sequence[_Body]) -> list[Value]:
    """Gives all bodies the same captures in the same order, after their own inputs; the outer values in that order."""
    captured: dict[int, Value] = {}
    for body in bodies:
        captured.update({id(outer): outer for outer, _ in body.scope.captures})
    for body in bodies:
        inner = {id(outer): value for outer, value in body.scope.captures}
        made = {id(v) for v in inner.values()}
        own = [v for v in body.graph.inputs if id(v) not in made]
        for key, outer in captured.items():
            if key not in inner:
                inner[key] = add_input(body.graph, outer.name, outer.type)
        body.graph.inputs = [*own, *(inner[key] for key in captured)]
    return list(captured.values())


def _add(call: Call, inputs: Sequence[Value | None], bodies: Sequence[_Body], **attributes: Any) -> list[Value]:
    if not ops.is_known(call.op):
        raise Refused
    if any(body.lost for body in bodies) or any(v is LOST for v in inputs):
        return [LOST] * len(call.outputs)
    made = call.scope.graph.add(call.op, *inputs, name=call.name, outputs=call.outputs, **attributes)
    return list(made) if isinstance(made, tuple) else [made]


def _if(call: Call) -> list[Value]:
    bodies = [_import(call, branch, ()) for branch in ("then_branch", "else_branch")]
    captures = _close(bodies)
    then_branch, else_branch = (body.graph for body in bodies)
    return _add(call, [*call.inputs, *captures], bodies, then_branch=then_branch, else_branch=else_branch)


def _loop(call: Call) -> list[Value]:
    count, condition = call.input(0), call.input(1)
    initial = call.inputs[2:]
    scalars = [TensorType(DType.INT64, ()), TensorType(DType.BOOL, ())]
    body = _settled(call, initial, lambda carried: [*scalars, *carried], 1)
    captures = _close([body])
    return _add(call, [count, condition, *initial, *captures], [body], body=body.graph, carried=len(initial))


def _scan(call: Call) -> list[Value]:
    if call.version == 8:
        return _scan_8(call)
    scans = int(call.attributes["num_scan_inputs"])
    if not 0 < scans <= len(call.inputs):
        raise ImporterError(f"{call.where}: num_scan_inputs must be 1 to {len(call.inputs)}, got {scans}")
    states, sequences = call.inputs[: len(call.inputs) - scans], call.inputs[len(call.inputs) - scans :]
    axes = call.attributes.get("scan_input_axes") or (0,) * scans
    slices = [_without_axis(v, axis, call) for v, axis in zip(sequences, axes)]
    body = _settled(call, states, lambda carried: [*carried, *slices], 0)
    captures = _close([body])
    attributes = {**call.attributes, "body": body.graph, "carried": len(states)}
    return _add(call, [*call.inputs, *captures], [body], **attributes)


def _scan_8(call: Call) -> list[Value]:
    """In opset 8 every input has a batch in front, and the body sees one element of it: a Scan over a Scan."""
    if call.input(0) is not None:
        raise Refused("with sequence_lens")
    values = call.inputs[1:]
    batch = _Body(call, "batch")
    elements = [add_input(batch.graph, f"element_{i}", _without_axis(v, 0, call)) for i, v in enumerate(values)]
    attributes = {name: v for name, v in call.attributes.items() if name in ("body", "num_scan_inputs")}
    attributes["scan_input_directions"] = call.attributes.get("directions", ())
    inner = Call(call.builder, batch.scope, "Scan", elements, attributes, call.outputs, f"{call.name}/sequence", 9)
    for i, value in enumerate(_scan(inner)):
        batch.output(value, f"result_{i}")
    captures = _close([batch])
    inputs = [*values, *captures]
    return _add(call, inputs, [batch], body=batch.graph, carried=0, num_scan_inputs=len(values))


def _without_axis(value: Value | None, axis: int, call: Call) -> TensorType:
    if value is None:
        raise ImporterError(f"{call.where}: every input is required")
    shape = value.type.shape
    if shape is None:
        return value.type
    if not -len(shape) <= axis < len(shape):
        raise ImporterError(f"{call.where}: scan_input_axes must lie within {value.type}, got {axis}")
    axis %= len(shape)
    return TensorType(value.type.dtype, (*shape[:axis], *shape[axis + 1 :]))


def _settled(
    call: Call,
    initial: Sequence[Value | None],
    inputs: Callable[[Sequence[TensorType]], list[TensorType]],
    skip: int,
) -> _Body:
    """The body, imported with types of the carried values that hold for every iteration.

    A size that an iteration changes becomes a symbol, a rank that it changes unknown. skip: outputs before the carried.
    """
    if any(v is None for v in initial):
        raise ImporterError(f"{call.where}: every carried value needs an initial one")
    carried = [v.type for v in initial if v is not None]
    while True:
        body = _import(call, "body", inputs(carried))
        if body.lost or any(v is LOST for v in initial):
            body.lost = True
            return body
        after = [v.type for v in body.graph.outputs[skip : skip + len(carried)]]
        if len(after) < len(carried):
            raise ImporterError(f"{call.where}: body must give {len(carried)} carried values, it gives {len(after)}")
        general = [_generalised(a, b, f"{call.name}.{i}") for i, (a, b) in enumerate(zip(carried, after))]
        if general == carried:
            return body
        carried = general


def _generalised(before: TensorType, after: TensorType, name: str) -> TensorType:
    if before.shape is None or after.shape is None or len(before.shape) != len(after.shape):
        return TensorType(before.dtype, None)
    pairs = enumerate(zip(before.shape, after.shape))
    dims: list[Dim] = [a if a == b else symbol(f"{name}.{i}") for i, (a, b) in pairs]
    return TensorType(before.dtype, dims)


CONTROL_FLOW: dict[str, Callable[[Call], list[Value]]] = {"If": _if, "Loop": _loop, "Scan": _scan}
