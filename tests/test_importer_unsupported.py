"""What the importer does not support: all of it is listed at once."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from edge_rt.errors import UnsupportedError
from exporter.importers.onnx import import_onnx
from tests.onnx_models import model, run


def test_all_unsupported_operators_are_listed_at_once() -> None:
    made = model(
        """net (float[2] x, bool c) => (y) {
            a = local.Foo(x)
            b = Relu(a)
            d = If(c) <then_branch = t () => (p) { p = local.Bar(b) }, else_branch = e () => (q) { q = Identity(a) }>
            y = local.Foo(d)
        }"""
    )
    made.graph.node[0].name = "attn/0"
    with pytest.raises(UnsupportedError) as caught:
        import_onnx(made)
    assert str(caught.value) == "net: 2 unsupported ops: local.Foo ('attn/0', 'y'), local.Bar ('p')"


def test_unsupported_types_are_listed() -> None:
    made = model("net (float8e4m3fn[2] x, string[2] s) => (y) { y = Relu(x) }")
    made.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT8E4M3FN, [1], [1.0]))
    with pytest.raises(UnsupportedError, match=r"^net: 2 unsupported types: float8e4m3fn \('w', 'x'\), string \('s'\)$"):
        import_onnx(made)


def test_sequence_inputs_are_not_supported() -> None:
    made = model("net (seq(float[2]) x) => (y) { y = SequenceLength(x) }")
    with pytest.raises(UnsupportedError, match=r"1 unsupported op: SequenceLength \('y'\); 1 unsupported type: seq"):
        import_onnx(made)


@pytest.mark.parametrize(
    ("line", "opset", "message"),
    [
        ("y = Cast<to = 17>(x)", 19, r"Cast \('y': float8e4m3fn\)"),
        ("y = Relu<slope = 2>(x)", 18, r"Relu \('y': attribute 'slope' = 2\)"),
        ("y, m, v = BatchNormalization(i, x, x, x, x)", 9, r"BatchNormalization \('y': training mode\)"),
    ],
)
def test_attributes_that_are_not_supported(line: str, opset: int, message: str) -> None:
    made = model(f"net (float[2] x, float[1, 2, 3] i) => (y) {{ {line} }}", opset)
    with pytest.raises(UnsupportedError, match=message):
        import_onnx(made)


def test_attributes_at_their_default_may_be_unknown() -> None:
    made = model("net (float[2] x) => (y) { y = Cast<to = 1, saturate = 1>(x) }", 19)
    assert run(import_onnx(made), [1, 2])[0].tolist() == [1, 2]
