"""Objects with a `get_config` as data and back. What is read names classes; only classes of this project and those that
were registered, or are given as custom objects, are ever made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from edge_rt.errors import AuthoringError
from edge_rt.types import DType
from exporter.authoring.module import Module
from exporter.authoring.tensor import EagerTensor

T = TypeVar("T", bound=Callable[..., Any])

PUBLIC = ("layers", "models", "initializers", "activations", "regularizers", "constraints", "metrics")
"""Rooms of `exporter` whose public names may be read."""

_REGISTERED: dict[str, Any] = {}
_REGISTERED_NAMES: dict[Any, str] = {}
_CUSTOM: list[Mapping[str, Any]] = []


class _Shared:
    """While something is written or read: objects by number, so that one that occurs twice is made once."""

    def __init__(self) -> None:
        self.written: dict[int, tuple[int, Any]] = {}
        self.read: dict[int, Any] = {}


_SHARED: list[_Shared] = []


@contextmanager
def sharing() -> Iterator[_Shared]:
    """What is written, or read, inside is one whole: layers that occur several times in it stay one object."""
    if _SHARED:
        yield _SHARED[-1]
        return
    _SHARED.append(_Shared())
    try:
        yield _SHARED[-1]
    finally:
        _SHARED.pop()


def register_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Decorates a class or function that configs may name. The name is package>name, by default the object's own.

    A class needs `get_config`, unless it is a layer, whose constructor's arguments are its config.
    """

    def register(x: T) -> T:
        key = f"{package}>{name or x.__name__}"
        if isinstance(x, type) and not hasattr(x, "get_config"):
            raise AuthoringError(f"{x.__name__} must have a get_config to be registered")
        _REGISTERED[key] = x
        _REGISTERED_NAMES[x] = key
        return x

    return register


@contextmanager
def custom_object_scope(objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Inside, configs may name these classes and functions."""
    _CUSTOM.append(objects or {})
    try:
        yield
    finally:
        _CUSTOM.pop()


def serialize(x: Any) -> Any:
    """Data for x: scalars, lists, dicts, arrays, dtypes, registered functions, objects with `get_config`.

    Raises AuthoringError for anything else.
    """
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, (np.ndarray, EagerTensor)):
        array = np.asarray(x)
        config = {"dtype": array.dtype.name, "value": array.tolist(), "shape": [*array.shape]}
        return {"class_name": "__array__", "config": config}
    if isinstance(x, (list, tuple)):
        return [serialize(item) for item in x]
    if isinstance(x, Mapping):
        if not all(isinstance(key, str) for key in x):
            raise AuthoringError(f"keys in a config must be strings, got {', '.join(map(repr, x))[:80]}")
        return {key: serialize(item) for key, item in x.items()}
    if isinstance(x, (DType, np.dtype)):
        return DType.of(x).value if isinstance(x, np.dtype) else x.value
    if hasattr(x, "get_config") and not isinstance(x, type):
        return serialize_object(x)
    if callable(x):
        return _serialize_function(x)
    raise AuthoringError(f"a config cannot hold {type(x).__name__}: {str(x)[:80]}")


def serialize_object(x: Any) -> dict[str, Any]:
    """An object with `get_config` as {"module", "class_name", "config", "registered_name"}."""
    kind = type(x)
    module = _room_of(kind)
    name = _REGISTERED_NAMES.get(kind, None if module else kind.__name__)
    with sharing() as shared:
        made = {"module": module, "class_name": kind.__name__, "config": serialize(x.get_config()), "registered_name": name}
        if isinstance(x, Module):
            made["shared_object_id"] = shared.written.setdefault(id(x), (len(shared.written), x))[0]
    return made


def _serialize_function(x: Any) -> Any:
    from exporter import activations

    own = activations.name_of(x)
    if own is not None:
        return own
    if x in _REGISTERED_NAMES:
        return {"class_name": "function", "config": x.__name__, "registered_name": _REGISTERED_NAMES[x]}
    if getattr(x, "__name__", "<lambda>") == "<lambda>":
        raise AuthoringError("a lambda is no data: give the function a name and register it with ex.register_serializable")
    return {"class_name": "function", "config": x.__name__, "registered_name": x.__name__}


def _room_of(kind: type) -> str | None:
    for room in PUBLIC:
        if getattr(import_module(f"exporter.{room}"), kind.__name__, None) is kind:
            return f"exporter.{room}"
    return None


def deserialize(data: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The inverse of `serialize`; configs that Keras 3 wrote are read as well.

    Raises AuthoringError for a class or function that is not known.
    """
    with custom_object_scope(custom_objects), sharing():
        return _made(data)


def _made(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_made(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    if not is_object(data):
        return {key: _made(item) for key, item in data.items()}
    name, config = data["class_name"], data["config"]
    if name in ("__array__", "__numpy__"):
        array = np.array(config["value"], config["dtype"])
        return array.reshape(config["shape"]) if "shape" in config else array
    if name == "DTypePolicy":
        return config["name"]
    if name == "function":
        return named(data.get("registered_name") or config, "function")
    kind = named(data.get("registered_name") or name, "class", data.get("module"))
    if not hasattr(kind, "from_config"):
        raise AuthoringError(f"'{name}' has no from_config")
    number = data.get("shared_object_id")
    if number is None:
        return kind.from_config(config)
    known = _SHARED[-1].read
    if number not in known:
        known[number] = kind.from_config(config)
    return known[number]


def _rooms_of(module: str | None) -> Sequence[str]:
    """The rooms that a config's module stands for, ours or Keras's."""
    if module in (None, "keras", "builtins") or (module or "").startswith("keras.src.models."):
        return PUBLIC
    package, _, room = (module or "").rpartition(".")
    if package not in ("exporter", "keras") or room not in PUBLIC:
        return []
    # InputLayer is among Keras's layers.
    return [room, "models"] if room == "layers" else [room]


def accepted(kind: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what Keras writes for features that are not used (None or False) and not known here."""
    known: set[str] = set()
    for base in kind.__mro__:
        own = vars(base).get("__init__")
        if own is not None and base is not object:
            known.update(inspect.signature(own).parameters)
    return {name: x for name, x in config.items() if name in known or (x is not None and x is not False)}


def is_object(data: Any) -> bool:
    """Whether data stand for an object."""
    return isinstance(data, Mapping) and "class_name" in data and "config" in data


def named(name: str, what: str, module: str | None = None) -> Any:
    """The class or function that a config names. Raises AuthoringError if there is none."""
    short = name.rpartition(">")[2]
    for custom in reversed(_CUSTOM):
        for key in (name, short):
            if key in custom:
                return custom[key]
    if name in _REGISTERED:
        return _REGISTERED[name]
    for room in _rooms_of(module) if ">" not in name else ():
        found = import_module(f"exporter.{room}")
        if name in found.__all__:
            return getattr(found, name)
    raise AuthoringError(
        f"the {what} '{name}' is not known: decorate it with ex.register_serializable, or give it in custom_objects"
    )
