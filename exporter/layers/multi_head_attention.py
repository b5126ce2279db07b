"""MultiHeadAttention: several attentions side by side, between projections."""

from __future__ import annotations

import math as scalar_math
from collections.abc import Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter import activations
from exporter.authoring.dispatch import apply
from exporter.authoring.ops import array, math, nn
from exporter.layers.attention import causal_mask, places
from exporter.layers.base import Layer

HIDDEN = -1e30
"""What is added to the score of a key that a query must not see: a query that sees none gets the mean of all values."""


class Projection(Layer):
    """x [..., *inputs] -> activation(x @ kernel + bias) [..., *outputs]; kernel [*inputs, *outputs], bias [*outputs].

    inputs: the number of axes that are multiplied; outputs: their sizes behind.
    """

    def __init__(self, inputs: int, outputs: Sequence[int], given: dict[str, Any], activation: Any = None, **kwargs: Any):
        super().__init__(activity_regularizer=given["activity_regularizer"], **kwargs)
        self.inputs, self.outputs, self.given = inputs, tuple(outputs), given
        self.activation = activations.get(activation)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        given, shape = self.given, (*input_shape[len(input_shape) - self.inputs :], *self.outputs)
        self.kernel = self.add_weight(
            shape, given["kernel_initializer"], name="kernel",
            regularizer=given["kernel_regularizer"], constraint=given["kernel_constraint"],
        )  # fmt: skip
        self.bias = None
        if given["use_bias"]:
            self.bias = self.add_weight(
                self.outputs, given["bias_initializer"], name="bias",
                regularizer=given["bias_regularizer"], constraint=given["bias_constraint"],
            )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        """Takes and gives the multiplied axes as one: [..., product of inputs] -> [..., product of outputs]."""
        columns = scalar_math.prod(self.outputs)
        x = math.matmul(inputs, array.reshape(self.kernel, (-1, columns)))
        return self.activation(x if self.bias is None else math.add(x, array.reshape(self.bias, (columns,))))


