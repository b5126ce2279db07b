"""Older versions of operators stay readable, through the upgrades that their records list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import pytest

from edge_rt.bundle import Bundle, read, to_bytes
from edge_rt.errors import BundleError, BundleOpError, BundleSchemaError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.ops._attrs import Attrs, Float, Int
from edge_rt.ops._panels import pack_panels
from edge_rt.ops._spec import TABLE, define
from tests.bundles import f32
from tests.fuzz_bundle import Target, ordered


class ScaleAttrs(Attrs):
    """Version 3. Version 2 called the factor "by", version 1 had an integer "percent"; both took it as 1 if left out."""

    factor = Float(1.0)
    power = Int(1)


def from_percent(attributes: dict[str, Any], inputs: int) -> dict[str, Any]:
    assert inputs == 1
    return {"by": attributes["percent"] / 100} if attributes else {}


def renamed(attributes: dict[str, Any], inputs: int) -> dict[str, Any]:
    return {"factor": attributes["by"]} if attributes else {}


@pytest.fixture(autouse=True)
def scale() -> Iterator[None]:
    define(
        "test.Scale", "x:float32 -> y:float32", since=3, attrs=ScaleAttrs,
        shapes=lambda attrs, types, values: [types[0].shape],
        reference=lambda attrs, x: x * np.float32(attrs.factor) ** attrs.power,
        upgrades={1: from_percent, 2: renamed},
    )  # fmt: skip
    yield
    del TABLE["test.Scale"]


def old(version: int, attributes: dict[str, Any]) -> bytes:
    """A bundle with one test.Scale of a version."""
    graph = Graph()
    graph.output(graph.add("test.Scale", graph.input("x", f32(2))), "y")
    target = Target(to_bytes(Bundle({"main": graph})))
    header = msgpack.unpackb(target.header)
    header["requires"]["ops"]["test.Scale"] = version
    header["signatures"]["main"]["nodes"][0][4] = attributes
    return target.with_header(msgpack.packb(ordered(header)))


@pytest.mark.parametrize(
    ("version", "attributes", "factor"),
    [(1, {"percent": 250}, 2.5), (1, {}, 1), (2, {"by": 4.0}, 4), (3, {"factor": 3.0, "power": 2}, 9)],
)
def test_older_versions_are_read(version: int, attributes: dict[str, Any], factor: float) -> None:
    bundle = read(old(version, attributes))
    assert bundle.requires == {"test.Scale": version}
    (y,) = evaluate(bundle.signatures["main"], [np.ones(2, np.float32)])
    np.testing.assert_array_equal(y, np.full(2, factor, np.float32))
    again = read(to_bytes(bundle))
    assert again.requires == {"test.Scale": 3}
    np.testing.assert_array_equal(evaluate(again.signatures["main"], [np.ones(2, np.float32)])[0], y)


def refused(data: bytes, error: type[BundleError], says: str) -> None:
    with pytest.raises(error) as caught:
        read(data)
    assert says in str(caught.value)


def test_a_newer_version_is_refused_by_name() -> None:
    says = "requires.ops.test.Scale: needs version 4 of test.Scale, this runtime has version 3"
    refused(old(4, {}), BundleOpError, says)


def test_what_an_upgrade_makes_is_checked() -> None:
    nodes = "signatures.main.nodes[0].attrs"
    refused(old(2, {"by": "four"}), BundleSchemaError, f"{nodes}.factor must be a floating-point number, got 'four'")
    refused(old(2, {"factor": 4.0}), BundleSchemaError, f"{nodes} must be those of the version that `requires` states")
    refused(old(1, {"percent": []}), BundleSchemaError, f"{nodes} must be those of the version that `requires` states")
    refused(old(1, []), BundleSchemaError, f"{nodes} must be a map")  # type: ignore[arg-type]


def test_gemm_and_conv_of_before_compact_panels_are_read() -> None:
    graph = Graph()
    a = graph.input("a", f32(3, 2))
    graph.output(graph.add("edge.Gemm", a, graph.constant(pack_panels(np.eye(2, dtype=np.float32))), n=2), "y")
    target = Target(to_bytes(Bundle({"main": graph})))
    header = msgpack.unpackb(target.header)
    assert header["requires"]["ops"] == {"edge.Gemm": 2}
    header["requires"]["ops"]["edge.Gemm"] = 1
    bundle = read(target.with_header(msgpack.packb(header)))
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(evaluate(bundle.signatures["main"], [x])[0], x)
