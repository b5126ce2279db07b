"""Short msgpack values read without the package: the same values, and nothing that the package would refuse or change."""

from __future__ import annotations

import math
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_rt.bundle import _msgpack
from edge_rt.decoding import MAX_DEPTH, SHORT, Undecided, decoded
from edge_rt.errors import BundleHeaderError

EDGES = [0, 1, -1, -32, -33, 31, 32]
EDGES += [sign * (1 << bits) + more for bits in (7, 8, 15, 16, 31, 32, 62) for sign in (1, -1) for more in (-1, 0, 1)]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.sampled_from([*EDGES, (1 << 64) - 1, -(1 << 63)]),
    st.floats(allow_nan=False), st.text(max_size=40), st.binary(max_size=40),
    st.sampled_from(["a" * 31, "a" * 32, "ä" * 128]), st.sampled_from([b"", bytes(255), bytes(256)]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=18),
        st.dictionaries(st.text(max_size=6), inner, max_size=18).map(lambda d: dict(sorted(d.items()))),
    ),
    max_leaves=40,
)


def shown(value: Any) -> str:
    """Tells types, signs of zero and the order of keys apart."""
    return repr(value)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_values(value: Any) -> None:
    packed = msgpack.packb(value, use_bin_type=True)
    if len(packed) <= SHORT:
        assert shown(decoded(packed)) == shown(value)


@settings(max_examples=1500, deadline=None)
@given(VALUES, st.data())
def test_damaged_bytes_are_read_as_the_package_reads_them_or_not_at_all(value: Any, data: st.DataObject) -> None:
    packed = bytearray(msgpack.packb(value, use_bin_type=True))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(packed) - 1)) if packed else 0
        match data.draw(st.sampled_from(["set", "cut", "insert"])):
            case "set" if packed:
                packed[at] = data.draw(st.integers(0, 255))
            case "cut":
                del packed[at:]
            case "insert":
                packed.insert(at, data.draw(st.integers(0, 255)))
    agree(bytes(packed))


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=12))
def test_any_bytes(data: bytes) -> None:
    agree(data)


def agree(data: bytes) -> None:
    try:
        value = decoded(data)
    except Undecided:
        return
    assert shown(value) == shown(_msgpack._by_package(data, "header"))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xc1", b"\xcc\x7f", b"\xcd\x00\xff", b"\xce\x00\x00\xff\xff", b"\xcf" + bytes(4) + b"\xff" * 4, b"\xd0\xe0",
        b"\xd0\x01", b"\xd1\xff\x80", b"\xd2\xff\xff\x80\x00", b"\xd3" + b"\xff" * 4 + b"\x80\x00\x00\x00", b"\xd9\x01a",
        b"\xda\x00\x20" + b"a" * 32, b"\xc5\x00\x01a", b"\xdc\x00\x01\x01", b"\xde\x00\x01\xa1a\x01", b"\x01\x01",
        b"\x82\xa1b\x01\xa1a\x01", b"\x82\xa1a\x01\xa1a\x01", b"\x81\x01\x01", b"\x81\xc4\x01a\x01", b"\xa1\xff", b"\xa2a",
        b"\xca" + bytes(4), b"\xcb" + bytes(7), b"\xcb" + struct.pack(">d", math.nan), b"\xd4\x01\x01", b"\x91",
        b"\x81\xa1a", b"\xc4\x02a", b"\xcc", b"\xd9\x20a", b"\x92\xa2a", b"\x81\xa2a", b"\x81\xa1a\xa2b", b"\x91\xcd\x01",
        b"\xdd" + bytes(4), b"\xdb" + bytes(4), b"\x91" * MAX_DEPTH + b"\x90" + b"\x01", b"\x91" * (MAX_DEPTH + 1) + b"\x01",
        b"\x81\x81\xa1a\x01\x01", b"\xc6" + bytes(4), b"\xda\x02",
    ],
)  # fmt: skip
def test_what_is_left_to_the_package(data: bytes) -> None:
    with pytest.raises(Undecided):
        decoded(data)


def test_maps_in_any_order_where_that_is_asked_for() -> None:
    assert decoded(b"\x82\xa1b\x01\xa1a\x02", is_sorted=False) == {"b": 1, "a": 2}
    with pytest.raises(Undecided):
        decoded(b"\x82\xa1a\x01\xa1a\x02", is_sorted=False)


def test_long_values_are_read_by_the_package() -> None:
    value = {"a": "x" * SHORT}
    packed = msgpack.packb(value)
    with pytest.raises(Undecided):
        decoded(packed)
    assert _msgpack.decode(packed) == value
    with pytest.raises(BundleHeaderError, match="not in canonical form at byte 0"):
        _msgpack.decode(b"\xcc\x01")
