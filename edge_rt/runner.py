"""Runs a plan: binds each stage for the shapes that come, keeps the bindings, walks from cut to cut."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.binder import bind
from edge_rt.binding import Binding, Stage, Step
from edge_rt.errors import MemoryLimitError
from edge_rt.instance import Instance, aligned_bytes, conclude
from edge_rt.linking import link
from edge_rt.native.host import AnyLibrary
from edge_rt.ops._spec import MAX_KNOWN
from edge_rt.plan import Plan
from edge_rt.types import TensorType

if TYPE_CHECKING:
    from edge_rt.linked import Linked
    from edge_rt.native.team import Team
    from edge_rt.python_steps import PythonStep

Array = np.ndarray[Any, Any]

Execute = Callable[[Instance, Sequence[Array]], "list[Array]"]

KEPT_BINDINGS = 16
"""Bindings that a stage keeps, the least recently used going first."""


class Cache:
    """Bindings of one stage by the types and decisive contents of its inputs."""

    __slots__ = ("entries", "stage")

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.entries: OrderedDict[Any, tuple[Instance, Cache | None]] = OrderedDict()

    def find(self, key: Any) -> tuple[Instance, Cache | None] | None:
        found = self.entries.get(key)
        if found is not None:
            self.entries.move_to_end(key)
        return found

    def add(self, key: Any, instance: Instance, following: Cache | None) -> None:
        self.entries[key] = (instance, following)
        if len(self.entries) > KEPT_BINDINGS:
            self.entries.popitem(last=False)


class Runner:
    """Executes one plan over an arena and state of its own. Not safe for concurrent use: a session locks.

    state: one array per variable of the plan's graph; the kernels read them in place, `run` writes them when all has
    gone well. max_bytes: the arena may not grow beyond it (MemoryLimitError).
    """

    def __init__(
        self,
        plan: Plan,
        library: AnyLibrary | None,
        team: Team | None,
        state: Sequence[Array] = (),
        max_bytes: float = float("inf"),
        pinned: bool = False,
    ) -> None:
        self.plan = plan
        self._library, self._team = library, team
        self._state, self._max_bytes, self._pinned = list(state), max_bytes, pinned
        self._first = Cache(Stage.first(plan))
        self._arena = aligned_bytes(0)
        self._bodies: dict[int, Runner] = {}
        self.whole: Instance | None = None
        """The instance that did all of the last `run`, if one did."""
        self._state_types = {s: TensorType.of(a) for s, a in zip(plan.variables, self._state)}
        self._kept = [*plan.outputs, *(u for u in plan.updates if u is not None)]
        self.updated = [a for a, u in zip(self._state, plan.updates) if u is not None]
        """The variables that a run gives new contents, in order."""

    def run(self, inputs: Sequence[Array], execute: Execute = Instance.run) -> list[Array]:
        """Outputs, as fresh arrays. inputs: C-contiguous, of the graph's dtypes, in order.

        execute: what runs the instance of each stage on the arrays of its live slots, and gives its results.
        Raises InferenceError where a node does not accept these shapes, DataError where one does not accept the
        contents.
        """
        live = inputs
        instance, following = self._instance(self._first, live)
        self.whole = instance if following is None else None
        while following is not None:
            carried = [r.copy() for r in execute(instance, live)]
            arrays = dict(zip(instance.binding.alive, carried))
            live = [arrays[s] for s in following.stage.live]
            instance, following = self._instance(following, live)
        return conclude(execute(instance, live), self.updated)

    def binding_for(self, types: Sequence[TensorType], contents: Mapping[int, Array]) -> Binding:
        """The binding of the first stage for these input types. contents: of decisive inputs, by slot."""
        return self._bind(self._first.stage, dict(zip(self.plan.inputs, types)), contents)

    def linked_for(self, types: Sequence[TensorType], arch: str) -> Linked | None:
        """What the instance for these input types is made of, for a CPU of this architecture; None if it does not do all of
        the plan, or depends on contents."""
        stage = self._first.stage
        if stage.decisive:
            return None
        binding = self._bind(stage, dict(zip(self.plan.inputs, types)), {}, arch)
        whole = binding.rest is None
        return link(binding, self._library, [binding.resolve(s) for s in self._kept]) if whole else None

    def instance_for(self, live: Sequence[Array]) -> tuple[Instance, bool]:
        """The first stage's instance for arrays like these, and whether it is all of the plan."""
        instance, following = self._instance(self._first, live)
        return instance, following is None

    # ---- parts of a run ---------------------------------------------------------------------------------------------

    def _instance(self, cache: Cache, live: Sequence[Array]) -> tuple[Instance, Cache | None]:
        stage = cache.stage
        contents = {s: a for s, a in zip(stage.live, live) if s in stage.decisive and a.size <= MAX_KNOWN}
        key = (
            tuple([(a.shape, a.dtype.num) for a in live]),
            tuple([a.tobytes() for a in contents.values()]),
        )
        found = cache.find(key)
        if found is not None:
            return found
        contents = {s: a.copy() for s, a in contents.items()}
        binding = self._bind(stage, {s: TensorType.of(a) for s, a in zip(stage.live, live)}, contents)
        self._reserve(binding.arena)
        following = None if binding.rest is None else Cache(binding.rest)
        wanted = binding.alive if following is not None else [binding.resolve(s) for s in self._kept]
        linked = link(binding, self._library, wanted)
        instance = Instance(linked, self._arena, self._state, self._library, self._team, self._python_step)
        cache.add(key, instance, following)
        return instance, following

    def _bind(
        self, stage: Stage, types: dict[int, TensorType], contents: Mapping[int, Array], arch: str | None = None
    ) -> Binding:
        target = "" if self._library is None else self._library.target
        return bind(stage, {**types, **self._state_types}, contents, self._kept, self._pinned, arch, target)

    def _reserve(self, nbytes: int) -> None:
        """Grows the arena. Instances over the old one go."""
        if nbytes > self._max_bytes:
            raise MemoryLimitError(
                f"the arena needs {nbytes} bytes for these shapes, max_memory leaves {self._max_bytes:.0f}"
            )
        if nbytes > self._arena.size:
            self._arena = aligned_bytes(nbytes)
            for cache in self._caches():
                cache.entries.clear()

    def _caches(self) -> list[Cache]:
        found = [self._first]
        for cache in found:
            found.extend(c for _, c in cache.entries.values() if c is not None)
        return found

    def _python_step(self, instance: Instance, index: int) -> PythonStep:
        from edge_rt.python_steps import python_step

        return python_step(instance, index, self._control)

    def _control(self, step: Step, inputs: Sequence[Array | None]) -> Sequence[Array]:
        """A loop, whose body is a plan of its own."""
        made = step.item.op.reference(step.item.attrs, *inputs, run=self._run_body)
        return made if isinstance(made, (tuple, list)) else (made,)

    def _run_body(self, graph: Any, inputs: Sequence[Array]) -> list[Array]:
        body = self._bodies.get(id(graph))
        if body is None:
            body = self._bodies[id(graph)] = Runner(Plan(graph), self._library, self._team, max_bytes=self._max_bytes)
        return body.run([np.asarray(x, order="C") for x in inputs])
