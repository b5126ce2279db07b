"""Arithmetic in float16 becomes arithmetic in float32, which kernels do; float16 stays at the borders of the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.types import DType
from exporter.passes._match import is_used

KEPT = frozenset({
    "Bernoulli", "BitCast", "Cast", "CastLike", "EyeLike", "MelWeightMatrix", "Multinomial", "RandomNormalLike",
    "RandomUniformLike", "Range", "Shape", "Size", "ai.onnx.ml.TreeEnsemble",
})  # fmt: skip
"""Operators whose meaning depends on the element type, or that do not look at elements."""
SELECTIONS = frozenset({"Compress", "Gather", "GatherElements", "GatherND", "Slice"})
"""Moves that may leave most elements out: tables and states stay float16, and what is looked up becomes float32."""
MOVES = SELECTIONS | {
    "CenterCropPad", "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Identity", "Pad", "Reshape",
    "ReverseSequence", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze",
}  # fmt: skip
"""Operators that only move elements, which has kernels for any type."""
ROUNDED = frozenset({"Equal", "IsInf", "NonZero", "Unique"})
"""Operators that ask which number of float16 an operand is."""


def widen_float16(graph: Graph) -> int:
    """Nodes with float16 operands compute in float32, as ONNX Runtime does on CPUs.

    Inputs, outputs and variables of the graph keep their types: there is a Cast where such a value enters and one where it
    leaves. Between two such nodes nothing is rounded, so results are nearer to the exact ones than those of float16. A Cast
    of the model to float16 rounds as it did; one from float16 to a wider float gives what was not rounded.

    1. Arithmetic, also where float32 has no kernel. Constants become float32; they are stored as float16 again
       (compress_weights, encode_constants).
    2. Operators of MOVES between such nodes; SELECTIONS only of results of such nodes.
    3. Operators of ROUNDED: their operands are rounded to float16 before.

    Not for operators of KEPT, QuantizeLinear that asks for the precision of float16, or nodes that hold graphs.
    """
    chosen = _chosen(graph)
    widening = _Widening(graph)
    for node in list(graph.nodes):
        if id(node) in chosen:
            widening.rebuild(node)
        elif node.op.name == "Cast" and node.output.type.dtype in (DType.FLOAT32, DType.FLOAT64):
            widening.read_wide(node)
    for node in reversed(widening.rebuilt):
        for value in node.outputs:
            if is_used(graph, value):
                graph.replace(value, widening.rounded(value))
        graph.remove(node)
    return len(chosen)


def _is_half(value: Value | None) -> bool:
    return value is not None and value.type.dtype is DType.FLOAT16


def _chosen(graph: Graph) -> set[int]:
    """The ids of nodes to widen: arithmetic, and moves that hang together with it."""
    pending = [n for n in graph.nodes if _is_arithmetic(n)]
    chosen = set(map(id, pending))
    while pending:
        node = pending.pop()
        before = [v.producer for v in node.inputs if v is not None and v.producer is not None and _is_half(v)]
        behind = [user for v in node.outputs if _is_half(v) for user, _ in v.uses]
        for other in [*(n for n in before if n.op.name not in SELECTIONS), *behind]:
            if other.op.name in MOVES and id(other) not in chosen:
                chosen.add(id(other))
                pending.append(other)
    return chosen


def _is_arithmetic(node: Node) -> bool:
    if node.op.name in KEPT or node.op.name in MOVES or not any(map(_is_half, node.inputs)):
        return False
    if node.op.name == "QuantizeLinear" and node.attrs.precision is DType.FLOAT16:
        return False
    return not any(isinstance(v, Graph) for _, v in node.attrs)


class _Widening:
    """One run over a graph. wide: float16 values as float32, by id; narrow: what float32 values are rounded to float16."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.rebuilt: list[Node] = []
        self.computed: set[int] = set()
        """Ids of the values in `wide` that rebuilt nodes compute: those that were not rounded."""
        self.wide: dict[int, Value] = {}
        self.narrow: dict[int, Value] = {}

    def rebuild(self, node: Node) -> None:
        """Computes the node's outputs in float32. The node itself stays in front of what used it."""
        is_rounded = node.op.name in ROUNDED
        inputs = [self._operand(v, node, is_rounded) if v is not None and _is_half(v) else v for v in node.inputs]
        names = [v.name for v in node.outputs]
        made = self.graph.add(node.op, *inputs, attrs=_attributes(node), before=node, name=node.name, outputs=names)
        for old, new in zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True):
            if old.type.dtype is new.type.dtype:
                self.graph.replace(old, new)
            else:
                self.wide[id(old)] = new
                self.computed.add(id(old))
        self.rebuilt.append(node)

    def read_wide(self, cast: Node) -> None:
        """Makes a Cast of the model to a wider float read what was not rounded."""
        found = None if cast.inputs[0] is None else self.wide.get(id(cast.inputs[0]))
        if found is not None and id(cast.inputs[0]) in self.computed:
            self.graph.set_input(cast, 0, found)

    def rounded(self, value: Value) -> Value:
        """A float16 value of a rebuilt node: its float32 value, rounded where it is computed."""
        if id(value) not in self.narrow:
            self.narrow[id(value)] = self._cast(self.wide[id(value)], DType.FLOAT16, value.producer)
        return self.narrow[id(value)]

    def _operand(self, value: Value, user: Node, is_rounded: bool) -> Value:
        if is_rounded and id(value) in self.computed:
            return self._cast(self.rounded(value), DType.FLOAT32, user)
        if id(value) not in self.wide:
            if value.data is not None:
                self.wide[id(value)] = self.graph.constant(value.data.astype(np.float32), value.name)
            else:
                self.wide[id(value)] = self._cast(value, DType.FLOAT32, user)
        return self.wide[id(value)]

    def _cast(self, value: Value, to: DType, before: Node | None) -> Value:
        made: Value = self.graph.add("Cast", value, to=to, before=before)
        return made


def _attributes(node: Node) -> Any:
    """Attributes that ask for float16, too, ask for float32."""
    names = [name for name, v in node.attrs if v is DType.FLOAT16]
    return node.attrs.replace(**dict.fromkeys(names, DType.FLOAT32)) if names else node.attrs
