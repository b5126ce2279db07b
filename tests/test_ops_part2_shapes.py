"""Shape rules with symbolic sizes, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.dims import symbol
from edge_rt.errors import DataError, InferenceError
from edge_rt.graph import Graph
from edge_rt.types import DType, TensorType

N, H, W, T = (symbol(name) for name in "nhwt")


def infer(op: str, *shapes: Any, values: dict[int, Any] | None = None, **attributes: Any) -> list[str]:
    """Output types as text. A shape is a tuple for float32, or a TensorType; None is an absent input."""
    spec = ops.get(op)
    types = [s if s is None or isinstance(s, TensorType) else TensorType(DType.FLOAT32, s) for s in shapes]
    known = [None if values is None or i not in values else np.asarray(values[i]) for i in range(len(types))]
    made, _ = spec.infer(spec.attrs(**attributes), types, known, f"{op} 'x'")
    return [str(t) for t in made]


def test_windows() -> None:
    assert infer("Conv", (N, 3, H, W), (8, 3, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1)) == [
        "float32[n, 8, floor((h-1)/2)+1, floor((w-1)/2)+1]"
    ]
    assert infer("Conv", (N, 3, H, W), (8, 3, 1, 1)) == ["float32[n, 8, h, w]"]
    assert infer("Conv", (N, 3, H), (8, 3, 5), auto_pad="SAME_UPPER") == ["float32[n, 8, h]"]
    assert infer("ConvTranspose", (N, 3, H, 4), (3, 8, 2, 2), strides=(2, 2)) == ["float32[n, 8, 2*h, 8]"]
    assert infer("MaxPool", (N, 3, H), kernel_shape=(3,), pads=(1, 1)) == ["float32[n, 3, h]", "int64[n, 3, h]"]
    assert infer("AveragePool", (N, 3, 7), kernel_shape=(2,), strides=(2,), ceil_mode=True) == ["float32[n, 3, 4]"]
    assert infer("GlobalAveragePool", (N, 3, H, W)) == ["float32[n, 3, 1, 1]"]
    assert infer("ConvInteger", *(TensorType(DType.UINT8, s) for s in ((N, 3, H), (8, 3, 3)))) == ["int32[n, 8, h-2]"]


def test_a_window_starting_in_the_end_padding_is_left_out() -> None:
    attributes = {"kernel_shape": (1,), "strides": (3,), "pads": (0, 1), "ceil_mode": True}
    assert infer("MaxPool", (1, 1, 3), **attributes)[0] == "float32[1, 1, 1]"


def test_recurrent_and_attention() -> None:
    y, h, c = infer("LSTM", (T, N, 4), (2, 20, 4), (2, 20, 5), direction="bidirectional")
    assert (y, h, c) == ("float32[t, 2, n, 5]", "float32[2, n, 5]", "float32[2, n, 5]")
    assert infer("GRU", (N, T, 4), (1, 15, 4), (1, 15, 5), layout=1)[0] == "float32[n, t, 1, 5]"
    past = (N, 2, W, 8)
    made = infer("Attention", (N, 4, T, 8), (N, 2, T, 8), (N, 2, T, 8), None, past, past)
    assert made[:2] == ["float32[n, 4, t, 8]", "float32[n, 2, t+w, 8]"]
    assert made[3] == "float32[n, 4, t, t+w]"


def test_resize() -> None:
    scales, sizes = TensorType(DType.FLOAT32, (4,)), TensorType(DType.INT64, (4,))
    doubled = infer("Resize", (N, 3, H, W), None, scales, values={2: np.float32([1, 1, 2, 0.5])})
    assert doubled == ["float32[n, 3, 2*h, floor(w/2)]"]
    given = infer("Resize", (N, 3, H, W), None, None, sizes, values={3: np.array([N, 3, 8 * H, 5], object)})
    assert given == ["float32[n, 3, 8*h, 5]"]
    assert infer("Resize", (1, 3, H, W), None, scales)[0].startswith("float32[<Resize 'x':0.0>, ")


def test_quantised() -> None:
    scale, zero = TensorType(DType.FLOAT32, (3,)), TensorType(DType.INT8, (3,))
    assert infer("QuantizeLinear", (N, 3, H), scale, zero) == ["int8[n, 3, h]"]
    assert infer("QuantizeLinear", (N, 3, H), TensorType(DType.FLOAT32, ())) == ["uint8[n, 3, h]"]
    assert infer("DynamicQuantizeLinear", (N, H)) == ["uint8[n, h]", "float32[]", "uint8[]"]


def branch(name: str, op: str, shape: Any) -> Graph:
    graph = Graph(name)
    x = graph.input("x", TensorType(DType.FLOAT32, shape))
    graph.output(graph.add(op, x) if op != "Concat" else graph.add(op, x, x, axis=0), "y")
    return graph


def test_branches_share_what_they_can() -> None:
    then, other = branch("then", "Relu", (N, 4)), branch("else", "Concat", (N, 4))
    condition = TensorType(DType.BOOL, ())
    unknown = infer("If", condition, (N, 4), then_branch=then, else_branch=other)
    assert unknown == ["float32[<If 'x':0.0>, 4]"]
    assert infer("If", condition, (N, 4), values={0: False}, then_branch=then, else_branch=other) == ["float32[2*n, 4]"]


def test_a_size_that_an_iteration_changes_is_unknown_after_the_loop() -> None:
    body = Graph("body")
    body.input("i", TensorType(DType.INT64, ()))
    go = body.input("go", TensorType(DType.BOOL, ()))
    grown = body.input("grown", TensorType(DType.FLOAT32, (N, 4)))
    kept = body.input("kept", TensorType(DType.FLOAT32, (2, 4)))
    body.output(go)
    body.output(body.add("Concat", grown, kept, axis=0), "more")
    body.output(body.add("Relu", kept), "same")
    body.output(body.add("Relu", kept), "scanned")
    count = TensorType(DType.INT64, ())
    made = infer("Loop", count, None, (N, 4), (2, 4), values={0: 7}, body=body, carried=2)
    assert made == ["float32[<Loop 'x':0.0>, 4]", "float32[2, 4]", "float32[7, 2, 4]"]
    spec = ops.get("Loop")
    attrs = spec.attrs(body=body, carried=2)
    more, same, scanned = spec.evaluate(attrs, np.array(3), None, np.ones((1, 4), "f"), np.ones((2, 4), "f"))
    assert [a.shape for a in (more, same, scanned) if a is not None] == [(7, 4), (2, 4), (3, 2, 4)]
    *_, nothing = spec.evaluate(attrs, np.array(0), None, np.ones((1, 4), "f"), np.ones((2, 4), "f"))
    assert nothing is not None
    assert nothing.shape == (0, 2, 4)


@pytest.mark.parametrize(
    ("message", "op", "shapes", "attributes"),
    [
        ("X must have 3 \\* 1 channels, got 4", "Conv", [(1, 4, 8, 8), (8, 3, 3, 3)], {}),
        ("group must divide the 8 output channels, got 3", "Conv", [(1, 9, 8), (8, 3, 3)], {"group": 3}),
        ("spatial axis 0 must hold a window of 5, got 3 padded by 0 and 0", "Conv", [(1, 3, 3), (8, 3, 5)], {}),
        ("pads must be 4 numbers >= 0", "MaxPool", [(1, 3, 8, 8)], {"kernel_shape": (2, 2), "pads": (1, 1)}),
        (r"W must be \[1, 20, 4\], got \[1, 20, 6\]", "LSTM", [(3, 1, 4), (1, 20, 6), (1, 20, 5)], {}),
        ("activations must be 3 names, got 1", "LSTM", [(3, 1, 4), (1, 20, 4), (1, 20, 5)], {"activations": ["Tanh"]}),
        ("either scales or sizes must be given, got neither", "Resize", [(1, 3, 8, 8)], {}),
        ("num_groups must divide the 6 ", "GroupNormalization", [(1, 6, 3), (6,), (6,)], {"num_groups": 4}),
        ("lengths of K and V must be equal", "Attention", [(1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 5, 4)], {}),
        ("inner sizes must be equal", "QLinearMatMul", [], {}),
    ],
)
def test_refused(message: str, op: str, shapes: list[Any], attributes: dict[str, Any]) -> None:
    if op == "QLinearMatMul":
        byte, scale = TensorType(DType.UINT8, ()), TensorType(DType.FLOAT32, ())
        a, b = TensorType(DType.UINT8, (2, 3)), TensorType(DType.UINT8, (4, 5))
        shapes = [a, scale, byte, b, scale, byte, scale, byte]
    with pytest.raises(InferenceError, match=f"{op} 'x': {message}"):
        infer(op, *shapes, **attributes)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("MaxUnpool", [np.ones((1, 1, 2), "f"), np.array([[[0, 9]]])], {"kernel_shape": (2,), "strides": (2,)}),
        ("NegativeLogLikelihoodLoss", [np.zeros((2, 3), "f"), np.array([0, 3])], {}),
        ("LSTM", [np.ones((2, 1, 1), "f"), np.ones((1, 4, 1), "f"), np.ones((1, 4, 1), "f"), None, np.int32([3])], {}),
        ("ImageDecoder", [np.frombuffer(b"\x89PNG\r\n\x1a\n", np.uint8)], {}),
        ("ImageDecoder", [np.frombuffer(b"GIF89a", np.uint8)], {}),
    ],
)
def test_contents_out_of_range(op: str, inputs: list[Any], attributes: dict[str, Any]) -> None:
    spec = ops.get(op)
    with pytest.raises(DataError):
        spec.evaluate(spec.attrs(**attributes), *inputs)
