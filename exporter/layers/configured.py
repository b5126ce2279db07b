"""Configs of layers: the constructor's arguments as data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.layers.serialization import accepted, deserialize, serialize
from exporter.layers.weights import Weights


class Configured(Weights):
    """A layer that knows the arguments it was made with."""

    dtype: str
    _constructed: tuple[tuple[Any, ...], dict[str, Any]]
    """The constructor's arguments."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as data. A subclass that overrides this may take other arguments than data.

        Raises AuthoringError for an argument that is none, and that no get_config says otherwise.
        """
        is_own = type(self).get_config is not Configured.get_config
        if not is_own:
            self._refuse_unnamed()
        given = self._constructor_arguments()
        config: dict[str, Any] = {}
        for name, value in given.items():
            try:
                config[name] = serialize(value)
            except AuthoringError as error:
                if not is_own:
                    what = f"layer '{self.name}' ({type(self).__name__}): argument '{name}'"
                    raise AuthoringError(f"{what}: {error}; override get_config") from None
        parameters = inspect.signature(type(self).__init__).parameters
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        own = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        return {**config, **{name: x for name, x in own.items() if is_own or takes_all or name in parameters}}

    def _refuse_unnamed(self) -> None:
        """Raises AuthoringError where the constructor got arguments without a name."""
        bound = inspect.signature(type(self).__init__).bind(self, *self._constructed[0], **self._constructed[1])
        for name, parameter in bound.signature.parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL and bound.arguments.get(name):
                what = f"layer '{self.name}' ({type(self).__name__})"
                raise AuthoringError(f"{what}: a config has no place for *{name}; override get_config and from_config")

    def _constructor_arguments(self) -> dict[str, Any]:
        """Arguments of the constructor by name, defaults filled in."""
        args, kwargs = self._constructed
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for name, parameter in list(signature.parameters.items())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                found.update(bound.arguments[name])
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                found[name] = bound.arguments[name]
        return {name: x for name, x in found.items() if name not in ("name", "trainable", "dtype")}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A layer with this config: the inverse of `get_config`. The weights are new."""
        return cls(**{name: deserialize(x) for name, x in accepted(cls, config).items()})
