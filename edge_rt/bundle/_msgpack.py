"""The subset of msgpack that headers use, and its one canonical form.

Allowed: nil, booleans, integers, 64-bit floats, UTF-8 strings, byte strings, lists, and maps with sorted, unique string
keys; each in its shortest encoding. Nothing else: no extension types, no 32-bit floats.
"""

from __future__ import annotations

from typing import Any, NoReturn

from edge_rt.bundle._format import MAX_CONTAINERS, MAX_DEPTH, MAX_LENGTH, brief
from edge_rt.decoding import Undecided, decoded
from edge_rt.errors import BundleHeaderError, BundleLimitError


def encode(value: Any) -> bytes:
    """The canonical bytes. Raises TypeError, ValueError or OverflowError for what the subset does not have."""
    import msgpack

    packed: bytes = msgpack.packb(_sorted(value), use_bin_type=True)
    return packed


def decode(data: bytes, what: str = "header") -> Any:
    """The value of canonical bytes. Raises BundleHeaderError or BundleLimitError."""
    try:
        return decoded(data)
    except Undecided:
        return _by_package(data, what)


def _by_package(data: bytes, what: str) -> Any:
    import msgpack

    counter = _Containers(what)
    limit = min(len(data), MAX_LENGTH)
    # Each list has a byte of its own, so that few bytes cannot hold too many.
    count_lists = counter.add_list if len(data) > MAX_CONTAINERS else None
    try:
        value = msgpack.unpackb(
            data,
            object_pairs_hook=counter.add_map,
            list_hook=count_lists,
            ext_hook=_refuse_extension,
            max_array_len=limit,
            max_map_len=limit,
            strict_map_key=False,  # keys are checked by the hook, which says which one is wrong
        )
        canonical = msgpack.packb(value, use_bin_type=True)
    except msgpack.ExtraData as error:
        raise BundleHeaderError(f"{what}: {len(error.extra)} bytes follow the msgpack value") from None
    except msgpack.StackError:
        raise BundleHeaderError(f"{what}: nested too deep") from None
    except ValueError as error:  # msgpack's other errors, UnicodeDecodeError among them
        raise BundleHeaderError(f"{what}: not valid msgpack: {str(error) or type(error).__name__}") from None
    if canonical != data:
        at = next((i for i, (a, b) in enumerate(zip(data, canonical)) if a != b), min(len(data), len(canonical)))
        raise BundleHeaderError(f"{what}: not in canonical form at byte {at}")
    return value


class _Containers:
    """msgpack hooks: count maps and lists, and check the keys of maps."""

    __slots__ = ("count", "what")

    def __init__(self, what: str) -> None:
        self.count, self.what = 0, what

    def add_list(self, value: list[Any]) -> Any:
        self._add()
        return value

    def add_map(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        self._add()
        previous = None
        for key, _ in pairs:
            if type(key) is not str:
                raise BundleHeaderError(f"{self.what}: map keys must be strings, got one of type {type(key).__name__}")
            if previous is not None and key <= previous:
                problem = "twice" if key == previous else f"after {brief(previous)}, but keys must be sorted"
                raise BundleHeaderError(f"{self.what}: map key {brief(key)} is there {problem}")
            previous = key
        return dict(pairs)

    def _add(self) -> None:
        self.count += 1
        if self.count > MAX_CONTAINERS:
            raise BundleLimitError(f"{self.what}: must have at most {MAX_CONTAINERS} maps and lists")


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise BundleHeaderError(f"msgpack extension types are not allowed, got type {code}")


def _sorted(value: Any, depth: int = MAX_DEPTH) -> Any:
    if not depth:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        return {key: _sorted(value[key], depth - 1) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_sorted(v, depth - 1) for v in value]
    return value
