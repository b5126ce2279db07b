"""Loop and Scan: bodies that run again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.dims import is_known, symbol
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Int, Ints, Subgraph
from edge_rt.ops._rules import axis_of, contents, has, shape_of
from edge_rt.ops._spec import Array, Types, Values, define
from edge_rt.ops.control import accept, common, infer_graph, interpret, truth
from edge_rt.types import Dim, DType, TensorType

if TYPE_CHECKING:
    from edge_rt.graph import Graph, Value

RunGraph = Callable[["Graph", Sequence[Array]], list[Array]]
"""Runs a body: the interpreter in references, machine code in the runtime."""

MAX_ROUNDS = 3
"""If shapes of carried values still change after so many rounds of inference, the ranks of all of them are unknown."""

VARYING = "~"
"""Marks sizes that an iteration may change: no such size may leave the loop."""


def _settled(
    body: Graph, types: Sequence[TensorType], carried: range, captures: Values, skip: int
) -> tuple[list[Any], list[TensorType]]:
    """Shapes of carried values that hold after any number of iterations; types of the body's outputs after them.

    types: of the body's inputs, in the first iteration; carried: which of them are carried; captures: contents of the
    last of them, as far as known; skip: outputs of the body in front of the carried.
    """
    current = list(types[carried.start : carried.stop])
    contents_of = [*[None] * (len(types) - len(captures)), *captures]
    rounds = 0
    while True:
        made, _ = infer_graph(body, [*types[: carried.start], *current, *types[carried.stop :]], contents_of)
        general = [
            TensorType(a.dtype, _varying(a.shape, b.shape, f"{body.name}.{i}"))
            for i, (a, b) in enumerate(zip(current, made[skip:]))
        ]
        if general == current:
            return [_outside(t.shape) for t in current], made[skip + len(current) :]
        rounds += 1
        # A round may make one more size unknown, no more: bodies within bodies cannot afford a round for each size.
        current = general if rounds < MAX_ROUNDS else [TensorType(t.dtype, None) for t in general]


def _varying(a: Sequence[Dim] | None, b: Sequence[Dim] | None, name: str) -> list[Dim] | None:
    shape = common(a, b)
    if shape is None:
        return None
    return [symbol(f"{VARYING}{name}.{axis}") if d is None else d for axis, d in enumerate(shape)]


def _outside(shape: Iterable[Dim] | None) -> list[Dim | None] | None:
    """A shape as it is known outside of the loop."""
    return None if shape is None else [None if VARYING in str(d) else d for d in shape]


def _stacked(elements: Sequence[Array], element: Value, axis: int = 0) -> Array:
    """The elements along a new axis. element: the body's output, which says what none of them looks like."""
    if elements:
        if any(e.shape != elements[0].shape for e in elements):
            raise DataError(f"output '{element.name}' of the body must have the same shape in each iteration")
        return np.stack(elements, axis)
    shape = [d if isinstance(d, int) else 0 for d in element.type.shape or ()]
    axis = axis if axis >= 0 else axis + len(shape) + 1
    return np.zeros((*shape[:axis], 0, *shape[axis:]), element.type.dtype.numpy)


class LoopAttrs(Attrs):
    body = Subgraph()
    carried = Int()


SCALARS = (TensorType(DType.INT64, ()), TensorType(DType.BOOL, ()))


def _loop_dtypes(attrs: Any, given: Sequence[DType | None]) -> list[DType]:
    body, count = attrs.body, attrs.carried
    accept(body, given[2:], (DType.INT64, DType.BOOL))
    if not 0 <= count <= len(given) - 2 and not (count == 0 and len(given) < 2):
        raise GraphError(f"carried must be at most the {len(given) - 2} values the loop gets, got {count}")
    results = [v.type.dtype for v in body.outputs]
    if len(results) < 1 + count or results[: 1 + count] != [DType.BOOL, *given[2 : 2 + count]]:
        raise GraphError(f"'{body.name}' must give bool and then the carried values' types, got {results}")
    return results[1:]


def _loop_shapes(attrs: Any, types: Types, values: Values) -> Any:
    given: Any = types[2:]
    own = range(2, 2 + attrs.carried)
    carried, scanned = _settled(attrs.body, [*SCALARS, *given], own, values[own.stop :], 1)
    # The number of iterations is known if nothing but the trip count ends the loop.
    limit, trips = contents(values, 0), None
    if limit is not None and len(limit) == 1 and not has(types, 1) and _never_ends(attrs.body):
        trips = max(limit[0], 0) if is_known(limit[0]) else limit[0]
    shapes = [_outside(t.shape) for t in scanned]
    return [*carried, *(None if s is None else [trips, *s] for s in shapes)]


def _never_ends(body: Graph) -> bool:
    """Whether the body hands its condition on as it got it, or always true."""
    result: Any = body.outputs[0]
    while result.producer is not None and result.producer.op.name == "Identity":
        result = result.producer.inputs[0]
    return result is body.inputs[1] or (result.known is not None and bool(result.known.astype(bool).all()))


