"""Nested structures of tensors: lists, tuples (named ones too) and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[Any, ...]


def leaves(structure: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """(path, leaf) of everything in a structure; dicts in the order of their sorted keys."""
    if isinstance(structure, Mapping):
        for key in sorted(structure, key=str):
            yield from leaves(structure[key], (*path, key))
    elif isinstance(structure, (list, tuple)):
        for i, item in enumerate(structure):
            yield from leaves(item, (*path, i))
    else:
        yield path, structure


def flatten(structure: Any) -> list[Any]:
    """The leaves of a structure, in the order of `leaves`."""
    return [leaf for _, leaf in leaves(structure)]


def map_leaves(function: Callable[[Path, Any], Any], structure: Any, path: Path = ()) -> Any:
    """A structure of the same form, each leaf replaced by function(path, leaf); called in the order of `leaves`."""
    if isinstance(structure, Mapping):
        made = {key: map_leaves(function, structure[key], (*path, key)) for key in sorted(structure, key=str)}
        return {key: made[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        items = [map_leaves(function, item, (*path, i)) for i, item in enumerate(structure)]
        if isinstance(structure, list):
            return items
        return type(structure)(*items) if hasattr(structure, "_fields") else tuple(items)
    return function(path, structure)


def key_of(structure: Any, leaf: Callable[[Any], Any]) -> Any:
    """A hashable stand-in for a structure, given one for each leaf."""
    if isinstance(structure, Mapping):
        return ("dict", tuple((key, key_of(structure[key], leaf)) for key in sorted(structure, key=str)))
    if isinstance(structure, (list, tuple)):
        return (type(structure).__name__, tuple(key_of(item, leaf) for item in structure))
    return leaf(structure)


def joined(path: Path) -> str:
    """A path as a name: "inputs", 0, "mask" is inputs_0_mask."""
    return "_".join(map(str, path))
