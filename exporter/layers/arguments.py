"""Arguments of a layer's call: arrays become tensors, by the name of a parameter of `call`; shapes for `build`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.dispatch import convert
from exporter.authoring.ops.math import cast
from exporter.authoring.structure import flatten, leaves, map_leaves
from exporter.authoring.tensor import Operand, as_dtype
from exporter.authoring.variable import Variable
from exporter.layers.context import get_mask, set_mask


@functools.cache
def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a method, without self."""
    found = inspect.signature(function)
    return found.replace(parameters=list(found.parameters.values())[1:])


def converted(structure: Any, dtype: str | None) -> Any:
    """The structure with arrays, and lists of numbers with a float among them, as tensors; floating ones of `dtype`."""
    return map_leaves(lambda _, x: _tensor(x, dtype), _joined(structure))


def _joined(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {key: _joined(item) for key, item in x.items()}
    if isinstance(x, list):
        numbers = [leaf for _, leaf in leaves(x)]
        if float in map(type, numbers) and all(type(n) in (int, float) for n in numbers):
            return convert(x)
    if isinstance(x, (list, tuple)):
        items = [_joined(item) for item in x]
        if isinstance(x, list):
            return items
        return type(x)(*items) if hasattr(x, "_fields") else tuple(items)
    return x


def _tensor(x: Any, dtype: str | None) -> Any:
    if isinstance(x, (np.ndarray, np.generic)) or (hasattr(x, "__array__") and not isinstance(x, Operand)):
        x = convert(np.asarray(x))
    if not isinstance(x, Operand) or dtype is None:
        return x
    if isinstance(x, Variable):
        x = x.value()
    wanted = as_dtype(dtype)
    if not x.type.dtype.is_float or not wanted.is_float or x.type.dtype is wanted:
        return x
    made = cast(x, wanted)
    if get_mask(x) is not None:
        set_mask(made, get_mask(x))
    return made


def tensors_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are tensors or structures of nothing else."""
    found = {}
    for name, x in arguments.items():
        items = flatten(x)
        if items and all(isinstance(item, Operand) for item in items):
            found[name] = x
    return found


def shapes_for(build: Callable[..., Any], tensors: Mapping[str, Any], layer: str) -> dict[str, Any]:
    """The arguments of a layer's `build`: the shape of the first argument of `call`, if it takes one, else those of the
    arguments after which its parameters are named (query_shape)."""
    parameters = [p for p in signature_of(build).parameters.values() if p.kind is not p.VAR_KEYWORD]
    shapes = {name: map_leaves(lambda _, x: x.shape, x) for name, x in tensors.items()}
    if len(parameters) == 1:
        return {parameters[0].name: next(iter(shapes.values()), None)}
    found = {}
    for p in parameters:
        argument = p.name.removesuffix("_shape")
        if argument in shapes:
            found[p.name] = shapes[argument]
        elif p.default is p.empty:
            raise AuthoringError(f"layer '{layer}': its build takes '{p.name}', but its call got no tensor '{argument}'")
    return found


def as_shape(x: Any) -> Any:
    """A shape, or a structure of shapes, with tuples for shapes: configs have lists."""
    if isinstance(x, Mapping):
        return {key: as_shape(item) for key, item in x.items()}
    if isinstance(x, (list, tuple)):
        if all(d is None or isinstance(d, (int, np.integer)) for d in x):
            return tuple(None if d is None else int(d) for d in x)
        return [as_shape(item) for item in x]
    return x
