"""Whatever an operator is called with, it answers, or raises an EdgeError: bundles that nobody trusts call them."""

from __future__ import annotations

from typing import Any

import pytest

from edge_rt import ops
from edge_rt.errors import InferenceError
from tests.random_ops import failures

CALLS = 12


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("part", range(4))
def test_random_calls_of_every_operator(part: int) -> None:
    assert failures(ops.names()[part::4], CALLS, seed=1) == {}


@pytest.mark.parametrize("op", ["Concat", "Sum", "Max", "Min", "Mean", "edge.Elementwise"])
def test_operators_of_many_inputs_need_one(op: str) -> None:
    spec = ops.get(op)
    given: dict[str, Any] = {"Concat": {"axis": 0}, "edge.Elementwise": {"program": ("Relu 0",)}}
    attrs = spec.attrs(**given.get(op, {}))
    with pytest.raises(InferenceError, match=r"at least 1 input|is required"):
        spec.infer(attrs, [], [], "x")
    with pytest.raises(InferenceError, match="is required"):
        spec.infer(attrs, [None], [None], "x")
