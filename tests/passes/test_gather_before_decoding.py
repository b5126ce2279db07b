from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.gather_before_decoding import gather_before_decoding
from tests.passes._support import Net, fires, ops, stays

ROWS, COLUMNS = 1024, 64


def table(g: Net, rows=ROWS):
    return g.constant(np.random.default_rng(0).integers(-128, 128, (rows, COLUMNS), dtype=np.int8), "table")


def decoded(g: Net, *scale: int):
    return g.add("Mul", g.add("Cast", table(g), to="float32"), g.w(*scale))


@pytest.mark.parametrize("scale", [(), (COLUMNS,), (1, COLUMNS), (ROWS, 1), (1, 1)])
@pytest.mark.parametrize("indices", [(), ("n",), (2, "n")])
def test_rows_are_looked_up_first(scale, indices):
    g = Net()
    i = g.x(*indices, name="i", dtype=DType.INT64)
    g.output(g.add("Gather", decoded(g, *scale), i), "y")
    fires(gather_before_decoding, g, times=2)
    assert set(ops(g)) == {"Gather", "Cast", "Mul"}
    assert any(n.op.name == "Gather" and n.inputs[0].is_constant and n.inputs[0].data.dtype == np.int8 for n in g.nodes)


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("indices", [(), ("n",), (2, "n")])
def test_dequantised_tables(axis, indices):
    g = Net()
    i = g.x(*indices, name="i", dtype=DType.INT64)
    scale = g.w(positive=True) if axis is None else g.w(COLUMNS, positive=True)
    y = g.add("DequantizeLinear", table(g), scale, **({} if axis is None else {"axis": axis}))
    g.output(g.add("Gather", y, i), "y")
    fires(gather_before_decoding, g, times=1)
    assert ops(g) == ["Gather", "DequantizeLinear"]


def test_stays():
    g = Net()
    i = g.x("n", name="i", dtype=DType.INT64)
    used = decoded(g)
    g.output(g.add("Gather", used, i), "a")
    g.output(g.add("ReduceSum", used), "b")
    g.output(g.add("Gather", g.add("Cast", table(g, rows=8), to="float32"), i), "small")
    g.output(g.add("Gather", decoded(g), i, axis=1), "columns")
    g.output(g.add("Gather", g.add("Mul", g.w(ROWS, COLUMNS), g.number(2)), i), "not compressed")
    g.output(g.add("Gather", g.add("DequantizeLinear", table(g), g.w(ROWS, positive=True), axis=0), i), "by rows")
    g.output(g.add("Gather", g.add("Mul", g.add("Cast", table(g), to="float32"), g.x(name="s")), i), "computed")
    stays(gather_before_decoding, g)