class MultiHeadAttention(Layer):
    """query [batch, T, dim], value [batch, S, dim], key (value by default) -> [batch, T, dim].

    num_heads attentions over projections to key_dim and value_dim (key_dim by default); output_shape: sizes of the result's
    last axes, dim by default. attention_axes: with several axes between batch and dim these must be all of them, in order.
    sliding_window: a query sees only keys less than this far away. use_gate: heads are multiplied with a sigmoid of a
    projection of the query. dropout: share of the weights that training sets to zero. flash_attention: of no effect.

    attention_mask: boolean [batch, T, S]; query_mask, value_mask, key_mask: those that come with the inputs.
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self._given = {name: x for name, x in locals().items() if name in _SHARED}
        super().__init__(**kwargs)
        for name, size in (("num_heads", num_heads), ("key_dim", key_dim), ("value_dim", value_dim or key_dim)):
            if not isinstance(size, int) or size <= 0:
                raise AuthoringError(f"MultiHeadAttention: {name} must be a positive number, got {size!r}")
        if sliding_window is not None and sliding_window <= 0:
            raise AuthoringError(f"MultiHeadAttention: sliding_window must be positive, got {sliding_window}")
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.dropout, self.use_bias, self.use_gate, self.seed = dropout, use_bias, use_gate, seed
        self._output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape and tuple(output_shape)
        self.attention_axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.sliding_window = sliding_window
        self.supports_masking = True

    def _constructor_arguments(self) -> dict[str, Any]:
        given = super()._constructor_arguments()
        given.pop("flash_attention")
        own = {"value_dim": self.value_dim, "output_shape": self._output_shape, "attention_axes": self.attention_axes}
        return {**given, **own}

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # type: ignore[override]
        key_shape = value_shape if key_shape is None else key_shape
        if value_shape[1:-1] != key_shape[1:-1]:
            raise AuthoringError(f"layer '{self.name}': value and key must be as long, got {value_shape} and {key_shape}")
        axes = tuple(range(1, len(query_shape) - 1))
        chosen = axes if self.attention_axes is None else tuple(a % len(query_shape) for a in self.attention_axes)
        if chosen != axes:
            raise AuthoringError(f"layer '{self.name}': attention_axes must be {axes} for {query_shape}, got {chosen}")
        self.attention_axes = axes
        heads, shape = self.num_heads, (*query_shape[:-1], self.num_heads, self.value_dim)

        def project(name: str, inputs: int, outputs: Sequence[int], of: Any, activation: Any = None) -> Projection:
            made = Projection(inputs, outputs, self._given, activation, name=name, dtype=self.dtype)
            made.build(of)
            return made

        self.query_dense = project("query", 1, (heads, self.key_dim), query_shape)
        self.key_dense = project("key", 1, (heads, self.key_dim), key_shape)
        self.gate_dense = None
        if self.use_gate:
            self.gate_dense = project("gate", 1, (heads, self.value_dim), query_shape, "sigmoid")
        self.value_dense = project("value", 1, (heads, self.value_dim), value_shape)
        outputs = self._output_shape or (query_shape[-1],)
        self.output_dense = project("attention_output", 2, outputs, shape)

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        free = [array.shape(query)[a] if size is None else size for a, size in enumerate(query.shape)][:-1]
        if query.ndim > 3:
            if attention_mask is not None or query_mask is not None or value_mask is not None or key_mask is not None:
                raise AuthoringError(f"layer '{self.name}': masks are only for inputs of 3 axes, got {query.shape}")
            query, value, key = (_flat(x) for x in (query, value, key))
        explicit = return_attention_scores or bool(training and self.dropout)
        masks = (query_mask, value_mask, key_mask, attention_mask)
        is_causal = use_causal_mask and not explicit and self.sliding_window is None and all(m is None for m in masks)
        bias = self._bias(query, value, *masks, use_causal_mask and not is_causal)
        gate = None if self.gate_dense is None else self.gate_dense(query)
        q, k, v = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        scale, weights = 1 / scalar_math.sqrt(self.key_dim), None
        if explicit:
            made, weights = self._explicit(q, k, v, bias, scale, training)
        else:
            heads = self.num_heads
            made, *_ = apply(
                "Attention", q, k, v, bias, scale=scale, is_causal=is_causal, q_num_heads=heads, kv_num_heads=heads
            )
        result = self.output_dense(made if gate is None else math.multiply(made, gate))
        outputs = self.output_dense.outputs
        if len(free) > 2 or len(outputs) > 1:
            result = array.reshape(result, [*free, *outputs])
        return (result, weights) if return_attention_scores else result

    def _bias(
        self, query: Any, value: Any, query_mask: Any, value_mask: Any, key_mask: Any, attention_mask: Any, causal: bool
    ) -> Any:
        """What is added to scores [batch, heads, T, S], None for nothing."""
        seen = []
        if query_mask is not None:
            seen.append(array.expand_dims(query_mask, -1))
        seen += [array.expand_dims(mask, -2) for mask in (value_mask, key_mask) if mask is not None]
        if causal:
            seen.append(causal_mask(query, value))
        window = self.sliding_window
        if window is not None:
            rows, columns = places(query, value)
            seen.append(math.less(math.abs(math.subtract(rows, columns)), window))
        if attention_mask is not None:
            seen.append(attention_mask)
        if not seen:
            return None
        whole = math.cast(seen[0], "bool")
        for mask in seen[1:]:
            whole = math.logical_and(whole, math.cast(mask, "bool"))
        if len(whole.shape or ()) < 4:
            whole = array.expand_dims(whole, -3)
        return array.where(whole, 0.0, HIDDEN)

    def _explicit(self, q: Any, k: Any, v: Any, bias: Any, scale: float, training: bool | None) -> tuple[Any, Any]:
        """(heads side by side, weights [batch, heads, T, S]): for those who look at the weights, and for dropout."""
        parts = []
        for x, size in ((q, self.key_dim), (k, self.key_dim), (v, self.value_dim)):
            split = array.reshape(x, [None, -1, self.num_heads, size])
            parts.append(array.transpose(split, (0, 2, 1, 3)))
        query, key, value = parts
        scores = math.matmul(math.multiply(query, scale), key, transpose_b=True)
        weights = nn.softmax(scores if bias is None else math.add(scores, bias))
        kept = nn.dropout(weights, self.dropout) if training and self.dropout else weights
        merged = array.transpose(math.matmul(kept, value), (0, 2, 1, 3))
        return array.reshape(merged, [None, -1, self.num_heads * self.value_dim]), weights

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return previous_mask

    def compute_output_shape(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> Any:
        return (*query_shape[:-1], *(self._output_shape or (query_shape[-1],)))


_SHARED = (
    "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
    "kernel_constraint", "bias_constraint",
)  # fmt: skip
"""Arguments that all projections share."""


def _flat(x: Any) -> Any:
    """[batch, *axes, dim] -> [batch, positions, dim]."""
    return array.reshape(x, [None, -1, x.shape[-1]])
