"""Encodings of the tensor table: what comes back, what writers store, and what inspection says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.bundle import Bundle, read, to_bytes
from edge_rt.bundle._encodings import Encoded, pack_int4, unpack_int4
from edge_rt.bundle.inspect import summarize
from edge_rt.errors import GraphError
from edge_rt.graph import Graph
from tests import bundles


def bundle() -> Bundle:
    graph, encodings = bundles.encoded()
    return Bundle({"main": graph}, encodings=encodings)


def test_encoded_tensors_come_back_decoded_once() -> None:
    given, back = bundle(), read(to_bytes(bundle()), verify="all")
    assert bundles.graphs_equal(given.signatures["main"], back.signatures["main"])
    for value in back.signatures["main"].constants():
        assert value.data is not None
        assert value.data.dtype == np.float32
        assert not value.data.flags.writeable


def test_integers_mean_what_the_format_says() -> None:
    q = np.array([[[-8, 7], [3, -1], [0, 5]]], np.int8)
    scale, zero = np.array([0.5, 2, 3], np.float32), np.array([1, 0, -1], np.int8)
    expected = np.array([[[-4.5, 3], [6, -2], [3, 18]]], np.float32)
    for name, stored in (("int8", q), ("int4", pack_int4(q))):
        np.testing.assert_array_equal(Encoded(name, q.shape, stored, 1, scale, zero).decoded(), expected)
    np.testing.assert_array_equal(pack_int4(q), [0x78, 0xF3, 0x50])


@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (0, 4)])
def test_int4_come_back(shape: tuple[int, ...]) -> None:
    q = np.random.default_rng(0).integers(-8, 8, shape, np.int8)
    np.testing.assert_array_equal(unpack_int4(pack_int4(q), shape), q)


def test_the_same_bytes_each_time() -> None:
    assert to_bytes(bundle()) == to_bytes(bundle())


def test_encodings_that_do_not_give_the_array_are_refused() -> None:
    graph = Graph()
    array = np.array([1, 2.0001], np.float32)
    graph.output(graph.add("Neg", graph.constant(array)), "y")
    with pytest.raises(GraphError, match=r"encoding f16 of a tensor float32\[2\] must decode to it"):
        to_bytes(Bundle({"main": graph}, encodings=[(array, Encoded("f16", (2,), array.astype(np.float16)))]))


def test_summary() -> None:
    tensors: list[dict[str, Any]] = summarize(to_bytes(bundle()))["tensors"]
    found = [(t["name"], t["use"], t["dtype"], t["nbytes"], t["encoding"]) for t in tensors]
    assert ("c0", "constant", "float32", 12, "f16") in found
    assert ("c3", "constant", "float32", 5, "int4") in found
    assert ("c1.scale", "encoding", "float32", 12, "raw") in found
    assert ("c1.zero", "encoding", "int8", 3, "raw") in found
