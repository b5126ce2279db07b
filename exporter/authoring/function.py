"""`ex.function`: Python functions on tensors, traced to one graph per signature of their inputs."""

from __future__ import annotations

import functools
import inspect
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from edge_rt.errors import AuthoringError
from exporter.authoring import scope as scopes
from exporter.authoring.concrete import ConcreteFunction, trace
from exporter.authoring.dispatch import convert
from exporter.authoring.specs import TensorSpec
from exporter.authoring.structure import key_of, leaves, map_leaves
from exporter.authoring.tensor import Operand, as_dtype
from exporter.authoring.variable import Variable

RETRACES = 5
"""A warning is given when a function was traced so many times, the first time counted out, with nothing but sizes or
Python values changed."""


class RetracingWarning(UserWarning):
    """A function is traced again and again."""


class Function:
    """A Python function that is traced when it is called with inputs of a new signature. Made by `function`.

    Tensors and arrays among the arguments count by dtype and shape, and so does a list of numbers with a float among them
    ([[2.0, 1.0]]), which is a tensor. Other Python values count by value, variables and other objects by identity. As a
    method it has traces of its own for each object.
    """

    def __init__(self, python: Callable[..., Any], input_signature: Sequence[Any] | None = None) -> None:
        functools.update_wrapper(self, python)
        self.python_function = python
        self.input_signature = None if input_signature is None else tuple(input_signature)
        self._signature = inspect.signature(python)
        self._concrete: dict[Any, ConcreteFunction] = {}
        self._bound: weakref.WeakKeyDictionary[Any, Function] = weakref.WeakKeyDictionary()
        self._warned = False
        self.name: str = getattr(python, "__name__", type(python).__name__)

    def __get__(self, owner: Any, kind: type | None = None) -> Function:
        if owner is None:
            return self
        bound = self._bound.get(owner)
        if bound is None:
            # The method must not keep its owner alive: it is a value of a dictionary whose key is the owner.
            bound = self._bound[owner] = Function(_Method(self.python_function, owner), self.input_signature)
        return bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the function by its graph; inside of another trace, as a part of that."""
        arguments = self._arguments(args, kwargs)
        if scopes.current() is not None:
            return self.python_function(*arguments.args, **arguments.kwargs)
        return self._concrete_for(arguments)(*_tensors(arguments.arguments))

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The graph for these arguments: TensorSpecs, tensors, or Python values. Traced if it is new."""
        if self.input_signature is not None and not args and not kwargs:
            args = self.input_signature
        return self._concrete_for(self._arguments(args, kwargs))

    @property
    def concrete_functions(self) -> tuple[ConcreteFunction, ...]:
        """All graphs there are, in the order in which they were traced."""
        return tuple(self._concrete.values())

    @property
    def tracing_count(self) -> int:
        """How often the Python function was traced."""
        return len(self._concrete)

    @property
    def graph(self) -> Any:
        """The graph of the only trace. Raises AuthoringError if there is none, or several."""
        if len(self._concrete) != 1:
            raise AuthoringError(f"function '{self.name}' has {len(self._concrete)} traces: use get_concrete_function")
        return self.concrete_functions[0].graph

    def pretty_printed_signature(self) -> str:
        """The signatures of all traces, as text."""
        return "\n".join(c.pretty_printed_signature() for c in self.concrete_functions)

    def __repr__(self) -> str:
        return f"<ex.function '{self.name}', {len(self._concrete)} traces>"

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """The arguments by parameter, defaults filled in, numbers as tensors where an input signature wants them."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"function '{self.name}': {error}") from None
        if self.input_signature is not None:
            names = list(bound.arguments)
            if len(names) != len(self.input_signature):
                raise AuthoringError(
                    f"function '{self.name}': its input signature has {len(self.input_signature)} inputs, got {len(names)}"
                )
            for name, specs in zip(names, self.input_signature):
                bound.arguments[name] = _fitted(bound.arguments[name], specs, f"function '{self.name}', '{name}'")
        else:
            bound.arguments.update({name: _with_tensors(x) for name, x in bound.arguments.items()})
            bound.apply_defaults()
        return bound

    def _concrete_for(self, arguments: inspect.BoundArguments) -> ConcreteFunction:
        arguments = inspect.BoundArguments(arguments.signature, arguments.arguments.copy())
        if self.input_signature is not None:
            arguments.arguments.update(zip(list(arguments.arguments), self.input_signature))
        key = key_of(dict(arguments.arguments), _key)
        found = self._concrete.get(key)
        if found is None:
            self._warn()
            arguments.arguments.update(map_leaves(_specified, dict(arguments.arguments)))
            found = trace(self.python_function, arguments, self.name, may_create=not self._concrete)
            self._concrete[key] = found
        return found

    def _warn(self) -> None:
        if len(self._concrete) == RETRACES + 1 and not self._warned:
            self._warned = True
            warnings.warn(
                f"function '{self.name}' is traced for the {len(self._concrete) + 1}th time: pass tensors instead of Python "
                "numbers, or give input_signature with None for sizes that change",
                RetracingWarning,
                stacklevel=4,
            )


class _Method:
    """A function bound to an object that it does not keep alive."""

    def __init__(self, python: Callable[..., Any], owner: Any) -> None:
        self._python, self._owner = python, weakref.ref(owner)
        self.__name__, self.__doc__ = python.__name__, python.__doc__
        self.__signature__ = inspect.Signature(list(inspect.signature(python).parameters.values())[1:])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._python(self._owner(), *args, **kwargs)


@overload
def function(fn: Callable[..., Any], *, input_signature: Sequence[Any] | None = None) -> Function: ...
@overload
def function(
    fn: None = None, *, input_signature: Sequence[Any] | None = None
) -> Callable[[Callable[..., Any]], Function]: ...


def function(fn: Callable[..., Any] | None = None, *, input_signature: Sequence[Any] | None = None) -> Any:
    """Makes a Function of a Python function, method or callable; also as a decorator, with or without arguments.

    input_signature: TensorSpecs (or structures of them) of all arguments; the function then has one graph, and refuses what
    does not match.
    """
    if fn is None:
        return functools.partial(function, input_signature=input_signature)
    if isinstance(fn, Function):
        return Function(fn.python_function, input_signature or fn.input_signature)
    return Function(fn, input_signature)


def _tensors(arguments: dict[str, Any]) -> list[Operand]:
    """The tensors among the arguments, in the order of a graph's inputs."""
    found = []
    for name, value in arguments.items():
        found += [convert(x) for _, x in leaves(value, (name,)) if _is_tensor(x)]
    return found


