"""Stored plans: what one process found out about a bundle, for those that start later.

The first call of a process makes a plan of an installed edge-rt; storing.py writes it to a file. A later process that loads
the same bundle then reads that file, and neither builds the graph nor binds it: its first call, if it has the same types,
is made of the file, the bundle and the pack of machine code. All else is loaded when it is asked for.

    0    magic "EDGEPLAN"
    8    fingerprint of the key and of all that follows
    24   marshal data: see StoredPlan

A stored plan is trusted like code, and is a file that only this user or root can have written: in `plans` in the user's
cache folder (see README.md). The file's name is the fingerprint of its key, all that decides what is in it: this build of
edge-rt, the CPU's features, the bundle's size and preamble, which has the SHA-256 of its header. The plan says which bytes
of the bundle it depends on, the header among them, by their fingerprint, and which pack. One that does not fit, or is
damaged, is as good as none.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from edge_rt import native
from edge_rt.fingerprint import fingerprint
from edge_rt.instance import Instance, address_of, aligned_bytes
from edge_rt.linked import Linked, Place
from edge_rt.mapped import FRONT, map_code
from edge_rt.native.cpu import cpu_text
from edge_rt.native.package import PACKS, cache_path
from edge_rt.prepared import Prepared

Array = np.ndarray[Any, Any]

MAGIC = b"EDGEPLAN"
START = len(MAGIC) + 16
MAX_BYTES = 1 << 20
"""Of a stored plan."""
SWITCH = "EDGE_RT_STORED_PLANS"
"""The environment variable that, set to 0, forbids reading and writing stored plans."""
COPIES = "EDGE_RT_CODE"
"""Set where machine code cannot be mapped from its file, on which stored plans rely: see native/mapping.py."""
PREAMBLE = 64
"""Of a bundle: see bundle/FORMAT.md."""


class Shelf:
    """Where the stored plan of a bundle lies, for this edge-rt on this CPU."""

    __slots__ = ("content", "key", "path")

    def __init__(self, content: memoryview, key: bytes, folder: str) -> None:
        self.content, self.key = content, key
        self.path = os.path.join(folder, fingerprint(key).hex())

    def find(self) -> StoredPlan | None:
        """The plan, if there is one that fits."""
        try:
            fields = opened(self.key, _trusted_bytes(self.path))
            return None if fields is None else StoredPlan.fitting(fields, self.content, _installed)
        except OSError:
            return None


def shelf(content: memoryview) -> Shelf | None:
    """The shelf for the bundle with these bytes; None if they are too few, and where plans are not stored: in a checkout or
    an app in one file, without a cache folder, or where $EDGE_RT_STORED_PLANS or $EDGE_RT_CODE is set."""
    folder, build = plans_folder(), build_of_this()
    if folder is None or not build or os.environ.get(COPIES) or len(content) < PREAMBLE:
        return None
    try:
        machine = f"{build} {os.environ.get('EDGE_RT_TARGET')} {cpu_text()} {len(content)} "
    except OSError:
        return None
    return Shelf(content, machine.encode() + content[:PREAMBLE], folder)


def carried(content: memoryview) -> StoredPlan | None:
    """The plan for the bundle with these bytes that an app in one file carries, if this is one: see carried.py."""
    if not hasattr(sys.modules["edge_rt"].__loader__, "archive") or os.environ.get(SWITCH) == "0" or os.environ.get(COPIES):
        return None
    from edge_rt.carried import find

    return find(content)


def sealed(key: bytes, data: bytes) -> bytes:
    """The file of a plan. data: its fields."""
    return MAGIC + fingerprint(key + data) + data


def opened(key: bytes, file: bytes) -> tuple[Any, ...] | None:
    """The fields that were sealed with this key; None if it was another one, or the file is damaged."""
    if file[: len(MAGIC)] != MAGIC or fingerprint(key + file[START:]) != file[len(MAGIC) : START]:
        return None
    fields: tuple[Any, ...] = marshal.loads(file[START:])
    return fields


def plans_folder() -> str | None:
    """Where stored plans are; None if they are forbidden, or this user has no folder for them."""
    cache = cache_path()
    return None if cache is None or os.environ.get(SWITCH) == "0" else os.path.join(cache, "plans")


def build_of_this() -> str:
    """What tells this build of edge-rt from all others; empty for a checkout, whose files may change."""
    start = sys.modules.get("edge_rt._start")
    return "" if start is None else str(start.BUILD)


def fingerprint_of(content: memoryview, spans: Iterable[tuple[int, int]]) -> bytes:
    """Of these spans (first byte, end) of a bundle."""
    return fingerprint(b"".join([content[first:end] for first, end in spans]))


Pack = tuple[str, bytes, int, int, int, "Mapping[str, int]"]
"""Of a pack: the file's name, first bytes and size; offset and size of the code in it; where the executor is in that."""


