"""Machine code that was compiled beforehand: one mapped code image with all kernels."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edge_rt.errors import CodeImageError
from edge_rt.mapped import code_address
from edge_rt.native.cpu import cpu_architecture
from edge_rt.native.features import cpu_features, require
from edge_rt.native.image import Header, check_code
from edge_rt.native.mapping import code_at, map_bytes, map_file, map_member
from edge_rt.native.package import PACKS
from edge_rt.targets import TARGETS, Target

if TYPE_CHECKING:
    from edge_rt.lowering._spec import Call

class Library:
    """A mapped code image. It stays mapped until the process ends, since programs hold addresses of its kernels."""

    __slots__ = ("base", "header", "origin")

    base: int
    header: Header
    origin: str
    """Where the image came from, for people."""

    def __init__(self, base: int, header: Header, origin: str, features: frozenset[str]) -> None:
        """Raises CodeImageError if the code is for another kind of CPU, TargetError if it needs what this one lacks."""
        known = TARGETS.get(header.target)
        if known is not None and known.arch != cpu_architecture():
            raise CodeImageError(f"{origin}: code for {header.target} ({known.arch}); this machine is {cpu_architecture()}")
        require(f"{origin}: code for {header.target}", header.requires, features)
        self.base, self.header, self.origin = base, header, origin

    @property
    def target(self) -> str:
        return self.header.target

    @property
    def sources(self) -> str:
        """Fingerprint of what the code was compiled from."""
        return self.header.sources

    def prepare(self, symbols: Iterable[str]) -> None:
        """Raises CodeImageError unless the image has all these kernels."""
        for symbol in symbols:
            self.address(symbol)

    def address(self, symbol: str) -> int:
        """The address of a kernel. Raises CodeImageError if the image lacks it."""
        offset = self.header.symbols.get(symbol)
        if offset is None:
            raise CodeImageError(f"{self.origin}: has no kernel {symbol}; it was built from other sources")
        return self.base + offset

    def is_mapped_from(self, descriptor: int) -> bool:
        """Whether this is the code of this file, mapped from it."""
        return code_address(descriptor, self.header.code_offset) == self.base

    def check(self) -> None:
        """Raises CodeImageError if the code is damaged."""
        check_code(self.header, code_at(self.base, self.header.code_size), self.origin)

    def entries(self, calls: Sequence[Call]) -> list[int]:
        """The address of the kernel for each call. Raises CodeImageError if the image lacks one."""
        return [self.address(call.spec.symbol) for call in calls]

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Library:
        """Maps an image file of one's choice, if this CPU can run it."""
        return Library(*map_file(path), str(path), cpu_features())

    @staticmethod
    def of_bytes(data: bytes, origin: str) -> Library:
        """Maps an image that is in memory, if this CPU can run it."""
        return Library(*map_bytes(data, origin), origin, cpu_features())

    def __repr__(self) -> str:
        return f"Library({self.target} from {self.origin}, {len(self.header.symbols)} kernels)"


def pack_path(target: Target) -> str:
    """Where the image for a target lies, if this installation has one."""
    return os.path.join(PACKS, f"{target.name}.image")


def find_pack(target: Target, features: frozenset[str]) -> Library | None:
    """The image that ships with the package. A damaged one is an error, since nobody may have changed it; damaged code is
    found by `Library.check` only.
    """
    path = pack_path(target)
    try:
        mapped = map_file(path, is_trusted=True)
    except (FileNotFoundError, NotADirectoryError):
        from edge_rt.archive import archive_of_this

        archive = archive_of_this()
        if archive is None:
            return None
        found = map_member(archive, path)
        if found is None:
            loader: Any = sys.modules["edge_rt"].__loader__
            try:
                data = loader.get_data(path)
            except OSError:
                return None
            found = map_bytes(data, path)
        mapped = found
    header = mapped[1]
    if header.target != target.name:
        raise CodeImageError(f"{path}: holds code for {header.target}, its name says {target.name}")
    return Library(*mapped, path, features)
