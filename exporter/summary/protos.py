"""The messages of event files, from the `tensorboard` package, which is imported when the first one is needed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from edge_rt.types import DType, TensorType

Array = np.ndarray[Any, Any]

_TF_NAMES = {DType.FLOAT16: "HALF", DType.FLOAT32: "FLOAT", DType.FLOAT64: "DOUBLE"}


def proto(name: str) -> ModuleType:
    """The module tensorboard.compat.proto.<name>_pb2. Raises AuthoringError where tensorboard is not installed."""
    return _module(f"tensorboard.compat.proto.{name}_pb2")


def record_writer(file: Any) -> Any:
    """What frames messages as records: length, data, and a masked CRC-32C of each."""
    return _module("tensorboard.summary.writer.record_writer").RecordWriter(file)


def data_type(dtype: DType) -> int:
    """The number of an element type in messages."""
    number: int = proto("types").DataType.Value("DT_" + _TF_NAMES.get(dtype, dtype.value.upper()))
    return number


def shape(type_: TensorType) -> Any:
    """A TensorShapeProto; sizes that only a call tells are -1."""
    shapes = proto("tensor_shape")
    if type_.shape is None:
        return shapes.TensorShapeProto(unknown_rank=True)
    return _shape([d if isinstance(d, int) else -1 for d in type_.shape])


def tensor(array: Array) -> Any:
    """A TensorProto of numbers."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    dtype = data_type(DType.of(array))
    return proto("tensor").TensorProto(dtype=dtype, tensor_shape=_shape(array.shape), tensor_content=little.tobytes())


def strings(values: list[bytes], sizes: tuple[int, ...]) -> Any:
    """A TensorProto of byte strings."""
    return proto("tensor").TensorProto(
        dtype=proto("types").DataType.Value("DT_STRING"), tensor_shape=_shape(sizes), string_val=values
    )


def _shape(sizes: Any) -> Any:
    made = proto("tensor_shape").TensorShapeProto
    return made(dim=[made.Dim(size=int(d)) for d in sizes])


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "tensorboard":
            raise
        raise AuthoringError(
            "ex.summary needs the package tensorboard: pip install 'edge-rt[tensorboard]' (or pip install tensorboard)"
        ) from None
