"""Reading ONNX's protobufs: the model, its tensors, types and attributes. Nothing here knows of operators."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from edge_rt.dims import symbol
from edge_rt.errors import ImporterError
from edge_rt.types import Dim, DType, TensorType
from exporter.importers.onnx._problems import Refused

Array = np.ndarray[Any, Any]

DTYPES: dict[int, DType] = {
    onnx.TensorProto.FLOAT: DType.FLOAT32,
    onnx.TensorProto.UINT8: DType.UINT8,
    onnx.TensorProto.INT8: DType.INT8,
    onnx.TensorProto.UINT16: DType.UINT16,
    onnx.TensorProto.INT16: DType.INT16,
    onnx.TensorProto.INT32: DType.INT32,
    onnx.TensorProto.INT64: DType.INT64,
    onnx.TensorProto.BOOL: DType.BOOL,
    onnx.TensorProto.FLOAT16: DType.FLOAT16,
    onnx.TensorProto.DOUBLE: DType.FLOAT64,
    onnx.TensorProto.UINT32: DType.UINT32,
    onnx.TensorProto.UINT64: DType.UINT64,
    onnx.TensorProto.COMPLEX64: DType.COMPLEX64,
    onnx.TensorProto.COMPLEX128: DType.COMPLEX128,
}
ELEMENTS = {dtype: number for number, dtype in DTYPES.items()}
"""ONNX's number of each element type."""

UNNAMED = frozenset({"", "?", "*", "-1", "none", "unknown", "dynamic"})
"""What exporters write, in any case, where a size has no name of its own; two such sizes need not be equal."""

MAX_DENSE = 1 << 31
"""Elements up to which a sparse tensor is made dense."""


def read_model(source: str | os.PathLike[str] | bytes | Any) -> tuple[Any, str, Path | None]:
    """(ModelProto, what errors call it, the folder of its external data) of a path, bytes or a ModelProto.

    Raises ImporterError for a file that cannot be read or is not an ONNX model.
    """
    if isinstance(source, onnx.ModelProto):
        return source, source.graph.name or "model", None
    if isinstance(source, (bytes, bytearray, memoryview)):
        raw, name, folder = bytes(source), "ONNX bytes", None
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        name, folder = path.name, path.parent
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise ImporterError(f"{path}: cannot be read: {error.strerror or error}") from None
    else:
        raise ImporterError(f"an ONNX model must be a path, bytes or an onnx.ModelProto, got {type(source).__name__}")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except DecodeError:
        raise ImporterError(f"{name}: not an ONNX model, or a damaged one") from None
    _check_text(model, name)
    if not model.HasField("graph") or not model.opset_import:
        raise ImporterError(f"{name}: not an ONNX model: it has no {'opset' if model.HasField('graph') else 'graph'}")
    return model, name, folder


def _check_text(message: Any, where: str) -> None:
    """Raises ImporterError if text in the message is not UTF-8; protobuf hands such text out as bytes."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in [value] if hasattr(value, "ListFields") else value:
                _check_text(inner, where)
        elif field.type == field.TYPE_STRING and any(isinstance(text, bytes) for text in [value, *value]):
            raise ImporterError(f"{where}: damaged: '{field.name}' is not UTF-8 text")


def dtype_of(element: int) -> DType:
    """The element type with ONNX's number `element`; float32 for bfloat16, which is its upper half.

    Raises Refused, with its name, for one we do not have.
    """
    if element == onnx.TensorProto.BFLOAT16:
        return DType.FLOAT32
    try:
        return DTYPES[element]
    except KeyError:
        raise Refused(element_name(element)) from None


def element_name(element: int) -> str:
    """ONNX's name of an element type: "bfloat16"."""
    known = onnx.TensorProto.DataType
    return str(known.Name(element)).lower() if element in known.values() else f"element type {element}"


def read_tensor(tensor: Any, folder: Path | None, where: str) -> Array:
    """The contents of a TensorProto.

    Raises Refused for an element type that edge-rt does not have and ImporterError for a damaged tensor.
    """
    dtype = dtype_of(tensor.data_type)
    shape = tuple(tensor.dims)
    if any(d < 0 for d in shape):
        raise ImporterError(f"{where}: sizes must not be negative, got {list(shape)}")
    if tensor.HasField("segment"):
        raise ImporterError(f"{where}: is stored in segments")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _external(tensor, dtype, shape, folder, where)
    try:
        array = numpy_helper.to_array(tensor)
        if tensor.data_type == onnx.TensorProto.BFLOAT16:
            array = array.astype(np.float32)
    except (ValueError, TypeError) as error:
        raise ImporterError(f"{where}: damaged tensor {dtype.value}{list(shape)}: {error}") from None
    if array.shape != shape or array.dtype != dtype.numpy:
        raise ImporterError(
            f"{where}: damaged tensor: expected {dtype.value}{list(shape)}, got {array.dtype}{list(array.shape)}"
        )
    return array


