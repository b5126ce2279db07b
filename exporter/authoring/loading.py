"""`ex.load`: what `ex.save` saved, on the training side: variables and functions, without the original classes."""

from __future__ import annotations

import os
from typing import Any

from edge_rt.bundle import Bundle, read
from edge_rt.errors import AuthoringError, SignatureError
from exporter.authoring.concrete import ConcreteFunction
from exporter.authoring.described import check, is_described
from exporter.authoring.forms import decode, decode_signature, match
from exporter.authoring.module import Module
from exporter.authoring.objects import rebuild
from exporter.authoring.scope import init_scope
from exporter.authoring.variable import Variable


class LoadedFunction:
    """A function that has the traces it was saved with, and can get no others."""

    def __init__(self, name: str, concretes: tuple[ConcreteFunction, ...]) -> None:
        self.name, self.concrete_functions = name, concretes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the first trace whose arguments these are. Raises SignatureError that lists all if there is none."""
        for concrete in self.concrete_functions:
            inputs = _inputs(concrete, args, kwargs)
            if inputs is not None:
                return concrete(*inputs)
        got = ", ".join([*map(_shown, args), *(f"{k}={_shown(v)}" for k, v in kwargs.items())])
        raise SignatureError(f"function '{self.name}' has no trace for ({got}):\n{self.pretty_printed_signature()}")

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The trace for these arguments, TensorSpecs among them. Without any, the only one."""
        if not args and not kwargs and len(self.concrete_functions) == 1:
            return self.concrete_functions[0]
        for concrete in self.concrete_functions:
            if _inputs(concrete, args, kwargs) is not None:
                return concrete
        raise SignatureError(f"function '{self.name}' has no such trace:\n{self.pretty_printed_signature()}")

    def pretty_printed_signature(self) -> str:
        """The signatures of all traces, as text."""
        return "\n".join(c.pretty_printed_signature() for c in self.concrete_functions)

    def __repr__(self) -> str:
        return f"<ex.LoadedFunction '{self.name}', {len(self.concrete_functions)} traces>"


class LoadedModule(Module):
    """A module as it was saved: its variables, the modules in it, and its functions, as attributes.

    signatures: functions by signature name, of the module that was saved.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._signatures_by_name: dict[str, ConcreteFunction] = {}
        self._functions_by_name: dict[str, LoadedFunction] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function `__call__` that was saved."""
        if "__call__" not in self._functions_by_name:
            known = ", ".join(self._functions_by_name) or "none"
            raise AuthoringError(f"module '{self.name}' was saved without a traced __call__, it has the functions: {known}")
        return self._functions_by_name["__call__"](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        functions = self.__dict__.get("_functions_by_name", {})
        if name in functions:
            return functions[name]
        if name == "signatures":
            return dict(self.__dict__.get("_signatures_by_name", {}))
        raise AttributeError(f"module '{self.name}' has no attribute '{name}'")

    def exported_functions(self) -> dict[str, Any]:
        return dict(self._functions_by_name)

    def exported_signatures(self) -> dict[str, Any] | None:
        return dict(self._signatures_by_name) or None


def load(path: str | os.PathLike[str] | bytes) -> LoadedModule:
    """The object saved in a bundle: variables by the same attributes, functions with their traces; to call, to change, to
    trace functions of, and to save again. It is no instance of the original class.

    Raises AuthoringError for a bundle without a source section that `save` wrote, BundleError for a damaged one, OSError.
    """
    source = read(path).source
    if source is None or not is_described(source):
        raise AuthoringError("the bundle was not written by ex.save: it has no functions and variables to go on from")
    return restored(source)


def restored(source: Bundle) -> LoadedModule:
    """The object that a source section describes. Raises BundleSchemaError where it does not make sense."""
    check(source)
    described = source.metadata
    variables = _variables(source)
    objects = rebuild(described["objects"], variables, LoadedModule)
    concretes = {
        key: ConcreteFunction(
            entry["name"],
            source.signatures[key],
            [variables[s.name] for s in source.signatures[key].variables],
            decode(entry["result"]),
            decode(entry["arguments"]),
            decode_signature(entry["parameters"]),
        )
        for key, entry in sorted(described["traces"].items(), key=lambda item: int(item[0].partition(":")[0]))
    }
    for place, functions in described["functions"]:
        objects[place]._functions_by_name.update(
            (name, LoadedFunction(name, tuple(concretes[key] for key in keys))) for name, keys in functions.items()
        )
    root: LoadedModule = objects[0]
    root._signatures_by_name = {name: concretes[key] for name, key in described["signatures"].items()}
    return root


def _variables(source: Bundle) -> dict[str, Variable]:
    with init_scope():
        return {path: Variable(array, name=path) for path, array in source.variables.items()}


def _inputs(concrete: ConcreteFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
    """The inputs of a trace, if the arguments are those it was made for."""
    try:
        bound = concrete.signature.bind(*args, **kwargs)
    except TypeError:
        return None
    given = dict(bound.arguments)
    bound.apply_defaults()
    # With an input signature a trace knows nothing of parameters that were left to their defaults.
    given.update((name, x) for name, x in bound.arguments.items() if name in concrete.arguments)
    found = match(concrete.arguments, given, concrete.specs)
    return None if found is None else [found[place] for place in range(len(concrete.specs))]


def _shown(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}" if hasattr(x, "dtype") and hasattr(x, "shape") else repr(x)[:80]
