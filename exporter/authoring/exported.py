"""Which functions of an object go into a bundle, and under which names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Union

from edge_rt.errors import AuthoringError
from edge_rt.graph import Graph
from exporter.authoring.concrete import ConcreteFunction
from exporter.authoring.copying import copied, paths_of
from exporter.authoring.function import Function
from exporter.authoring.module import Module, is_function
from exporter.authoring.paths import variable_paths
from exporter.authoring.variable import Variable

AnyFunction = Union[Function, ConcreteFunction, Any]
"""What has `concrete_functions`, or is one: a Function, a LoadedFunction, a ConcreteFunction."""

DEFAULT = "serving_default"


class Exported(NamedTuple):
    """What of an object goes into a bundle. variables: all of them, by path."""

    signatures: dict[str, ConcreteFunction]
    variables: dict[str, Variable]

    @property
    def states(self) -> set[str]:
        """Paths of the variables that a signature assigns."""
        paths = paths_of(self.variables)
        return {paths[v.birth] for c in self.signatures.values() for v in c.assigned}

    def graphs(self) -> dict[str, Graph]:
        """A new graph for each signature: variables that none assigns are constants."""
        paths, states = paths_of(self.variables), self.states
        return {name: copied(c, name, paths, states) for name, c in self.signatures.items()}


def exported(obj: Any, signatures: Any = None) -> Exported:
    """The signatures and variables of a module, a Function or a ConcreteFunction.

    signatures: a function, or functions by signature name; each must have one trace or an input signature. By default
    those that the module names itself (`exported_signatures`), or all traces of the object's functions, as serving_default,
    serving_default_1 and so on in the order in which they were traced.
    Raises AuthoringError where there is nothing to export, or where a function uses a variable that has no path.
    """
    if signatures is None and isinstance(obj, Module):
        signatures = obj.exported_signatures()
    if signatures is None:
        found = sorted((c for f in functions_of(obj).values() for c in traces(f)), key=lambda c: c.order)
        named = {DEFAULT if not i else f"{DEFAULT}_{i}": c for i, c in enumerate(found)}
    else:
        given = signatures if isinstance(signatures, Mapping) else {DEFAULT: signatures}
        named = {str(name): _only(f, str(name)) for name, f in given.items()}
    if not named:
        raise AuthoringError(
            f"{type(obj).__name__} has no traced function to export: call one, give it an input_signature, or use "
            "get_concrete_function and signatures="
        )
    variables = variable_paths(obj) if isinstance(obj, Module) else _unowned(named.values())
    check_owned(named, variables, type(obj).__name__)
    return Exported(named, variables)


def functions_of(obj: Any) -> dict[str, AnyFunction]:
    """Functions of an object by attribute; its own is "__call__"."""
    if isinstance(obj, ConcreteFunction) or is_function(obj):
        return {"__call__": obj}
    if not isinstance(obj, Module):
        raise AuthoringError(f"expected a module or a function, got {type(obj).__name__}")
    return obj.exported_functions()


def traces(function: AnyFunction) -> tuple[ConcreteFunction, ...]:
    """The traces of a function; with an input signature it is traced if it was not yet."""
    if isinstance(function, ConcreteFunction):
        return (function,)
    if isinstance(function, Function) and function.input_signature is not None:
        function.get_concrete_function()
    found: tuple[ConcreteFunction, ...] = function.concrete_functions
    return found


def check_owned(functions: Mapping[str, ConcreteFunction], variables: Mapping[str, Variable], owner: str) -> None:
    """Raises AuthoringError for a function that uses a variable which is not among `variables`."""
    known = paths_of(variables)
    for name, concrete in functions.items():
        for variable in concrete.variables:
            if variable.birth not in known:
                what = f"function '{name}' uses the variable '{variable.name}'"
                raise AuthoringError(f"{what}, which is no attribute of {owner} or of a module in it")


def _only(function: AnyFunction, name: str) -> ConcreteFunction:
    if not isinstance(function, ConcreteFunction) and not is_function(function):
        raise AuthoringError(f"signature '{name}': expected a function, got {type(function).__name__}")
    found = traces(function)
    if len(found) != 1:
        advice = "choose one by get_concrete_function"
        raise AuthoringError(f"signature '{name}': its function must have one trace, it has {len(found)}: {advice}")
    return found[0]


def _unowned(functions: Iterable[ConcreteFunction]) -> dict[str, Variable]:
    """Variables of functions that belong to no module, by their names."""
    found: dict[str, Variable] = {}
    for concrete in functions:
        for variable in concrete.variables:
            if all(variable is not known for known in found.values()):
                name, count = variable.name.removesuffix(":0"), 0
                while (path := f"{name}_{count}" if count else name) in found:
                    count += 1
                found[path] = variable
    return found
