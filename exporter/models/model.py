"""Model: a layer that is a whole, with a summary, `save` and `predict`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.structure import flatten, map_leaves
from exporter.authoring.tensor import Operand
from exporter.layers.base import Layer
from exporter.layers.symbolic import FunctionalTensor
from exporter.models.network import Network

Array = np.ndarray[Any, Any]


class Model(Layer):
    """A class of one's own makes layers in its constructor and calls them in `call`; `Model(inputs, outputs)` is the graph
    of layers between tensors of the functional API (a Functional). A class of one's own may do that too, by giving
    inputs and outputs to this constructor; it needs no `call` then.

    inputs, outputs: a tensor, or a list, tuple or dict of tensors.
    """

    _network: Network | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and (args or "inputs" in kwargs or "outputs" in kwargs):
            from exporter.models.functional import Functional

            return Functional.__new__(Functional, *args, **kwargs)
        model = super().__new__(cls, *args, **kwargs)
        model._network = None
        return model

    def __init__(self, inputs: Any = None, outputs: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if (inputs is None) != (outputs is None):
            raise AuthoringError(f"model '{self.name}': give both inputs and outputs, or neither")
        if inputs is not None:
            self._connect(Network(inputs, outputs))

    # ---- networks ---------------------------------------------------------------------------------------------------

    def _connect(self, network: Network) -> None:
        """Makes the model the given network."""
        self._network = network
        # Checkpoints and bundles know a layer by its position here. A Sequential has a list of its own, without the input.
        vars(self).setdefault("layers", list(network.layers))
        self._call_specs = self._serving = None
        self.autocast, self.supports_masking, self.built = False, True, True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """What the network gives for inputs in its structure, by the names of inputs, or in their order."""
        if self._network is None:
            raise AuthoringError(f"{type(self).__name__} has no call")
        from exporter.models.inputs import fitted

        return self._network.run(fitted(self.name, self._network, inputs, mask))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        # The layers of a network have given the outputs their masks.
        return None if self._network is not None else previous_mask

    @property
    def inputs(self) -> list[FunctionalTensor]:
        """The network's inputs, in order."""
        return flatten(self._networked().inputs)

    @property
    def outputs(self) -> list[FunctionalTensor]:
        """The network's outputs, in order."""
        return flatten(self._networked().outputs)

    @property
    def input(self) -> Any:
        """The network's inputs in their structure."""
        return super().input if self._network is None else self._network.inputs

    @property
    def output(self) -> Any:
        """The network's outputs in their structure."""
        return super().output if self._network is None else self._network.outputs

    @property
    def input_shape(self) -> Any:
        """Shapes of the inputs in their structure; None for unknown sizes."""
        return map_leaves(lambda _, x: x.shape, self._networked().inputs)

    @property
    def output_shape(self) -> Any:
        """Shapes of the outputs in their structure."""
        return map_leaves(lambda _, x: x.shape, self._networked().outputs)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        return [x.name for x in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the layers that give the outputs, in order, numbered where one gives several."""
        found: list[str] = []
        for x in self.outputs:
            assert x.node is not None
            name, count = x.node.layer.name, 0
            while (own := f"{name}_{count}" if count else name) in found:
                count += 1
            found.append(own)
        return found

    def _networked(self) -> Network:
        if self._network is None:
            raise AuthoringError(f"model '{self.name}' ({type(self).__name__}) is not made of a graph of layers")
        return self._network

    # ---- layers -----------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers of the model, without those inside them."""
        return list(self._network.layers) if self._network is not None else self._direct(Layer)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer with this name, or at this position of `layers`. Raises AuthoringError if there is none."""
        if (name is None) == (index is None):
            raise AuthoringError("get_layer: give either name or index")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise AuthoringError(f"model '{self.name}' has {len(self.layers)} layers, none at {index}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers)
        raise AuthoringError(f"model '{self.name}' has no layer '{name}', it has {known}")

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Callable[[str], None] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Prints a table of the layers, their output shapes and numbers of parameters, with the totals.

        line_length: of the table. print_fn: called with the whole text in place of `print`. expand_nested: with the layers
        of models inside. show_trainable: with a column that says so.
        """
        from exporter.models.summary import summary_text

        (print_fn or print)(summary_text(self, line_length, expand_nested, show_trainable))

    # ---- running ----------------------------------------------------------------------------------------------------

    def predict(self, x: Any, batch_size: int = 32) -> Any:
        """The outputs as arrays for arrays of inputs, computed `batch_size` rows at a time, with `training=False`."""
        arrays = [np.asarray(leaf) for leaf in flatten(x)]
        counts = sorted({a.shape[0] if a.ndim else 0 for a in arrays})
        if len(counts) != 1 or not counts[0]:
            raise AuthoringError(f"predict: the inputs must have the same number of rows, at least 1, got {counts}")
        parts = []
        for start in range(0, counts[0], batch_size):
            rows = slice(start, start + batch_size)
            given = map_leaves(functools.partial(_rows, rows), x)
            parts.append(map_leaves(lambda _, y: _array(y), self(given, training=False)))
        columns = [np.concatenate(column) for column in zip(*map(flatten, parts))]
        remaining = iter(columns)
        return map_leaves(lambda _, __: next(remaining), parts[0])

    # ---- exporting and saving ---------------------------------------------------------------------------------------

    def input_specs(self) -> Mapping[str, Any] | None:
        """Of a network those of its inputs, by their names; else what the first call got."""
        if self._network is None:
            return super().input_specs()
        from exporter.models.inputs import specs

        return {"inputs": specs(self._network)}

    def _named_outputs(self, outputs: Any) -> Any:
        """Outputs of a network under the names of their layers, unless they are in a dict."""
        if self._network is None or isinstance(outputs, dict):
            return outputs
        return dict(zip(self.output_names, flatten(outputs)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a bundle that a device runs, from which `ex.load_model` makes the same model again.

        Raises AuthoringError for a model that was never called, or one with a layer whose config is no data; OSError.
        """
        from exporter.models.saving import save_model

        save_model(self, path)


def _rows(rows: slice, _: Any, x: Any) -> Array:
    return np.asarray(x)[rows]


def _array(x: Any) -> Array:
    return x.numpy() if isinstance(x, Operand) else np.asarray(x)