def _with_tensors(value: Any) -> Any:
    """The value with tensors in place of lists of numbers with a float among them."""
    if isinstance(value, Mapping):
        return {key: _with_tensors(x) for key, x in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    numbers = [x for _, x in leaves(value)]
    if isinstance(value, list) and float in map(type, numbers) and all(type(x) in (int, float) for x in numbers):
        return convert(value)
    items = [_with_tensors(x) for x in value]
    if isinstance(value, list):
        return items
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def _is_tensor(x: Any) -> bool:
    if isinstance(x, Variable):
        return False
    return isinstance(x, Operand) or (hasattr(x, "dtype") and hasattr(x, "__array__"))


def _key(x: Any) -> Any:
    if isinstance(x, TensorSpec):
        return ("tensor", *x.key)
    if isinstance(x, Variable):
        return ("variable", id(x))
    if _is_tensor(x):
        kind = convert(x).type
        return ("tensor", kind.dtype.value, kind.shape)
    try:
        hash(x)
    except TypeError:
        raise AuthoringError(f"an argument of a function must be a tensor or hashable, got {type(x).__name__}") from None
    return ("python", type(x), x)


def _specified(path: tuple[Any, ...], x: Any) -> Any:
    if isinstance(x, TensorSpec) or not _is_tensor(x):
        return x
    return TensorSpec.of(convert(x).type)


def _fitted(value: Any, specs: Any, where: str) -> Any:
    """The value with everything a spec stands for as tensors that match it."""
    if isinstance(specs, TensorSpec):
        return _matching(value, specs, where)
    if isinstance(specs, Mapping) and isinstance(value, Mapping) and set(specs) == set(value):
        return {key: _fitted(value[key], spec, f"{where}['{key}']") for key, spec in specs.items()}
    if isinstance(specs, (list, tuple)) and isinstance(value, (list, tuple)) and len(specs) == len(value):
        items = [_fitted(v, spec, f"{where}[{i}]") for i, (v, spec) in enumerate(zip(value, specs))]
        return items if isinstance(value, list) else tuple(items)
    raise AuthoringError(f"{where}: expected the structure {specs}, got {value}")


def _matching(x: Any, spec: TensorSpec, where: str) -> Any:
    if isinstance(x, TensorSpec):
        return x
    made = convert(x, as_dtype(spec.dtype))
    spec.check(made.type, where)
    return made
