"""The table of a model's layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_rt.errors import EdgeError
from exporter.authoring.variable import Variable
from exporter.layers.base import Layer
from exporter.layers.operator import Operator
from exporter.layers.weights import scalars
from exporter.models.input import InputLayer
from exporter.models.network import Network

if TYPE_CHECKING:
    from exporter.models.model import Model

WIDTH = 98


class Column(NamedTuple):
    title: str
    share: int
    """Of the width, in parts."""
    is_number: bool = False


def summary_text(model: Model, line_length: int | None, expand_nested: bool, show_trainable: bool) -> str:
    """The table with name and totals; lines as described at Model.summary."""
    has_graph = model._network is not None and not _is_chain(model._network)
    columns = [Column("Layer (type)", 4), Column("Output Shape", 3), Column("Param #", 2, True)]
    if has_graph:
        columns.append(Column("Connected to", 3))
    if show_trainable:
        columns.append(Column("Trainable", 1))
    rows = list(_rows(model, 0, expand_nested))
    shown = [
        [*row[:3], *([row[3]] if has_graph else []), *([row[4]] if show_trainable else [])]  # name, shape, number, ...
        for row in rows
    ]
    lines = [f'Model: "{model.name}"', *_table(columns, shown, line_length or WIDTH)]
    for what, weights in (
        ("Total", model.weights),
        ("Trainable", model.trainable_weights),
        ("Non-trainable", model.non_trainable_weights),
    ):
        lines.append(f" {what} params: {scalars(weights):,} ({_size(weights)})")
    return "\n".join(lines)


def _is_chain(network: Network) -> bool:
    """Whether each layer is called once, on one tensor, which no other is called on."""
    used: set[int] = set()
    for node in network.nodes:
        if len(node.inputs) > 1 or len(network.nodes_of(node.layer)) > 1 or any(id(x) in used for x in node.inputs):
            return False
        used.update(id(x) for x in node.inputs)
    return True


def _rows(model: Model, depth: int, expand: bool) -> Iterator[list[str]]:
    """[name, shape, parameters, connections, trainable] of each layer."""
    from exporter.models.model import Model

    for layer in model.layers:
        name = f"{'  ' * depth}{layer.name} ({layer.op if isinstance(layer, Operator) else type(layer).__name__})"
        number = f"{scalars(layer.weights):,}" if layer.built else "0 (unbuilt)"
        trains = "-" if not layer.weights else "Y" if layer.trainable else "N"
        yield [name, _shapes(model._network, layer), number, _connections(model._network, layer), trains]
        if expand and isinstance(layer, Model):
            yield from _rows(layer, depth + 1, expand)


def _shapes(network: Network | None, layer: Layer) -> str:
    if network is not None:
        shapes = [x.shape for node in network.nodes_of(layer) for x in node.outputs]
        return ", ".join(dict.fromkeys(_shape(s) for s in shapes))
    if layer._build_shapes is None or len(layer._build_shapes) != 1:
        return "?"
    try:
        return _shape(layer.compute_output_shape(next(iter(layer._build_shapes.values()))))
    except EdgeError:
        return "?"


def _shape(shape: Any) -> str:
    if isinstance(shape, (list, dict)):
        return ", ".join(map(_shape, shape.values() if isinstance(shape, dict) else shape))
    return "?" if shape is None else str(tuple(shape))


def _connections(network: Network | None, layer: Layer) -> str:
    if network is None or isinstance(layer, InputLayer):
        return "-"
    found = []
    for node in network.nodes_of(layer):
        for x in node.inputs:
            assert x.node is not None
            found.append(f"{x.node.layer.name}[{network.nodes_of(x.node.layer).index(x.node)}][{x.index}]")
    return ", ".join(found)


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    inner = width - 3 * len(columns) - 1
    parts = sum(c.share for c in columns)
    widths = [max(len(c.title), inner * c.share // parts) for c in columns]
    widths[0] = max(len(columns[0].title), widths[0] - (sum(widths) - inner))

    def rule(left: str, line: str, middle: str, right: str) -> str:
        return left + middle.join(line * (w + 2) for w in widths) + right

    def lines(cells: Sequence[str], bar: str) -> Iterator[str]:
        cut = [_wrapped(cell, w) for cell, w in zip(cells, widths)]
        for i in range(max(map(len, cut))):
            texts = [c[i] if i < len(c) else "" for c in cut]
            yield bar + bar.join(
                f" {t:>{w}} " if c.is_number else f" {t:<{w}} " for t, w, c in zip(texts, widths, columns)
            ) + bar

    yield rule("┏", "━", "┳", "┓")
    yield from lines([c.title for c in columns], "┃")
    yield rule("┡", "━", "╇", "┩")
    for i, row in enumerate(rows):
        if i:
            yield rule("├", "─", "┼", "┤")
        yield from lines(row, "│")
    yield rule("└", "─", "┴", "┘")


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines, broken at spaces where that is possible."""
    lines = []
    while len(text) > width:
        at = text.rfind(" ", 1, width + 1)
        at = at if text[:at].strip() else -1
        lines.append(text[: at if at > 0 else width])
        text = text[at + 1 if at > 0 else width :]
    return [*lines, text]


def _size(weights: Sequence[Variable]) -> str:
    count = float(sum(v.type.nbytes for v in weights))
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024 or unit == "GB":
            break
        count /= 1024
    return f"{count:.2f} {unit}"
