"""Writes stored plans: see stored.py, which reads them."""

from __future__ import annotations

import contextlib
import marshal
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_rt.bundle import Bundle
from edge_rt.graph import Graph
from edge_rt.instance import address_of
from edge_rt.linked import ARENA, STATE, Linked, Place
from edge_rt.loaded import Loaded
from edge_rt.lowering._executor import HELP_SYMBOL, RUN_SYMBOL, STOP_SYMBOL
from edge_rt.lowering._spec import MAX_VALUES
from edge_rt.mapped import FRONT
from edge_rt.native.image import Header
from edge_rt.native.packs import Library, pack_path
from edge_rt.ops._spec import MAX_KNOWN
from edge_rt.prepared import InputForm, Prepared
from edge_rt.runner import Runner
from edge_rt.stored import MAX_BYTES, PREAMBLE, Pack, Shelf, fingerprint_of, sealed
from edge_rt.targets import TARGETS
from edge_rt.writing import write_atomic

Array = np.ndarray[Any, Any]
_FORMAT = 4
"""Of marshal: what all Pythons since 3.4 read."""
MAX_PLANS = 64
"""Plans in the folder, the oldest going first."""


def store(shelf: Shelf, loaded: Loaded, runner: Runner, call: Prepared) -> bool:
    """Writes what a call is made of to its place on the shelf, unless it cannot be stored; whether it was written.

    runner: the one that made the call. Where files cannot be written, none is, and nothing is wrong with that.
    """
    fields = _fields(shelf.content, loaded, runner, call)
    if fields is None:
        return False
    data = marshal.dumps(fields, _FORMAT)
    if len(data) > MAX_BYTES - FRONT:
        return False
    try:
        write_atomic(shelf.path, sealed(shelf.key, data), private=True)
        _prune(os.path.dirname(shelf.path))
    except OSError:
        return False
    return True


def _fields(content: memoryview, loaded: Loaded, runner: Runner, call: Prepared) -> tuple[Any, ...] | None:
    """What `StoredPlan.fitting` takes; None where a plan is made of more than files."""
    library = loaded.library
    pack = _pack(library) if isinstance(library, Library) else None
    if pack is None:
        return None
    assert isinstance(library, Library)
    graph, code = runner.plan.graph, (pack, library.base)
    return fields_of(content, loaded.bundle, graph, code, call.linked, call.signature, call.forms)


def fields_of(
    content: memoryview,
    bundle: Bundle,
    graph: Graph,
    code: tuple[Pack, int],
    linked: Linked,
    signature: str | None,
    inputs: Sequence[InputForm],
) -> tuple[Any, ...] | None:
    """What `StoredPlan.fitting` takes; None where a plan is made of more than files.

    content: the file that the bundle was read from, whose arrays are views of it. graph: the signature that was linked.
    code: its pack, and the address that the code was linked for. signature, inputs: see Prepared.
    """
    if None in linked.steps or not len(linked.table):
        return None
    file = _Span(content)
    initial = {s.name: np.asarray(s.initial, order="C") for g in bundle.signatures.values() for s in g.variables}
    variables = _variables(initial, file)
    (_, _, _, _, code_size, _), base = code
    program = _program(linked, base, code_size, file)
    if variables is None or program is None:
        return None
    header = 0, PREAMBLE + int.from_bytes(content[16:24], "little")
    spans = (header, *_spans(bundle, file))
    names = tuple(s.name for s in graph.variables)
    updated = tuple(i for i, s in enumerate(graph.variables) if s.update is not None)
    forms = tuple((name, shape, dtype.str, contents) for name, shape, dtype, contents in inputs)
    return (
        code[0],
        spans,
        fingerprint_of(content, spans),
        tuple(value.name for value in graph.inputs) if len(bundle.signatures) == 1 else (),
        variables,
        (signature, forms, tuple(graph.output_names), names, updated),
        program,
    )


class _Span:
    """A range of addresses."""

    __slots__ = ("first", "size")

    def __init__(self, content: memoryview) -> None:
        self.first, self.size = address_of(np.frombuffer(content, np.uint8)), len(content)

    def offset(self, address: int) -> int | None:
        """Of an address in the span."""
        return address - self.first if 0 <= address - self.first < self.size else None


