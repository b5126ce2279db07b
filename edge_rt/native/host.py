"""Machine code for this host alone: each kernel compiled when it is first needed, and kept in the cache as an image."""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Union

from edge_rt.errors import CodeImageError, TargetError
from edge_rt.native.cache import PACKAGE, cache_folder, is_checkout, locked, source_fingerprint, write_atomic
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.library import PACKS, Library, find_pack
from edge_rt.targets import Target

Build = Callable[[Target, "list[str]"], "dict[str, bytes]"]


class HostLibrary:
    """Kernels of this checkout, compiled for this CPU through edge_rt.codegen, which needs numba.

    Safe under concurrent processes: they share the cache, and one compiles while the others wait. A damaged or foreign
    file in the cache is rebuilt, never run.
    """

    def __init__(self, target: Target, features: frozenset[str], sources: str) -> None:
        from importlib.metadata import version

        producer = f"numba-{version('numba')}-llvmlite-{version('llvmlite')}"
        self._target, self._features, self._sources = target, features, sources
        self._folder = cache_folder() / f"{target.name}-{sources}-{producer}"
        self._images: dict[str, Library] = {}
        self._lock = threading.Lock()

    @property
    def target(self) -> str:
        return self._target.name

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

    def renew_lock(self) -> None:
        """In a process just forked."""
        self._lock = threading.Lock()

    def _map(self, symbols: Iterable[str]) -> list[str]:
        """Maps the images that the cache has; the symbols it lacks."""
        missing = []
        for symbol in symbols:
            found = self._open(self._folder / f"{symbol}.image", symbol)
            if found is None:
                missing.append(symbol)
            else:
                self._images[symbol] = found
        return missing

    def _open(self, path: Path, symbol: str) -> Library | None:
        """The image in the cache; None if there is none, or one that is damaged or is not what its name says."""
        try:
            found = Library.open(path)
        except (FileNotFoundError, CodeImageError):
            return None
        header = found.header
        fits = header.target == self._target.name and header.requires == self._target.requires
        return found if fits and header.sources == self._sources and symbol in header.symbols else None

    def _compile(self, symbols: list[str]) -> None:
        build: Build = importlib.import_module("edge_rt.codegen").build_kernels
        for symbol, image in build(self._target, symbols).items():
            write_atomic(self._folder / f"{symbol}.image", image)

    def __repr__(self) -> str:
        return f"HostLibrary({self.target} in {self._folder})"


AnyLibrary = Union[Library, HostLibrary]
_lock = threading.Lock()
_process: list[AnyLibrary] = []


def library() -> AnyLibrary:
    """The library of this process, for the target that fits this CPU best.

    It is the pack that ships with the package; or, where there is none or it is not that of a checkout's sources, kernels
    compiled for this host, if numba is installed. Raises TargetError where there is neither.
    """
    with _lock:
        if not _process:
            _process.append(_find())
        return _process[0]


def can_compile() -> bool:
    """Whether numba is here, and the sources of the kernels, which an app in one file does not carry."""
    return importlib.util.find_spec("numba") is not None and (PACKAGE / "codegen").is_dir()


def _find() -> AnyLibrary:
    features = cpu_features()
    target, _ = choose_target(features)
    pack = find_pack(target, features)
    if pack is not None and not is_checkout():
        return pack
    sources = source_fingerprint()
    if pack is not None and pack.header.sources == sources:
        return pack
    if not can_compile():
        path = PACKS / f"{target.name}.image"
        problem = f"has no {path}" if pack is None else f"has other sources than {path} was made from"
        raise TargetError(
            f"no code image for {target.name}: this installation {problem}. Install the wheel of edge-rt, which carries "
            "one, or numba, to compile for this machine: pip install 'edge-rt[jit]'"
        )
    return HostLibrary(target, features, sources)


def _after_fork() -> None:
    """In a process just forked: whoever held a lock is not there."""
    global _lock
    _lock = threading.Lock()
    for found in _process:
        if isinstance(found, HostLibrary):
            found.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
