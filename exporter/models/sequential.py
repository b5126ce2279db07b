"""Sequential: layers in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.structure import flatten
from exporter.layers.base import Layer
from exporter.layers.serialization import deserialize, serialize_object, sharing
from exporter.layers.symbolic import FunctionalTensor
from exporter.models.input import InputLayer
from exporter.models.model import Model
from exporter.models.network import Network


class Sequential(Model):
    """Each layer is called on what the one before gives. Begins with an ex.Input, or is built at the first call.

    layers: to begin with; `add` and `pop` change them.
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        vars(self)["layers"] = []
        self._start: InputLayer | None = None
        self._input_dtype: str | None = None
        self.autocast = False
        for layer in layers or ():
            self._append(layer)
        self._rebuild()
        if not trainable:
            self.trainable = False

    _untracked = Model._untracked | {"_start"}

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return list(vars(self)["layers"])

    def add(self, layer: Any) -> None:
        """Appends a layer, or gives the model its ex.Input."""
        self._append(layer)
        self._rebuild()

    def pop(self) -> Layer:
        """Takes the last layer away. Raises AuthoringError if there is none."""
        if not vars(self)["layers"]:
            raise AuthoringError(f"model '{self.name}' has no layers")
        layer: Layer = vars(self)["layers"].pop()
        self._rebuild()
        return layer

    def _append(self, layer: Any) -> None:
        if isinstance(layer, FunctionalTensor) and layer.node is not None:
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            raise AuthoringError(f"model '{self.name}': expected a layer, got {type(layer).__name__}")
        if isinstance(layer, InputLayer):
            if self._start is not None or self.layers:
                raise AuthoringError(f"model '{self.name}': an Input can only be the first layer")
            self._start = layer
            return
        if any(layer.name == known.name for known in self.layers):
            raise AuthoringError(f"model '{self.name}': two layers are named '{layer.name}'")
        vars(self)["layers"].append(layer)

    def _rebuild(self) -> None:
        """Makes the network of the layers that there are, if the input is known."""
        self._network, self.built = None, False
        if self._start is None or not self.layers:
            return
        x = self._start.output
        for layer in self.layers:
            x = layer(x)
        self._connect(Network(self._start.output, x))

    def build(self, input_shape: Any) -> None:
        """Builds all layers for inputs of this shape, of any batch size."""
        if not isinstance(input_shape, tuple) or not input_shape:
            raise AuthoringError(f"model '{self.name}': a Sequential takes one input with a batch axis, got {input_shape}")
        if not self.layers:
            raise AuthoringError(f"model '{self.name}' has no layers")
        if self._start is None:
            self._start = InputLayer(batch_shape=(None, *input_shape[1:]), dtype=self._input_dtype or self._first_dtype())
        self._rebuild()

    def _first_dtype(self) -> str:
        return self.layers[0].input_dtype

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.built:
            given = [x for x in flatten((args, kwargs)) if hasattr(x, "dtype")]
            is_float = bool(given) and given[0].dtype.kind == "f"
            self._input_dtype = None if not given or is_float else given[0].dtype.name
        return super().__call__(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Name and `trainable`, and the layers with the input, if that is known."""
        with sharing():
            start = [] if self._start is None else [self._start]
            layers = [serialize_object(layer) for layer in (*start, *self.layers)]
            return {"name": self.name, "trainable": self.trainable, "layers": layers}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A model of new layers."""
        with sharing():
            layers = [deserialize(entry) for entry in config["layers"]]
        return cls(layers, name=config["name"], trainable=config.get("trainable", True))