def _spans(bundle: Bundle, file: _Span) -> tuple[tuple[int, int], ...]:
    """The bytes of the file (first, end), behind its header, that may decide what a plan is.

    Inference looks at contents where rules say so (`shape_inputs`) and where it follows them; lowerings look at few numbers.
    What is stored encoded is decoded when the bundle is read, and may be among a plan's own constants where it is small.
    """
    assert bundle.spans is not None
    if bundle.encodings:
        return tuple(bundle.spans(MAX_KNOWN, ()))
    seen: set[int] = set()
    graphs = list(bundle.signatures.values())
    for graph in graphs:
        graphs.extend(inner for _, _, inner in graph.subgraphs())
        for node in graph.nodes:
            all_ = node.op.follows or any(isinstance(value, Graph) for _, value in node.attrs)
            for position, value in enumerate(node.inputs):
                if value is not None and value.data is not None and (all_ or position in node.op.shape_inputs):
                    offset = file.offset(address_of(value.data))
                    if offset is not None and value.data.size <= MAX_KNOWN:
                        seen.add(offset)
    return tuple(bundle.spans(MAX_VALUES, seen))


def _variables(initial: Mapping[str, Array], file: _Span) -> tuple[Any, ...] | None:
    """Name, offset in the file, shape and dtype of all variables; None if some are not in the file."""
    found = []
    for name, array in initial.items():
        offset = file.offset(address_of(array)) if array.size else 0
        if offset is None:
            return None
        found.append((name, offset, array.shape, array.dtype.str))
    return tuple(found)


def _program(linked: Linked, base: int, code_size: int, file: _Span) -> tuple[Any, ...] | None:
    """The linked words and table, relative to file, pack and constants of their own; None if some are nowhere in these."""
    words, table = linked.words.copy(), linked.table.copy()
    table[:, 0] -= base
    words[linked.in_code] -= base
    called = np.concatenate([table[:, 0], words[linked.in_code]])
    assert ((called >= 0) & (called < code_size)).all()
    kept = {address_of(array): array for array in linked.keeps}
    assert linked.binding is not None
    weights = {id(p.data) for p in linked.binding.places.values() if p.data is not None and p.data.size > MAX_KNOWN}
    in_file, in_data, data = [], [], bytearray()
    held: dict[int, int] = {}
    for position in linked.constant.tolist():
        address = int(words[position])
        offset = file.offset(address)
        if offset is not None:
            in_file.append(position)
        elif id(kept[address]) in weights:
            return None  # decoded when the bundle was read, from what `_spans` leaves out
        else:
            in_data.append(position)
            offset = held.get(address)
            if offset is None:
                offset = held[address] = len(data)
                data += kept[address].tobytes()
                data += bytes(-len(data) % 64)
        words[position] = offset
    results = [_named(place) for place in linked.results if place[0] in (ARENA, STATE)]
    if len(results) < len(linked.results):
        return None
    return (
        linked.arena,
        words.tobytes(),
        table.tobytes(),
        linked.in_arena.tobytes(),
        np.array(in_file, np.int64).tobytes(),
        np.array(in_data, np.int64).tobytes(),
        linked.in_code.tobytes(),
        linked.in_words.tobytes(),
        bytes(data),
        tuple((number, at.tobytes()) for number, at in linked.states.items()),
        tuple((number, at.tobytes()) for number, at in linked.live.items()),
        tuple(None if place is None else _named(place) for place in linked.copies),
        tuple(results),
        tuple(linked.names),
        linked.brief,
    )


def _named(place: Place) -> tuple[Any, ...]:
    kind, number, shape, dtype = place
    return kind, number, tuple(shape), dtype.str


def _pack(library: Library) -> Pack | None:
    """What stored.py maps the code by; None if it is not mapped from a pack's file."""
    path = pack_path(TARGETS[library.target])
    try:
        with open(path, "rb") as file:
            if not library.is_mapped_from(file.fileno()):
                return None
            front, size = file.read(FRONT), os.fstat(file.fileno()).st_size
    except OSError:
        return None
    return pack_of(library.header, front, size)


def pack_of(header: Header, front: bytes, size: int) -> Pack:
    """What stored.py maps the code of a pack by. front, size: the first bytes of its file, and how many it has."""
    symbols = {symbol: header.symbols[symbol] for symbol in (RUN_SYMBOL, HELP_SYMBOL, STOP_SYMBOL)}
    return f"{header.target}.image", front, size, header.code_offset, header.code_size, symbols


def _prune(folder: str) -> None:
    """Leaves the newest MAX_PLANS files; those that a process left half written are among the others some day."""
    aged = []
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):  # another process removed it
            aged.append((entry.stat().st_mtime_ns, entry.path))
    for _, path in sorted(aged)[:-MAX_PLANS]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
