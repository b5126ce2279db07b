"""Runs the kernels that each case lowers to, by themselves, in several numbers of parts, against the reference."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.lowering._errors import NO_ERROR
from edge_rt.lowering._spec import Alias, BoundNode
from edge_rt.lowering.rules import lower
from edge_rt.types import TensorType
from tests._kernel_runs import run_calls
from tests.cases._case import Case

FAMILIES = ("elementwise", "integer", "copy", "reduce", "index", "normalize", "recurrent", "attention", "trees", "int8")
ALL = [case for family in FAMILIES for case in import_module(f"tests.cases.{family}").CASES]


def small(x: np.ndarray | None) -> bool:
    return x is not None and x.size <= 64 and x.dtype.kind in "biuf"


@pytest.mark.parametrize("case", ALL, ids=repr)
def test_kernels_of_case(case: Case) -> None:
    spec = ops.get(case.op)
    attrs = spec.attrs(**case.attributes)
    with np.errstate(all="ignore"):
        expected = [e for e in spec.evaluate(attrs, *case.inputs) if e is not None]
    node = BoundNode(
        spec,
        attrs,
        [None if x is None else TensorType.of(x) for x in case.inputs],
        [TensorType.of(e) for e in expected],
        [x if small(x) else None for x in case.inputs],
        [True] * len(expected),
    )
    calls = lower(node)
    assert calls is not None or not case.native, "no kernel covers this case"
    if calls is None:
        return
    if isinstance(calls, Alias):
        source = case.inputs[calls.index]
        assert source is not None
        assert source.tobytes() == expected[0].tobytes()
        return
    first: list[bytes] = []
    for parts in (None, 1, 3):
        outputs = [np.full(e.shape, 99, e.dtype) for e in expected]
        inputs = [None if x is None else np.ascontiguousarray(x) for x in case.inputs]
        assert run_calls(calls, inputs, outputs, parts) == NO_ERROR
        for i, (got, exact) in enumerate(zip(outputs, expected)):
            spec.accuracy.check(got, exact, f"output {i} in {parts or 'own'} parts")
        bits = [x.tobytes() for x in outputs]
        first = first or bits
        assert bits == first, "the number of parts changes the result"
