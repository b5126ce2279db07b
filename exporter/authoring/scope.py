"""Where operators on symbolic tensors go: the graph that is being traced, and what a traced graph takes from outside.

Scopes of one thread form a stack. An empty stack, or `init_scope`, means eager. The branches of a `cond` and the body of a
`while_loop` are scopes with a parent: what they use of it becomes an input of their closed graph, listed in `captures`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.errors import TracingError
from edge_rt.graph import Graph, Value
from edge_rt.graph import Variable as State
from edge_rt.types import TensorType

if TYPE_CHECKING:
    from exporter.authoring.variable import Variable

Array = np.ndarray[Any, Any]


class Scope:
    """A graph while it is traced. Variables are read and written in program order; `assigned` lists those written."""

    def __init__(self, name: str, parent: Scope | None = None, may_create: bool = True) -> None:
        self.graph, self.parent = Graph(name), parent
        self.may_create = may_create
        """Whether this trace may make variables: only the first one of a function."""
        self.states: list[tuple[Variable, State]] = []
        """Variables that the graph reads or writes, and their entries in it; in the outermost scope only."""
        self.assigned: dict[int, Variable] = {}
        self.captures: list[tuple[Value, Value]] = []
        """(value of the parent's graph, input of this one)."""
        self._current: dict[int, Value] = {}
        self._inner: dict[int, Value] = {}
        self._constants: dict[int, tuple[Array, Value]] = {}

    def input(self, name: str, type: TensorType) -> Value:
        return self.graph.input(_unused(name, [v.name for v in self.graph.inputs]), type)

    def constant(self, array: Array, name: str = "const") -> Value:
        """The array as a constant, one for each array. The array must not change afterwards."""
        found = self._constants.get(id(array))
        if found is None:
            found = self._constants[id(array)] = (array, self.graph.constant(array, scoped(name)))
        return found[1]

    def read(self, variable: Variable) -> Value:
        """The variable's value at this point of the program."""
        found = self._current.get(id(variable))
        if found is None:
            found = self._state(variable).value if self.parent is None else self.capture(self.parent.read(variable))
            self._current[id(variable)] = found
        return found

    def write(self, variable: Variable, value: Value) -> None:
        if self.parent is None:
            self._state(variable).update = value
        self._current[id(variable)] = value
        self.assigned[id(variable)] = variable

    def enter(self, variable: Variable, value: Value) -> None:
        """Makes `value` what the variable is at the beginning of this scope."""
        self._current[id(variable)] = value

    def capture(self, outer: Value) -> Value:
        """A value of the parent's graph inside of this one: an input, or a constant of its own."""
        found = self._inner.get(id(outer))
        if found is None:
            if outer.data is not None:
                found = self.graph.constant(outer.data, outer.name)
            else:
                found = self.input(outer.name, outer.type)
                self.captures.append((outer, found))
            self._inner[id(outer)] = found
        return found

    def resolve(self, value: Value, owner: Scope) -> Value:
        """A value of this scope or of one around it, as a value of this one. Raises TracingError for any other."""
        if owner is self:
            return value
        if self.parent is None:
            raise TracingError(
                f"the symbolic tensor '{value.name}' belongs to the function '{owner.graph.name}' and means nothing outside "
                "of its trace: return it from there, or keep it in a Variable"
            )
        return self.capture(self.parent.resolve(value, owner))

    def _state(self, variable: Variable) -> State:
        for known, state in self.states:
            if known is variable:
                return state
        taken = [state.name for _, state in self.states]
        state = self.graph.variable(_unused(variable.name.removesuffix(":0"), taken), variable.array)
        self.states.append((variable, state))
        return state


class _Local(threading.local):
    def __init__(self) -> None:
        self.scopes: list[Scope | None] = []
        self.names: list[str] = []


_LOCAL = _Local()


def current() -> Scope | None:
    """The scope that is being traced; None means eager."""
    return _LOCAL.scopes[-1] if _LOCAL.scopes else None


@contextmanager
def tracing(scope: Scope) -> Iterator[Scope]:
    """Traces into `scope`. The names of operators start anew in a function, and go on in its branches and loops."""
    names = _LOCAL.names
    _LOCAL.scopes.append(scope)
    if scope.parent is None:
        _LOCAL.names = []
    try:
        yield scope
    finally:
        _LOCAL.scopes.pop()
        _LOCAL.names = names


@contextmanager
def init_scope() -> Iterator[None]:
    """Computes eagerly, also while a function is traced: for initial values of variables."""
    _LOCAL.scopes.append(None)
    try:
        yield
    finally:
        _LOCAL.scopes.pop()


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Puts `name/` in front of the names of variables and operators made inside. Gives the whole prefix."""
    _LOCAL.names.append(name)
    try:
        yield "/".join(_LOCAL.names)
    finally:
        _LOCAL.names.pop()


def scoped(name: str) -> str:
    """The name with the name scopes in front that are open."""
    return "/".join([*_LOCAL.names, name])


def _unused(name: str, taken: Sequence[str]) -> str:
    found, count = name, 0
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    return found
