"""What an export did, for people (print it) and for programs (`as_dict`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_rt.cost import macs
from edge_rt.dims import IntLike
from edge_rt.errors import SymbolicDimError
from edge_rt.graph import Graph, Node
from exporter.fit import Fit
from exporter.passes.compress_weights import Stored
from exporter.texts import count, size
from exporter.verify import Difference


@dataclass
class Tensor:
    """An input or output; sizes that are not numbers are strings, shape None is an unknown rank."""

    name: str
    dtype: str
    shape: list[int | str] | None

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{'?' if self.shape is None else ', '.join(map(str, self.shape))}]"


@dataclass
class Report:
    """What an export did. Sizes in bytes; `macs` is an expression where sizes are not numbers."""

    source: str
    path: str | None
    inputs: list[Tensor]
    outputs: list[Tensor]
    parameters: int
    macs: int | str
    ops_before: dict[str, int]
    ops_after: dict[str, int] = field(default_factory=dict)
    passes: list[tuple[str, int]] = field(default_factory=list)
    """(pass, number of its changes)."""
    weights: list[Stored] = field(default_factory=list)
    """Tensors that are stored in another form than float32."""
    weight_bytes: int = 0
    file_bytes: int = 0
    numpy_steps: list[str] | None = None
    """Operators and nodes that no kernel covers; None where the plan needs sizes that were not given."""
    test_vector: str = "none"
    """What computed the stored outputs, or why there are none."""
    oracle: str = ""
    """The source runtime that outputs were compared with; "" if they were not."""
    differences: list[Difference] = field(default_factory=list)
    device: Fit | None = None
    """How the model runs on the board that was asked for."""
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON-like data."""
        listed = {"differences": [d._asdict() for d in self.differences], "weights": [w._asdict() for w in self.weights]}
        return {**asdict(self), **listed}

    def __str__(self) -> str:
        lines = [f"{self.source} -> {self.path}" if self.path else self.source]
        lines += [f"  input   {t}" for t in self.inputs]
        lines += [f"  output  {t}" for t in self.outputs]
        macs = count(self.macs) if len(str(self.macs)) <= MOST_MACS else "a number, which depends on the input sizes, of"
        lines.append(f"  {count(self.parameters)} parameters, {macs} multiply-adds a run")
        lines.append(f"  {_ops(self.ops_before)}")
        if self.path:
            lines.append(f"  now {_ops(self.ops_after)}")
            lines += [f"    {name} x{count}" for name, count in self.passes]
            lines.append(f"  {size(self.file_bytes)} file, {size(self.weight_bytes)} of it weights")
            lines += [f"    {text}" for text in _kinds(self.weights)]
            lines.append(f"  test vector: {self.test_vector}")
            lines.append(f"  {self._numpy()}")
        if self.oracle:
            lines.append(f"  compared with {self.oracle}:")
            lines += [f"    {d}" for d in self.differences]
        if self.device is not None:
            lines.append(f"  {self.device}")
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])

    def _numpy(self) -> str:
        if self.numpy_steps is None:
            return "steps in NumPy: not known before the input sizes are (give input shapes)"
        if not self.numpy_steps:
            return "every step has a kernel"
        shown = ", ".join(self.numpy_steps[:8])
        rest = f" and {len(self.numpy_steps) - 8} more" if len(self.numpy_steps) > 8 else ""
        return f"{len(self.numpy_steps)} steps run in NumPy: {shown}{rest}"


def _kinds(weights: list[Stored]) -> Iterator[str]:
    """A line for each form in which tensors are stored."""
    for kind, at_load in sorted({(w.kind, w.at_load) for w in weights}):
        of_kind = [w for w in weights if (w.kind, w.at_load) == (kind, at_load)]
        before, after = sum(w.before for w in of_kind), sum(w.after for w in of_kind)
        rounded = [w.error for w in of_kind if w.is_rounded]
        change = f"rounded by up to {max(rounded):.2g} of the largest weight" if rounded else "without loss"
        where = ", decoded when loaded" if at_load else ""
        yield f"{len(of_kind)} tensors as {kind}{where}: {size(before)} -> {size(after)}, {change}"


def tensors(names: list[str], graph_values: list[Any]) -> list[Tensor]:
    """Report entries for values given out or taken under these names."""
    return [
        Tensor(
            name,
            value.type.dtype.value,
            None if value.type.shape is None else [d if isinstance(d, int) else str(d) for d in value.type.shape],
        )
        for name, value in zip(names, graph_values)
    ]


def all_nodes(graph: Graph) -> list[Node]:
    """The nodes of a graph and of the graphs inside it."""
    nodes = list(graph.nodes)
    for _, _, inner in graph.subgraphs():
        nodes += all_nodes(inner)
    return nodes


def count_ops(graph: Graph) -> dict[str, int]:
    """How often each operator occurs, most frequent first."""
    counts = Counter(node.op.name for node in all_nodes(graph))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def constants(graph: Graph) -> list[Any]:
    """Arrays of all constants of a graph and of the graphs inside it, each once."""
    found: dict[int, Any] = {}
    for value in graph.constants():
        found.setdefault(id(value.data), value.data)
    for _, _, inner in graph.subgraphs():
        found.update((id(a), a) for a in constants(inner))
    return list(found.values())


def count_parameters(graph: Graph) -> int:
    """Elements of float and 8-bit constants, which is where trained numbers are."""
    return sum(a.size for a in constants(graph) if a.dtype.kind == "f" or a.dtype.itemsize == 1)


MOST_MACS = 80
"""Characters of an expression that the report prints; longer ones are in its data only."""


def count_macs(graph: Graph) -> int | str:
    """Multiply-adds of a run; bodies of loops count once. "unknown" where the sizes are too involved to be followed."""
    total: IntLike = 0
    try:
        for node in all_nodes(graph):
            types = [None if v is None else v.type for v in node.inputs]
            total = total + macs(node.op.name, node.attrs, types, [v.type for v in node.outputs])
    except SymbolicDimError:
        return "unknown"
    return total if isinstance(total, int) else str(total)


def _ops(counts: dict[str, int]) -> str:
    return f"{sum(counts.values())} operators: " + ", ".join(f"{name} x{count}" for name, count in counts.items())
