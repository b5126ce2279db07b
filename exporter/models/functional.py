"""Functional: the model that `ex.Model(inputs, outputs)` makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.layers.serialization import sharing
from exporter.models.config import network_config, network_of
from exporter.models.model import Model


class Functional(Model):
    """The graph of layers that leads from `inputs` to `outputs`: tensors, or lists, tuples or dicts of them.

    Raises AuthoringError where the outputs depend on anything but the inputs, or two layers have the same name.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True, dtype: Any = None
    ) -> None:
        super().__init__(inputs, outputs, name=name, dtype=dtype)
        if not trainable:
            self.trainable = False

    def get_config(self) -> dict[str, Any]:
        """Name and `trainable`, and the layers with their calls."""
        with sharing():
            return {"name": self.name, "trainable": self.trainable, **network_config(self._networked())}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A model of new layers. Raises AuthoringError where the config does not make sense."""
        inputs, outputs = network_of(config)
        return cls(inputs, outputs, name=config["name"], trainable=config.get("trainable", True))
