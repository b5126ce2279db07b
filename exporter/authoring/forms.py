"""Structures of arguments and results as data, and the match of a call's arguments with them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.dispatch import convert
from exporter.authoring.specs import TensorSpec
from exporter.authoring.tensor import Operand, as_dtype


class Input:
    """Stands in a structure for the function's input with this position."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place


class Other:
    """Stands for a Python object that cannot be stored. No argument matches it."""

    __slots__ = ("shown",)

    def __init__(self, shown: str) -> None:
        self.shown = shown


def encode(structure: Any) -> Any:
    """A structure of Inputs, positions and Python values as lists, maps and scalars."""
    if isinstance(structure, Mapping):
        return {"dict": [[_plain(key), encode(structure[key])] for key in structure]}
    if isinstance(structure, (list, tuple)):
        return {"list" if isinstance(structure, list) else "tuple": [encode(item) for item in structure]}
    if isinstance(structure, Input):
        return {"input": structure.place}
    if structure is None or isinstance(structure, (bool, int, float, str)):
        return {"value": structure}
    return {"object": structure.shown if isinstance(structure, Other) else repr(structure)[:200]}


def _plain(key: Any) -> Any:
    if isinstance(key, (int, str)) and not isinstance(key, bool):
        return key
    raise AuthoringError(f"a dict among arguments or results must have strings or numbers as keys, got {key!r}")


def decode(raw: Any) -> Any:
    """The structure; named tuples have become tuples."""
    ((kind, content),) = raw.items()
    if kind == "dict":
        return {key: decode(item) for key, item in content}
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(decode(item) for item in content)
    return Input(content) if kind == "input" else content if kind == "value" else Other(content)


def encode_signature(signature: inspect.Signature) -> list[Any]:
    """The parameters of a Python function: [name, kind, default or nil if there is none]."""
    return [
        [p.name, p.kind.name, None if p.default is p.empty else encode(p.default)] for p in signature.parameters.values()
    ]


def decode_signature(raw: list[Any]) -> inspect.Signature:
    """The inverse of `encode_signature`."""
    empty = inspect.Parameter.empty
    return inspect.Signature(
        [
            inspect.Parameter(name, getattr(inspect.Parameter, kind), default=empty if default is None else decode(default))
            for name, kind, default in raw
        ]
    )


def match(structure: Any, given: Any, specs: Sequence[TensorSpec]) -> dict[int, Operand] | None:
    """The inputs by position, if the arguments have this structure; None if not."""
    found: dict[int, Operand] = {}
    return found if _matches(structure, given, specs, found) else None


def _matches(structure: Any, given: Any, specs: Sequence[TensorSpec], found: dict[int, Operand]) -> bool:
    if isinstance(structure, Input):
        spec = specs[structure.place]
        try:
            tensor = convert(given, as_dtype(spec.dtype))
        except AuthoringError:
            return False
        found[structure.place] = tensor
        return spec.accepts(tensor.type)
    if isinstance(structure, Mapping):
        return (
            isinstance(given, Mapping)
            and set(structure) == set(given)
            and all(_matches(structure[key], given[key], specs, found) for key in structure)
        )
    if isinstance(structure, (list, tuple)):
        return (
            isinstance(given, (list, tuple))
            and len(structure) == len(given)
            and all(_matches(s, g, specs, found) for s, g in zip(structure, given))
        )
    return type(structure) is type(given) and not isinstance(structure, Other) and bool(structure == given)
