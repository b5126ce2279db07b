"""Writes a bundle: the same bytes for the same bundle, and a file that is whole or not there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from edge_rt.bundle import _msgpack
from edge_rt.bundle._attributes import codec_of, is_default
from edge_rt.bundle._encodings import Encoded
from edge_rt.bundle._format import HASHED, MAGIC, PREAMBLE, VERSION, aligned, digest
from edge_rt.bundle._types import encode_type
from edge_rt.bundle.model import Bundle
from edge_rt.bundle.reader import read
from edge_rt.errors import GraphError
from edge_rt.graph import Graph, Node, Value
from edge_rt.types import DType
from edge_rt.writing import replacing, require_replaceable

Array = np.ndarray[Any, Any]


def write(bundle: Bundle, file: str | os.PathLike[str] | BinaryIO) -> int:
    """Writes the bundle to a path or an open binary file, and returns its length in bytes.

    A path is replaced atomically, after the new file was read back: on any failure the old one stays as it was.
    Raises GraphError for a bundle that cannot be stored, BundleError for one that could not be read, OSError.
    """
    if not isinstance(file, (str, os.PathLike)):
        data = to_bytes(bundle)
        file.write(data)
        return len(data)
    target = os.fspath(file)
    require_replaceable(target)
    with replacing(target) as out:
        size = sum(map(out.write, _chunks(bundle)))
        out.flush()
        read(out.name)
    return size


def to_bytes(bundle: Bundle) -> bytes:
    """The bundle's bytes. Raises GraphError for one that cannot be stored, BundleError for one that cannot be read."""
    data = b"".join(_chunks(bundle))
    read(data)
    return data


def _chunks(bundle: Bundle) -> Iterator[bytes | memoryview]:
    """The file in pieces."""
    source = bundle.source  # before its encodings are asked for: reading it may find some
    tensors = _Tensors(bundle.encodings + ([] if source is None else source.encodings))
    try:
        packed = _msgpack.encode(_header(bundle, tensors))
    except (TypeError, ValueError, OverflowError) as error:
        raise GraphError(f"bundle: metadata, names and attributes must be data that msgpack has: {error}") from None
    start = aligned(PREAMBLE.size + len(packed))
    fixed = PREAMBLE.pack(MAGIC, VERSION, 0, len(packed), tensors.end, bytes(32))
    yield fixed[:HASHED] + digest(fixed, packed)
    yield packed
    yield bytes(start - PREAMBLE.size - len(packed))
    end = 0
    for array, (_, _, offset, nbytes, _, _) in zip(tensors.arrays, tensors.table):
        yield bytes(offset - end)
        yield _content(array)
        end = offset + nbytes


def _header(bundle: Bundle, tensors: _Tensors) -> dict[str, Any]:
    header = _Graphs(bundle, tensors).header()
    header["assets"] = {name: tensors.blob(bundle.assets[name]) for name in sorted(bundle.assets)}
    header["test_vectors"] = [
        [v.signature, _tensors_by_name(v.inputs, tensors), _tensors_by_name(v.outputs, tensors)]
        for v in bundle.test_vectors
    ]
    header["source"] = None
    if bundle.source is not None:
        header["source"] = tensors.blob(_msgpack.encode(_Graphs(bundle.source, tensors).header()))
    header["tensors"] = tensors.table
    return header


def _tensors_by_name(arrays: Mapping[str, Array], tensors: _Tensors) -> dict[str, int]:
    return {name: tensors.add(arrays[name]) for name in sorted(arrays)}


class _Tensors:
    """The tensor table while it grows. Tensors with the same type, contents and encoding are one."""

    def __init__(self, encodings: Iterable[tuple[Array, Encoded]] = ()) -> None:
        self.table: list[list[Any]] = []
        self.arrays: list[Array] = []
        self.end = 0
        self._by_content: dict[tuple[Any, ...], int] = {}
        self._by_identity: dict[int, tuple[Array, int]] = {}
        # Keeping the arrays keeps their ids their own.
        self._encodings = {id(array): (array, encoded) for array, encoded in encodings}

    def add(self, array: Array) -> int:
        """The array's index."""
        if id(array) in self._by_identity:
            return self._by_identity[id(array)][1]
        dense = np.asarray(array, order="C")
        dtype, encoding = DType.of(dense), "raw"
        if id(array) in self._encodings:
            encoding, dense = self._encoded(array, self._encodings[id(array)][1])
        sha = hashlib.sha256(_content(dense)).digest()
        key = (dtype, array.shape, sha, str(encoding))
        index = self._by_content.get(key)
        if index is None:
            index = self._by_content[key] = len(self.table)
            offset = aligned(self.end)
            self.table.append([dtype.value, list(array.shape), offset, dense.nbytes, sha, encoding])
            self.arrays.append(dense)
            self.end = offset + dense.nbytes
        # Keeping the array keeps its id its own.
        self._by_identity[id(array)] = (array, index)
        return index

    def _encoded(self, array: Array, encoded: Encoded) -> tuple[Any, Array]:
        """The encoding as the table has it, and the contents. Raises GraphError if it does not give the array back."""
        if array.dtype != np.float32 or not np.array_equal(encoded.decoded(), array, equal_nan=True):
            raise GraphError(f"encoding {encoded.name} of a tensor {array.dtype}{list(array.shape)} must decode to it")
        stored = np.ascontiguousarray(encoded.stored)
        if encoded.scale is None:
            return encoded.name, stored
        zero = None if encoded.zero is None else self.add(encoded.zero)
        return [encoded.name, encoded.axis, self.add(encoded.scale), zero], stored

    def blob(self, data: bytes) -> int:
        return self.add(np.frombuffer(data, np.uint8))


