"""Modules that most starts do not need, of an app in one file: gathered in one of its members.

Python reads the list of an app's members at each start, 8 microseconds for each, so there are few of them. This
one is stored uncompressed:

    0    Python's magic number: of the Python that packaged, whose bytecode this has; others compile the sources
    4    size of the index, little-endian
    8    index, marshal data: by a module's name whether it is a package, and first byte behind the index and size of its
         source and of its code
         the contents, each compressed by zlib
"""

from __future__ import annotations

import marshal
import os
import zlib
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER, spec_from_file_location
from types import CodeType, ModuleType
from typing import NamedTuple

from edge_rt.archive import stored_member

MEMBER = "edge_rt/_gathered"
MARSHAL = 2
"""The version of marshal: later ones write what depends on how often the compiler's objects are referred to."""
_FRONT = len(MAGIC_NUMBER) + 4
_SOURCE, _CODE = 1, 3
"""Where an entry of the index has the place of these."""


class Module(NamedTuple):
    """What is gathered of a module."""

    is_package: bool
    source: bytes
    code: CodeType


def gather(modules: Mapping[str, Module]) -> bytes:
    """The member with these modules, by name."""
    index, contents, size = {}, [], 0
    for name, module in modules.items():
        entry: list[int] = [module.is_package]
        for data in (module.source, marshal.dumps(module.code, MARSHAL)):
            contents.append(zlib.compress(data))
            entry += [size, len(contents[-1])]
            size += len(contents[-1])
        index[name] = tuple(entry)
    listed = marshal.dumps(index, MARSHAL)
    return b"".join([MAGIC_NUMBER, len(listed).to_bytes(4, "little"), listed, *contents])


class Gathered:
    """Finds and loads the modules that the app `archive` has gathered. Raises ImportError where it has none, OSError."""

    __slots__ = ("_archive", "_at", "_has_code", "_index")

    def __init__(self, archive: str) -> None:
        self._archive = archive
        descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
        try:
            place = stored_member(descriptor, MEMBER)
            if place is None:
                raise ImportError(f"{archive}: there is no {MEMBER} in this app")
            front = os.pread(descriptor, _FRONT, place[0])
            size = int.from_bytes(front[len(MAGIC_NUMBER) :], "little")
            self._index: Mapping[str, tuple[int, ...]] = marshal.loads(os.pread(descriptor, size, place[0] + _FRONT))
        finally:
            os.close(descriptor)
        self._at, self._has_code = place[0] + _FRONT + size, front.startswith(MAGIC_NUMBER)

    def find_spec(self, name: str) -> ModuleSpec | None:
        """None for what was not gathered."""
        if name not in self._index:
            return None
        file = self._file(name)
        inside = [os.path.dirname(file)] if self.is_package(name) else None
        return spec_from_file_location(name, file, loader=self, submodule_search_locations=inside)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """None: Python makes it."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), module.__dict__)

    def is_package(self, name: str) -> bool:
        return bool(self._index[name][0])

    def get_code(self, name: str) -> CodeType:
        if self._has_code:
            made: CodeType = marshal.loads(self._contents(name, _CODE))
            return made
        compiled: CodeType = compile(self._contents(name, _SOURCE), self._file(name), "exec", dont_inherit=True)
        return compiled

    def get_source(self, name: str) -> str:
        """For tracebacks."""
        return self._contents(name, _SOURCE).decode()

    def _file(self, name: str) -> str:
        path = f"{self._archive}/{name.replace('.', '/')}"
        return f"{path}/__init__.py" if self.is_package(name) else f"{path}.py"

    def _contents(self, name: str, kind: int) -> bytes:
        at, size = self._index[name][kind : kind + 2]
        descriptor = os.open(self._archive, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return zlib.decompress(os.pread(descriptor, size, self._at + at))
        finally:
            os.close(descriptor)
