"""Constants of fewer than 8 bits: what models hold so is decoded at import, and stored small again by `compress_weights`."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edge_rt.errors import ImporterError
from exporter.importers.onnx._problems import Refused
from exporter.importers.onnx._proto import Array, read_tensor

SIGNED = {onnx.TensorProto.INT4: np.int8, onnx.TensorProto.UINT4: np.uint8}
"""The 8-bit type that holds each of the 4-bit ones."""


def only_decoded(graph: Any) -> set[str]:
    """Names of 4-bit initializers that nodes use for nothing but the numbers or zero points of a DequantizeLinear."""
    found = {tensor.name for tensor in graph.initializer if tensor.data_type in SIGNED}
    return found - _used_otherwise(graph) if found else found


def _used_otherwise(graph: Any) -> set[str]:
    names = {output.name for output in graph.output}
    for node in graph.node:
        is_decoder = node.op_type == "DequantizeLinear" and node.domain in ("", "ai.onnx", "com.microsoft")
        names.update(node.input[1:2] if is_decoder else node.input)
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                names |= _used_otherwise(inner)
    return names


def read_nibbles(tensor: Any, folder: Path | None, where: str) -> Array:
    """The contents of a 4-bit TensorProto, as int8 or uint8. Raises like read_tensor."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        count = prod(tensor.dims)
        bytes_of = onnx.TensorProto()
        bytes_of.CopyFrom(tensor)
        bytes_of.data_type = onnx.TensorProto.UINT8
        bytes_of.dims[:] = [(count + 1) // 2]
        raw = read_tensor(bytes_of, folder, where)
        inline = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, raw_data=raw.tobytes())
        return read_nibbles(inline, folder, where)
    if any(d < 0 for d in tensor.dims):
        raise ImporterError(f"{where}: sizes must not be negative, got {list(tensor.dims)}")
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, IndexError) as error:
        raise ImporterError(f"{where}: damaged tensor: {error}") from None
    if array.shape != tuple(tensor.dims):
        raise ImporterError(f"{where}: damaged tensor: expected {list(tensor.dims)}, got {list(array.shape)}")
    return array.astype(SIGNED[tensor.data_type])


def decode_blocks(packed: Array, scales: Array, zeros: Array | None, n: int, k: int, bits: int, block: int) -> Array:
    """The matrix [n, k] of com.microsoft.MatMulNBits: (q - zero) * scale, in the dtype of the scales.

    packed: uint8 [n, blocks, block * bits / 8], the lowest bits first; scales [n, blocks]; zeros as packed bytes [n, ...],
    as numbers of the scales' dtype, or absent: 2 ** (bits - 1). Raises Refused for what it does not know.
    """
    if bits not in (2, 4, 8) or n < 1 or k < 1 or block < 1 or block * bits % 8:
        raise Refused(f"weights of {bits} bits in blocks of {block}")
    blocks = -(-k // block)
    if packed.dtype != np.uint8 or packed.size != n * blocks * block * bits // 8 or scales.size != n * blocks:
        raise Refused(f"weights {packed.dtype}{list(packed.shape)} and scales {list(scales.shape)} for [{n}, {k}]")
    q = _unpacked(packed.reshape(n, -1), bits)[:, : blocks * block].reshape(n, blocks, block)
    zero: Any = 1 << (bits - 1)
    if zeros is not None and zeros.dtype == np.uint8:
        if zeros.size != n * -(-blocks * bits // 8):
            raise Refused(f"zero points {list(zeros.shape)} for [{n}, {k}]")
        zero = _unpacked(zeros.reshape(n, -1), bits)[:, :blocks, None]
    elif zeros is not None:
        if zeros.size != n * blocks:
            raise Refused(f"zero points {list(zeros.shape)} for [{n}, {k}]")
        zero = zeros.reshape(n, blocks, 1)
    decoded = (q.astype(scales.dtype) - np.asarray(zero, scales.dtype)) * scales.reshape(n, blocks, 1)
    return np.ascontiguousarray(decoded.reshape(n, -1)[:, :k])


def _unpacked(rows: Array, bits: int) -> Array:
    """Numbers of so many bits out of the bytes of each row, the lowest first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return ((rows[:, :, None] >> shifts) & np.uint8((1 << bits) - 1)).reshape(len(rows), -1)