class Code:
    """The machine code that a stored plan is of: a mapped pack, and where in it the executor is."""

    __slots__ = ("_symbols", "base")

    def __init__(self, base: int, symbols: Mapping[str, int]) -> None:
        self.base, self._symbols = base, symbols

    def address(self, symbol: str) -> int:
        return self.base + self._symbols[symbol]


class StoredPlan:
    """What is known of a bundle without reading it.

    names: of the inputs, if the bundle has but one signature. initial_state: of all variables.
    """

    __slots__ = ("_call", "_code", "_linked", "initial_state", "names")

    def __init__(self, fields: tuple[Any, ...], content: memoryview, code: Code) -> None:
        self._code = code
        self.names, variables, self._call, program = fields
        self.initial_state = {
            name: np.ndarray(shape, dtype, content, offset) for name, offset, shape, dtype in variables
        }
        self._linked = _linked(program, content, code.base)

    @staticmethod
    def fitting(
        fields: tuple[Any, ...], content: memoryview, code_of: Callable[[Pack], Code | None]
    ) -> StoredPlan | None:
        """The plan of these fields, unless it is of other contents, or of another pack than is here. Raises OSError.

        code_of: maps the pack, if it is here.
        """
        pack, spans, digest, *rest = fields
        if fingerprint_of(content, spans) != digest:
            return None
        code = code_of(pack)
        return None if code is None else StoredPlan(tuple(rest), content, code)

    def prepared(self, state: Mapping[str, Array], threads: int | None) -> Prepared:
        """The stored call, over a new arena and these variables. threads: as in `load`."""
        signature, forms, names, variables, updated = self._call
        arrays = [state[name] for name in variables]
        linked = self._linked
        shares = threads != 1 and bool((linked.table[:, 2] > 1).any())
        team = native.team(self._code, threads) if shares else None
        instance = Instance(linked, aligned_bytes(linked.arena), arrays, self._code, team)
        results = instance.fixed_results
        assert results is not None
        typed = [(name, shape, np.dtype(dtype), contents) for name, shape, dtype, contents in forms]
        return Prepared(signature, typed, names, instance, results, [arrays[i] for i in updated])


def _linked(program: tuple[Any, ...], content: memoryview, code: int) -> Linked:
    """What storing.py wrote, with the addresses of this process."""
    arena, words, table, in_arena, in_file, in_data, in_code, in_words, data, states, live, *rest = program
    copies, results, names, brief = rest
    held = aligned_bytes(len(data))
    held[:] = np.frombuffer(data, np.uint8)
    words, table = _numbers(words).copy(), _numbers(table).reshape(-1, 3).copy()
    words[_numbers(in_file)] += address_of(np.frombuffer(content, np.uint8))
    words[_numbers(in_data)] += address_of(held)
    words[_numbers(in_code)] += code
    table[:, 0] += code
    return Linked(
        arena,
        words,
        table,
        _numbers(in_arena),
        _NONE,
        _NONE,
        _numbers(in_words),
        {number: _numbers(at) for number, at in states},
        {number: _numbers(at) for number, at in live},
        [(0, len(table))],
        [None if place is None else _arena_place(*place) for place in copies],
        [_arena_place(*place) for place in results],
        names,
        [held, np.frombuffer(content, np.uint8)],
        brief,
    )


def _arena_place(kind: int, number: int, shape: tuple[int, ...], dtype: str) -> Place:
    return kind, number, shape, np.dtype(dtype)


def _numbers(data: bytes) -> Array:
    return np.frombuffer(data, np.int64)


_NONE = np.empty(0, np.int64)


def _trusted_bytes(path: str) -> bytes:
    """The contents of a file that only this user or root can have written; nothing for another one. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
            return b""
        return os.read(descriptor, status.st_size) if status.st_size <= MAX_BYTES else b""
    finally:
        os.close(descriptor)


def _installed(pack: Pack) -> Code | None:
    """The code of a pack that is installed. Raises OSError."""
    descriptor = os.open(os.path.join(PACKS, pack[0]), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return code_in(descriptor, pack, 0, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def code_in(descriptor: int, pack: Pack, start: int, size: int) -> Code | None:
    """The code of the pack that is so many bytes of a file, if it is the one that is meant. Raises OSError."""
    _, front, pack_size, offset, code_size, symbols = pack
    if size != pack_size or os.pread(descriptor, FRONT, start) != front:
        return None
    return Code(map_code(descriptor, code_size, start + offset), symbols)
