"""Every case of the op test table on every runtime, within the operator's accuracy."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.lowering._families import FAMILIES as LOWERED
from edge_rt.lowering._spec import RULES
from edge_rt.ops._families import FAMILIES
from tests.cases import all_cases
from tests.cases._case import Case
from tests.runtimes import RUNTIMES, Runtime, native_runner

CASES = all_cases()


def expected(case: Case) -> list[np.ndarray[Any, Any]]:
    """The reference in float64 where inputs are float32: more accurate than what is tested."""
    spec = ops.get(case.op)
    record = spec.attrs(**case.attributes)
    plain = spec.evaluate(record, *case.inputs)
    if not any(x is not None and x.dtype == np.float32 for x in case.inputs) or spec.accuracy.exact:
        return [p for p in plain if p is not None]
    wide = [x.astype(np.float64) if x is not None and x.dtype == np.float32 else x for x in case.inputs]
    precise = spec.evaluate(record, *wide)
    return [w.astype(p.dtype) for w, p in zip(precise, plain) if w is not None and p is not None]


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda r: r.__name__)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_op(case: Case, runtime: Runtime) -> None:
    made = runtime(case)
    wanted = expected(case)
    assert len(made) == len(wanted)
    for i, (got, want) in enumerate(zip(made, wanted)):
        ops.get(case.op).accuracy.check(got, want, f"{case.name}: output {i}")


@pytest.mark.parametrize("case", [c for c in CASES if c.native], ids=repr)
def test_a_kernel_covers_it(case: Case) -> None:
    runner, arrays = native_runner(case, 1)
    runner.run(arrays)
    binding = runner.instance_for(arrays)[0].binding
    assert [s.item.op.name for s in binding.steps if not s.is_native] == []


FAMILIES_OF_RECORDS = """
import json, sys
from importlib import import_module
from edge_rt.ops import _spec
from edge_rt.ops._families import FAMILIES
found, define = {}, _spec.define
def noted(name, *args, **kwargs):
    frame = sys._getframe(1)
    found.setdefault(frame.f_globals["__name__"].rpartition(".")[2], []).append(name)
    return define(name, *args, **kwargs)
_spec.define = noted
for module in FAMILIES:
    import_module(f"edge_rt.ops.{module}")
print(json.dumps(found))
"""


def test_each_family_defines_what_the_table_says() -> None:
    out = subprocess.run([sys.executable, "-c", FAMILIES_OF_RECORDS], capture_output=True, text=True, check=True).stdout
    found = {module: sorted(names) for module, names in json.loads(out).items()}
    assert found == {module: sorted(names.split()) for module, names in FAMILIES.items()}
    assert sorted(name for names in found.values() for name in names) == ops.names()


def test_each_lowering_family_registers_what_the_table_says() -> None:
    import importlib

    for module, names in LOWERED.items():
        loaded = importlib.import_module(f"edge_rt.lowering.{module}")
        mine = sorted(op for op, rule in RULES.items() if rule.__module__ == loaded.__name__)
        assert mine == sorted(names.split())
    assert {op for names in LOWERED.values() for op in names.split()} <= set(ops.names())
