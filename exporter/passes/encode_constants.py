"""Constants that kernels read as float32 only are stored in fewer bytes, and decoded when the bundle is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_rt.bundle._encodings import Encoded, pack_int4
from edge_rt.graph import Graph, Value
from edge_rt.ops.edge_gemm import SCALE
from edge_rt.types import DType
from exporter.lattice import BITS, Integers, exact_integers, is_exact_in_float16, rounded_integers
from exporter.passes.compress_weights import COMPACT, MIN_BYTES, WORTH, Stored, is_loss

Array = np.ndarray[Any, Any]


def constant_encoder(
    weights: str, stored: list[Stored], encodings: list[tuple[Array, Encoded]]
) -> Callable[[Graph], int]:
    """The pass for one of WEIGHTS. It appends what it stored how to `stored`, and the encodings to `encodings`."""
    seen: dict[int, Array] = {}

    def encode_constants(graph: Graph) -> int:
        """float32 constants become what their encoding stands for.

        1. Without loss: integers times a scale for each index of an axis, or exact in float16. Always tried first.
        2. Rounded, where `weights` asks for it: to float16, of rank 2 or more; "int8" and "int4" do so too, but for tables
           whose rows are looked up, which are rounded to int8 with a scale for each row.

        Not for constants below MIN_BYTES, where less than a quarter would be saved, where a value is not finite (or beyond
        float16's range), or for scales of integers.
        """
        changes = 0
        for value in graph.constants():
            data = value.data
            if data is None or value.type.dtype is not DType.FLOAT32 or data.nbytes < MIN_BYTES or id(data) in seen:
                continue
            if any(n.op.name in COMPACT and i == SCALE for n, i in value.uses):
                continue
            seen[id(data)] = data
            encoded = _encoded(value, data, weights)
            if encoded is None or encoded.nbytes > WORTH * data.nbytes:
                continue
            array = encoded.decoded()
            seen[id(array)] = array
            encodings.append((array, encoded))
            largest = float(np.abs(data).max())
            error = float(np.abs(array - data).max()) / largest if largest else 0.0
            kind = "float16" if encoded.name == "f16" else encoded.name
            stored.append(Stored(value.name, kind, data.nbytes, encoded.nbytes, error, is_loss(array, data), True))
            graph.replace(value, graph.constant(array, value.name))
            changes += 1
        return changes

    return encode_constants


def _encoded(value: Value, data: Array, weights: str) -> Encoded | None:
    if not np.isfinite(data).all():
        return None
    for name in ("int4", "int8"):
        for axis in _axes(data):
            found = exact_integers(_columns(data, axis), BITS[name])
            if found is not None:
                return _of_integers(name, found, data, axis)
    if is_exact_in_float16(data):
        return _of_float16(data)
    if weights == "auto" or data.ndim < 2:
        return None
    if weights in BITS and _is_table(value):
        return _of_integers("int8", rounded_integers(_columns(data, 0), 8), data, 0)
    return _of_float16(data) if np.abs(data).max() <= np.finfo(np.float16).max else None


def _axes(data: Array) -> list[int]:
    """The axes along which scales would take little, the last one first."""
    return [axis for axis in reversed(range(data.ndim)) if data.shape[axis] * 16 <= data.size]


def _columns(data: Array, axis: int) -> Array:
    return np.moveaxis(data, axis, -1).reshape(-1, data.shape[axis])


def _of_integers(name: str, found: Integers, data: Array, axis: int) -> Encoded:
    shape = (*data.shape[:axis], *data.shape[axis + 1 :], data.shape[axis])
    q = np.ascontiguousarray(np.moveaxis(found.q.reshape(shape), -1, axis))
    return Encoded(name, data.shape, q if name == "int8" else pack_int4(q), axis, found.scale, found.zero)


def _of_float16(data: Array) -> Encoded:
    return Encoded("f16", data.shape, data.astype(np.float16))


def _is_table(value: Value) -> bool:
    """Whether all that is done with the value is to look up rows."""
    return all(n.op.name == "Gather" and i == 0 and n.attrs.axis == 0 for n, i in value.uses) and value.type.rank == 2
