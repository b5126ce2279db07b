"""What a bundle holds, as data: for `edge-rt inspect` and for tests. Builds no graph and reads no tensor."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

from edge_rt import ops
from edge_rt.bundle._attributes import codec_of
from edge_rt.bundle._format import VERSION
from edge_rt.bundle._types import decode_type
from edge_rt.bundle.reader import Bytes, read_header


def summarize(source: str | os.PathLike[str] | Bytes) -> dict[str, Any]:
    """Sizes, signatures, operators, tensors and metadata of a bundle; JSON-like, sizes in bytes, shapes as strings.

    parameters counts the elements of constants and variables, each tensor once. tensors lists name, use (constant,
    variable, attribute, asset, test vector, encoding or source), dtype, shape, nbytes and encoding ("raw", "f16", "int8" or
    "int4"), in the order of the file.
    Raises BundleError like `read`, but for what only inference finds; OSError.
    """
    header, size = read_header(source)
    tensors = _tensors(header)
    return {
        "format": VERSION,
        "bytes": size,
        "tensor_bytes": sum(t["nbytes"] for t in tensors),
        "parameters": sum(prod(t["shape"]) for t in tensors if t["use"] in ("constant", "variable")),
        "requires": header["requires"]["ops"],
        "metadata": header["metadata"],
        "signatures": {name: _signature(graph, header) for name, graph in header["signatures"].items()},
        "assets": {name: header["tensors"][index][3] for name, index in header["assets"].items()},
        "test_vectors": len(header["test_vectors"]),
        "source": header["source"] is not None,
        "tensors": tensors,
    }


def _signature(graph: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputs": {name: str(decode_type(type_)) for name, type_ in graph["inputs"]},
        "outputs": {name: str(decode_type(type_)) for name, _, type_ in graph["outputs"]},
        "state": [header["variables"][index][0] for index, _ in graph["variables"]],
        "ops": dict(sorted(_operators(graph, list(header["requires"]["ops"])).items())),
    }


def _operators(graph: dict[str, Any], names: list[str]) -> Counter[str]:
    """How often each operator stands in the graph and the graphs in it."""
    return Counter(names[node[0]] for node in _nodes(graph))


def _nodes(graph: dict[str, Any]) -> Iterator[list[Any]]:
    """Nodes of the graph and of the graphs in it."""
    for node in graph["nodes"]:
        yield node
        for value in node[4].values():
            if isinstance(value, dict):
                yield from _nodes(value)


def _tensors(header: dict[str, Any]) -> list[dict[str, Any]]:
    uses: dict[int, tuple[str, str]] = {}
    for use, table in (("constant", header["constants"]), ("variable", header["variables"])):
        for name, index in table:
            uses.setdefault(index, (name, use))
    for name, index in _attributes(header):
        uses.setdefault(index, (name, "attribute"))
    for name, index in header["assets"].items():
        uses.setdefault(index, (name, "asset"))
    for i, (_, inputs, outputs) in enumerate(header["test_vectors"]):
        for name, index in (*inputs.items(), *outputs.items()):
            uses.setdefault(index, (f"{i}.{name}", "test vector"))
    for index, entry in enumerate(header["tensors"]):
        if type(entry[5]) is list:
            owner = uses.get(index, ("", ""))[0]
            for part, parameter in zip(("scale", "zero"), entry[5][2:]):
                if parameter is not None:
                    uses.setdefault(parameter, (f"{owner}.{part}", "encoding"))
    described = []
    for i, (dtype, shape, _, nbytes, _, encoding) in enumerate(header["tensors"]):
        # Only the source section can need a tensor that nothing in the header refers to.
        name, use = uses.get(i, ("", "source"))
        encoding = encoding if type(encoding) is str else encoding[0]
        described.append(
            {"name": name, "use": use, "dtype": dtype, "shape": shape, "nbytes": nbytes, "encoding": encoding}
        )
    return described


def _attributes(header: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """("node.attribute", tensor) of attributes that are stored as tensors."""
    specs = [ops.get(name) for name in header["requires"]["ops"]]
    for graph in header["signatures"].values():
        for op, name, _, _, attributes in _nodes(graph):
            for key, value in attributes.items():
                index = codec_of(specs[op].attrs.fields[key]).tensor_index(value)
                if index is not None:
                    yield f"{name}.{key}", index
