"""Kernels of a checkout, compiled for this CPU when they are first needed, and kept in the cache as images."""

from __future__ import annotations

import importlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence

from edge_rt.errors import CodeImageError
from edge_rt.lowering._spec import Call
from edge_rt.native.cache import cache_folder, cached_image, locked, producer
from edge_rt.native.packs import Library
from edge_rt.targets import Target
from edge_rt.writing import write_atomic

Build = Callable[[Target, "list[str]"], "dict[str, bytes]"]


class HostLibrary:
    """Kernels of this checkout, compiled for this CPU through edge_rt.codegen, which needs numba.

    Safe under concurrent processes: they share the cache, and one compiles while the others wait. A damaged or foreign
    file in the cache is rebuilt, never run.
    """

    def __init__(self, target: Target, sources: str) -> None:
        self._target, self._sources = target, sources
        self._folder = cache_folder() / f"{target.name}-{sources}-{producer()}"
        self._images: dict[str, Library] = {}
        self._lock = threading.Lock()
        _made.add(self)

    @property
    def target(self) -> str:
        return self._target.name

    @property
    def sources(self) -> str:
        """Fingerprint of what the code is compiled from."""
        return self._sources

    @property
    def origin(self) -> str:
        """Where the code is, for people."""
        return f"{self._folder} (compiled on this machine)"

    def address(self, symbol: str) -> int:
        """The address of a kernel, compiled now if need be. Raises CodegenError if it does not compile."""
        found = self._images.get(symbol)
        if found is None:
            self.prepare([symbol])
            found = self._images[symbol]
        return found.address(symbol)

    def prepare(self, symbols: Iterable[str]) -> None:
        """Compiles what the cache lacks of these kernels, with all cores, and maps all of them."""
        with self._lock:
            missing = self._map(sorted({*symbols} - {*self._images}))
            if missing:
                with locked(self._folder.with_suffix(".lock")):
                    missing = self._map(missing)  # another process may have compiled them meanwhile
                    if missing:
                        self._compile(missing)
                        if self._map(missing):
                            raise CodeImageError(
                                f"{self._folder}: kernels were compiled from other sources than this process started with; "
                                "start it again"
                            )

    def check(self) -> None:
        """Raises CodeImageError if mapped code is damaged."""
        for image in self._images.values():
            image.check()

    def entries(self, calls: Sequence[Call]) -> list[int]:
        """The address of the kernel for each call, compiled now if need be. Raises CodegenError if one does not compile."""
        if calls:
            self.prepare({call.spec.symbol for call in calls})
        return [self._images[call.spec.symbol].address(call.spec.symbol) for call in calls]

    def renew_lock(self) -> None:
        """In a process just forked."""
        self._lock = threading.Lock()

    def _map(self, symbols: Iterable[str]) -> list[str]:
        """Maps the images that the cache has; the symbols it lacks."""
        missing = []
        for symbol in symbols:
            found = cached_image(self._folder / f"{symbol}.image", self._target, self._sources, [symbol])
            if found is None:
                missing.append(symbol)
            else:
                self._images[symbol] = found
        return missing

    def _compile(self, symbols: list[str]) -> None:
        build: Build = importlib.import_module("edge_rt.codegen").build_kernels
        for symbol, image in build(self._target, symbols).items():
            write_atomic(self._folder / f"{symbol}.image", image)

    def __repr__(self) -> str:
        return f"HostLibrary({self.target} in {self._folder})"


_made: weakref.WeakSet[HostLibrary] = weakref.WeakSet()


def _after_fork() -> None:
    """In a process just forked: whoever held a lock is not there."""
    for library in list(_made):
        library.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