def _loop(
    attrs: Any, count: Array | None = None, condition: Array | None = None, *values: Array, run: RunGraph = interpret
) -> list[Array]:
    body = attrs.body
    limit = None if count is None else int(count.reshape(()))
    go = condition is None or truth(condition, "cond")
    carried, captures = list(values[: attrs.carried]), values[attrs.carried :]
    rows: list[list[Array]] = [[] for _ in body.outputs[1 + attrs.carried :]]
    iteration = 0
    while go and (limit is None or iteration < limit):
        result = run(body, [np.asarray(iteration, np.int64), np.asarray(go), *carried, *captures])
        go = truth(result[0], "condition of the body")
        carried = result[1 : 1 + attrs.carried]
        for row, element in zip(rows, result[1 + attrs.carried :]):
            row.append(element)
        iteration += 1
    return [*carried, *(_stacked(row, v) for row, v in zip(rows, body.outputs[1 + attrs.carried :]))]


LOOP = define(
    "Loop", "M:int64? cond:bool? values:any* -> outputs:any*", since=25, attrs=LoopAttrs, dtypes=_loop_dtypes,
    shapes=_loop_shapes, reference=_loop,
)  # fmt: skip


class ScanAttrs(Attrs):
    body = Subgraph()
    carried = Int()
    num_scan_inputs = Int()
    scan_input_axes = Ints(())
    scan_input_directions = Ints(())
    scan_output_axes = Ints(())
    scan_output_directions = Ints(())


def _numbers(name: str, given: Sequence[int], count: int) -> Sequence[int]:
    """One number per scanned value; zeros where the attribute is empty."""
    if given and len(given) != count:
        raise GraphError(f"{name} must be {count} numbers, got {len(given)}")
    return given or (0,) * count


def _scan_dtypes(attrs: Any, given: Sequence[DType | None]) -> list[DType]:
    accept(attrs.body, given)
    if attrs.num_scan_inputs < 1 or attrs.carried < 0 or attrs.carried + attrs.num_scan_inputs > len(given):
        counts = f"{attrs.carried} and {attrs.num_scan_inputs}"
        raise GraphError(f"carried and num_scan_inputs must count some of the {len(given)} inputs, got {counts}")
    results = [v.type.dtype for v in attrs.body.outputs]
    if results[: attrs.carried] != list(given[: attrs.carried]):
        raise GraphError(f"'{attrs.body.name}' must give the carried values' types first, got {results}")
    return results


def _scan_shapes(attrs: Any, types: Types, values: Values) -> Any:
    n, m = attrs.carried, attrs.num_scan_inputs
    given: Any = types
    axes = _numbers("scan_input_axes", attrs.scan_input_axes, m)
    slices, length = [], None
    for i, axis in enumerate(axes, n):
        shape = shape_of(types, i)
        axis = axis_of(axis, len(shape), "scan_input_axes")
        size = shape[axis]
        if length is not None and is_known(size) and is_known(length) and size != length:
            raise GraphError(f"scanned inputs must be equally long, got {length} and {size}")
        length = size if length is None or is_known(size) else length
        slices.append(TensorType(given[i].dtype, (*shape[:axis], *shape[axis + 1 :])))
    carried, scanned = _settled(attrs.body, [*given[:n], *slices, *given[n + m :]], range(n), values[n + m :], 0)
    shapes: list[Any] = list(carried)
    for element, axis in zip(scanned, _numbers("scan_output_axes", attrs.scan_output_axes, len(scanned))):
        stacked = _outside(element.shape)
        if stacked is not None:
            stacked.insert(axis_of(axis, len(stacked) + 1, "scan_output_axes"), length)
        shapes.append(stacked)
    return shapes


def _scan(attrs: Any, *values: Array, run: RunGraph = interpret) -> list[Array]:
    n, m = attrs.carried, attrs.num_scan_inputs
    outputs = attrs.body.outputs[n:]
    carried, captures = list(values[:n]), values[n + m :]
    axes = _numbers("scan_input_axes", attrs.scan_input_axes, m)
    backwards = _numbers("scan_input_directions", attrs.scan_input_directions, m)
    scanned = [np.moveaxis(v, axis, 0)[:: -1 if b else 1] for v, axis, b in zip(values[n:], axes, backwards)]
    rows: list[list[Array]] = [[] for _ in outputs]
    for slices in zip(*scanned):
        result = run(attrs.body, [*carried, *(np.array(s) for s in slices), *captures])
        carried = result[:n]
        for row, element in zip(rows, result[n:]):
            row.append(element)
    output_axes = _numbers("scan_output_axes", attrs.scan_output_axes, len(outputs))
    prepends = _numbers("scan_output_directions", attrs.scan_output_directions, len(outputs))
    stacked = [
        _stacked(row[::-1] if prepend else row, v, axis)
        for row, v, axis, prepend in zip(rows, outputs, output_axes, prepends)
    ]
    return [*carried, *stacked]


SCAN = define(
    "Scan", "values:any* -> outputs:any*", since=25, attrs=ScanAttrs, dtypes=_scan_dtypes,
    shapes=_scan_shapes, reference=_scan,
)  # fmt: skip
