"""Layers around layers: Bidirectional, TimeDistributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array, math
from exporter.authoring.structure import map_leaves
from exporter.layers.arguments import signature_of
from exporter.layers.base import Layer
from exporter.layers.rnn import RNN


class Bidirectional(Layer):
    """A recurrent layer twice, forwards and backwards over the steps of sequences, with weights of their own.

    layer: the one for forwards is made anew after its config, and so is that for backwards unless `backward_layer` is
    given. merge_mode: how outputs become one: concat, sum, mul, ave; None for both. weights: initial values of both.
    Gives, where the layer returns states, (output, *states forwards, *states backwards).
    """

    def __init__(
        self, layer: Any, merge_mode: str | None = "concat", weights: Any = None, backward_layer: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for given in (layer, backward_layer):
            if given is not None and not isinstance(given, Layer):
                raise AuthoringError(f"Bidirectional '{self.name}': expected a recurrent layer, got {given!r}")
        if merge_mode not in ("concat", "sum", "mul", "ave", None):
            raise AuthoringError(f"Bidirectional '{self.name}': merge_mode must be concat, sum, mul, ave or None")
        plain = layer.name.removeprefix("forward_")
        self.forward_layer = _like(layer, name=f"forward_{plain}")
        if backward_layer is None:
            plain = layer.name.removeprefix("backward_")
            backward_layer = _like(layer, name=f"backward_{plain}", go_backwards=True)
        self.backward_layer = backward_layer
        self._check_pair()
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode, self._initial = merge_mode, weights
        self.stateful, self.return_sequences = layer.stateful, layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_pair(self) -> None:
        one, other = self.forward_layer, self.backward_layer
        if one.go_backwards == other.go_backwards:
            raise AuthoringError(f"Bidirectional '{self.name}': its layers must go in different directions")
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(one, name) != getattr(other, name):
                raise AuthoringError(f"Bidirectional '{self.name}': its layers must have the same {name}")

    def _constructor_arguments(self) -> dict[str, Any]:
        given = super()._constructor_arguments()
        given.pop("weights", None)
        return {**given, "layer": self.forward_layer, "backward_layer": self.backward_layer}

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._initial:
            half = len(self._initial) // 2
            self.forward_layer.set_weights(self._initial[:half])
            self.backward_layer.set_weights(self._initial[half:])

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None
    ) -> Any:
        half = len(initial_state) // 2 if initial_state is not None else 0
        starts = (None, None) if initial_state is None else (initial_state[:half], initial_state[half:])
        results = []
        for layer, start in zip((self.forward_layer, self.backward_layer), starts):
            by_time = {"by_time": True} if isinstance(layer, RNN) else {}
            result = layer(sequences, initial_state=start, mask=mask, training=training, **by_time)
            output, states = (result[0], result[1:]) if self.return_state else (result, ())
            if layer is self.backward_layer and self.return_sequences and not by_time:
                output = array.reverse(output, 1)
            results.append((output, states))
        (y, states), (z, others) = results
        merged = (y, z) if self.merge_mode is None else (_MERGES[self.merge_mode](y, z),)
        if self.return_state:
            return (*merged, *states, *others)
        return merged if self.merge_mode is None else merged[0]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        mask = previous_mask if self.return_sequences else None
        masks = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            masks += [None] * 2 * len(self.forward_layer.state_size)
        return masks if len(masks) > 1 else mask

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        made = self.forward_layer.compute_output_shape(sequences_shape)
        output, states = (made[0], made[1:]) if self.return_state else (made, ())
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        outputs = (output, output) if self.merge_mode is None else (output,)
        if self.return_state:
            return (*outputs, *states, *states)
        return list(outputs) if self.merge_mode is None else output


_MERGES: dict[str, Any] = {
    "concat": lambda y, z: array.concat([y, z], -1),
    "sum": math.add,
    "mul": math.multiply,
    "ave": lambda y, z: math.multiply(math.add(y, z), 0.5),
}


def _like(layer: Any, **changes: Any) -> Any:
    """A new layer with the config of one but for some changes."""
    config = _unshared({**layer.get_config(), **changes})
    return type(layer).from_config(config)


def _unshared(data: Any) -> Any:
    """A config without the numbers by which objects in it are the same."""
    if isinstance(data, Mapping):
        return {key: _unshared(x) for key, x in data.items() if key != "shared_object_id"}
    return [_unshared(x) for x in data] if isinstance(data, (list, tuple)) else data


class TimeDistributed(Layer):
    """A layer on each step of x [batch, steps, ...]: steps become part of the batch, and are steps again behind it."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise AuthoringError(f"TimeDistributed '{self.name}': expected a layer, got {layer!r}")
        self.layer = layer
        self.supports_masking = True

    def _step_shape(self, shape: Any) -> tuple[Any, ...]:
        if len(shape) < 3:
            raise AuthoringError(f"layer '{self.name}': inputs must have at least 3 axes, got {shape}")
        return (shape[0], *shape[2:])

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(self._step_shape(input_shape))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        self._step_shape(inputs.shape)
        known, sizes = inputs.shape, array.shape(inputs)
        outer = [sizes[a] if known[a] is None else known[a] for a in (0, 1)]
        extra = {}
        if mask is not None and "mask" in signature_of(type(self.layer).call).parameters:
            extra["mask"] = _joined(mask)
        made = self.layer(_joined(inputs), training=training, **extra)

        def parted(_: Any, y: Any) -> Any:
            inner = array.shape(y)
            kept = [inner[a] if size is None else size for a, size in enumerate(y.shape)][1:]
            # At most one size is left to be inferred, so that the others stay known.
            return array.reshape(y, [-1 if known[0] is None else outer[0], outer[1], *kept])

        return map_leaves(parted, made)

    def compute_output_shape(self, input_shape: Any) -> Any:
        made = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (made[0], input_shape[1], *made[1:])


def _joined(x: Any) -> Any:
    """[batch, steps, ...] -> [batch * steps, ...]."""
    sizes = array.shape(x)
    return array.reshape(x, [-1, *(sizes[a] if size is None else size for a, size in enumerate(x.shape) if a > 1)])