def _content(array: Array) -> memoryview:
    """The bytes of a dense array, little-endian."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return little.reshape(-1).view(np.uint8).data


class _Graphs:
    """Encodes the graphs of a bundle, and the tables that they share."""

    def __init__(self, bundle: Bundle, tensors: _Tensors) -> None:
        self._bundle, self._tensors = bundle, tensors
        self._ops = _operators(bundle.signatures.values())
        self._op_index = {name: i for i, name in enumerate(sorted(self._ops))}
        self._constants: dict[tuple[str, int], int] = {}
        self._variables: dict[str, int] = {}
        self._variable_tensors: list[int] = []

    def header(self) -> dict[str, Any]:
        signatures = {
            name: self._graph(graph, f"signature '{name}'", True)
            for name, graph in sorted(self._bundle.signatures.items())
        }
        for name, initial in self._bundle.variables.items():
            self._variable(name, initial)
        return {
            "constants": [list(key) for key in self._constants],
            "metadata": self._bundle.metadata,
            "requires": {"ops": self._ops},
            "signatures": signatures,
            "variables": [[name, self._variable_tensors[i]] for name, i in self._variables.items()],
        }

    def tensor(self, array: Array) -> int:
        return self._tensors.add(array)

    def subgraph(self, graph: Graph) -> dict[str, Any]:
        return self._graph(graph, f"graph '{graph.name}'", False)

    def _graph(self, graph: Graph, where: str, top: bool) -> dict[str, Any]:
        if graph.variables and not top:
            raise GraphError(f"{where}: only signatures may have variables, not the graphs of control flow")
        constants = graph.constants()
        values = [*graph.inputs, *(v.value for v in graph.variables), *constants]
        index = {id(value): i for i, value in enumerate(values)}
        raw: dict[str, Any] = {
            "constants": [self._constant(value) for value in constants],
            "inputs": [[v.name, encode_type(v.type)] for v in graph.inputs],
            "name": graph.name,
            "nodes": [self._node(node, index) for node in graph.nodes],
        }
        outputs = list(zip(graph.output_names, graph.outputs))
        raw["outputs"] = [[name, _index(index, value, where)] for name, value in outputs]
        if top:
            for entry, (_, value) in zip(raw["outputs"], outputs):
                entry.append(encode_type(value.type))
            raw["variables"] = [
                [self._variable(v.name, v.initial), None if v.update is None else _index(index, v.update, where)]
                for v in graph.variables
            ]
        return raw

    def _node(self, node: Node, index: dict[int, int]) -> list[Any]:
        inputs = [-1 if v is None else _index(index, v, node.where) for v in node.inputs]
        while inputs and inputs[-1] == -1:
            inputs.pop()
        for value in node.outputs:
            index[id(value)] = len(index)
        default = [node.name] if len(node.outputs) == 1 else [f"{node.name}:{i}" for i in range(len(node.outputs))]
        outputs = ["" if v.name == name else v.name for v, name in zip(node.outputs, default)]
        attributes = {
            name: codec_of(node.attrs.fields[name]).encode(value, self)
            for name, value in node.attrs
            if not is_default(node.attrs.fields[name], value)
        }
        return [self._op_index[node.op.name], node.name, inputs, outputs, attributes]

    def _constant(self, value: Value) -> int:
        assert value.data is not None
        key = (value.name, self._tensors.add(value.data))
        return self._constants.setdefault(key, len(self._constants))

    def _variable(self, name: str, initial: Array) -> int:
        tensor = self._tensors.add(initial)
        index = self._variables.setdefault(name, len(self._variables))
        if index == len(self._variable_tensors):
            self._variable_tensors.append(tensor)
        if self._variable_tensors[index] != tensor:
            raise GraphError(f"variable '{name}': must have the same initial value in all signatures")
        return index


def _operators(graphs: Iterable[Graph]) -> dict[str, int]:
    """Operators that the graphs use, subgraphs included, with their versions."""
    found: dict[str, int] = {}
    for graph in graphs:
        found.update({node.op.name: node.op.since for node in graph.nodes})
        found.update(_operators(inner for _, _, inner in graph.subgraphs()))
    return found


def _index(index: Mapping[int, int], value: Value, where: str) -> int:
    if id(value) not in index:
        raise GraphError(f"{where}: {value!r} is used before it is computed")
    return index[id(value)]
