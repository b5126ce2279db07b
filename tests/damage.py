"""Bundles that tests damage, and the errors that they expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from edge_rt.bundle import read, to_bytes
from edge_rt.errors import BundleError
from tests import bundles
from tests.fuzz_bundle import Target, ordered

SMALL = Target(to_bytes(bundles.small()))
LARGE = Target(to_bytes(bundles.large()))


def with_field(at: int, value: bytes) -> bytes:
    return SMALL.data[:at] + value + SMALL.data[at + len(value) :]


def lying(target: Target, change: Callable[[Any], None]) -> bytes:
    """The bundle with a changed header whose hash is right."""
    header = msgpack.unpackb(target.header)
    change(header)
    return target.with_header(msgpack.packb(ordered(header)))


def put(path: str, value: Any) -> Callable[[Any], None]:
    """A change of one place, by a path like "signatures.net.nodes.0.1"."""

    def change(header: Any) -> None:
        *parents, last = (int(p) if p.isdigit() else p for p in path.split("."))
        for p in parents:
            header = header[p]
        header[last] = value

    return change


def drop(path: str) -> Callable[[Any], None]:
    def change(header: Any) -> None:
        *parents, last = (int(p) if p.isdigit() else p for p in path.split("."))
        for p in parents:
            header = header[p]
        del header[last]

    return change


def refused(data: bytes, error: type[BundleError], *says: str, verify: Any = "header") -> None:
    with pytest.raises(error) as caught:
        read(data, verify=verify)
    assert type(caught.value) is error
    for part in says:
        assert part in str(caught.value)
