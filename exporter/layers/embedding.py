"""Embedding: rows of a table by number."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array, math
from exporter.layers.base import Layer


class Embedding(Layer):
    """x (integers in [0, input_dim)) [...] -> [..., output_dim]: rows of the weight embeddings [input_dim, output_dim].

    mask_zero: 0 stands for padding; the output gets a mask that says so. weights: initial contents. Numbers out of range
    are a DataError.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, size in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
                raise AuthoringError(f"Embedding: {name} must be a positive number, got {size!r}")
        self.input_dim, self.output_dim, self.mask_zero = input_dim, output_dim, mask_zero
        self.embeddings_initializer, self.embeddings_regularizer = embeddings_initializer, embeddings_regularizer
        self.embeddings_constraint = embeddings_constraint
        self.supports_masking, self.autocast = mask_zero, False
        if weights is not None:
            self.build((None,))
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    @property
    def input_dtype(self) -> str:
        return "int32"

    def build(self, input_shape: Any) -> None:
        self.embeddings = self._declared_weight("embeddings", (self.input_dim, self.output_dim))

    def call(self, inputs: Any) -> Any:
        places = inputs if inputs.dtype.name in ("int32", "int64") else math.cast(inputs, "int32")
        return array.gather(self.embeddings, places)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return math.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # The contents are in the weights.
        config["weights"] = None
        return config
