"""The node tests that the `onnx` package generates, reduced to plain tensor tests."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

Array = np.ndarray[Any, Any]

PLAIN, EXPANDED = 1199, 417
"""How many tests `all_cases` gives with onnx 1.23: of single operators, and of their function bodies."""

ELEMENT_TYPES = frozenset({
    TensorProto.BOOL, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8,
    TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64, TensorProto.FLOAT16, TensorProto.FLOAT,
    TensorProto.DOUBLE,
})  # fmt: skip


class NodeCase(NamedTuple):
    """A model with sets of inputs and expected outputs."""

    name: str
    model: onnx.ModelProto
    data_sets: tuple[tuple[tuple[Array, ...], tuple[Array, ...]], ...]
    rtol: float
    atol: float

    @property
    def is_expanded(self) -> bool:
        """Whether the model is an operator's function body rather than the operator."""
        return "_expanded" in self.name

    @property
    def is_random(self) -> bool:
        """Whether the expected outputs are one outcome of many."""
        return self.name.startswith("test_bernoulli")

    @property
    def op(self) -> str:
        """The operator that a test of a single one is about."""
        return str(self.model.graph.node[-1].op_type)


def _is_plain(model: onnx.ModelProto) -> bool:
    """Whether inputs and outputs are tensors of types that edge-rt has, and all operators are ONNX's."""
    for info in [*model.graph.input, *model.graph.output]:
        if info.type.WhichOneof("value") != "tensor_type" or info.type.tensor_type.elem_type not in ELEMENT_TYPES:
            return False
    return all(node.domain in ("", "ai.onnx") for node in model.graph.node)


def _arrays(values: Any) -> Iterator[Array]:
    for value in values:
        yield numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


@functools.lru_cache(maxsize=1)
def all_cases() -> tuple[NodeCase, ...]:
    """All plain tensor tests, in ONNX's order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        collected = collect_testcases(None)
    return tuple(
        NodeCase(
            case.name,
            case.model,
            tuple((tuple(_arrays(inputs)), tuple(_arrays(outputs))) for inputs, outputs in case.data_sets),
            case.rtol,
            case.atol,
        )
        for case in collected
        if case.model is not None and _is_plain(case.model)
    )
