"""SimpleRNN, LSTM, GRU: recurrent layers whose steps are one operator."""

from __future__ import annotations

import inspect
from typing import Any

from exporter import activations
from exporter.authoring.dispatch import apply
from exporter.authoring.ops import array, math
from exporter.layers.packed_steps import PackedSteps
from exporter.layers.recurrent_cells import GRUCell, LSTMCell, RecurrentCell, SimpleRNNCell
from exporter.layers.rnn import RNN
from exporter.layers.spec import InputSpec

_ACTIVATIONS: dict[str, tuple[str, float, float]] = {
    "elu": ("Elu", 1.0, 0.0),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "leaky_relu": ("LeakyRelu", 0.2, 0.0),
    "linear": ("Affine", 1.0, 0.0),
    "relu": ("Relu", 0.0, 0.0),
    "sigmoid": ("Sigmoid", 0.0, 0.0),
    "softplus": ("Softplus", 0.0, 0.0),
    "softsign": ("Softsign", 0.0, 0.0),
    "tanh": ("Tanh", 0.0, 0.0),
}
"""Name of an activation -> the recurrent operators' name of it, with alpha and beta."""


class _Recurrent(RNN):
    """Base: the steps are the operator `operator`, unless the cell's activations are none of its own or the hidden state
    has dropout; then the cell is run."""

    operator = ""
    cell: Any

    def __init__(self, cell: RecurrentCell, activity_regularizer: Any, **kwargs: Any) -> None:
        super().__init__(cell, activity_regularizer=activity_regularizer, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    @property
    def units(self) -> int:
        return int(self.cell.units)

    def _constructor_arguments(self) -> dict[str, Any]:
        given = super()._constructor_arguments()
        given.pop("use_cudnn", None)
        return given

    def _functions(self) -> list[Any]:
        """The cell's activations, in the order in which the operator takes them."""
        return [self.cell.activation]

    def _weights(self) -> tuple[Any, Any, Any]:
        """The operator's W [1, gates * units, inputs], R [1, gates * units, units], and B [1, 2 * gates * units] or None."""
        cell = self.cell
        bias = None
        if cell.bias is not None:
            whole = cell.bias if cell.bias.ndim == 2 else array.stack([cell.bias, array.zeros_like(cell.bias)])
            bias = array.reshape(self._ordered(whole), (1, -1))
        turned = [array.expand_dims(array.transpose(self._ordered(w)), 0) for w in (cell.kernel, cell.recurrent_kernel)]
        return turned[0], turned[1], bias

    def _ordered(self, x: Any) -> Any:
        """x [..., gates * units] with the gates in the operator's order."""
        return x

    def _run(self, x: Any, states: list[Any] | None, mask: Any, training: bool | None) -> tuple[Any, list[Any]]:
        names = [activations.name_of(f) for f in self._functions()]
        has_dropout = training and self.cell.recurrent_dropout
        if has_dropout or not all(name in _ACTIVATIONS for name in names):
            return super()._run(x, states, mask, training)
        chosen = [_ACTIVATIONS[name] for name in names if name is not None]
        attributes = self._attributes(chosen)
        x = self.cell.dropped(x, "dropout", training)
        packed = None if mask is None else PackedSteps(math.cast(mask, "bool"), self.go_backwards)
        lengths = None
        if packed is not None:
            x, lengths = packed.pack(x), packed.lengths
        start = [None if states is None else array.expand_dims(s, 0) for s in states or self.state_size]
        steps = array.transpose(x, (1, 0, 2))
        y, *ends = apply(self.operator, steps, *self._weights(), lengths, *start, **attributes)
        after = [array.squeeze(end, 0) for end in ends]
        if not self.return_sequences:
            last = after[0]
            if packed is not None and self.zero_output_for_mask:
                last = math.multiply(last, packed.keeps_last(last.dtype))
            return last, after
        outputs = array.transpose(array.squeeze(y, 1), (1, 0, 2))
        if packed is not None:
            outputs = packed.unpack(outputs, None if states is None else states[0], self.zero_output_for_mask)
        return outputs, after

    def _attributes(self, chosen: list[tuple[str, float, float]]) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "hidden_size": self.units, "direction": "reverse" if self.go_backwards else "forward",
        }  # fmt: skip
        if [name for name, _, _ in chosen] != [*_DEFAULTS[self.operator]]:
            names, alphas, betas = zip(*chosen)
            attributes |= {"activations": names, "activation_alpha": alphas, "activation_beta": betas}
        return attributes


_DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}


class SimpleRNN(_Recurrent):
    """sequences [batch, steps, inputs]: h = activation(x @ kernel + h @ recurrent_kernel + bias) over the steps."""

    operator = "RNN"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(SimpleRNNCell(**_of_cell(SimpleRNNCell, locals())), **_of_layer(locals()))


class LSTM(_Recurrent):
    """sequences [batch, steps, inputs] through an LSTMCell; its states are h and c."""

    operator = "LSTM"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(LSTMCell(**_of_cell(LSTMCell, locals())), **_of_layer(locals()))

    def _functions(self) -> list[Any]:
        return [self.cell.recurrent_activation, self.cell.activation, self.cell.activation]

    def _ordered(self, x: Any) -> Any:
        i, f, g, o = array.split(x, 4, axis=-1)
        return array.concat([i, o, f, g], -1)


class GRU(_Recurrent):
    """sequences [batch, steps, inputs] through a GRUCell."""

    operator = "GRU"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(GRUCell(**_of_cell(GRUCell, locals())), **_of_layer(locals()))

    def _functions(self) -> list[Any]:
        return [self.cell.recurrent_activation, self.cell.activation]

    def _attributes(self, chosen: list[tuple[str, float, float]]) -> dict[str, Any]:
        return {**super()._attributes(chosen), "linear_before_reset": self.cell.reset_after}


def _of_cell(kind: type[RecurrentCell], given: dict[str, Any]) -> dict[str, Any]:
    """Of a layer's arguments, those of its cell."""
    taken = inspect.signature(kind.__init__).parameters
    names = [name for name in taken if name in given and name not in ("self", "kwargs")]
    shared = {name: given["kwargs"][name] for name in ("dtype", "trainable") if name in given["kwargs"]}
    return {**{name: given[name] for name in names}, **shared}


def _of_layer(given: dict[str, Any]) -> dict[str, Any]:
    """The others."""
    names = ("activity_regularizer", "return_sequences", "return_state", "go_backwards", "stateful", "unroll")
    return {**{name: given[name] for name in names}, **given["kwargs"]}
