"""Lambda: a Python function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.layers.base import Layer


class Lambda(Layer):
    """function(inputs, **arguments), also given `training` and `mask` if it takes them.

    output_shape: of the output without the batch, or a function of the input's shape; found by tracing if it is not given.
    mask: of the output, or a function of inputs and mask. A model with such a layer can be saved only if the function is
    registered (ex.register_serializable): code is no data.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise AuthoringError(f"Lambda: function must be a function, got {function!r}")
        self.function, self.output_shape, self.mask = function, output_shape, mask
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        self._parameters = inspect.signature(function).parameters

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        own = {"mask": mask, "training": training}
        taken = {name: x for name, x in own.items() if name in self._parameters}
        return self.function(inputs, **self.arguments, **taken)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self.output_shape):
            return tuple(self.output_shape(input_shape))
        return (input_shape[0], *self.output_shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask
