"""Attention and AdditiveAttention: a mean of values, weighted by how queries and keys go together."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array, math, nn
from exporter.layers.base import Layer

HIDDEN = 1e9
"""What is taken off the score of a key that a query must not see."""


class Attention(Layer):
    """[query [batch, Tq, dim], value [batch, Tv, dim], key [batch, Tv, dim]: value by default] -> [batch, Tq, dim].

    score_mode: "dot", or "concat": sum(tanh(query + key)) with weights. use_scale: a weight that scales scores. dropout:
    share of the weights of the mean that training sets to zero. mask: [query mask, value mask], boolean [batch, T].
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise AuthoringError(f"Attention '{self.name}': score_mode must be dot or concat, got {score_mode!r}")
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, dropout, seed
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check_inputs(input_shape)
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        is_concat = self.score_mode == "concat"
        self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight") if is_concat else None

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(inputs, list) or len(inputs) not in (2, 3):
            raise AuthoringError(f"layer '{self.name}': expected a list [query, value] or [query, value, key], got {inputs}")

    def _scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = math.matmul(query, key, transpose_b=True)
            return scores if self.scale is None else math.multiply(scores, self.scale)
        both = math.add(array.expand_dims(query, -2), array.expand_dims(key, -3))
        both = both if self.scale is None else math.multiply(both, self.scale)
        return math.multiply(math.reduce_sum(math.tanh(both), -1), self.concat_score_weight)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check_inputs(inputs)
        query, value = inputs[:2]
        query_mask, value_mask = (mask[0], mask[1]) if mask else (None, None)
        scores = self._scores(query, inputs[2] if len(inputs) > 2 else value)
        seen = None if value_mask is None else array.expand_dims(value_mask, -2)
        if use_causal_mask:
            causal = causal_mask(query, value)
            seen = causal if seen is None else math.logical_and(seen, causal)
        if seen is not None:
            scores = array.where(seen, scores, math.subtract(scores, HIDDEN))
        weights = nn.softmax(scores)
        if training and self.dropout > 0:
            weights = nn.dropout(weights, self.dropout)
        made = math.matmul(weights, value)
        if query_mask is not None:
            made = array.where(array.expand_dims(query_mask, -1), made, 0.0)
        return (made, weights) if return_attention_scores else made

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None if previous_mask is None else previous_mask[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], input_shape[1][-1])


class AdditiveAttention(Attention):
    """As Attention, with scores sum(scale * tanh(query + key)); scale [dim] is a weight where use_scale."""

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(use_scale, "dot", dropout, seed, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check_inputs(input_shape)
        size = input_shape[0][-1]
        self.scale = self.add_weight((size,), "glorot_uniform", name="scale") if self.use_scale else None

    def _scores(self, query: Any, key: Any) -> Any:
        both = math.tanh(math.add(array.expand_dims(query, -2), array.expand_dims(key, -3)))
        return math.reduce_sum(both if self.scale is None else math.multiply(both, self.scale), -1)


def causal_mask(query: Any, value: Any) -> Any:
    """bool[1, Tq, Tv]: whether a value is not after a query. The lengths are those of axis 1."""
    rows, columns = places(query, value)
    return math.greater_equal(rows, columns)


def places(query: Any, value: Any) -> tuple[Any, Any]:
    """(int64[1, Tq, 1], int64[1, 1, Tv]): numbers of queries and of values."""
    rows, columns = (array.range(array.shape(x)[1]) for x in (query, value))
    return array.reshape(rows, [1, -1, 1]), array.reshape(columns, [1, 1, -1])
