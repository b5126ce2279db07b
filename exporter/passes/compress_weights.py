"""Weights that kernels can read as float16, int8 or int4 are stored so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops._panels import pack_int4_panels, pack_panels, pack_q_panels, unpack_panels
from edge_rt.ops.edge_gemm import SCALE, ZERO
from edge_rt.types import DType
from exporter.lattice import BITS, ULPS, Integers, exact_integers, is_exact_in_float16, rounded_integers

Array = np.ndarray[Any, Any]

WEIGHTS = ("auto", "float32", "float16", "int8", "int4")
"""What weights may be asked to be: "auto" compresses where no value changes, "float32" never, the others round."""
COMPACT = ("edge.Gemm", "edge.Conv")
"""Operators whose kernels read compact panels."""
MIN_BYTES = 4096
"""Smaller weights are not worth it."""
WORTH = 0.75
"""Of its bytes, as much as a compressed tensor may have at most."""
EXACT_KINDS = (*(("int4", block) for block in (0, 128, 64, 32, 16)), *(("int8", block) for block in (0, 128, 32)))
"""(kind, block) that are tried, the smallest first."""
PROBED_COLUMNS = 8
INT4_BLOCK = 32
"""How many k share a scale where weights are rounded to int4."""


class Stored(NamedTuple):
    """How one tensor of weights is stored now. before, after: bytes. error: the largest change of a value, relative to the
    largest value. is_rounded: whether a value changed by more than its last bits. at_load: whether it is decoded when the
    bundle is loaded, rather than by kernels."""

    name: str
    kind: str
    before: int
    after: int
    error: float
    is_rounded: bool
    at_load: bool


def is_loss(now: Array, before: Array) -> bool:
    """Whether some value changed by more than ULPS units in the last place."""
    return bool((np.abs(now - before) > ULPS * np.spacing(np.abs(before))).any())


class Compact(NamedTuple):
    """Panels in another form, with their scales and zero points (see ops/_panels.py), and the matrices they stand for."""

    kind: str
    panels: Array
    scale: Array | None
    zero: Array | None
    block: int
    matrices: Array

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in (self.panels, self.scale, self.zero) if a is not None)


def weight_compressor(weights: str, stored: list[Stored]) -> Callable[[Graph], int]:
    """The pass for one of WEIGHTS. It appends what it stored how to `stored`."""
    left: dict[int, Array] = {}
    """Panels that stay, so that they are looked at once."""

    def compress_weights(graph: Graph) -> int:
        """Panels of edge.Gemm and edge.Conv that are constant float32 become float16, int8 or int4.

        1. Without loss: columns that are integers times a scale (int4 or int8, also in blocks along k), or exact in
           float16. Always tried first.
        2. Rounded, where `weights` asks for it.

        Not for tensors below MIN_BYTES, where less than a quarter would be saved, or where a value is not finite (or
        beyond float16's range).
        """
        changes = 0
        made: dict[int, tuple[Compact, list[Value | None]] | None] = {}
        for node, panels, data in _candidates(graph):
            if id(data) in left:
                continue
            if id(panels) not in made:
                found = compacted(data, _columns(node), weights)
                made[id(panels)] = None if found is None else (found, _constants(graph, panels.name, found))
                if found is None:
                    left[id(data)] = data
                else:
                    stored.append(_describe(panels.name, data, found, _columns(node)))
            entry = made[id(panels)]
            if entry is not None:
                _rebuild(graph, node, *entry)
                changes += 1
        return changes

    return compress_weights


def compacted(panels: Array, n: int, weights: str) -> Compact | None:
    """Panels float32[..., ceil(n/16), k, 16] in the smallest form that `weights` allows; None to leave them."""
    matrices = unpack_panels(panels, n)
    if not matrices.size or not np.isfinite(matrices).all():
        return None
    best = None if weights == "float32" else _exact(matrices)
    rounded = _rounded(matrices, weights)
    if rounded is not None and (best is None or rounded.nbytes < best.nbytes):
        best = rounded
    return best if best is not None and best.nbytes <= WORTH * panels.nbytes else None


def _exact(matrices: Array) -> Compact | None:
    k, n = matrices.shape[-2:]
    # Most weights are no multiples of anything, and show it in a few columns.
    few = matrices[..., :: -(-n // PROBED_COLUMNS)]
    for kind, block in EXACT_KINDS:
        if block < k and exact_integers(_columns_of(few, block), BITS[kind]) is not None:
            found = exact_integers(_columns_of(matrices, block), BITS[kind])
            if found is not None:
                return _of_integers(kind, found, matrices.shape, block)
    return _of_float16(matrices) if is_exact_in_float16(matrices) else None


def _rounded(matrices: Array, weights: str) -> Compact | None:
    if weights == "float16":
        return _of_float16(matrices) if np.abs(matrices).max() <= np.finfo(np.float16).max else None
    if weights not in BITS:
        return None
    block = INT4_BLOCK if weights == "int4" and matrices.shape[-2] > INT4_BLOCK else 0
    return _of_integers(
        weights, rounded_integers(_columns_of(matrices, block), BITS[weights]), matrices.shape, block
    )


def _columns_of(matrices: Array, block: int) -> Array:
    """[..., k, n] as [block or k, columns]; what is missing in the last block is 0."""
    *batch, k, n = matrices.shape
    rows = -(-k // block) if block else 1
    if rows * block > k:
        padded = np.zeros((*batch, rows * block, n), matrices.dtype)
        padded[..., :k, :] = matrices
        matrices = padded
    depth = block or k
    return np.moveaxis(matrices.reshape(*batch, rows, depth, n), -2, 0).reshape(depth, -1)


def _of_integers(kind: str, found: Integers, shape: tuple[int, ...], block: int) -> Compact:
    *batch, k, n = shape
    rows = -(-k // block) if block else 1
    depth = block or k

    def whole(columns: Array) -> Array:
        return np.moveaxis(columns.reshape(depth, *batch, rows, n), 0, -2).reshape(*batch, rows * depth, n)[..., :k, :]

    pack = pack_q_panels if kind == "int8" else pack_int4_panels
    scale = pack_panels(found.scale.reshape(*batch, rows, n))
    zero = None if found.zero is None else pack_panels(found.zero.reshape(*batch, rows, n))
    return Compact(kind, pack(whole(found.q)), scale, zero, block, whole(found.decoded()))


def _of_float16(matrices: Array) -> Compact:
    half = matrices.astype(np.float16)
    return Compact("float16", pack_panels(half), None, None, 0, half.astype(np.float32))


def _candidates(graph: Graph) -> Iterator[tuple[Node, Value, Array]]:
    for node in list(graph.nodes):
        if node.op.name in COMPACT:
            panels = node.inputs[1]
            assert panels is not None
            if panels.data is not None and panels.type.dtype is DType.FLOAT32 and panels.data.nbytes >= MIN_BYTES:
                yield node, panels, panels.data


def _columns(node: Node) -> int:
    """Columns of one matrix of the panels."""
    return int(node.attrs.n // node.attrs.group if node.op.name == "edge.Conv" else node.attrs.n)


def _constants(graph: Graph, name: str, found: Compact) -> list[Value | None]:
    parts = ((name, found.panels), (f"{name}.scale", found.scale), (f"{name}.zero", found.zero))
    return [None if data is None else graph.constant(data, text) for text, data in parts]


def _rebuild(graph: Graph, node: Node, found: Compact, constants: list[Value | None]) -> None:
    panels, scale, zero = constants
    inputs = [*node.inputs, None, None, None, None][: ZERO + 1]
    inputs[1], inputs[SCALE], inputs[ZERO] = panels, scale, zero
    attrs = node.attrs.replace(block=found.block)
    made = graph.add(node.op, *inputs, attrs=attrs, before=node, name=node.name, outputs=[node.output.name])
    graph.replace(node.output, made)
    graph.remove(node)


def _describe(name: str, data: Array, found: Compact, n: int) -> Stored:
    before = unpack_panels(data, n)
    largest = float(np.abs(before).max())
    error = float(np.abs(found.matrices - before).max()) / largest if largest else 0.0
    return Stored(name, found.kind, data.nbytes, found.nbytes, error, is_loss(found.matrices, before), False)
