"""A traced function: one graph, and how its inputs and outputs belong to Python's arguments and results."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from edge_rt.graph import Graph
from edge_rt.interpreter import Array, evaluate
from edge_rt.signature import Signature
from exporter.authoring import scope as scopes
from exporter.authoring.dispatch import convert, value_of
from exporter.authoring.forms import Input
from exporter.authoring.scope import Scope
from exporter.authoring.specs import TensorSpec
from exporter.authoring.structure import Path, joined, map_leaves
from exporter.authoring.tensor import EagerTensor, Operand, SymbolicTensor
from exporter.authoring.variable import Variable
from exporter.passes.remove_dead_code import remove_dead_code

_TRACES = itertools.count()

OBSERVERS: list[Callable[[ConcreteFunction, Mapping[str, Array]], None]] = []
"""Told of each eager call before it runs, with the inputs by name. Calls inside of a trace are a part of that graph."""


class ConcreteFunction:
    """The graph of a function for inputs of one signature. Called with the tensors that it takes, in order or by name.

    variables: those that the graph reads or writes, in the order of `graph.variables`; it uses their values at the time of a
    call. structure: the function's result, with the position of an output in place of each tensor. arguments: those of
    Python's function by parameter, with Inputs in place of tensors; signature: that function's.
    """

    def __init__(
        self,
        name: str,
        graph: Graph,
        variables: Sequence[Variable],
        structure: Any,
        arguments: Mapping[str, Any],
        signature: inspect.Signature,
    ) -> None:
        self.name, self.graph, self.variables, self.structure = name, graph, tuple(variables), structure
        self.arguments, self.signature = dict(arguments), signature
        self.specs = tuple(TensorSpec.of(v.type, v.name) for v in graph.inputs)
        self._entry = Signature(name, graph)
        self.order = next(_TRACES)
        """Grows with each trace."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(v.name for v in self.graph.inputs)

    @property
    def assigned(self) -> tuple[Variable, ...]:
        """The variables that a call changes."""
        return tuple(v for v, s in zip(self.variables, self.graph.variables) if s.update is not None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result for these inputs. Raises InputError for unfitting ones; variables are unchanged then."""
        named = dict(zip(self.inputs, args, strict=False))
        if len(args) > len(self.inputs) or set(named) & set(kwargs):
            got = f"{len(args)} in order and {', '.join(kwargs) or 'none'} by name"
            raise AuthoringError(f"function '{self.name}' takes the inputs {', '.join(self.inputs)}; got {got}")
        named.update(kwargs)
        scope = scopes.current()
        if scope is not None:
            return self._inline(named, scope)
        types = {v.name: v.type.dtype for v in self.graph.inputs}
        arrays = self._entry.check({n: np.asarray(convert(x, types.get(n))) for n, x in named.items()})
        for observer in OBSERVERS:
            observer(self, dict(zip(self.inputs, arrays)))
        state = {s.name: v.array for v, s in zip(self.variables, self.graph.variables)}
        made = evaluate(self.graph, arrays, state)
        for variable, s in zip(self.variables, self.graph.variables):
            if s.update is not None:
                variable.set(np.array(state[s.name]))
        results = [EagerTensor(np.array(m)) for m in made]
        return map_leaves(lambda _, place: None if place is None else results[place], self.structure)

    def _inline(self, named: dict[str, Any], scope: Scope) -> Any:
        """The graph's nodes as a part of the one that is being traced."""
        known = {id(v): value_of(named[v.name], scope, v.type.dtype) for v in self.graph.inputs}
        for v, spec in zip(self.graph.inputs, self.specs):
            spec.check(known[id(v)].type, f"{self.name}, input '{v.name}'")
        known.update((id(s.value), scope.read(v)) for v, s in zip(self.variables, self.graph.variables))

        def read(value: Any) -> Any:
            if value is None or id(value) in known:
                return None if value is None else known[id(value)]
            return scope.constant(value.data, value.name)

        for node in self.graph.nodes:
            made = scope.graph.add(node.op, *map(read, node.inputs), name=scopes.scoped(node.name), attrs=node.attrs)
            known.update((id(v), m) for v, m in zip(node.outputs, made if isinstance(made, tuple) else (made,)))
        for variable, s in zip(self.variables, self.graph.variables):
            if s.update is not None:
                scope.write(variable, read(s.update))
        outputs = [SymbolicTensor(read(v), scope) for v in self.graph.outputs]
        return map_leaves(lambda _, place: None if place is None else outputs[place], self.structure)

    def pretty_printed_signature(self) -> str:
        """Name, inputs and outputs as text."""
        inputs = "".join(f"\n    {v!r}".replace("%", "") for v in self.graph.inputs) or "\n    none"
        outputs = "".join(f"\n    {n}: {v.type}" for n, v in zip(self.graph.output_names, self.graph.outputs))
        return f"{self.name}\n  Inputs:{inputs}\n  Outputs:{outputs or chr(10) + '    none'}"

    def __repr__(self) -> str:
        return f"<ConcreteFunction {self._entry!r}>"


def trace(
    python: Callable[..., Any],
    arguments: inspect.BoundArguments,
    name: str,
    may_create: bool = True,
) -> ConcreteFunction:
    """The graph of `python` for arguments in which TensorSpecs stand for its inputs.

    Inputs are named after the arguments (x, or inputs_0 and inputs_mask for structures), unless their spec has a name.
    Outputs are output_0, output_1, ..., or the keys of a dict.
    """
    scope = Scope(name, may_create=may_create)

    def enter(path: Path, x: Any) -> Any:
        if not isinstance(x, TensorSpec):
            return x
        value = scope.input(x.name or joined(path), x.type(x.name or joined(path)))
        return SymbolicTensor(value, scope)

    def placed(_: Path, x: Any) -> Any:
        return Input(inputs[id(x.value)]) if isinstance(x, SymbolicTensor) and x.scope is scope else x

    given = inspect.BoundArguments(arguments.signature, arguments.arguments.copy())
    for parameter, value in given.arguments.items():
        given.arguments[parameter] = map_leaves(enter, value, _root(arguments.signature, parameter))
    inputs = {id(v): place for place, v in enumerate(scope.graph.inputs)}
    placeholders = {name: map_leaves(placed, x) for name, x in given.arguments.items()}
    with scopes.tracing(scope):
        result = python(*given.args, **given.kwargs)
        structure = _outputs(scope, result)
    remove_dead_code(scope.graph)
    variables = [v for v, _ in scope.states]
    return ConcreteFunction(name, scope.graph, variables, structure, placeholders, arguments.signature)


def _root(signature: inspect.Signature, parameter: str) -> Path:
    """What names of inputs start with: nothing for **kwargs, whose keys say enough."""
    is_keywords = signature.parameters[parameter].kind is inspect.Parameter.VAR_KEYWORD
    return () if is_keywords else (parameter,)


def _outputs(scope: Scope, result: Any) -> Any:
    """Gives the tensors of a result out of the graph; the result's structure with their positions."""
    names_by_key = isinstance(result, dict)

    def leave(path: Path, x: Any) -> int | None:
        if x is None:
            return None
        if not isinstance(x, Operand) and not _is_data(x):
            raise AuthoringError(f"function '{scope.graph.name}' must return tensors, got {type(x).__name__}")
        place = len(scope.graph.outputs)
        scope.graph.output(value_of(x, scope), joined(path) if names_by_key else f"output_{place}")
        return place

    return map_leaves(leave, result)


def _is_data(x: Any) -> bool:
    return isinstance(x, (bool, int, float, complex, np.ndarray, np.generic))
