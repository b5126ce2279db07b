"""Loading a bundle, and the model it gives."""

from __future__ import annotations

import os
from _thread import allocate_lock  # threading's Lock, without the rest of it
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt import bundle as bundles
from edge_rt import native
from edge_rt.errors import ClosedError, InputError, MemoryLimitError, ModelError, SignatureError
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.session import Session
from edge_rt.signature import Signature, TensorInfo

if TYPE_CHECKING:
    from edge_rt.bound import BoundCall
    from edge_rt.jit import JitLibrary, JitReport
    from edge_rt.memory import Memory
    from edge_rt.printing import PlanTable

Array = np.ndarray[Any, Any]
BACKENDS = ("auto", "cpu", "reference")


def load(
    path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    threads: int | None = None,
    backend: str = "auto",
    max_memory: int | None = None,
    mmap: bool = True,
    verify: str = "header",
    jit: bool = False,
) -> Model:
    """Loads a .edge bundle.

    threads: at most so many run one call; by default as many as this process may use. backend: "auto" or "cpu" run
    machine code, "reference" runs NumPy only (slow, for comparison). max_memory: bytes of arena, weights and state
    together beyond which MemoryLimitError is raised. mmap: map the file rather than read it. verify: "header", or "all"
    to check the SHA-256 of every tensor as well. jit: compile kernels for just the sizes of this model, which takes seconds
    before the first run unless a cache has them, and needs numba; results have the same bits. See `Model.jit`.

    Raises BundleError if the bytes are not a sound bundle, TargetError if there is no code for this CPU or no compiler for
    `jit`, OSError if the file cannot be read.
    """
    options = {
        "threads": threads, "backend": backend, "max_memory": max_memory, "mmap": mmap, "verify": verify, "jit": jit,
    }  # fmt: skip
    if backend not in BACKENDS:
        raise ModelError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ModelError(f"threads must be a positive integer or None, got {threads!r}")
    if jit and backend == "reference":
        raise ModelError("jit=True compiles machine code, which backend 'reference' does not run")
    return Model(bundles.read(path_or_bytes, mmap=mmap, verify=verify), path_or_bytes, options)


