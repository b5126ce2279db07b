"""Input: where a functional model begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.tensor import as_dtype
from exporter.layers.base import Layer
from exporter.layers.names import unique_name
from exporter.layers.symbolic import FunctionalTensor, Node, placeholder


class InputLayer(Layer):
    """The layer of an input; its `output` is the tensor to call layers on.

    shape: without the batch; batch_size: None for any; or both as batch_shape. None stands for sizes that only a call tells.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        batch_shape: Sequence[int | None] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or unique_name("InputLayer"), dtype=dtype)
        if (shape is None) == (batch_shape is None):
            raise AuthoringError(f"Input '{self.name}': give either shape or batch_shape")
        if shape is not None and isinstance(shape, int):
            raise AuthoringError(f"Input '{self.name}': shape must be a tuple, got {shape!r}")
        sizes = tuple(batch_shape) if batch_shape is not None else (batch_size, *(shape or ()))
        self.batch_shape = tuple(None if size is None else int(size) for size in sizes)
        self.built = True
        self.place = Node(self, (), {})
        typed = placeholder(self.batch_shape, self.dtype, self.name)
        self.place.outputs = [FunctionalTensor(typed.type, self.name, self.place)]
        self.place.structure = self.place.outputs[0]
        self._inbound_nodes.append(self.place)

    def call(self) -> Any:
        raise AuthoringError(f"the input '{self.name}' cannot be called")

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": list(self.batch_shape), "dtype": self.dtype, "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        known = ("batch_shape", "dtype", "name")
        return super().from_config({name: x for name, x in config.items() if name in known})


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
) -> FunctionalTensor:
    """A tensor to call layers on: the input of a model.

    shape: without the batch; None for sizes that only a call tells. batch_size: None for any. batch_shape: both together.
    dtype: float32 by default. name: of the input in the exported model.
    """
    kind = "float32" if dtype is None else as_dtype(dtype).value
    made: FunctionalTensor = InputLayer(shape, batch_size, kind, batch_shape, name).output
    return made
