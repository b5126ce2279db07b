"""The code image of this process: found, or compiled once for this host, and mapped."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import threading
from collections.abc import Callable
from pathlib import Path

from edge_rt.errors import CodeImageError, TargetError
from edge_rt.native.cache import PACKAGE, cache_folder, locked, source_fingerprint, write_atomic
from edge_rt.native.features import choose_target, cpu_features, require
from edge_rt.native.image import Header
from edge_rt.native.mapping import map_bytes, map_file
from edge_rt.targets import Target

PACKS = PACKAGE / "packs"
"""Images that ship with the package, one per target."""


class Library:
    """A mapped code image. It stays mapped until the process ends, since programs hold addresses of its kernels."""

    __slots__ = ("base", "header", "origin")

    base: int
    header: Header
    origin: str
    """Where the image came from, for people."""

    def __init__(self, base: int, header: Header, origin: str, features: frozenset[str]) -> None:
        """Raises TargetError if the CPU lacks a feature the image needs, before any of it can run."""
        require(f"{origin}: code for {header.target}", header.requires, features)
        self.base, self.header, self.origin = base, header, origin

    @property
    def target(self) -> str:
        return self.header.target

    def has(self, symbol: str) -> bool:
        return symbol in self.header.symbols

    def address(self, symbol: str) -> int:
        """The address of a kernel. Raises CodeImageError if the image lacks it."""
        offset = self.header.symbols.get(symbol)
        if offset is None:
            raise CodeImageError(f"{self.origin}: has no kernel {symbol}; it was built from other sources")
        return self.base + offset

    @staticmethod
    def open(path: Path) -> Library:
        """Maps an image file of one's choice, if this CPU can run it."""
        return Library(*map_file(path), str(path), cpu_features())

    @staticmethod
    def of_bytes(data: bytes, origin: str) -> Library:
        """Maps an image that is in memory, if this CPU can run it."""
        return Library(*map_bytes(data, origin), origin, cpu_features())

    def __repr__(self) -> str:
        return f"Library({self.target} from {self.origin}, {len(self.header.symbols)} kernels)"


_lock = threading.Lock()


def library() -> Library:
    """The library of this process, for the target that fits this CPU best.

    It is the pack that ships with the package, or an image from the host's cache, or, where numba is installed, one
    that is compiled now. Raises TargetError where there is none of them.
    """
    with _lock:
        return _load()


@functools.cache
def _load() -> Library:
    features = cpu_features()
    target, _ = choose_target(features)
    can_compile = importlib.util.find_spec("numba") is not None
    sources = source_fingerprint() if can_compile else None
    pack = _pack(target, features)
    if pack is not None and sources in (None, pack.header.sources):
        return pack
    if sources is None:
        raise TargetError(
            f"no code image for {target.name}: this installation has no {PACKS / (target.name + '.image')}. Install "
            "the wheel of edge-rt, which carries it, or numba, to compile for this machine: pip install 'edge-rt[jit]'"
        )
    return _cached(target, features, sources)


def _pack(target: Target, features: frozenset[str]) -> Library | None:
    """The image that ships with the package. A damaged one is an error, since nobody may have changed it."""
    path = PACKS / f"{target.name}.image"
    try:
        return Library(*map_file(path), str(path), features)
    except (FileNotFoundError, NotADirectoryError):
        pass
    try:
        data = pkgutil.get_data("edge_rt", f"packs/{target.name}.image")
    except OSError:
        return None
    return None if data is None else Library(*map_bytes(data, str(path)), str(path), features)


def _cached(target: Target, features: frozenset[str], sources: str) -> Library:
    from importlib.metadata import version

    producer = f"numba-{version('numba')}-llvmlite-{version('llvmlite')}"
    path = cache_folder() / f"{target.name}-{sources}-{producer}.image"
    found = _open_cached(path, target, features, sources)
    if found is not None:
        return found
    with locked(path.with_suffix(".lock")):
        found = _open_cached(path, target, features, sources)  # another process may have compiled it meanwhile
        if found is None:
            write_atomic(path, _compile(target))
            found = Library(*map_file(path), str(path), features)
        return found


def _open_cached(path: Path, target: Target, features: frozenset[str], sources: str) -> Library | None:
    """The image in the cache; None if there is none, or one that is damaged or is not what its name says."""
    try:
        found = Library(*map_file(path), str(path), features)
    except (FileNotFoundError, CodeImageError):
        return None
    same = found.header.target == target.name and found.header.sources == sources
    return found if same and found.header.requires == target.requires else None


def _compile(target: Target) -> bytes:
    build: Callable[[Target], bytes] = importlib.import_module("edge_rt.codegen").build_image
    return build(target)
