"""RNN: a cell run over the steps of sequences [batch, steps, ...]."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring import control
from exporter.authoring import scope as scopes
from exporter.authoring.ops import array, math
from exporter.authoring.structure import flatten, map_leaves
from exporter.authoring.variable import Variable
from exporter.layers.base import Layer
from exporter.layers.recurrent_cells import StackedRNNCells


class RNN(Layer):
    """sequences [batch, steps, ...] -> the cell's last output, or all of them where return_sequences: [batch, steps, units].

    cell: a layer with state_size (a number, or one for each state), called with (step, states) -> (output, states); or a
    list of such. return_state: gives (output, *states). go_backwards: from the last step to the first; outputs are in that
    order. stateful: each call goes on from the states of the one before (see `reset_state`), which needs a fixed batch;
    exported, they are state on the device. unroll: of no effect, kept for configs. With a mask [batch, steps] states and
    output stay as they are where it is False, or the output is zero where zero_output_for_mask.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        if not callable(getattr(cell, "call", None)) or not hasattr(cell, "state_size"):
            raise AuthoringError(f"RNN '{self.name}': a cell must have call and state_size, got {cell!r}")
        self.cell = cell
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.stateful, self.unroll = go_backwards, stateful, unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.states: Any = None

    def _constructor_arguments(self) -> dict[str, Any]:
        # Bidirectional sets this one in the layers that it made.
        return {**super()._constructor_arguments(), "zero_output_for_mask": self.zero_output_for_mask}

    def _direct(self, kind: type) -> list[Any]:
        """What the layer holds, without the states: they are no weights."""
        held = {id(v) for v in flatten(self.states)}
        return [x for x in super()._direct(kind) if id(x) not in held]

    @property
    def state_size(self) -> list[Any]:
        size = self.cell.state_size
        return [size] if isinstance(size, int) else list(size)

    # ---- building ---------------------------------------------------------------------------------------------------

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self.states is None:
            if sequences_shape[0] is None:
                raise AuthoringError(f"layer '{self.name}' is stateful: the batch size must be known, got {sequences_shape}")
            self.states = map_leaves(
                lambda _, x: Variable(x, trainable=False, name="rnn_state"), self.get_initial_state(sequences_shape[0])
            )

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step of a batch of this size, a number or a scalar tensor."""
        if hasattr(self.cell, "get_initial_state"):
            made = self.cell.get_initial_state(batch_size)
            return list(made) if isinstance(made, (list, tuple)) else [made]
        return [array.zeros([batch_size, size], self.compute_dtype) for size in self.state_size]

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero."""
        for v in flatten(self.states):
            if v is not None:
                v.assign(array.zeros(v.shape, v.dtype))

    reset_states = reset_state

    # ---- calling ----------------------------------------------------------------------------------------------------

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = False,
        by_time: bool = False,
    ) -> Any:
        """by_time: outputs are in the order of the steps, also where they are gone through backwards."""
        given = initial_state
        if given is None and self.stateful:
            given = map_leaves(lambda _, v: v.value(), self.states)
        if given is not None:
            given = list(given) if isinstance(given, (list, tuple)) else [given]
        mask = flatten(mask)[0] if mask is not None else None
        if mask is not None and mask.ndim > 2:
            mask = math.reduce_any(mask, tuple(range(2, mask.ndim)))
        keeping: Any = nullcontext()
        if training and hasattr(self.cell, "one_dropout"):
            keeping = self.cell.one_dropout(array.shape(sequences)[0])
        with keeping:
            output, states = self._run(sequences, given, mask, training)
        if self.stateful:
            for variable, state in zip(flatten(self.states), flatten(states)):
                variable.assign(state)
        if self.return_sequences and self.go_backwards and not by_time:
            output = array.reverse(output, 1)
        return (output, *states) if self.return_state else output

    def _run(self, x: Any, states: list[Any] | None, mask: Any, training: bool | None) -> tuple[Any, list[Any]]:
        """(outputs in the order of time, or the last one; the states at the end)."""
        if states is None:
            states = self.get_initial_state(array.shape(x)[0])
        by_steps = array.transpose(x, (1, 0, *range(2, x.ndim)))
        xs = by_steps if mask is None else (by_steps, array.expand_dims(array.transpose(math.cast(mask, "bool")), -1))

        def step(x: Any, states: Any) -> Any:
            x, kept = x if mask is not None else (x, None)
            output, after = self._cell_step(x, states, training)
            if kept is None:
                return output, after
            held = iter(flatten(states))
            after = map_leaves(lambda _, s: array.where(kept, s, next(held)), after)
            other = states[-1] if isinstance(self.cell, StackedRNNCells) else states
            other = other[0] if isinstance(other, (list, tuple)) else other
            if self.zero_output_for_mask:
                other = array.zeros_like(output)
            return array.where(kept, output, other), after

        outputs, after = control.scan(step, xs, states, reverse=self.go_backwards, name=scopes.scoped("steps"))
        if self.return_sequences:
            return array.transpose(outputs, (1, 0, 2)), list(after)
        return outputs[0 if self.go_backwards else -1], list(after)

    def _cell_step(self, x: Any, states: Any, training: bool | None) -> Any:
        extra = {"training": training} if isinstance(self.cell, Layer) else {}
        output, after = self.cell(x, states, **extra)
        return output, list(after) if isinstance(after, (list, tuple)) else [after]

    # ---- shapes and masks -------------------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        mask = flatten(previous_mask)[0] if previous_mask is not None else None
        mask = mask if self.return_sequences else None
        return [mask, *[None] * len(self.state_size)] if self.return_state else mask

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, steps = sequences_shape[:2]
        size = getattr(self.cell, "output_size", None) or flatten(self.state_size)[0]
        output = (batch, steps, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return output
        sizes = self.state_size
        return (output, *((batch, s) if isinstance(s, int) else [(batch, part) for part in s] for s in sizes))