class Model:
    """A loaded bundle: signatures, weights, and a default session. Usable from several threads; a context manager.

    Pickles as what it was loaded from, with the options; state is not carried.
    """

    def __init__(self, bundle: bundles.Bundle, source: Any, options: Mapping[str, Any]) -> None:
        self._bundle, self._source, self._options = bundle, source, dict(options)
        self.backend: str = options["backend"]
        self.metadata: Mapping[str, Any] = bundle.metadata
        self.assets: Mapping[str, bytes] = bundle.assets
        self.test_vectors = tuple(bundle.test_vectors)
        self.signatures = {name: Signature(name, graph) for name, graph in bundle.signatures.items()}
        self._by_count: dict[int, list[Signature]] = {}
        """Signatures by their number of inputs."""
        for entry in self.signatures.values():
            self._by_count.setdefault(len(entry.inputs), []).append(entry)
        self.initial_state = {
            s.name: np.asarray(s.initial, order="C") for graph in bundle.signatures.values() for s in graph.variables
        }
        self.is_closed = False
        self._lock = allocate_lock()
        """Guards the making of the default session."""
        self._plans: dict[str, Plan] = {}
        base = None if self.backend == "reference" else native.library()
        self._team = None if base is None else native.team(base, options["threads"])
        self._jit = _jit_library(base) if base is not None and options["jit"] else None
        self._library = self._jit or base
        self._check_memory()
        self._session: Session | None = None

    # ---- what it is -------------------------------------------------------------------------------------------------

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs of the only (or first) signature: name, dtype, shape."""
        return self.entry(None).inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs of the only (or first) signature: name, dtype, shape."""
        return self.entry(None).outputs

    @property
    def threads(self) -> int:
        """At most so many threads run one call."""
        return 1 if self._team is None else self._team.threads

    @property
    def jit(self) -> JitReport | None:
        """What `jit=True` compiled for this model so far, and how long it took; None without it."""
        return None if self._jit is None else self._jit.report

    @property
    def variables(self) -> dict[str, Array]:
        """Initial contents of the variables by name: the state, and those of the source section if the bundle has one."""
        source = self._bundle.source
        return {name: np.array(a) for name, a in {**(source.variables if source else {}), **self.initial_state}.items()}

    @property
    def memory(self) -> Memory:
        """Bytes of arena (largest over the signatures), weights and state."""
        arenas = [self._static_arena(s) for s in self.signatures.values()]
        known = [a for a in arenas if a is not None]
        arena = max(known, default=0) if len(known) == len(arenas) else None
        return self._memory(arena)

    def memory_for(self, shapes: Mapping[str, Sequence[int]], signature: str | None = None) -> Memory:
        """Memory when the inputs have these shapes."""
        table = self.plan(shapes, signature)
        return self._memory(table.arena)

    def plan(
        self,
        shapes: Mapping[str, Sequence[int]] | None = None,
        signature: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> PlanTable:
        """The steps for these input shapes, as a printable table: operator, kernel or NumPy, offsets, parts.

        shapes: of inputs with symbolic sizes. values: contents of inputs that decide shapes (zeros where not given).
        """
        entry = self.entry(signature)
        from edge_rt.printing import PlanTable

        return PlanTable.of(self._new_runner(entry), entry, shapes or {}, values or {})

    # ---- running it -------------------------------------------------------------------------------------------------

    def run(
        self,
        inputs: Mapping[str, Any],
        *,
        signature: str | None = None,
        out: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """Runs on the default session: see Session.run."""
        session = self._session or self._default()
        return session.run(inputs, signature=signature, out=out)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs with inputs in order or by name; the output, or a tuple of all, in order."""
        session = self._session or self._default()
        return session(*args, **kwargs)

    def bind(self, signature: str | None = None, shapes: Mapping[str, Sequence[int]] | None = None) -> BoundCall:
        """A call over fixed views: see Session.bind."""
        return self._default().bind(signature, shapes)

    def session(self) -> Session:
        """A session with its own arena and state, sharing the weights."""
        self._require_open()
        return Session(self)

    @property
    def state(self) -> dict[str, Array]:
        """Copies of the default session's variables, by name."""
        return self._default().state

    def set_state(self, values: Mapping[str, Array]) -> None:
        """Overwrites variables of the default session: see Session.set_state."""
        self._default().set_state(values)

    def reset_state(self) -> None:
        """Gives the default session's variables their initial values again."""
        self._default().reset_state()

    def close(self) -> None:
        """Ends use: later calls raise ClosedError. Arrays already given out stay valid."""
        with self._lock:
            self.is_closed, self._session = True, None

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        is_path = isinstance(self._source, (str, os.PathLike))
        source = os.path.abspath(self._source) if is_path else bytes(self._source)
        return _reload, (source, self._options)

    def __repr__(self) -> str:
        return "Model(" + "; ".join(map(repr, self.signatures.values())) + ")"

    # ---- for sessions -----------------------------------------------------------------------------------------------

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
        self._require_open()
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

    def runner(self, entry: Signature, state: Mapping[str, Array], pinned: bool = False) -> Runner:
        """A runner for one session."""
        self._require_open()
        return self._new_runner(entry, [state[s.name] for s in entry.graph.variables], pinned)

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _no_unique(self, fitting: Sequence[Signature], got: str) -> SignatureError:
        """The error of inputs that not exactly one signature accepts. fitting: those that do."""
        which = "no signature accepts" if not fitting else f"{len(fitting)} signatures accept"
        listed = "\n".join(f"  {s!r}" for s in fitting or self.signatures.values())
        return SignatureError(f"{which} the inputs ({got}):\n{listed}")

    def _new_runner(self, entry: Signature, state: Sequence[Array] | None = None, pinned: bool = False) -> Runner:
        plan = self._plans.get(entry.name)
        if plan is None:
            plan = self._plans[entry.name] = Plan(entry.graph)
        if state is None:
            state = [self.initial_state[s.name] for s in entry.graph.variables]
        return Runner(plan, self._library, self._team, state, self._arena_limit(), pinned)

    def _arena_limit(self) -> float:
        limit = self._options["max_memory"]
        if limit is None:
            return float("inf")
        return float(limit - self._weights() - sum(a.nbytes for a in self.initial_state.values()))

    def _memory(self, arena: int | None) -> Memory:
        from edge_rt.memory import Memory

        return Memory(arena, self._weights(), sum(a.nbytes for a in self.initial_state.values()))

    def _weights(self) -> int:
        unique = {
            a.__array_interface__["data"][0]: a.nbytes for g in self._bundle.signatures.values() for a in _constants(g)
        }
        return sum(unique.values())

    def _static_arena(self, entry: Signature) -> int | None:
        if self.backend == "reference" or not all(i.type.is_static for i in entry.inputs):
            return None
        table = self.plan(signature=entry.name)
        return table.arena if table.is_whole else None

    def _check_memory(self) -> None:
        limit = self._options["max_memory"]
        if limit is None:
            return
        memory = self.memory
        needed = (memory.arena or 0) + memory.weights + memory.state
        if needed > limit:
            raise MemoryLimitError(f"max_memory is {limit} bytes, the model needs {needed}: {memory}")

    def _default(self) -> Session:
        with self._lock:
            self._require_open()
            if self._session is None:
                self._session = Session(self)
            return self._session

    def _require_open(self) -> None:
        if self.is_closed:
            raise ClosedError("the model was closed")


def _jit_library(base: native.AnyLibrary) -> JitLibrary:
    from edge_rt.jit import jit_library

    return jit_library(base)


def _constants(graph: Any) -> list[Array]:
    found = [v.data for v in graph.constants()]
    for _, _, inner in graph.subgraphs():
        found.extend(_constants(inner))
    return found


def _describe(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)


def _reload(source: Any, options: Mapping[str, Any]) -> Model:
    return load(source, **options)
