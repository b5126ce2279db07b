"""Cells of recurrent layers: what happens in one step. SimpleRNNCell, LSTMCell, GRUCell, StackedRNNCells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edge_rt.errors import AuthoringError
from exporter import activations
from exporter.authoring.ops import array, math, nn
from exporter.authoring.tensor import Tensor
from exporter.authoring.variable import Variable
from exporter.layers.base import Layer


class RecurrentCell(Layer):
    """Base of cells with `gates` blocks of `units` columns in kernel [inputs, gates * units] and recurrent_kernel
    [units, gates * units]. Called with x [batch, inputs] and states; gives (output, states).

    dropout, recurrent_dropout: shares of inputs, and of the hidden state, that training sets to zero, the same in all
    steps of a layer's call.
    """

    gates = 1
    _untracked = Layer._untracked | {"_kept"}
    units: int
    activation: Any
    bias: Variable | None

    def __init__(self, given: dict[str, Any], **kwargs: Any) -> None:
        """given: the arguments that all cells share, by name."""
        super().__init__(**kwargs)
        self.units = given["units"]
        if self.units <= 0:
            raise AuthoringError(f"{type(self).__name__}: units must be a positive number, got {self.units}")
        self.use_bias = given["use_bias"]
        self.activation = activations.get(given["activation"])
        self._initializers = [given[f"{name}_initializer"] for name in _WEIGHTS]
        self._regularizers = [given[f"{name}_regularizer"] for name in _WEIGHTS]
        self._constraints = [given[f"{name}_constraint"] for name in _WEIGHTS]
        self.dropout, self.recurrent_dropout = (min(1.0, max(0.0, given[n])) for n in ("dropout", "recurrent_dropout"))
        self.seed = given["seed"]
        self._kept: dict[str, Tensor] = {}

    @property
    def state_size(self) -> Any:
        """The size of the state, or of each of several."""
        return self.units

    @property
    def output_size(self) -> int:
        return self.units

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def build(self, input_shape: Any) -> None:
        columns = self.gates * self.units
        shapes = [(input_shape[-1], columns), (self.units, columns), self.bias_shape]
        made = [
            self.add_weight(shape, initializer, name=name, regularizer=regularizer, constraint=constraint)
            for name, shape, initializer, regularizer, constraint in zip(
                _WEIGHTS[: 3 if self.use_bias else 2], shapes, self._initial_values(), self._regularizers, self._constraints
            )
        ]
        self.kernel, self.recurrent_kernel = made[:2]
        self.bias = made[2] if self.use_bias else None

    def _initial_values(self) -> list[Any]:
        return self._initializers

    def get_initial_state(self, batch_size: Any) -> Any:
        """Zeros for a batch of this size, a number or a scalar tensor."""
        sizes = self.state_size
        if isinstance(sizes, int):
            return array.zeros([batch_size, sizes], self.compute_dtype)
        return [array.zeros([batch_size, size], self.compute_dtype) for size in sizes]

    @contextmanager
    def one_dropout(self, batch_size: Any) -> Iterator[None]:
        """Inside, all calls drop the same elements."""
        if self.dropout:
            self._kept["dropout"] = self._drawn([batch_size, self.kernel.shape[0]], self.dropout)
        if self.recurrent_dropout:
            self._kept["recurrent_dropout"] = self._drawn([batch_size, self.units], self.recurrent_dropout)
        try:
            yield
        finally:
            self._kept.clear()

    def dropped(self, x: Any, which: str, training: bool | None) -> Any:
        """x [batch, ...], in training with elements dropped; `which`: dropout or recurrent_dropout."""
        rate = getattr(self, which)
        if not training or not rate:
            return x
        kept = self._kept.get(which)
        if kept is None:
            kept = self._drawn([array.shape(x)[0], x.shape[-1]], rate)
        return math.multiply(x, kept if x.ndim == 2 else array.expand_dims(kept, 1))

    def _drawn(self, shape: Any, rate: float) -> Tensor:
        ones = array.ones(shape, self.compute_dtype)
        return nn.dropout(ones, rate) if rate < 1 else array.zeros_like(ones)

    def _hidden(self, states: Any) -> Any:
        return states[0] if isinstance(states, (list, tuple)) else states


_WEIGHTS = ("kernel", "recurrent_kernel", "bias")


class SimpleRNNCell(RecurrentCell):
    """h = activation(x @ kernel + h @ recurrent_kernel + bias)."""

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_shared(locals()), **kwargs)

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> Any:
        h = self.dropped(self._hidden(states), "recurrent_dropout", training)
        x = math.matmul(self.dropped(inputs, "dropout", training), self.kernel)
        x = x if self.bias is None else math.add(x, self.bias)
        h = self.activation(math.add(x, math.matmul(h, self.recurrent_kernel)))
        return h, [h] if isinstance(states, (list, tuple)) else h


class LSTMCell(RecurrentCell):
    """c = f * c + i * activation(g), h = o * activation(c), with gates i, f, o = recurrent_activation(...).

    Columns of weights are those of i, f, g, o. unit_forget_bias: the bias of f begins with ones.
    """

    gates = 4

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_shared(locals()), **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self) -> Any:
        return [self.units, self.units]

    def _initial_values(self) -> list[Any]:
        if not self.unit_forget_bias:
            return self._initializers

        def bias(shape: Sequence[int], dtype: Any = None) -> Tensor:
            from exporter import initializers

            parts = initializers.get(self._initializers[2])
            ones = array.ones([self.units], dtype)
            return array.concat([parts((self.units,), dtype=dtype), ones, parts((2 * self.units,), dtype=dtype)], 0)

        return [*self._initializers[:2], bias]

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> Any:
        h, c = states
        h = self.dropped(h, "recurrent_dropout", training)
        x = math.matmul(self.dropped(inputs, "dropout", training), self.kernel)
        z = math.add(x, math.matmul(h, self.recurrent_kernel))
        i, f, g, o = array.split(z if self.bias is None else math.add(z, self.bias), 4, axis=1)
        gate = self.recurrent_activation
        c = math.add(math.multiply(gate(f), c), math.multiply(gate(i), self.activation(g)))
        h = math.multiply(gate(o), self.activation(c))
        return h, [h, c]


class GRUCell(RecurrentCell):
    """h = z * h + (1 - z) * candidate, with gates z, r = recurrent_activation(...).

    Columns of weights are those of z, r and of the candidate. reset_after: r is applied behind the product with the
    recurrent kernel, and there is a bias for each product: bias [2, 3 * units].
    """

    gates = 3

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_shared(locals()), **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> Any:
        old = self._hidden(states)
        h = self.dropped(old, "recurrent_dropout", training)
        x = math.matmul(self.dropped(inputs, "dropout", training), self.kernel)
        size, after = self.units, self.recurrent_kernel[:, 2 * self.units :]
        inner = math.matmul(h, self.recurrent_kernel if self.reset_after else self.recurrent_kernel[:, : 2 * size])
        if self.bias is not None:
            x = math.add(x, self.bias[0] if self.reset_after else self.bias)
            inner = math.add(inner, self.bias[1]) if self.reset_after else inner
        z, r = (self.recurrent_activation(x[:, k : k + size] + inner[:, k : k + size]) for k in (0, size))
        if self.reset_after:
            recurrent = math.multiply(r, inner[:, 2 * size :])
        else:
            recurrent = math.matmul(math.multiply(r, h), after)
        candidate = self.activation(math.add(x[:, 2 * size :], recurrent))
        h = math.add(math.multiply(z, old), math.multiply(math.subtract(1.0, z), candidate))
        return h, [h] if isinstance(states, (list, tuple)) else h


class StackedRNNCells(Layer):
    """Cells one after the other, as one: the output of each is the input of the next. Its states are those of the cells."""

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            if not hasattr(cell, "state_size") or not callable(getattr(cell, "call", None)):
                raise AuthoringError(f"StackedRNNCells: a cell must have state_size and call, got {cell!r}")
        self.cells = list(cells)

    @property
    def state_size(self) -> Any:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        return int(_output_size(self.cells[-1]))

    def get_initial_state(self, batch_size: Any) -> Any:
        return [cell.get_initial_state(batch_size) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], _output_size(cell))

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> Any:
        after = []
        for cell, state in zip(self.cells, states):
            inputs, new = cell(inputs, state, training=training)
            after.append(new)
        return inputs, after

    @contextmanager
    def one_dropout(self, batch_size: Any) -> Iterator[None]:
        """Inside, all calls drop the same elements."""
        from contextlib import ExitStack

        with ExitStack() as stack:
            for cell in self.cells:
                if hasattr(cell, "one_dropout"):
                    stack.enter_context(cell.one_dropout(batch_size))
            yield


def _output_size(cell: Any) -> Any:
    if hasattr(cell, "output_size"):
        return cell.output_size
    size = cell.state_size
    return size if isinstance(size, int) else size[0]


def _shared(given: dict[str, Any]) -> dict[str, Any]:
    """Of a constructor's arguments, those of RecurrentCell; `recurrent_initializer` is that of `recurrent_kernel`."""
    renamed = {name.replace("recurrent_", "recurrent_kernel_", 1): x for name, x in given.items() if name in _RENAMED}
    return {**given, **renamed}


_RENAMED = ("recurrent_initializer", "recurrent_regularizer", "recurrent_constraint")
