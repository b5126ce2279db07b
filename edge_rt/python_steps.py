"""Steps of an instance that run in Python: operators' references, and loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.binding import CONTROL, Step
from edge_rt.errors import DataError
from edge_rt.linked import LIVE, Place
from edge_rt.linking import place_of

if TYPE_CHECKING:
    from edge_rt.instance import Instance

Array = np.ndarray[Any, Any]
Control = Callable[[Step, Sequence["Array | None"]], Sequence[Array]]


class PythonStep:
    """Reads and writes views over an instance's arena."""

    __slots__ = ("inputs", "outputs", "run", "step")

    def __init__(
        self, step: Step, inputs: Sequence[Array | Place | None], outputs: Sequence[Array] | None, run: Control
    ) -> None:
        self.step, self.run = step, run
        self.inputs = tuple(inputs)
        """Views; of live slots their places, since the arrays are the caller's."""
        self.outputs = outputs
        """Views to fill; None where sizes are not known before the step runs."""

    @property
    def looks_at_live(self) -> bool:
        return any(type(x) is tuple for x in self.inputs)

    def __call__(self, live: Sequence[Array]) -> Sequence[Array]:
        given: list[Any] = [live[x[1]].reshape(x[2]) if type(x) is tuple else x for x in self.inputs]
        made = self.run(self.step, given)
        if self.outputs is None:
            return made
        for view, array in zip(self.outputs, made):
            if view.shape != array.shape or view.dtype != array.dtype:
                raise DataError(
                    f"{self.step.item.where}: computed {array.dtype}{list(array.shape)}, "
                    f"but its inputs promised {view.dtype}{list(view.shape)}"
                )
            view[...] = array
        return ()


def python_step(instance: Instance, index: int, control: Control) -> PythonStep:
    """Step `index` of the instance's binding. control: what runs loops."""
    binding = instance.binding
    step = binding.steps[index]
    inputs = [None if s is None else _source(instance, s) for s in step.inputs]
    is_dynamic = binding.dynamic and index == len(binding.steps) - 1
    outputs = None if is_dynamic else [_view(instance, s) for s in step.outputs]
    return PythonStep(step, inputs, outputs, control if step.item.op.name in CONTROL else _reference)


def _source(instance: Instance, slot: int) -> Array | Place:
    constants: list[Array] = []
    place = place_of(instance.binding, slot, constants)
    if place[0] == LIVE:
        return place
    view = instance.view(place, constants)
    view.flags.writeable = False
    return view


def _view(instance: Instance, slot: int) -> Array:
    constants: list[Array] = []
    return instance.view(place_of(instance.binding, slot, constants), constants)


def _reference(step: Step, inputs: Sequence[Array | None]) -> Sequence[Array]:
    try:
        with np.errstate(all="ignore"):
            made = step.item.op.evaluate(step.item.attrs, *inputs)
    except DataError as error:
        raise DataError(f"{step.item.where}: {error}") from None
    return made  # type: ignore[return-value]
