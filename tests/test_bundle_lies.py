"""Whole files whose headers lie: each lie has its own error, which says what is wrong and where."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest

from edge_rt.bundle import Bundle, read, to_bytes
from edge_rt.bundle._encodings import check_encoding
from edge_rt.errors import (
    BundleChecksumError,
    BundleError,
    BundleHeaderError,
    BundleLayoutError,
    BundleLimitError,
    BundleOpError,
    BundleSchemaError,
    InferenceError,
)
from edge_rt.graph import Graph, Value
from edge_rt.types import DType, TensorType
from tests import bundles
from tests.damage import LARGE, drop, lying, put, refused
from tests.fuzz_bundle import Target


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (drop("metadata"), BundleSchemaError, "header must have the keys assets, constants, metadata"),
        (put("extra", 1), BundleSchemaError, "it has unknown 'extra'"),
        (put("signatures", {}), BundleSchemaError, "signatures must be not empty"),
        (put("signatures.net", []), BundleSchemaError, "signatures.net must be a map, got []"),
        (put("signatures.net.name", 3), BundleSchemaError, "signatures.net.name must be a string, got 3"),
        (put("signatures.net.name", "x" * 2000), BundleLimitError, "signatures.net.name: length of a name"),
        (put("signatures.net.nodes.0", [0]), BundleSchemaError, "signatures.net.nodes[0] must be [operator, name"),
        (put("signatures.net.nodes.0.0", 99), BundleSchemaError, "signatures.net.nodes[0].op must be the index of one"),
        (put("signatures.net.nodes.0.0", True), BundleSchemaError, "nodes[0].op must be the index of one of"),
        (put("signatures.net.nodes.0.1", ""), BundleSchemaError, "signatures.net.nodes[0].name must be not empty"),
        (put("signatures.net.nodes.1.1", "c1"), BundleSchemaError, "nodes[1].name must be different from the others"),
        (put("signatures.net.nodes.0.2.0", 999), BundleSchemaError, "nodes[0].inputs[0] must be -1 or the index of on"),
        (put("signatures.net.nodes.0.2.0", 13), BundleSchemaError, "of the 13 values before the node, got 13"),
        (put("signatures.net.nodes.0.2.2", -1), BundleSchemaError, "nodes[0].inputs must be without absent inputs at"),
        (put("signatures.net.nodes.0.3", ["a", "b"]), BundleSchemaError, "nodes[0].outputs must be 1 names, as Conv"),
        (put("signatures.net.nodes.0.4.zz", 1), BundleSchemaError, "nodes[0].attrs must have attributes of Conv"),
        (put("signatures.net.nodes.0.4.pads", 1.5), BundleSchemaError, "nodes[0].attrs.pads must be the index of one"),
        (put("signatures.net.nodes.0.4.pads", [0.5]), BundleSchemaError, "nodes[0].attrs.pads[0] must be an integer,"),
        (put("signatures.net.nodes.0.4.pads", [1]), BundleSchemaError, "nodes[0]: Conv 'c1': "),
        (put("signatures.net.nodes.0.4.pads", [2**62] * 4), BundleSchemaError, "signatures.net.nodes[0]: Conv 'c1': "),
        (put("signatures.net.nodes.0.4.group", 0), BundleSchemaError, "nodes[0]: Conv 'c1': group"),
        (put("signatures.net.nodes.0.4.auto_pad", "?"), BundleSchemaError, "attribute 'auto_pad' must be one of"),
        (put("signatures.net.inputs.0.1.0", "float8"), BundleSchemaError, "inputs[0].type.dtype must be an element ty"),
        (put("signatures.net.inputs.0.1.1.1", -3), BundleSchemaError, "inputs[0].type.shape[1] must be at least 0, go"),
        (put("signatures.net.inputs.0.1.1.1", 2**41), BundleLimitError, "inputs[0].type.shape[1] must be at most"),
        (put("signatures.net.inputs.0.1.1.0", [[1, "n"]]), BundleSchemaError, "shape[0] must be in canonical form"),
        (put("signatures.net.inputs.0.1.1.0", [[2**62, "n"]] * 2), BundleLimitError, "shape[0]: the expression of a s"),
        (put("signatures.net.inputs.0.1.1", [1] * 33), BundleLimitError, "inputs[0].type.shape: rank must be at most"),
        (put("signatures.net.outputs.0.2.1.1", 11), BundleSchemaError, "outputs[0].type must be float32[n, 10], got f"),
        (put("signatures.net.outputs.1.0", "scores"), BundleSchemaError, "outputs[1].name must be different"),
        (put("signatures.net.outputs.0.1", -1), BundleSchemaError, "outputs[0].value must be the index of one of"),
        (put("signatures.net.constants.0", 99), BundleSchemaError, "signatures.net.constants[0] must be the index of"),
        (put("signatures.up.variables.1.0", 0), BundleSchemaError, "variables[1].variable must be different"),
        (put("signatures.up.variables.0.1", 99), BundleSchemaError, "variables[0].update must be the index of one of"),
        (put("signatures.up.variables.0.1", 1), BundleSchemaError, "'count' must be updated by float32[1, 2], got int"),
        (put("variables.1.0", "count"), BundleSchemaError, "variables[1].name must be different"),
        (put("requires.ops.Conv", 10**6), BundleOpError, "requires.ops.Conv: needs version 1000000 of Conv, this runt"),
        (put("requires.ops.Nonsense", 1), BundleOpError, "this runtime has no operator 'Nonsense'"),
        (put("requires.ops.Conv", 0), BundleSchemaError, "requires.ops.Conv must be a version"),
        (put("tensors.0.0", "int4"), BundleSchemaError, "tensors[0].dtype must be an element type, got 'int4'"),
        (put("tensors.0.1", [2**40, 2**40]), BundleLimitError, "tensors[0] must be of at most"),
        (put("tensors.0.1", [-1]), BundleSchemaError, "tensors[0].shape[0] must be at least 0"),
        (put("tensors.0.2", 64), BundleLayoutError, "tensors[0].offset must be 0"),
        (put("tensors.1.2", 0), BundleLayoutError, "tensors[1].offset must be"),
        (put("tensors.1.2", 2**64 - 64), BundleLayoutError, "tensors[1].offset must be"),
        (put("tensors.0.3", 1), BundleSchemaError, "tensors[0].nbytes must be 4, the size of float32[], got 1"),
        (put("tensors.0.4", b"x"), BundleSchemaError, "tensors[0].sha256 must be 32 bytes, got 1 bytes"),
        (put("tensors.0.5", "int4"), BundleSchemaError, "tensors[0].encoding must be one of raw, f16, or int8 or int4 wi"),
        (put("tensors.0.5", ["int2", 0, 0, None]), BundleSchemaError, "tensors[0].encoding must be one of raw, f16, or"),
        (put("tensors.0.5", [[], 0, 0, None]), BundleSchemaError, "tensors[0].encoding must be one of raw, f16, or"),
        (put("tensors.0.5", ["int8", 0, 0, None]), BundleSchemaError, "encoding.axis must be one of the 0 axes, got 0"),
        (put("tensors.0.5", "f16"), BundleSchemaError, "tensors[0].nbytes must be 2, the size of float32[] stored as f16"),
        (lambda h: h["tensors"].pop(), BundleLayoutError, "tensors must be as long together as the tensor section"),
        (lambda h: h["tensors"].append(["uint8", [64], 10**9, 64, bytes(32), "raw"]), BundleLayoutError, "offset must"),
        (put("assets.labels", 0), BundleSchemaError, "assets.labels must be a tensor uint8[n], got float32"),
        (put("source", 10**6), BundleSchemaError, "source must be the index of one of"),
        (put("test_vectors.0.0", "zz"), BundleSchemaError, "test_vectors[0].signature must be the name of a signature"),
        (put("test_vectors.0.1", {"x": 0}), BundleSchemaError, "test_vectors[0].inputs must have the keys "),
        (put("test_vectors.0.2.count", 0), BundleSchemaError, "test_vectors[0].outputs.count must be float32[1, 2], g"),
        (put("metadata", []), BundleSchemaError, "metadata must be a map"),
        (put("metadata.k", msgpack.Timestamp(1)), BundleSchemaError, "metadata.k must be nil, a boolean, a number"),
        (put("metadata.k", b"raw"), BundleSchemaError, "metadata.k must be nil, a boolean, a number"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_lying_headers(change: Callable[[Any], None], error: type[BundleError], says: str) -> None:
    refused(lying(LARGE, change), error, says)


def encoded_entry(header: Any, name: str) -> int:
    """The index of the first tensor with an encoding, a zero point included if it is of integers."""
    found = (i for i, t in enumerate(header["tensors"]) if t[5] == name or (t[5][0] == name and t[5][3] is not None))
    return next(found)


@pytest.mark.parametrize(
    ("name", "place", "value", "says"),
    [
        ("int8", (0,), "float16", "encoding must be raw for float16"),
        ("f16", (0,), "int32", "encoding must be raw for int32, got 'f16'"),
        ("f16", (5,), "raw", "nbytes must be 24, the size of float32[2, 3], got 12"),
        ("int4", (5, 0), "int8", "nbytes must be 9, the size of float32[1, 3, 3] stored as int8, got 5"),
        ("int4", (3,), 4, "nbytes must be 5, the size of float32[1, 3, 3] stored as int4, got 4"),
        ("int4", (1,), [2**20, 2**15, 3], "nbytes must be 51539607552, the size of"),
        ("int8", (1,), [3, 2**39, 2**39], "must be of at most"),
        ("int8", (5, 1), 2, "encoding.axis must be one of the 2 axes, got 2"),
        ("int8", (5, 1), -1, "encoding.axis must be one of the 2 axes, got -1"),
        ("int8", (5, 1), 1, "encoding.scale must be the index of a raw tensor float32[2]"),
        ("int8", (5, 1), None, "encoding.axis must be one of the 2 axes, got None"),
        ("int8", (5, 2), 10**6, "encoding.scale must be the index of one of"),
        ("int8", (5, 2), None, "encoding.scale must be the index of one of"),
        ("int8", (5, 2), 0, "encoding.scale must be the index of a raw tensor float32[3]"),
        ("int8", (5, 3), 2**64 - 1, "encoding.zero must be the index of one of"),
        ("int8", (5, 3), 0, "encoding.zero must be the index of a raw tensor int8[3]"),
        ("int8", (5,), ["int8", 0, 0], "encoding must be one of raw, f16, or int8 or int4 with axis"),
    ],
)  # fmt: skip
def test_lying_encodings(name: str, place: tuple[int, ...], value: Any, says: str) -> None:
    def change(header: Any) -> None:
        at: Any = header["tensors"][encoded_entry(header, name)]
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = value

    error = BundleLimitError if "at most" in says else BundleSchemaError
    refused(lying(LARGE, change), error, says)


def test_scales_may_not_be_encoded_themselves() -> None:
    """So that decoding one tensor never needs more than raw ones."""

    def itself(header: Any) -> None:
        entry = header["tensors"][encoded_entry(header, "int8")]
        entry[5][2] = encoded_entry(header, "int8")

    says = "encoding.scale must be the index of a raw tensor float32[3]"
    refused(lying(LARGE, itself), BundleSchemaError, says)
    scale = [["float32", [3], 0, 6, bytes(32), "f16"]]
    with pytest.raises(BundleSchemaError, match=re.escape(says)):
        check_encoding(scale, "float32", [3], ["int8", 0, 0, None], "encoding")


def test_the_unused_half_of_the_last_int4_is_zero() -> None:
    header = msgpack.unpackb(LARGE.header)
    entry = header["tensors"][encoded_entry(header, "int4")]
    end = len(LARGE.data) - len(LARGE.section) + entry[2] + entry[3]
    content = LARGE.data[end - entry[3] : end - 1] + bytes([LARGE.data[end - 1] | 0x70])
    section = LARGE.section[: entry[2]] + content + LARGE.section[entry[2] + entry[3] :]
    entry[4] = hashlib.sha256(content).digest()
    data = LARGE.with_header(msgpack.packb(header), section)
    read(data)
    refused(data, BundleSchemaError, "must end with 0 in the unused half of its last byte", verify="all")


def test_a_constant_that_decides_a_shape_lies() -> None:
    at = LARGE.data.index(np.array([-1], np.int64).tobytes())
    data = LARGE.data[:at] + np.array([-5], np.int64).tobytes() + LARGE.data[at + 8 :]
    refused(data, BundleSchemaError, "signatures.net.nodes[", "Reshape")


def test_graphs_within_graphs_have_a_limit() -> None:
    def nested(depth: int) -> Graph:
        graph = Graph("g")
        flag = graph.input("flag", TensorType(DType.BOOL, ()))
        branches = {"then_branch": nested(depth - 1), "else_branch": nested(0)} if depth else None
        graph.output(graph.add("If", flag, flag, **branches) if branches else flag, "y")
        return graph

    read(to_bytes(Bundle({"main": nested(5)})))
    with pytest.raises(BundleLimitError, match="nesting of graphs must be at most 5, got 6"):
        to_bytes(Bundle({"main": nested(6)}))


def test_graphs_have_a_limit_in_all() -> None:
    graph = Graph()
    graph.inputs = [Value(f"x{i}", bundles.f32(1)) for i in range(2048)]
    graph.outputs, graph.output_names = list(graph.inputs), [f"y{i}" for i in range(2048)]
    target = Target(to_bytes(Bundle({"s": graph})))

    def multiply(header: Any) -> None:
        header["signatures"] = {f"s{i}": header["signatures"]["s"] for i in range(17)}

    says = "signatures.s9: weighted number of nodes and ports so far must be at most 65536, got 69632"
    refused(lying(target, multiply), BundleLimitError, says)
    graph.output(graph.inputs[0], "one more")
    with pytest.raises(BundleLimitError, match=r"signatures.s.outputs: length must be at most 2048, got 2049"):
        to_bytes(Bundle({"s": graph}))


def test_metadata_has_a_depth_limit() -> None:
    def deep(header: Any) -> None:
        value: Any = 1
        for _ in range(17):
            value = [value]
        header["metadata"] = {"a": value}

    refused(lying(LARGE, deep), BundleLimitError, "metadata.a[0]", "nesting must be at most 16")


def test_paths_in_errors_stay_short() -> None:
    """A long key in front of many values must not be copied for each of them."""
    refused(lying(LARGE, put("metadata.k", {"a" * 10**6: [[]] * 60_000})), BundleLimitError, "metadata.k: key: length")
    read(lying(LARGE, put("metadata.k", {"a" * 1000: [[]] * 60_000})))


def test_a_damaged_source_section_matters_to_those_who_read_it() -> None:
    header = msgpack.unpackb(LARGE.header)
    _, _, offset, nbytes, _, _ = header["tensors"][header["source"]]
    section = LARGE.section[:offset] + b"\xc1" * nbytes + LARGE.section[offset + nbytes :]
    data = LARGE.with_header(LARGE.header, section)
    bundle = read(data)
    with pytest.raises(BundleChecksumError):
        _ = bundle.source
    header["tensors"][header["source"]][4] = hashlib.sha256(b"\xc1" * nbytes).digest()
    bundle = read(LARGE.with_header(msgpack.packb(header), section))
    with pytest.raises(BundleHeaderError, match="source: not valid msgpack"):
        _ = bundle.source


def test_sizes_that_multiply_without_end() -> None:
    """Squares sizes and symbolic sizes again and again: must end in an error or an unknown size, soon."""

    def squared(x: Any, graph: Graph) -> Any:
        rows = [graph.add("Unsqueeze", x, graph.constant(np.array([axis], np.int64))) for axis in (0, 1)]
        return graph.add("Reshape", graph.add("Add", *rows), graph.constant(np.array([-1], np.int64)))

    graph = Graph()
    x = graph.input("x", bundles.f32(2**20))
    x = squared(x, graph)
    with pytest.raises(InferenceError, match="must have sizes of at most"):
        squared(x, graph)

    graph = Graph()
    x = graph.add("Concat", *(graph.input(name, bundles.f32(name)) for name in "abcde"), axis=0)
    for _ in range(200):
        x = squared(x, graph)
    graph.output(x, "y")
    assert read(to_bytes(Bundle({"main": graph}))).signatures["main"].outputs[0].type.rank in (None, 1)


def test_loops_within_loops_end_soon() -> None:
    """Each carried value takes the shape of its neighbour, so that a round of inference makes one more unknown."""

    def loop(depth: int) -> Graph:
        body = Graph("body")
        body.input("i", TensorType(DType.INT64, ()))
        go = body.input("go", TensorType(DType.BOOL, ()))
        carried = [body.input(f"c{i}", TensorType(DType.FLOAT32, None)) for i in range(16)]
        if depth:
            carried = list(body.add("Loop", None, go, *carried, body=loop(depth - 1), carried=16))
        body.output(go, "go")
        for i, value in enumerate([carried[-1], *carried[:-1]]):
            body.output(value, f"c{i}")
        return body

    graph = Graph()
    inputs = [graph.input(f"x{i}", bundles.f32(i + 1)) for i in range(16)]
    outputs = graph.add("Loop", graph.constant(np.int64(3)), None, *inputs, body=loop(4), carried=16)
    for i, value in enumerate(outputs):
        graph.output(value, f"y{i}")
    read(to_bytes(Bundle({"main": graph})))
