"""Graphs of quantised models for pass tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_rt.graph import Graph, Value
from edge_rt.interpreter import evaluate
from edge_rt.types import DType
from tests.cases._case import integers, normal
from tests.passes._support import Net, assert_close


class QNet(Net):
    """A graph with short ways to say DequantizeLinear and QuantizeLinear."""

    def bytes(self, *shape: int | str, dtype: DType = DType.UINT8) -> Value:
        return self.x(*shape, name=f"x{len(self.inputs)}", dtype=dtype)

    def stored(self, *shape: int, dtype: Any = np.int8) -> Value:
        """A constant of random bytes."""
        self.seed += 1
        low = -127 if dtype == np.int8 else 0
        return self.constant(integers(*shape, low=low, high=low + 255, dtype=dtype, seed=self.seed), f"w{self.seed}")

    def real(self, q: Value, scale: Any = 0.02, zero: Any = None, axis: int = 1) -> Value:
        """DequantizeLinear with constants."""
        made: Value = self.add("DequantizeLinear", q, *self._factors(q.type.dtype, scale, zero), axis=axis)
        return made

    def whole(self, x: Value, scale: float = 0.05, zero: int | None = None, dtype: DType = DType.UINT8) -> Value:
        """QuantizeLinear with constants."""
        made: Value = self.add("QuantizeLinear", x, *self._factors(dtype, scale, zero))
        return made

    def _factors(self, dtype: DType, scale: Any, zero: Any) -> list[Value]:
        factor = np.asarray(scale, np.float32)
        if zero is None:
            zero = np.full(factor.shape, {DType.UINT8: 128, DType.INT8: 3}.get(dtype, 0))
        return [self.constant(factor), self.constant(np.asarray(zero, dtype.numpy))]

    def scales(self, n: int) -> Any:
        self.seed += 1
        return (0.01 + 0.005 * np.abs(normal(n, seed=self.seed))).astype(np.float32)


def arrays(graph: Graph, **sizes: int) -> list[Any]:
    """Contents for the inputs that use the whole range of bytes."""
    made = []
    for i, v in enumerate(graph.inputs):
        assert v.type.shape is not None
        shape = [d if isinstance(d, int) else sizes.get(str(d), 3) for d in v.type.shape]
        if v.type.dtype.is_float:
            made.append(normal(*shape, seed=50 + i))
        else:
            low = -128 if v.type.dtype is DType.INT8 else 0
            made.append(integers(*shape, low=low, high=low + 256, dtype=v.type.dtype.numpy, seed=50 + i))
    return made


def fires_within(steps: int, run: Callable[[Graph], int], graph: Graph, times: int = 1, **sizes: int) -> None:
    """Asserts that the pass changes the graph so often, and integers by at most so many steps."""
    inputs = arrays(graph, **sizes)
    graph.verify()
    expected = evaluate(graph, inputs)
    assert run(graph) == times
    graph.retype()
    graph.verify()
    for got, want in zip(evaluate(graph, inputs), expected, strict=True):
        if want.dtype.kind == "f":
            assert_close(got, want)
        else:
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            assert len(np.unique(want)) > min(want.size, 3) - 1, "a test with few different results shows nothing"
            assert np.abs(got.astype(int) - want.astype(int)).max() <= steps
