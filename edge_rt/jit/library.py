"""A model's machine code: kernels specialised for the calls of its bindings, over the library of the process."""

from __future__ import annotations

import importlib
import os
import time
import weakref
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Sequence

import msgpack

from edge_rt.errors import CodeImageError, TargetError
from edge_rt.hashing import sha256
from edge_rt.jit.case import Case, case_of
from edge_rt.lowering._spec import Call
from edge_rt.native.cache import cache_folder, cached_image, locked, producer
from edge_rt.native.host import AnyLibrary, can_compile
from edge_rt.native.package import FOLDER
from edge_rt.native.packs import Library
from edge_rt.targets import TARGETS, Target
from edge_rt.writing import write_atomic

Build = Callable[[Target, "Sequence[Case]", str], bytes]

MAX_CASES = 256
"""Specialised kernels of a model: what compiling may cost, also where shapes change from call to call."""


class JitReport:
    """What `jit=True` has done for a model so far.

    calls: of specialised kernels; kernels: how many different ones. left_out: calls that would have had one, but for the
    limit of MAX_CASES. compiled: kernels that were not in the cache, as images; seconds: that finding and compiling took,
    before the first run of each binding.
    """

    __slots__ = ("calls", "compiled", "kernels", "left_out", "seconds")

    def __init__(self) -> None:
        self.calls = self.kernels = self.left_out = self.compiled = 0
        self.seconds = 0.0

    def to_dict(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __repr__(self) -> str:
        tail = f", {self.left_out} calls beyond the limit of {MAX_CASES} kernels" if self.left_out else ""
        return (
            f"jit: {self.calls} calls of {self.kernels} specialised kernels; {self.compiled} compiled, the rest from the "
            f"cache, in {self.seconds:.1f} s{tail}"
        )


class JitLibrary:
    """The library of the process, but that calls get kernels for just their sizes, of images that the cache keeps.

    An image has the specialised kernels of one binding. Safe under concurrent threads and processes: of those that want the
    same image, one compiles while the others wait. A damaged or foreign file in the cache is rebuilt, never run.
    """

    def __init__(self, base: AnyLibrary) -> None:
        self._base, self._target = base, TARGETS[base.target]
        self._folder = cache_folder() / f"jit-{base.target}-{base.sources}-{producer()}"
        self._entries: dict[str, int] = {}
        """Addresses of specialised kernels by the names of their cases."""
        self._images: list[Library] = []
        self._lock = allocate_lock()
        self.report = JitReport()
        _made.add(self)

    @property
    def target(self) -> str:
        return self._base.target

    @property
    def sources(self) -> str:
        return self._base.sources

    @property
    def origin(self) -> str:
        """Where the code is, for people."""
        return f"{self._folder} and {self._base.origin}"

    def prepare(self, symbols: Iterable[str]) -> None:
        self._base.prepare(symbols)

    def address(self, symbol: str) -> int:
        return self._base.address(symbol)

    def entries(self, calls: Sequence[Call]) -> list[int]:
        """The address of the kernel for each call. Compiles what neither this process nor the cache has.

        Raises CodegenError where a kernel does not compile.
        """
        with self._lock:
            return self._find(calls)

    def _find(self, calls: Sequence[Call]) -> list[int]:
        started, report = time.perf_counter(), self.report
        cases = [case_of(call) for call in calls]
        wanted: dict[str, Case] = {}
        for position, case in enumerate(cases):
            if case is None or case.name in self._entries or case.name in wanted:
                continue
            if len(self._entries) + len(wanted) < MAX_CASES:
                wanted[case.name] = case
            else:
                cases[position] = None
                report.left_out += 1
        if wanted:
            self._add([wanted[name] for name in sorted(wanted)])
        others = self._base.entries([call for call, case in zip(calls, cases) if case is None])
        report.calls += len(calls) - len(others)
        report.kernels = len(self._entries)
        report.seconds += time.perf_counter() - started
        rest = iter(others)
        return [next(rest) if case is None else self._entries[case.name] for case in cases]

    def _add(self, cases: Sequence[Case]) -> None:
        names = [case.name for case in cases]
        path = self._folder / f"{sha256(msgpack.packb(names)).hexdigest()[:32]}.image"
        found = cached_image(path, self._target, self.sources, names)
        if found is None:
            with locked(path.with_suffix(".lock")):
                # Another process may have compiled them meanwhile.
                found = cached_image(path, self._target, self.sources, names)
                if found is None:
                    build: Build = importlib.import_module("edge_rt.codegen.cases").build_cases
                    write_atomic(path, build(self._target, cases, self.sources))
                    self.report.compiled += len(cases)
                    found = cached_image(path, self._target, self.sources, names)
        if found is None:
            raise CodeImageError(f"{path}: is not what was written there just now")
        self._images.append(found)
        self._entries.update((name, found.address(name)) for name in names)

    def check(self) -> None:
        """Raises CodeImageError if mapped code is damaged."""
        for image in (self._base, *self._images):
            image.check()

    def renew_lock(self) -> None:
        """In a process just forked."""
        self._lock = allocate_lock()

    def __repr__(self) -> str:
        return f"JitLibrary({self._base!r}, {self.report!r})"


def jit_library(base: AnyLibrary) -> JitLibrary:
    """What a model that is loaded with jit=True runs. Raises TargetError where nothing can compile."""
    if not can_compile():
        lacks = "numba is not installed: pip install 'edge-rt[jit]'"
        if not os.path.isdir(os.path.join(FOLDER, "codegen")):
            lacks = "this edge_rt lacks the sources of the kernels, as an app in one file does: use an installed edge-rt"
        raise TargetError(f"jit=True compiles kernels for the model, but {lacks}")
    return JitLibrary(base)


_made: weakref.WeakSet[JitLibrary] = weakref.WeakSet()


def _after_fork() -> None:
    """In a process just forked: whoever held a lock is not there."""
    for library in list(_made):
        library.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
