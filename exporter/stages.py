"""Every step that a graph's plan takes for given inputs: through all cuts, and into the bodies of loops.

Planning is data: nothing is compiled or mapped, so it can be for another architecture than this machine's. Where only
contents tell what follows (a cut, a loop), the NumPy references compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edge_rt.binder import bind
from edge_rt.binding import CONTROL, Binding, Stage
from edge_rt.errors import DataError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.ops._spec import MAX_KNOWN
from edge_rt.plan import Plan
from edge_rt.printing import PlanStep, PlanTable
from edge_rt.types import TensorType

Array = np.ndarray[Any, Any]


class Steps(NamedTuple):
    """All steps, those of a loop's body once. arena: bytes, of the graph's and of the bodies that ran. outputs: bytes, of
    those whose sizes do not depend on data."""

    steps: tuple[PlanStep, ...]
    arena: int
    outputs: int


def all_steps(graph: Graph, inputs: Sequence[Array], arch: str | None = None, target: str = "") -> Steps:
    """The steps for inputs like these, in the graph's order. Of each If only the branch taken is there.

    arch: the CPU architecture to plan for; by default this machine's. target: as for `bind`.

    Raises InferenceError or DataError that names the node which does not accept these inputs.
    """
    walk = _Walk(arch, target)
    outputs = walk.graph(graph, inputs)
    return Steps(tuple(walk.steps), walk.arena, outputs)


class _Walk:
    def __init__(self, arch: str | None, target: str) -> None:
        self.arch, self.target = arch, target
        self.steps: list[PlanStep] = []
        self.arena = 0
        self._bodies: set[int] = set()

    def graph(self, graph: Graph, inputs: Sequence[Array]) -> int:
        """Takes down the steps of a graph; the bytes of its outputs."""
        plan = Plan(graph)
        kept = [*plan.outputs, *(u for u in plan.updates if u is not None)]
        state = dict(zip(plan.variables, (v.initial for v in graph.variables)))
        stage, arena = Stage.first(plan), 0
        arrays = {**dict(zip(stage.live, inputs)), **state}
        while True:
            contents = {s: arrays[s] for s in stage.decisive if arrays[s].size <= MAX_KNOWN}
            types = {s: TensorType.of(a) for s, a in arrays.items()}
            binding = bind(stage, types, contents, kept, arch=self.arch, target=self.target)
            self.steps += PlanTable.of_binding(graph.name, binding).steps
            arena = max(arena, binding.arena)
            if binding.rest is None and not any(s.item.op.name in CONTROL for s in binding.steps):
                break
            read = self._compute(binding, arrays)
            if binding.rest is None:
                break
            stage = binding.rest
            arrays = {**{s: read(s) for s in stage.live}, **state}
        self.arena += arena
        made = [binding.types[binding.resolve(s)] for s in plan.outputs]
        return sum(t.nbytes for t in made if t.is_static)

    def _compute(self, binding: Binding, arrays: Mapping[int, Array]) -> Callable[[int], Array]:
        """Runs the steps by references; what gives the array of any slot."""
        found = dict(arrays)

        def read(slot: int) -> Array:
            if slot in found:
                return found[slot]
            if slot in binding.roots:
                return read(binding.roots[slot]).reshape(binding.types[slot].static_shape)
            data = binding.places[slot].data
            assert data is not None
            return data

        for step in binding.steps:
            item, inputs = step.item, [None if s is None else read(s) for s in step.inputs]
            try:
                if item.op.name in CONTROL:
                    with np.errstate(all="ignore"):
                        made = item.op.reference(item.attrs, *inputs, run=self._body)
                    made = made if isinstance(made, (tuple, list)) else (made,)
                else:
                    made = item.op.evaluate(item.attrs, *inputs)
            except DataError as error:
                raise DataError(f"{item.where}: {error}") from None
            found.update(zip(step.outputs, made))
        return read

    def _body(self, graph: Graph, inputs: Sequence[Array]) -> list[Array]:
        """The outputs of a loop's body, whose steps are taken down when it first runs."""
        given = [np.asarray(x) for x in inputs]
        if id(graph) not in self._bodies:
            self._bodies.add(id(graph))
            self.graph(graph, given)
        return evaluate(graph, given)
