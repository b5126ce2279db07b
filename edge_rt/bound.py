"""A call with fixed shapes whose inputs and outputs are views over its own arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.errors import InputError
from edge_rt.signature import Signature

if TYPE_CHECKING:
    from edge_rt.model import Model
    from edge_rt.turn import Turn

Array = np.ndarray[Any, Any]


class BoundCall:
    """Fill the arrays in `inputs`, call `run()`, read those in `outputs`: the least a call can cost.

    The views stay the same from run to run, and belong to this object: `call.inputs["x"][...] = array` fills one, another
    array cannot take its place. The state is the session's. `run` leaves the inputs as they are.
    """

    def __init__(
        self,
        model: Model,
        entry: Signature,
        shapes: Mapping[str, Sequence[int]],
        state: dict[str, Array],
        turn: Turn,
    ) -> None:
        zeros = {i.name: np.zeros(_concrete(i.name, i.shape, shapes), i.dtype) for i in entry.inputs}
        live = entry.check(zeros)
        self._runner = model.runner(entry, state, pinned=True)
        plan = self._runner.plan
        self._instance, whole = self._runner.instance_for(live)
        if not whole or any(s in plan.decisive for s in plan.inputs) or plan.updates.count(None) != len(plan.updates):
            raise InputError(
                f"signature '{entry.name}': cannot be bound, since its sizes depend on contents or it changes state; "
                "use run()"
            )
        self._turn, self._execute = turn, self._instance.executor
        copies = dict(zip(entry.input_names, self._instance.copies))
        self.inputs: Mapping[str, Array] = MappingProxyType(copies)  # type: ignore[arg-type]
        self.outputs: Mapping[str, Array] = MappingProxyType(dict(zip(entry.graph.output_names, self._instance.run(live))))

    def run(self) -> None:
        """Computes the outputs from what the input views hold."""
        turn = self._turn
        free = turn.free
        while True:  # `with turn`, written out
            try:
                del free[0]
                break
            except IndexError:
                turn.wait()
        try:
            self._execute()
        finally:
            free.append(None)
            if turn.waiting:
                turn.wake()


def _concrete(name: str, shape: Sequence[int | str] | None, given: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    if name in given:
        return tuple(given[name])
    if shape is None or not all(isinstance(d, int) for d in shape):
        raise InputError(f"input '{name}': bind needs its sizes, shapes={{'{name}': ...}}; declared is {shape}")
    return tuple(int(d) for d in shape)
