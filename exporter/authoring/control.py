"""`cond` and `while_loop`: Python's choice and loop where the condition is a tensor, the operators If and Loop where that
is symbolic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt.dims import symbol
from edge_rt.errors import AuthoringError, TracingError
from edge_rt.graph import Value
from edge_rt.types import Dim, DType, TensorType
from exporter.authoring import scope as scopes
from exporter.authoring.dispatch import convert, convert_to_tensor, value_of
from exporter.authoring.scope import Scope
from exporter.authoring.structure import flatten, map_leaves
from exporter.authoring.tensor import EagerTensor, SymbolicTensor
from exporter.authoring.variable import Variable

Block = Callable[..., Any]


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any], name: str = "cond") -> Any:
    """true_fn() where `pred`, a boolean scalar, holds, else false_fn(). Both give the same structure of tensors of the same
    dtypes, and may assign to variables."""
    scope = scopes.current()
    if scope is None or not isinstance(convert(pred), (SymbolicTensor, Variable)):
        return true_fn() if bool(convert(pred)) else false_fn()
    branches = [_Block(scope, f"{name}/{label}") for label in ("then", "else")]
    results = [block.run(function) for block, function in zip(branches, (true_fn, false_fn))]
    if _form(results[0]) != _form(results[1]):
        raise AuthoringError(f"cond: both branches must give the same structure, got {results[0]} and {results[1]}")
    assigned = list({k: v for block in branches for k, v in block.scope.assigned.items()}.values())
    for block, result in zip(branches, results):
        block.leave([*_values(flatten(result), block.scope), *(block.scope.read(v) for v in assigned)])
    captured = _close(branches)
    then, other = (block.scope.graph for block in branches)
    predicate = value_of(pred, scope)
    made: list[Value] = []
    if then.outputs:
        made = _many(
            scope.graph.add(
                "If", predicate, *captured, name=scopes.scoped(name), then_branch=then, else_branch=other
            )
        )
    return _taken(made, results[0], assigned, scope)


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Sequence[Any],
    maximum_iterations: int | None = None,
    name: str = "while",
) -> Any:
    """Replaces the loop variables by body(*loop_vars) while cond(*loop_vars), a boolean scalar, holds; their final values.

    loop_vars: a list or tuple of (structures of) tensors, which keep their dtypes. A size that an iteration changes becomes
    unknown. While a function is traced, the iterations are unrolled as long as the loop variables and the condition are
    concrete, and become an operator where they are symbolic.
    """
    scope = scopes.current()
    start = map_leaves(lambda _, x: convert_to_tensor(x), tuple(loop_vars))
    while not any(isinstance(x, SymbolicTensor) for x in flatten(start)):
        if maximum_iterations == 0:
            return start
        decided = convert(cond(*start))
        if scope is not None and not isinstance(decided, EagerTensor):
            break
        if not decided:
            return start
        start = map_leaves(lambda _, x: convert_to_tensor(x), _as_tuple(body(*start), len(start)))
        maximum_iterations = None if maximum_iterations is None else maximum_iterations - 1
    if scope is None:
        raise TracingError("while_loop: a symbolic tensor was given outside of the trace that it belongs to")
    carried: list[Variable] = []
    types = [x.type for x in flatten(start)]
    while True:
        block, results = _iteration(scope, name, cond, body, start, types, carried)
        assigned = list(block.scope.assigned.values())
        own = _values(flatten(results), block.scope)
        general = [_general(t, v.type, f"{name}.{i}") for i, (t, v) in enumerate(zip(types, own))]
        # A body traced without the variables that it assigns, or for sizes that it changes, is traced again.
        if len(assigned) == len(carried) and general == types:
            break
        carried, types = assigned, general
    with scopes.tracing(block.scope):
        go = value_of(cond(*map_leaves(_reader(own, block.scope), start)), block.scope)
    block.leave([go, *own, *(block.scope.read(v) for v in carried)])
    captured = _close([block])
    first = value_of(cond(*start), scope)
    limit = None if maximum_iterations is None else scope.constant(np.array(maximum_iterations, np.int64))
    initial = [*_values(flatten(start), scope), *(scope.read(v) for v in carried)]
    made = scope.graph.add(
        "Loop", limit, first, *initial, *captured,
        name=scopes.scoped(name), body=block.scope.graph, carried=len(initial),
    )  # fmt: skip
    return _taken(_many(made), start, carried, scope)


def _iteration(
    scope: Scope, name: str, cond: Block, body: Block, start: Any, types: Sequence[TensorType], carried: list[Variable]
) -> tuple[_Block, Any]:
    """The body traced for carried values of these types: its block, and its result."""
    block = _Block(scope, f"{name}/body")
    inner = block.scope
    inner.input("iteration", TensorType(DType.INT64, ()))
    inner.input("condition", TensorType(DType.BOOL, ()))
    values = [inner.input(f"loop_{i}", t) for i, t in enumerate(types)]
    for variable in carried:
        inner.enter(variable, inner.input(variable.name.removesuffix(":0"), variable.type))
    given = map_leaves(_reader(values, inner), start)
    result = block.run(lambda: _as_tuple(body(*given), len(start)))
    if _form(result) != _form(start):
        raise AuthoringError(f"while_loop: the body must give the structure of loop_vars, got {result}")
    for i, (before, after) in enumerate(zip(types, _values(flatten(result), inner))):
        if before.dtype is not after.type.dtype:
            kept = before.dtype.value
            raise AuthoringError(f"while_loop: loop variable {i} must stay {kept}, the body gives {after.type}")
    return block, result


class _Block:
    """A branch or body while it is traced."""

    def __init__(self, outer: Scope, name: str) -> None:
        self.scope = Scope(name, outer, outer.may_create)

    def run(self, function: Callable[[], Any]) -> Any:
        with scopes.tracing(self.scope):
            return function()

    def leave(self, values: Sequence[Value]) -> None:
        for i, value in enumerate(values):
            self.scope.graph.output(value, f"output_{i}")


def _close(blocks: Sequence[_Block]) -> list[Value]:
    """Gives all blocks the same captures in the same order, after their own inputs; the outer values in that order."""
    captured = {id(outer): outer for block in blocks for outer, _ in block.scope.captures}
    for block in blocks:
        graph = block.scope.graph
        taken = {id(inner) for _, inner in block.scope.captures}
        own = [v for v in graph.inputs if id(v) not in taken]
        graph.inputs = [*own, *(block.scope.capture(outer) for outer in captured.values())]
    return list(captured.values())


def _values(operands: Sequence[Any], scope: Scope) -> list[Value]:
    return [value_of(x, scope) for x in operands]


def _many(made: Any) -> list[Value]:
    return list(made) if isinstance(made, tuple) else [made]


def _taken(made: Sequence[Value], structure: Any, assigned: Sequence[Variable], scope: Scope) -> Any:
    """The results of an operator: tensors in the given structure, the rest assigned to the variables."""
    count = len(made) - len(assigned)
    for variable, value in zip(assigned, made[count:]):
        scope.write(variable, value)
    return map_leaves(_reader(made[:count], scope), structure)


def _reader(values: Sequence[Value], scope: Scope) -> Callable[[Any, Any], SymbolicTensor]:
    remaining = iter(values)
    return lambda _, __: SymbolicTensor(next(remaining), scope)


def _form(structure: Any) -> Any:
    return map_leaves(lambda _, __: 0, structure)


def _as_tuple(result: Any, count: int) -> Any:
    return (result,) if count == 1 and not isinstance(result, (list, tuple)) else tuple(result)


def _general(before: TensorType, after: TensorType, name: str) -> TensorType:
    """A type that both have: sizes that differ are unknown, and so is a rank."""
    if before.shape is None or after.shape is None or len(before.shape) != len(after.shape):
        return TensorType(before.dtype, None)
    pairs = enumerate(zip(before.shape, after.shape))
    dims: list[Dim] = [a if a == b else symbol(f"{name}.{i}") for i, (a, b) in pairs]
    return TensorType(before.dtype, dims)


def scan(step: Callable[[Any, Any], Any], xs: Any, states: Any, reverse: bool = False, name: str = "scan") -> Any:
    """(outputs, states): step(x, states) -> (output, states) for each slice x along the first axis of the tensors in xs.

    xs, states, output: structures of tensors; outputs are stacked along a new first axis, by place in xs. states keep their
    types. reverse: from the last slice to the first. A step must not assign to variables. Eagerly there must be a slice.
    """
    scope = scopes.current()
    xs, states = (map_leaves(lambda _, x: convert_to_tensor(x), tree) for tree in (xs, states))
    if not any(isinstance(x, SymbolicTensor) for x in flatten((xs, states))):
        return _steps(step, xs, states, reverse)
    if scope is None:
        raise TracingError("scan: a symbolic tensor was given outside of the trace that it belongs to")
    block = _Block(scope, f"{name}/body")
    inner = block.scope
    before = [x.type for x in flatten(states)]
    own = [inner.input(f"state_{i}", t) for i, t in enumerate(before)]
    slices = [TensorType(x.type.dtype, None if x.type.shape is None else x.type.shape[1:]) for x in flatten(xs)]
    parts = [inner.input(f"x_{i}", t) for i, t in enumerate(slices)]
    given = map_leaves(_reader(parts, inner), xs), map_leaves(_reader(own, inner), states)
    output, after = block.run(lambda: step(*given))
    if _form(after) != _form(states) or inner.assigned:
        raise AuthoringError("scan: a step must give states in the structure that it gets, and assign to no variable")
    block.leave([*_values(flatten(after), inner), *_values(flatten(output), inner)])
    captured = _close([block])
    turned = (1,) * len(parts) if reverse else ()
    made = _many(
        scope.graph.add(
            "Scan", *_values(flatten(states), scope), *_values(flatten(xs), scope), *captured, name=scopes.scoped(name),
            body=inner.graph, carried=len(own), num_scan_inputs=len(parts), scan_input_directions=turned,
            scan_output_directions=(1,) * len(flatten(output)) if reverse else (),
        )
    )  # fmt: skip
    last = map_leaves(_reader(made[: len(own)], scope), states)
    return map_leaves(_reader(made[len(own) :], scope), output), last


def _steps(step: Callable[[Any, Any], Any], xs: Any, states: Any, reverse: bool) -> Any:
    """`scan` of what is concrete."""
    from exporter.authoring.ops.array import stack

    count = flatten(xs)[0].shape[0]
    if not count:
        raise AuthoringError("scan: there must be at least one slice")
    rows = []
    for i in range(count)[:: -1 if reverse else 1]:
        output, states = step(map_leaves(lambda _, x: x[i], xs), states)  # noqa: B023
        rows.append(output)
    columns = zip(*map(flatten, rows[:: -1 if reverse else 1]))
    stacked = iter([stack(column) for column in columns])
    return map_leaves(lambda _, __: next(stacked), rows[0]), states
