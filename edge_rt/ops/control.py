"""If, and what it shares with Loop and Scan (loops.py).

Graphs of a node are closed: captured values are inputs of the node, after its own, and theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Subgraph
from edge_rt.ops._rules import contents, shown
from edge_rt.ops._spec import Array, Types, Values, define
from edge_rt.types import Dim, DType, TensorType

if TYPE_CHECKING:
    from edge_rt.graph import Graph, Value


def infer_graph(
    graph: Graph, types: Sequence[TensorType], values: Values = ()
) -> tuple[list[TensorType], list[Array | None]]:
    """Types and known contents of the graph's outputs for inputs of these types. Leaves the graph as it is.

    Raises InferenceError if a node does not accept them.
    """
    contents_of = [*values, *[None] * (len(types) - len(values))]
    found = {id(v): (t, c) for v, t, c in zip(graph.inputs, types, contents_of)}

    def read(value: Value | None) -> tuple[Any, Any]:
        if value is None:
            return None, None
        return found.get(id(value)) or (value.type, value.known)

    for node in graph.nodes:
        given = [read(v) for v in node.inputs]
        where = f"{node.op.name} '{graph.name}/{node.name}'"
        made, known = node.op.infer(node.attrs, [t for t, _ in given], [c for _, c in given], where)
        found.update((id(v), (t, c)) for v, t, c in zip(node.outputs, made, known))
    results = [read(v) for v in graph.outputs]
    return [t for t, _ in results], [c for _, c in results]


def accept(graph: Graph, given: Sequence[DType | None], own: Sequence[DType] = ()) -> None:
    """Raises GraphError unless the graph takes what the node hands it. own: dtypes of inputs that the node makes."""
    handed = [*own, *given]
    if len(handed) != len(graph.inputs):
        raise GraphError(f"'{graph.name}' takes {len(graph.inputs)} inputs, got {len(handed)}")
    for value, dtype in zip(graph.inputs, handed):
        if dtype is not value.type.dtype:
            name = "nothing" if dtype is None else dtype.value
            raise GraphError(f"input '{value.name}' of '{graph.name}' must be {value.type.dtype.value}, got {name}")


def interpret(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The graph's outputs, by NumPy references."""
    from edge_rt.interpreter import evaluate

    return evaluate(graph, inputs)


def truth(value: Array, name: str) -> bool:
    """The one element of a condition. Raises DataError with its name if it is not one."""
    if value.size != 1:
        raise DataError(f"{name} must be one element, got shape {shown(value.shape)}")
    return bool(value.reshape(()))


def common(a: Sequence[Dim] | None, b: Sequence[Dim] | None) -> list[Dim | None] | None:
    """What two shapes share: sizes that differ become unknown, and so does the rank."""
    if a is None or b is None or len(a) != len(b):
        return None
    return [x if x == y else None for x, y in zip(a, b)]


class IfAttrs(Attrs):
    else_branch = Subgraph()
    then_branch = Subgraph()


def _if_dtypes(attrs: Any, given: Sequence[DType | None]) -> list[DType]:
    then, other = attrs.then_branch, attrs.else_branch
    for branch in (then, other):
        accept(branch, given[1:])
    if len(then.outputs) != len(other.outputs):
        raise GraphError(f"branches must give as many outputs, got {len(then.outputs)} and {len(other.outputs)}")
    for i, (a, b) in enumerate(zip(then.outputs, other.outputs)):
        if a.type.dtype is not b.type.dtype:
            got = f"{a.type.dtype.value} and {b.type.dtype.value}"
            raise GraphError(f"output {i} of the branches must have one type, got {got}")
    return [v.type.dtype for v in then.outputs]


def _taken(attrs: IfAttrs, values: Values) -> Graph | None:
    """The branch that is known to be taken."""
    known = contents(values, 0)
    return None if known is None or len(known) != 1 else attrs.then_branch if known[0] else attrs.else_branch


def _if_shapes(attrs: Any, types: Types, values: Values) -> Any:
    branch = _taken(attrs, values)
    inputs: Any = types[1:]
    if branch is not None:
        return [t.shape for t in infer_graph(branch, inputs, values[1:])[0]]
    then, other = (infer_graph(b, inputs, values[1:])[0] for b in (attrs.then_branch, attrs.else_branch))
    return [common(a.shape, b.shape) for a, b in zip(then, other)]


def _if_contents(attrs: Any, types: Types, values: Values) -> list[Array | None]:
    branch = _taken(attrs, values)
    if branch is None:
        return [None] * len(attrs.then_branch.outputs)
    inputs: Any = types[1:]
    return infer_graph(branch, inputs, values[1:])[1]


def _if(attrs: Any, condition: Array, *captures: Array) -> list[Array]:
    return interpret(attrs.then_branch if truth(condition, "cond") else attrs.else_branch, captures)


IF = define(
    "If", "cond:bool captures:any* -> outputs:any*", since=25, attrs=IfAttrs, dtypes=_if_dtypes,
    shapes=_if_shapes, reference=_if, shape_inputs=(0,), propagate=_if_contents,
)  # fmt: skip
