"""Modules: objects whose variables and modules are found by following their attributes.

Order, everywhere: the attributes of a module sorted by name, lists and tuples by position, dicts by sorted key; a module's
own first, then those of the modules in it, each completely before the next. What is reached twice counts once, where it
is reached first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from edge_rt.errors import AuthoringError
from exporter.authoring import scope as scopes
from exporter.authoring.variable import Variable

F = TypeVar("F", bound=Callable[..., Any])


class Module:
    """Base of everything that owns variables. name: by default the class's, in snake case.

    A module may create variables at its first call, when it sees the input's shape. `trainable = False` freezes all
    variables of the module and of those in it.
    """

    _name: str
    _trainable = True
    _untracked: frozenset[str] = frozenset()
    """Attributes that are not followed: bookkeeping that holds variables and modules which other attributes lead to."""

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not is_name(name):
            raise AuthoringError(f"a module's name must be letters, digits and _ . / - >, got {name!r}")
        self._name = name or snake_case(type(self).__name__)

    @property
    def name(self) -> str:
        # A class may make its modules before it calls super().__init__, or never call it.
        return self.__dict__.get("_name") or snake_case(type(self).__name__)

    @property
    def name_scope(self) -> Any:
        """A context in which variables and operators get the module's name in front."""
        return scopes.name_scope(self.name)

    @staticmethod
    def with_name_scope(method: F) -> F:
        """Decorates a method so that it runs in the module's name scope."""

        @functools.wraps(method)
        def scoped(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return scoped  # type: ignore[return-value]

    @property
    def trainable(self) -> bool:
        """Whether training may change the variables of this module and of those in it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables, also those of modules in this one."""
        return tuple(v for v, _ in _variables(self))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """The variables that are trainable themselves and in no module that is frozen."""
        return tuple(v for v, frozen in _variables(self) if v.trainable and not frozen)

    @property
    def non_trainable_variables(self) -> tuple[Variable, ...]:
        """The others."""
        return tuple(v for v, frozen in _variables(self) if frozen or not v.trainable)

    @property
    def submodules(self) -> tuple[Module, ...]:
        """All modules in this one, without itself."""
        return tuple(x for x, _ in walk(self, Module) if x is not self)

    def exported_functions(self) -> dict[str, Any]:
        """What `ex.save` and `ex.export` take from this module: its Functions by attribute, methods and others."""
        names = {n for kind in type(self).__mro__ for n, x in vars(kind).items() if is_function(x)}
        names |= {n for n, x in vars(self).items() if is_function(x)}
        return {name: getattr(self, name) for name in sorted(names) if is_function(getattr(self, name))}

    def exported_signatures(self) -> dict[str, Any] | None:
        """Functions by signature name for `ex.save` and `ex.export`, where these are given none; None: all traces."""
        return None


def is_name(name: str) -> bool:
    """Whether a module may be called so."""
    return re.fullmatch(r"[A-Za-z0-9_.\\/>-]+", name) is not None


def is_function(x: Any) -> bool:
    """Whether x has traces."""
    return hasattr(x, "concrete_functions")


def snake_case(name: str) -> str:
    """DenseLayer is dense_layer, Conv2D is conv2d."""
    parted = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"[^A-Za-z0-9_]+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", parted).lower().strip("_") or "module"


def children(owner: Any) -> Iterator[tuple[Any, Any]]:
    """(attribute name, position or key; what is there) of a module, list, tuple or dict, in order; of others nothing."""
    if isinstance(owner, Module):
        attributes = vars(owner)
        yield from ((name, attributes[name]) for name in sorted(attributes) if name not in owner._untracked)
    elif isinstance(owner, Mapping):
        yield from ((key, owner[key]) for key in sorted(owner, key=str))
    elif isinstance(owner, (list, tuple)):
        yield from enumerate(owner)


def walk(root: Any, kind: type | tuple[type, ...]) -> Iterator[tuple[Any, bool]]:
    """(object, whether a module around it or itself is frozen) of all objects of a kind below `root`, each once.

    A module that is reached on several ways counts as frozen only where the first one is.
    """
    seen = {id(root)}

    def below(owner: Any, frozen: bool) -> Iterator[tuple[Any, bool]]:
        modules: list[Module] = []
        yield from members(owner, frozen, modules)
        for module in modules:
            yield from below(module, frozen or not module.trainable)

    def members(owner: Any, frozen: bool, modules: list[Module]) -> Iterator[tuple[Any, bool]]:
        for _, x in children(owner):
            if not isinstance(x, (Variable, Module, list, tuple, Mapping)) and not isinstance(x, kind):
                continue
            if id(x) in seen:
                continue
            seen.add(id(x))
            if isinstance(x, kind):
                yield x, frozen or (isinstance(x, Module) and not x.trainable)
            if isinstance(x, Module):
                modules.append(x)
            else:
                yield from members(x, frozen, modules)

    yield from below(root, isinstance(root, Module) and not root.trainable)


def _variables(root: Any) -> Iterator[tuple[Variable, bool]]:
    yield from walk(root, Variable)
