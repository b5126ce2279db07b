"""Tensors of the functional API, and what layers do with them: they are called once in a trace that is thrown away, for the
types of their outputs, and the call is kept as a Node.

A call of an operator on such tensors (x + y, ex.nn.relu(x)) becomes a call of an Operator, a layer without weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.dims import symbol
from edge_rt.errors import AuthoringError
from edge_rt.types import Dim, TensorType
from exporter.authoring import dispatch
from exporter.authoring import scope as scopes
from exporter.authoring.scope import Scope
from exporter.authoring.structure import flatten, map_leaves
from exporter.authoring.tensor import Operand, SymbolicTensor, Tensor, as_dtype
from exporter.authoring.variable import Variable
from exporter.layers.context import get_mask

if TYPE_CHECKING:
    from exporter.layers.base import Layer

Array = np.ndarray[Any, Any]
BATCH = "batch"
"""The unknown size of the first axis, the same for all inputs of a model."""


class FunctionalTensor(Tensor):
    """An input of a model, or what a layer gives for such. node: the call that gives it, None for one that only stands for
    a type; index: among the call's outputs; known: contents as far as they are known."""

    __slots__ = ("_type", "index", "known", "name", "node")

    def __init__(
        self, type: TensorType, name: str, node: Node | None = None, index: int = 0, known: Array | None = None
    ) -> None:
        self._type, self.name, self.node, self.index, self.known = type, name, node, index, known

    @property
    def type(self) -> TensorType:
        return self._type

    def _contents(self) -> Array:
        raise AuthoringError(
            f"the tensor '{self.name}' of the functional API has no contents: what Python decides by contents belongs into "
            "the call of a layer, with ex.cond, ex.while_loop or ex.where"
        )

    def __repr__(self) -> str:
        return f"<FunctionalTensor '{self.name}' shape={self.shape} dtype={self.dtype}>"


class Node:
    """A call of a layer. arguments, keywords: with FunctionalTensors in them; outputs: in order; structure: the result."""

    __slots__ = ("arguments", "keywords", "layer", "outputs", "structure")

    def __init__(self, layer: Layer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        self.layer, self.arguments, self.keywords = layer, arguments, keywords
        self.structure: Any = None
        self.outputs: list[FunctionalTensor] = []

    @property
    def inputs(self) -> list[FunctionalTensor]:
        """The tensors among the arguments, in order."""
        return [x for x in flatten((self.arguments, self.keywords)) if isinstance(x, FunctionalTensor)]


def placeholder(shape: Sequence[int | None], dtype: Any = "float32", name: str = "input") -> FunctionalTensor:
    """A tensor that stands for a type. Unknown first axes are the same size everywhere."""
    sizes: list[Dim] = []
    for axis, size in enumerate(shape):
        sizes.append(symbol(f"{name}.{axis}" if axis else BATCH) if size is None else int(size))
    return FunctionalTensor(TensorType(as_dtype(dtype), sizes), name)


def holds_functional(args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a FunctionalTensor is among the arguments."""
    return any(isinstance(x, FunctionalTensor) for x in flatten((args, kwargs)))


def record(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a layer on FunctionalTensors: its result in FunctionalTensors that remember the call."""
    if scopes.current() is not None:
        raise AuthoringError(f"layer '{layer.name}': a tensor of the functional API was given to a function that is traced")
    node = Node(layer, args, dict(kwargs))
    node.structure = outputs_of(layer, args, kwargs, node)
    layer._inbound_nodes.append(node)
    return node.structure


def outputs_of(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], node: Node | None = None) -> Any:
    """The result of a call in FunctionalTensors, which belong to `node`."""
    scope = Scope(layer.name)
    entered: dict[int, SymbolicTensor] = {}

    def enter(_: Any, x: Any) -> Any:
        if not isinstance(x, FunctionalTensor):
            return x
        if id(x) not in entered:
            value = scope.input(x.name, x.type)
            value.known = x.known
            made = entered[id(x)] = SymbolicTensor(value, scope)
            mask = get_mask(x)
            if mask is not None:
                made.mask = enter((), mask)
        return entered[id(x)]

    def leave(_: Any, x: Any) -> Any:
        if not isinstance(x, Operand):
            if x is None:
                return None
            raise AuthoringError(f"layer '{layer.name}' must return tensors, got {type(x).__name__}")
        known = x.value.known if isinstance(x, SymbolicTensor) else None if isinstance(x, Variable) else x.numpy()
        place = 0 if node is None else len(node.outputs)
        name = f"{layer.name}_{place}" if place else layer.name
        made = FunctionalTensor(x.type, name, node, place, known)
        mask = get_mask(x)
        if mask is not None:
            made.mask = FunctionalTensor(mask.type, f"{made.name}_mask")
        if node is not None:
            node.outputs.append(made)
        return made

    given = map_leaves(enter, args), map_leaves(enter, dict(kwargs))
    with scopes.tracing(scope):
        result = layer(*given[0], **given[1])
        return map_leaves(leave, result)


def _record_operator(op: str, inputs: Sequence[Any], attributes: dict[str, Any], name: str | None) -> Any:
    from exporter.layers.operator import Operator

    given = [x if isinstance(x, FunctionalTensor) else _constant(op, x) for x in inputs]
    return Operator(op, attributes, name=name)(*given)


def _constant(op: str, x: Any) -> Any:
    if isinstance(x, Variable):
        raise AuthoringError(
            f"{op}: the variable '{x.name}' beside a tensor of the functional API would belong to no layer of the model: "
            "use it in the call of a layer"
        )
    return None if x is None else np.asarray(dispatch.convert(x))


dispatch.RECORDERS.append((FunctionalTensor, _record_operator))
