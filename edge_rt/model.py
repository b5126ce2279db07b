"""Loading a bundle, and the model it gives."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt import garbage, stored
from edge_rt.mapped import content_of
from edge_rt.session import Session
from edge_rt.turn import Turn

if TYPE_CHECKING:
    from edge_rt.bound import BoundCall
    from edge_rt.bundle import TestVector
    from edge_rt.jit import JitReport
    from edge_rt.loaded import Loaded
    from edge_rt.memory import Memory
    from edge_rt.prepared import Prepared
    from edge_rt.printing import PlanTable
    from edge_rt.runner import Runner
    from edge_rt.signature import Signature, TensorInfo

Array = np.ndarray[Any, Any]
BACKENDS = ("auto", "cpu", "reference")
MAX_THREADS = 1024


def load(
    path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    threads: int | None = None,
    backend: str = "auto",
    max_memory: int | None = None,
    mmap: bool = True,
    verify: str = "header",
    jit: bool = False,
    stored_plan: bool = True,
) -> Model:
    """Loads a .edge bundle.

    threads: at most so many run one call; by default as many as this process may use. backend: "auto" or "cpu" run
    machine code, "reference" runs NumPy only (slow, for comparison). max_memory: bytes of arena, weights and state
    together beyond which MemoryLimitError is raised. mmap: map the file rather than read it; then nobody may write into it
    (if it became shorter, reading on would end the process), but replacing it is fine. verify: "header", or "all" to check
    the SHA-256 of every tensor as well. jit: compile kernels for just the sizes of this model, which takes seconds
    before the first run unless a cache has them, and needs numba; results have the same bits. See `Model.jit`.
    stored_plan: whether to use, or else leave for processes that start later, what the first call found out about this
    bundle: see stored.py.

    Raises ModelError for options that are none; BundleError if the bytes are not a sound bundle, TargetError if there
    is no code for this CPU or no compiler for `jit`, OSError if the file cannot be read.
    """
    options = {
        "threads": threads, "backend": backend, "max_memory": max_memory, "mmap": mmap, "verify": verify, "jit": jit,
        "stored_plan": stored_plan,
    }  # fmt: skip
    if backend not in BACKENDS:
        raise _wrong(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if threads is not None and not (isinstance(threads, int) and 1 <= threads <= MAX_THREADS):
        raise _wrong(f"threads must be an integer from 1 to {MAX_THREADS} or None, got {threads!r}")
    if max_memory is not None and not (isinstance(max_memory, int) and max_memory >= 0):
        raise _wrong(f"max_memory must be a number of bytes or None, got {max_memory!r}")
    if verify not in ("header", "all"):
        raise _wrong(f"verify must be 'header' or 'all', got {verify!r}")
    if jit and backend == "reference":
        raise _wrong("jit=True compiles machine code, which backend 'reference' does not run")
    return Model(content_of(path_or_bytes, mmap), path_or_bytes, options)


class Model:
    """A loaded bundle: signatures, weights, and a default session. Usable from several threads; a context manager.

    Pickles as what it was loaded from, with the options; state is not carried.
    """

    def __init__(self, content: memoryview, source: Any, options: Mapping[str, Any]) -> None:
        self._content, self._source, self._options = content, source, dict(options)
        self.backend: str = options["backend"]
        self.is_closed = False
        self._opening, self._reading = Turn(), Turn()
        """They guard the making of the default session, and the reading of the bundle."""
        self._session: Session | None = None
        is_plain = _is_plain(options)
        self._shelf = stored.shelf(content) if is_plain else None
        self._stored = self._shelf.find() if self._shelf is not None else stored.carried(content) if is_plain else None
        """What an earlier process found out. With it, the bundle is read when somebody asks for what it does not tell."""
        self._leave: Callable[[], object] | None = None
        """Writes, once, what this process found out."""
        self._names = () if self._stored is None else self._stored.names
        """Of the inputs, if there is but one signature."""
        self._loaded: Loaded | None = None
        if self._stored is None:
            self._whole()

    # ---- what it is -------------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the exporter, or whoever wrote the bundle, says of the model."""
        return self._whole().bundle.metadata

    @property
    def assets(self) -> Mapping[str, bytes]:
        """Named blobs that travel with the model."""
        return self._whole().bundle.assets

    @property
    def test_vectors(self) -> tuple[TestVector, ...]:
        """Inputs and the outputs they must give."""
        return self._whole().test_vectors

    @property
    def signatures(self) -> dict[str, Signature]:
        """Entry points by name."""
        return self._whole().signatures

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
        if self.backend == "reference":
            return 1
        given: int | None = self._options["threads"]
        if given is not None:
            return given
        from edge_rt.native.cores import default_threads

        return default_threads()

    @property
    def jit(self) -> JitReport | None:
        """What `jit=True` compiled for this model so far, and how long it took; None without it."""
        library = self._whole().jit
        return None if library is None else library.report

    @property
    def variables(self) -> dict[str, Array]:
        """Initial contents of the variables by name: the state, and those of the source section if the bundle has one."""
        source = self._whole().bundle.source
        return {name: np.array(a) for name, a in {**(source.variables if source else {}), **self.initial_state}.items()}

    @property
    def memory(self) -> Memory:
        """Bytes of arena (largest over the signatures), weights and state."""
        return self._whole().memory

    def memory_for(self, shapes: Mapping[str, Sequence[int]], signature: str | None = None) -> Memory:
        """Memory when the inputs have these shapes."""
        return self._whole().memory_with(self.plan(shapes, signature).arena)

    def plan(
        self,
        shapes: Mapping[str, Sequence[int]] | None = None,
        signature: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> PlanTable:
        """The steps for these input shapes, as a printable table: operator, kernel or NumPy, offsets, parts.

        shapes: of inputs with symbolic sizes. values: contents of inputs that decide shapes (zeros where not given).
        """
        if shapes:
            from edge_rt.arguments import require_shapes

            shapes = require_shapes(shapes, self.entry(signature).input_names)
        return self._whole().plan(shapes or {}, signature, values or {})

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
        if signature is None and out is None:
            again = session.again
            if again is not None:
                try:
                    made = again(inputs)
                except (TypeError, IndexError):
                    _require_named(inputs)
                    raise
                if made is not None:
                    return made
        return session.run(inputs, signature=signature, out=out)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs with inputs in order or by name; the output, or a tuple of all, in order."""
        made = self.run(self.named(args, kwargs))
        if len(made) != 1:
            return tuple(made.values())
        (only,) = made.values()
        return only

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
        turn = self._opening
        with turn:
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

    @property
    def initial_state(self) -> Mapping[str, Array]:
        """What the variables hold at first, by name."""
        return self._whole().initial_state if self._stored is None else self._stored.initial_state

    def entry(self, name: str | None) -> Signature:
        """The signature of this name (None: the first). Raises SignatureError for an unknown one."""
        return self._whole().entry(name)

    def select(self, inputs: Mapping[str, Any], name: str | None) -> tuple[Signature, list[Array]]:
        """The signature for these inputs, and the inputs checked."""
        self._require_open()
        return self._whole().select(inputs, name)

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Positional and named arguments of a call, by input name."""
        if not kwargs and len(args) == len(self._names):
            return dict(zip(self._names, args))
        return self._whole().named(args, kwargs)

    def runner(self, entry: Signature, state: Mapping[str, Array], pinned: bool = False) -> Runner:
        """A runner for one session."""
        self._require_open()
        return self._whole().runner(entry, state, pinned)

    def stored_call(self, state: Mapping[str, Array]) -> Prepared | None:
        """The call that an earlier process stored, over these variables."""
        if self._stored is None:
            return None
        call = self._stored.prepared(state, self._options["threads"])
        call.before_first(self._settle)
        return call

    def _settle(self) -> None:
        """The stored plan is what the first call needs."""
        self._shelf = None

    def note_call(self, call: Prepared, runner: Runner) -> None:
        """Leaves what the first call found out for later processes, unless it was made from what an earlier one left. It is
        written by the second call, or when the model, or the process, goes: whoever waits for a first result does not wait
        for that, too."""
        shelf, self._shelf = self._shelf, None
        if shelf is not None:
            self._leave = weakref.finalize(self, _store, shelf, self._whole(), runner, call)
            call.before_first(self._leave)
        elif self._leave is not None:
            self._leave()

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _whole(self) -> Loaded:
        """All that the bundle tells."""
        found = self._loaded
        if found is None:
            turn = self._reading
            with turn:
                found = self._loaded
                if found is None:
                    self._loaded = found = garbage.uncollected(self._read)
        return found

    def _read(self) -> Loaded:
        from edge_rt.loaded import Loaded

        name = os.fspath(self._source) if isinstance(self._source, (str, os.PathLike)) else None
        found = Loaded(self._content, name, self._options)
        if len(found.signatures) == 1:
            self._names = found.entry(None).input_names
        return found

    def _default(self) -> Session:
        turn = self._opening
        with turn:
            self._require_open()
            if self._session is None:
                self._session = Session(self)
            return self._session

    def _require_open(self) -> None:
        if self.is_closed:
            from edge_rt.errors import ClosedError

            raise ClosedError("the model was closed")


def _is_plain(options: Mapping[str, Any]) -> bool:
    """Whether stored plans are of models that are loaded with these options."""
    return bool(
        options["stored_plan"]
        and options["backend"] != "reference"
        and options["max_memory"] is None
        and options["verify"] == "header"
        and not options["jit"]
    )


def _require_named(inputs: Any) -> None:
    from edge_rt.arguments import require_named

    require_named(inputs)


def _store(shelf: stored.Shelf, loaded: Loaded, runner: Runner, call: Prepared) -> None:
    """See storing.py. Calls do not fail because of it, not where its module cannot be read, nor where memory is short."""
    try:
        from edge_rt.storing import store

        store(shelf, loaded, runner, call)
    except (OSError, MemoryError):
        return


def _wrong(message: str) -> Exception:
    from edge_rt.errors import ModelError

    return ModelError(message)


def _reload(source: Any, options: Mapping[str, Any]) -> Model:
    return load(source, **options)
