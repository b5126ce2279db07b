"""What a model knows once its bundle was read: signatures, plans, and the machine code for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt import bundle as bundles
from edge_rt import native
from edge_rt.errors import InputError, MemoryLimitError, SignatureError
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.signature import Signature

if TYPE_CHECKING:
    from edge_rt.jit import JitLibrary
    from edge_rt.memory import Memory
    from edge_rt.native import AnyLibrary
    from edge_rt.printing import PlanTable

Array = np.ndarray[Any, Any]


class Loaded:
    """The contents of a bundle, ready to be run. Immutable but for the plans that it keeps."""

    def __init__(self, content: memoryview, name: str | None, options: Mapping[str, Any]) -> None:
        """content: the bytes of the bundle. name: of the file they are from. options: of `load`. Raises what that does."""
        self.bundle = bundle = bundles.read(content, verify=options["verify"], name=name)
        self._limit: int | None = options["max_memory"]
        self._is_reference = options["backend"] == "reference"
        self.test_vectors = tuple(bundle.test_vectors)
        self.signatures = {name: Signature(name, graph) for name, graph in bundle.signatures.items()}
        self._by_count: dict[int, list[Signature]] = {}
        """Signatures by their number of inputs."""
        for entry in self.signatures.values():
            self._by_count.setdefault(len(entry.inputs), []).append(entry)
        self.initial_state = {
            s.name: np.asarray(s.initial, order="C") for graph in bundle.signatures.values() for s in graph.variables
        }
        self._plans: dict[str, Plan] = {}
        base = None if self._is_reference else native.library()
        self.team = None if base is None else native.team(base, options["threads"])
        self.jit = _jit_library(base) if base is not None and options["jit"] else None
        self.library = self.jit or base
        self._check_memory()

    # ---- choosing a signature ---------------------------------------------------------------------------------------

    def entry(self, name: str | None) -> Signature:
        """The signature of this name (None: the first). Raises SignatureError for an unknown one."""
        if name is None:
            return next(iter(self.signatures.values()))
        found = self.signatures.get(name)
        if found is None:
            raise SignatureError(f"no signature is named '{name}', there are {', '.join(self.signatures)}")
        return found

    def select(self, inputs: Mapping[str, Any], name: str | None) -> tuple[Signature, list[Array]]:
        """The signature for these inputs, and the inputs checked."""
        if not hasattr(inputs, "keys"):
            from edge_rt.arguments import require_named

            require_named(inputs)
        if name is not None or len(self.signatures) == 1:
            entry = self.entry(name)
            return entry, entry.check(inputs)
        fitting = [s for s in self.signatures.values() if s.accepts(inputs)]
        if len(fitting) != 1:
            raise self._no_unique(fitting, ", ".join(f"{k}: {_describe(v)}" for k, v in inputs.items()))
        return fitting[0], fitting[0].check(inputs)

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Positional and named arguments of a call, by input name."""
        if not args:
            return dict(kwargs)
        alike = self._by_count.get(len(args) + len(kwargs))
        if alike is None:
            expected = " or ".join(str(n) for n in sorted(self._by_count))
            if len(self.signatures) == 1:
                raise InputError(f"expected {expected} inputs, got {len(args) + len(kwargs)}")
            raise self._no_unique([], f"{len(args) + len(kwargs)}, not {expected}")
        entry = alike[0]
        if any(s.input_names != entry.input_names for s in alike[1:]):
            # Which names the arguments in order have depends on the signature that accepts them.
            fitting = [s for s in alike if s.accepts({**dict(zip(s.input_names, args)), **kwargs})]
            if len(fitting) != 1:
                got = [*map(_describe, args), *(f"{k}: {_describe(v)}" for k, v in kwargs.items())]
                raise self._no_unique(fitting, ", ".join(got))
            entry = fitting[0]
        named = dict(zip(entry.input_names, args))
        if not kwargs:
            return named
        twice = set(named) & set(kwargs)
        if twice:
            raise InputError(f"input '{min(twice)}' is given twice")
        return {**named, **kwargs}

    def _no_unique(self, fitting: Sequence[Signature], got: str) -> SignatureError:
        """The error of inputs that not exactly one signature accepts. fitting: those that do."""
        which = "no signature accepts" if not fitting else f"{len(fitting)} signatures accept"
        listed = "\n".join(f"  {s!r}" for s in fitting or self.signatures.values())
        return SignatureError(f"{which} the inputs ({got}):\n{listed}")

    # ---- planning and running ---------------------------------------------------------------------------------------

    def runner(self, entry: Signature, state: Mapping[str, Array] | None = None, pinned: bool = False) -> Runner:
        """A runner over these variables, by name; over the initial ones, which it must not change, by default."""
        plan = self._plans.get(entry.name)
        if plan is None:
            plan = self._plans[entry.name] = Plan(entry.graph)
        held = self.initial_state if state is None else state
        arrays = [held[s.name] for s in entry.graph.variables]
        return Runner(plan, self.library, self.team, arrays, self._arena_limit(), pinned)

    def plan(
        self, shapes: Mapping[str, Sequence[int]], signature: str | None, values: Mapping[str, Any]
    ) -> PlanTable:
        """See Model.plan."""
        from edge_rt.printing import PlanTable

        entry = self.entry(signature)
        return PlanTable.of(self.runner(entry), entry, shapes, values)

    # ---- memory -----------------------------------------------------------------------------------------------------

    @property
    def memory(self) -> Memory:
        """See Model.memory."""
        arenas = [self._static_arena(s) for s in self.signatures.values()]
        known = [a for a in arenas if a is not None]
        return self.memory_with(max(known, default=0) if len(known) == len(arenas) else None)

    def memory_with(self, arena: int | None) -> Memory:
        """Memory with an arena of this size."""
        from edge_rt.memory import Memory

        return Memory(arena, self._weights(), self._state_bytes())

    def _arena_limit(self) -> float:
        if self._limit is None:
            return float("inf")
        return float(self._limit - self._weights() - self._state_bytes())

    def _state_bytes(self) -> int:
        return sum(a.nbytes for a in self.initial_state.values())

    def _weights(self) -> int:
        unique = {
            a.__array_interface__["data"][0]: a.nbytes for g in self.bundle.signatures.values() for a in _constants(g)
        }
        return sum(unique.values())

    def _static_arena(self, entry: Signature) -> int | None:
        if self._is_reference or not all(i.type.is_static for i in entry.inputs):
            return None
        table = self.plan({}, entry.name, {})
        return table.arena if table.is_whole else None

    def _check_memory(self) -> None:
        if self._limit is None:
            return
        memory = self.memory
        needed = (memory.arena or 0) + memory.weights + memory.state
        if needed > self._limit:
            raise MemoryLimitError(f"max_memory is {self._limit} bytes, the model needs {needed}: {memory}")


def _jit_library(base: AnyLibrary) -> JitLibrary:
    from edge_rt.jit import jit_library

    return jit_library(base)


def _constants(graph: Any) -> list[Array]:
    found = [v.data for v in graph.constants()]
    for _, _, inner in graph.subgraphs():
        found.extend(_constants(inner))
    return found


def _describe(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)
