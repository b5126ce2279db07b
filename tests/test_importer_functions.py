"""Functions of an ONNX file, and operators that ONNX defines by others."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt.errors import ImporterError
from exporter.importers.onnx import import_onnx
from tests.onnx_models import model, run


def test_model_functions_with_attributes_and_defaults() -> None:
    made = model(
        """g (float[2] x) => (float[2] y, float[2] z) {
            y = local.scaled<factor = 3.0>(x)
            z = local.twice(x)
        }
        <domain: "local", opset_import: ["" : 18, "local" : 1]>
        scaled <factor: float = 10.0> (a) => (b) {
            f = Constant<value_float: float = @factor>()
            b = Mul(a, f)
        }
        <domain: "local", opset_import: ["" : 18, "local" : 1]>
        twice (a) => (c) {
            b = local.scaled(a)
            c = Add(b, b)
        }"""
    )
    y, z = run(import_onnx(made), [1, 2])
    assert y.tolist() == [3, 6]
    assert z.tolist() == [20, 40]


def test_a_function_uses_its_own_opset() -> None:
    made = model(
        """g (float[1, 2] x) => (y) { y = local.f(x) }
        <domain: "local", opset_import: ["" : 11]>
        f (a) => (b) { b = Squeeze<axes = [0]>(a) }"""
    )
    assert run(import_onnx(made), [[1, 2]])[0].tolist() == [1, 2]


def test_functions_without_end() -> None:
    made = model(
        """net (float[2] x) => (y) { y = local.f(x) }
        <domain: "local", opset_import: ["" : 18, "local" : 1]>
        f (a) => (b) { b = local.f(a) }"""
    )
    with pytest.raises(ImporterError, match=r"net: local.f .*: functions call functions more than 64 deep"):
        import_onnx(made)


def test_functions_that_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.importers.onnx._build.MAX_NODES", 500)
    functions = "".join(
        f'<domain: "local", opset_import: ["" : 18, "local" : 1]> f{i} (a) => (b) '
        f"{{ c = local.f{i + 1}(a) \n b = local.f{i + 1}(c) }}"
        for i in range(10)
    )
    last = '<domain: "local", opset_import: ["" : 18]> f10 (a) => (b) { b = Relu(a) }'
    with pytest.raises(ImporterError, match="more than 500 nodes after expanding functions"):
        import_onnx(model(f"net (float[2] x) => (y) {{ y = local.f0(x) }} {functions} {last}"))


def test_operators_that_onnx_defines_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed body (HardSwish) and one that depends on types and attributes (Clip)."""
    from edge_rt import ops

    known = ops.is_known
    monkeypatch.setattr(ops, "is_known", lambda op: op not in ("HardSwish", "Clip") and known(op))
    graph = import_onnx(model("g (float[3] x, float lo) => (y, z) { y = HardSwish(x) \n z = Clip(x, lo) }", 22))
    y, z = run(graph, [-4, 0.5, 6], -1)
    np.testing.assert_allclose(y, [0, 0.5 * 3.5 / 6, 6], rtol=1e-6)
    assert z.tolist() == [-1, 0.5, 6]
    assert not {n.op.name for n in graph.nodes} & {"HardSwish", "Clip"}
