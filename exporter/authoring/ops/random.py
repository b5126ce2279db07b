"""Random tensors. Eager ones follow `seed`; while a function is traced an operator is recorded, which draws in each call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.graph import Node
from edge_rt.types import DType
from exporter.authoring import scope as scopes
from exporter.authoring.dispatch import apply, constant, convert
from exporter.authoring.ops import math
from exporter.authoring.tensor import Operand, SymbolicTensor, Tensor, as_dtype

_generator = np.random.default_rng()


def seed(value: int) -> None:
    """Makes the eager draws from now on the same as after any other call with this number."""
    global _generator
    _generator = np.random.default_rng(value)


set_seed = seed


def generator() -> np.random.Generator:
    """What eager draws come from."""
    return _generator


def normal(shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> Tensor:
    """Normally distributed numbers. shape: numbers, since operators that draw have them as attribute."""
    if scopes.current() is not None:
        return _drawn("RandomNormal", shape, dtype, mean=mean, scale=stddev)
    return _wrapped(_generator.normal(mean, stddev, _numbers(shape)), dtype)


def uniform(shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = "float32") -> Tensor:
    """Numbers in [minval, maxval), each as likely as any other. Integers only eagerly."""
    if scopes.current() is not None:
        return _drawn("RandomUniform", shape, dtype, low=minval, high=maxval)
    if as_dtype(dtype).is_integer:
        return _wrapped(_generator.integers(int(minval), int(maxval), _numbers(shape)), dtype)
    return _wrapped(_generator.uniform(minval, maxval, _numbers(shape)), dtype)


def truncated_normal(shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> Tensor:
    """Normally distributed numbers, those beyond two standard deviations drawn anew. Eager, also while tracing."""
    drawn = _generator.normal(size=_numbers(shape))
    while (beyond := np.abs(drawn) > 2).any():
        drawn[beyond] = _generator.normal(size=int(beyond.sum()))
    return _wrapped(drawn * stddev + mean, dtype)


def uniform_like(x: Any) -> Tensor:
    """Numbers in [0, 1) of the shape and dtype of x."""
    x = convert(x)
    if scopes.current() is not None or isinstance(x, SymbolicTensor):
        result: Tensor = apply("RandomUniformLike", x)
        return result
    return _wrapped(_generator.uniform(size=x.shape), x.dtype)


def shuffle(x: Any) -> Tensor:
    """The slices along the first axis in a random order. Eager only."""
    return constant(_generator.permutation(convert(x).numpy()))


def seeded(node: Node) -> Node:
    """A node that draws, with a seed from the eager generator if it has none of its own; other nodes themselves."""
    if "seed" not in node.attrs.fields or node.attrs.seed is not None:
        return node
    drawn = float(_generator.integers(1 << 31))
    attrs = node.attrs.replace(seed=int(drawn) if node.op.name == "Dropout" else drawn)
    copy = Node(node.op, attrs, node.inputs, node.name)
    copy.outputs = node.outputs
    return copy


def _drawn(op: str, shape: Sequence[int], dtype: Any, **attributes: Any) -> Tensor:
    wanted = as_dtype(dtype)
    drawn_as = wanted if wanted.is_float else DType.FLOAT32
    made: Tensor = apply(op, shape=_numbers(shape), dtype=drawn_as, **attributes)
    return made if drawn_as is wanted else math.cast(math.floor(made), wanted)


def _numbers(shape: Any) -> list[int]:
    if isinstance(shape, Operand):
        shape = shape.numpy().tolist()
    return [int(s) for s in ([shape] if isinstance(shape, int) else shape)]


def _wrapped(array: Any, dtype: Any) -> Tensor:
    return constant(np.asarray(array).astype(as_dtype(dtype).numpy))