def _external(tensor: Any, dtype: DType, shape: tuple[int, ...], folder: Path | None, where: str) -> Array:
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise ImporterError(f"{where}: is stored in '{location}' beside the model; import it from its path")
    root = folder.resolve()
    path = (root / location).resolve()
    if not location or not path.is_relative_to(root) or path == root:
        raise ImporterError(f"{where}: external data must lie below the model's folder, got '{location}'")
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", "-1"))
    except ValueError:
        raise ImporterError(f"{where}: offset and length of external data must be numbers") from None
    is_half = tensor.data_type == onnx.TensorProto.BFLOAT16
    stored = np.dtype(np.uint16) if is_half else dtype.numpy
    need = math.prod(shape) * stored.itemsize
    if offset < 0 or length not in (-1, need):
        raise ImporterError(f"{where}: {dtype.value}{list(shape)} needs {need} bytes, got {length} from byte {offset}")
    try:
        if offset + need > path.stat().st_size:
            raise ImporterError(f"{where}: '{location}' ends before byte {offset + need}")
        data = np.fromfile(path, stored.newbyteorder("<"), math.prod(shape), offset=offset)
    except OSError as error:
        raise ImporterError(f"{where}: '{location}' cannot be read: {error.strerror or error}") from None
    if is_half:
        data = (data.astype(np.uint32) << 16).view(np.float32)
    return data.astype(dtype.numpy, copy=False).reshape(shape)


def has_bfloat16(graph: Any) -> bool:
    """Whether a GraphProto has weights, inputs or outputs of bfloat16, or casts to it, also in the graphs inside."""
    number = onnx.TensorProto.BFLOAT16
    if any(t.data_type == number for t in graph.initializer):
        return True
    if any(v.type.tensor_type.elem_type == number for v in (*graph.input, *graph.output)):
        return True
    return any(
        (a.name == "to" and a.i == number) or (a.HasField("g") and has_bfloat16(a.g)) or a.t.data_type == number
        for node in graph.node
        for a in node.attribute
    )


def read_sparse(sparse: Any, folder: Path | None, where: str) -> Array:
    """The contents of a SparseTensorProto, dense. Raises like read_tensor."""
    values = read_tensor(sparse.values, folder, where)
    indices = read_tensor(sparse.indices, folder, where)
    shape = tuple(sparse.dims)
    size = math.prod(shape)
    if any(d < 0 for d in shape) or size > MAX_DENSE:
        raise ImporterError(f"{where}: a sparse tensor of shape {list(shape)} cannot be made dense")
    forms = ((values.size,), (values.size, len(shape)))
    if indices.dtype != np.int64 or values.ndim != 1 or indices.shape not in forms:
        raise ImporterError(f"{where}: damaged sparse tensor: {len(values)} values, indices {list(indices.shape)}")
    dense = np.zeros(size, values.dtype)
    try:
        flat = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), shape)
        if flat.size and (flat.min() < 0 or flat.max() >= size):
            raise ValueError
    except (ValueError, IndexError):
        raise ImporterError(f"{where}: damaged sparse tensor: an index lies outside of {list(shape)}") from None
    dense[flat] = values
    return dense.reshape(shape)


def read_attribute(attribute: Any, folder: Path | None, where: str) -> Any:
    """The value of an AttributeProto: int, float, str, tuples of these, an array, or a GraphProto.

    Raises Refused for kinds that edge-rt does not have (types, sequences of tensors or graphs).
    """
    kinds = onnx.AttributeProto
    place = f"{where}, attribute '{attribute.name}'"
    match attribute.type:
        case kinds.INT:
            return int(attribute.i)
        case kinds.FLOAT:
            return float(attribute.f)
        case kinds.STRING:
            return _text(attribute.s, place)
        case kinds.INTS:
            return tuple(attribute.ints)
        case kinds.FLOATS:
            return tuple(attribute.floats)
        case kinds.STRINGS:
            return tuple(_text(s, place) for s in attribute.strings)
        case kinds.TENSOR:
            return read_tensor(attribute.t, folder, place)
        case kinds.SPARSE_TENSOR:
            return read_sparse(attribute.sparse_tensor, folder, place)
        case kinds.GRAPH:
            return attribute.g
        case other:
            name = kinds.AttributeType.Name(other) if other in kinds.AttributeType.values() else str(other)
            raise Refused(f"attribute '{attribute.name}' of kind {name.lower()}")


def _text(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ImporterError(f"{place}: is not UTF-8 text") from None


def read_type(info: Any, sizes: Mapping[str, int], fixed: tuple[Dim, ...] | None = None) -> TensorType:
    """The type of a ValueInfoProto. Its rank is unknown where no shape stands there.

    sizes: numbers for named sizes; fixed: a shape that replaces the declared one. Unnamed sizes become symbols
    "<input>.<axis>". Raises Refused, with the kind's name, for anything but a tensor.
    """
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        raise Refused((kind or "untyped value").removesuffix("_type"))
    tensor = info.type.tensor_type
    dtype = dtype_of(tensor.elem_type)
    if fixed is not None:
        return TensorType(dtype, fixed)
    if not tensor.HasField("shape"):
        return TensorType(dtype, None)
    return TensorType(dtype, [_dim(d, f"{info.name}.{axis}", sizes) for axis, d in enumerate(tensor.shape.dim)])


def _dim(dim: Any, unnamed: str, sizes: Mapping[str, int]) -> Dim:
    if dim.WhichOneof("value") == "dim_value" and dim.dim_value >= 0:
        return int(dim.dim_value)
    name = dim_name(dim)
    if not name:
        return symbol(unnamed)
    return sizes[name] if name in sizes else symbol(name)


def dim_name(dim: Any) -> str:
    """The name of a symbolic size, "" if it has none that tells it from others."""
    name = dim.dim_param if dim.WhichOneof("value") == "dim_param" else ""
    return "" if name.lower() in UNNAMED else name
