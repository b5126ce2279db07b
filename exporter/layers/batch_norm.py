"""BatchNormalization."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array, math, nn
from exporter.layers.norms import Scaled
from exporter.layers.spec import InputSpec


class BatchNormalization(Scaled):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, each of them [size of `axis`].

    In training mean and variance are those of the batch, and the moving ones follow them with `momentum`; else, and where
    the layer is frozen, they are the moving ones.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center, scale, beta_initializer, gamma_initializer,
            beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        if renorm or synchronized:
            raise AuthoringError("BatchNormalization: renorm and synchronized change training only, and are not supported")
        self.axis, self.momentum, self.epsilon = int(axis), float(momentum), float(epsilon)
        self.moving_mean_initializer, self.moving_variance_initializer = moving_mean_initializer, moving_variance_initializer

    def build(self, input_shape: Any) -> None:
        size = input_shape[self.axis]
        self._add_scale((size,))
        self.moving_mean = self.add_weight((size,), self.moving_mean_initializer, name="moving_mean", trainable=False)
        self.moving_variance = self.add_weight(
            (size,), self.moving_variance_initializer, name="moving_variance", trainable=False
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        mean, variance = self.moving_mean, self.moving_variance
        if training and self.trainable:
            mean, variance = self._moments(inputs, mask)
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(math.add(moving * self.momentum, now * (1 - self.momentum)))
        factor = math.rsqrt(math.add(variance, self.epsilon))
        if self.gamma is not None:
            factor = math.multiply(factor, self.gamma)
        shift = math.negative(math.multiply(mean, factor))
        if self.beta is not None:
            shift = math.add(shift, self.beta)
        rank = len(inputs.shape)
        if self.axis % rank != rank - 1:
            line = [1] * rank
            line[self.axis] = -1
            factor, shift = array.reshape(factor, line), array.reshape(shift, line)
        return math.add(math.multiply(inputs, factor), shift)

    def _moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance of the batch over all axes but one, without what is masked."""
        rank = len(x.shape)
        axes = [a for a in range(rank) if a != self.axis % rank]
        if mask is None:
            return nn.moments(x, axes)
        kept = math.multiply(array.ones_like(x), math.cast(array.expand_dims(mask, -1), x.dtype))
        count = math.add(math.reduce_sum(kept, axes, keepdims=True), 1e-7)
        mean = math.divide(math.reduce_sum(math.multiply(x, kept), axes, keepdims=True), count)
        spread = math.multiply(math.square(math.subtract(x, mean)), kept)
        variance = math.divide(math.reduce_sum(spread, axes, keepdims=True), count)
        return array.reshape(mean, [-1]), array.reshape(variance, [-1])

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise AuthoringError(f"layer '{self.name}': axis {self.axis} must be one of {input_shape}")
        return input_shape
