"""Shape rules with symbolic sizes, and the contents that shape arithmetic carries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.dims import Sym, symbol
from edge_rt.errors import InferenceError
from edge_rt.types import DType, TensorType

N, S, W = symbol("n"), symbol("s"), symbol("w")
END = np.iinfo(np.int64).max


def f32(*shape: Any) -> TensorType:
    return TensorType(DType.FLOAT32, shape)


def known(*elements: Any, dtype: DType = DType.INT64, scalar: bool = False) -> tuple[TensorType, np.ndarray[Any, Any]]:
    """A type and contents; dtype object where an element is symbolic."""
    symbolic = any(isinstance(e, Sym) for e in elements)
    array = np.array(elements[0] if scalar else list(elements), object if symbolic else dtype.numpy)
    return TensorType(dtype, array.shape), array


def infer(op: str, *inputs: Any, **attributes: Any) -> tuple[list[TensorType], list[Any]]:
    spec = ops.get(op)
    pairs = [i if isinstance(i, tuple) else (i, None) for i in inputs]
    return spec.infer(spec.attrs(**attributes), [t for t, _ in pairs], [v for _, v in pairs], f"{op} 'x'")


def shape(op: str, *inputs: Any, **attributes: Any) -> tuple[str, ...] | None:
    """The first output's shape; sizes as text, '?' for a new symbol."""
    found = infer(op, *inputs, **attributes)[0][0].shape
    return None if found is None else tuple("?" if "<" in str(d) else str(d) for d in found)


def sizes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


i64 = known
VECTOR = TensorType(DType.INT64, (3,))
ONE = TensorType(DType.INT64, (1,))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda: shape("Add", f32(N, 1, 4), f32(S, 4)), "n s 4"),
        (lambda: shape("Add", f32(N), f32(N)), "n"),
        (lambda: shape("Add", f32(N), f32(7)), "7"),
        (lambda: shape("Add", f32(N), f32(S)), "?"),
        (lambda: shape("Where", TensorType(DType.BOOL, (N, 1)), f32(5), f32(1, 1)), "n 5"),
        (lambda: shape("Max", f32(N), f32(S), f32(3)), "3"),
        (lambda: shape("Reshape", f32(N, S, 768), i64(0, 0, 12, 64)), "n s 12 64"),
        (lambda: shape("Reshape", f32(N, S, 768), i64(N, -1)), "n 768*s"),
        (lambda: shape("Reshape", f32(N, 8, 4), i64(-1, 16)), "2*n 16"),
        (lambda: shape("Reshape", f32(N, 8, 4), VECTOR), "? ? ?"),
        (lambda: shape("Reshape", f32(0, 3), i64(0, 5), allowzero=True), "0 5"),
        (lambda: shape("Flatten", f32(N, 3, S), axis=-1), "3*n s"),
        (lambda: shape("Squeeze", f32(1, N, 1), i64(0, -1)), "n"),
        (lambda: shape("Unsqueeze", f32(N, 4), i64(0, -1)), "1 n 4 1"),
        (lambda: shape("Expand", f32(N, 1), i64(2, 1, S)), "2 n s"),
        (lambda: shape("Expand", f32(N, 5), VECTOR), "? ? 5"),
        (lambda: shape("Transpose", f32(N, 3, S), perm=(2, 0, 1)), "s n 3"),
        (lambda: shape("Concat", f32(N, S), f32(N, 3), axis=1), "n s+3"),
        (lambda: shape("Concat", f32(N, 4), f32(2, 4), axis=-1), "2 8"),
        (lambda: shape("Split", f32(N, 6), i64(2, 4), axis=1, num_outputs=2), "n 2"),
        (lambda: shape("Split", f32(4 * N), num_outputs=2), "2*n"),
        (lambda: shape("Slice", f32(N, S), i64(0), i64(END), i64(1)), "n s"),
        (lambda: shape("Slice", f32(N, S), i64(1), i64(END), i64(0)), "max(0,n-1) s"),
        (lambda: shape("Slice", f32(N, 9), i64(-1), i64(-END), i64(1), i64(-1)), "n 9"),
        (lambda: shape("Slice", f32(1, 512), i64(0), i64(S), i64(1)), "1 min(512,s)"),
        (lambda: shape("Slice", f32(N, 512), i64(S - N), i64(S), i64(1)), "n ?"),
        (lambda: shape("Slice", f32(N, 9), VECTOR, VECTOR, VECTOR), "? ?"),
        (lambda: shape("Tile", f32(N, 3), i64(2, S)), "2*n 3*s"),
        (lambda: shape("Pad", f32(N, 3), i64(1, 0, 1, S)), "n+2 s+3"),
        (lambda: shape("Pad", f32(N, 3), i64(1, 1), None, i64(0)), "n+2 3"),
        (lambda: shape("Range", i64(0, scalar=True), i64(N, scalar=True), i64(1, scalar=True)), "n"),
        (lambda: shape("Range", i64(S, scalar=True), i64(S + N, scalar=True), i64(1, scalar=True)), "n"),
        (lambda: shape("Range", i64(0, scalar=True), TensorType(DType.INT64, ()), i64(1, scalar=True)), "?"),
        (lambda: shape("ConstantOfShape", i64(N, 4)), "n 4"),
        (lambda: shape("Gather", f32(N, 4), TensorType(DType.INT64, (S, 2)), axis=1), "n s 2"),
        (lambda: shape("GatherND", f32(N, 3, 4), TensorType(DType.INT64, (N, S, 1)), batch_dims=1), "n s 4"),
        (lambda: shape("OneHot", TensorType(DType.INT64, (N,)), i64(10, scalar=True), f32(2)), "n 10"),
        (lambda: shape("TopK", f32(N, S), i64(3), axis=1), "n 3"),
        (lambda: shape("NonZero", f32(N, S)), "2 ?"),
        (lambda: shape("ReduceMean", f32(N, S, 4), i64(1)), "n 1 4"),
        (lambda: shape("ReduceSum", f32(N, S), ONE, keepdims=False), "?"),
        (lambda: shape("ArgMax", f32(N, S), axis=-1, keepdims=False), "n"),
        (lambda: shape("MatMul", f32(N, 12, S, 64), f32(64, W)), "n 12 s w"),
        (lambda: shape("MatMul", f32(4), f32(N, 4, 5)), "n 5"),
        (lambda: shape("Gemm", f32(N, 4), f32(8, 4), f32(8), transB=True), "n 8"),
        (lambda: shape("Einsum", f32(N, S, 8), f32(N, W, 8), equation="bid,bjd->bij"), "n s w"),
        (lambda: shape("DepthToSpace", f32(N, 8, S, W), blocksize=2), "n 2 2*s 2*w"),
        (lambda: shape("SpaceToDepth", f32(N, 2, 2 * S, 4 * W), blocksize=2), "n 8 s 2*w"),
        (lambda: shape("CenterCropPad", f32(N, 3, 4), i64(5), axes=(0,)), "5 3 4"),
    ],
)
def test_symbolic_shape(found: Any, expected: str) -> None:
    assert found() == sizes(expected)


def test_rank_stays_unknown_where_a_size_would_decide_it() -> None:
    assert shape("Squeeze", f32(N, 1)) is None
    assert shape("Reshape", f32(4), TensorType(DType.INT64, (N,))) is None


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "message"),
    [
        ("Add", [f32(2, 3), f32(4)], {}, r"shapes must broadcast, got \[2, 3\] and \[4\]"),
        ("Reshape", [f32(2, 3), i64(4, -1)], {}, r"must keep the number of elements of \[2, 3\], got \[4, -1\]"),
        ("Reshape", [f32(2, 3), i64(-1, -1)], {}, "at most"),
        ("Reshape", [f32(2, 3), TensorType(DType.INT64, (1, 2))], {}, "shape must have rank 1"),
        ("Squeeze", [f32(2, 1), i64(0)], {}, "axis 0 must have size 1"),
        ("Unsqueeze", [f32(2), i64(0, 0)], {}, "axes must be different"),
        ("Transpose", [f32(2, 3)], {"perm": (0, 0)}, "permutation"),
        ("Concat", [f32(2, 3), f32(2, 4)], {"axis": 0}, "sizes of axis 1 must be equal, got 3 and 4"),
        ("Split", [f32(6), i64(2, 3)], {"num_outputs": 2}, "sum of split"),
        ("Slice", [f32(6), i64(0), i64(4), i64(0), i64(0)], {}, "steps must not be 0"),
        ("Pad", [f32(2), i64(-2, -1)], {}, "leave a size of at least 0"),
        ("Pad", [f32(0), i64(1, 1)], {"mode": "edge"}, "elements to repeat"),
        ("Gather", [f32(2), TensorType(DType.INT64, ())], {"axis": 1}, r"axis must be in \[-1, 0\], got 1"),
        ("MatMul", [f32(8, 64), f32(32, 10)], {}, r"inner sizes must be equal, got \[8, 64\] and \[32, 10\]"),
        ("Gemm", [f32(2, 3), f32(3, 4), f32(3)], {}, r"C must broadcast to \[2, 4\], got \[3\]"),
        ("Einsum", [f32(2, 3), f32(4, 5)], {"equation": "ij,jk->ik"}, "axis 'j'"),
        ("ArgMax", [f32(2, 0)], {"axis": 1}, "must not be empty"),
        ("TopK", [f32(2), i64(3)], {}, r"K must be in \[0, 2\], got 3"),
        ("Clip", [f32(2), f32(2)], {}, "min must be a scalar"),
        ("Cast", [f32(2)], {"to": "complex64"}, "real element type"),
        ("Unsqueeze", [f32(2), i64(*range(40))], {}, "at most 32 axes"),
        ("Mod", [f32(2), TensorType(DType.FLOAT64, (2,))], {}, "must be float32"),
    ],
)
def test_refused(op: str, inputs: list[Any], attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(InferenceError, match=rf"^{op} 'x': .*(?:{message})"):
        infer(op, *inputs, **attributes)


def contents(op: str, *inputs: Any, output: int = 0, **attributes: Any) -> Any:
    """The output's contents as a list; None if unknown."""
    value = infer(op, *inputs, **attributes)[1][output]
    return None if value is None else value.tolist()


DIMS = known(N, 3, S)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda: contents("Shape", f32(N, 3, S), start=-2), [3, S]),
        (lambda: contents("Size", f32(N, 3)), 3 * N),
        (lambda: contents("Gather", DIMS, i64(-1, scalar=True)), S),
        (lambda: contents("Gather", DIMS, i64(0, 2)), [N, S]),
        (lambda: contents("Slice", DIMS, i64(1), i64(END)), [3, S]),
        (lambda: contents("Concat", i64(-1), i64(N), i64(4), axis=0), [-1, N, 4]),
        (lambda: contents("Unsqueeze", i64(N, scalar=True), i64(0)), [N]),
        (lambda: contents("Squeeze", i64(N)), N),
        (lambda: contents("Reshape", DIMS, i64(3, 1)), [[N], [3], [S]]),
        (lambda: contents("Transpose", DIMS), [N, 3, S]),
        (lambda: contents("Flatten", DIMS, axis=0), [[N, 3, S]]),
        (lambda: contents("Tile", i64(N), i64(2)), [N, N]),
        (lambda: contents("Expand", i64(N), i64(2, 1)), [[N], [N]]),
        (lambda: contents("Split", DIMS, i64(1, 2), num_outputs=2, output=1), [3, S]),
        (lambda: contents("Identity", DIMS), [N, 3, S]),
        (lambda: contents("Cast", DIMS, to="int32"), [N, 3, S]),
        (lambda: contents("Add", DIMS, i64(1)), [N + 1, 4, S + 1]),
        (lambda: contents("Sub", i64(N), i64(N)), [0]),
        (lambda: contents("Mul", DIMS, i64(2)), [2 * N, 6, 2 * S]),
        (lambda: contents("Div", i64(6 * N), i64(4, 2)), [symbol("floor(6*n/4)"), 3 * N]),
        (lambda: contents("Div", i64(N - 3), i64(2)), [symbol("trunc((n-3)/2)")]),
        (lambda: contents("Neg", i64(N)), [-1 * N]),
        (lambda: contents("Min", i64(N), i64(N + 2), i64(N + 1)), [N]),
        (lambda: contents("Max", i64(N), i64(5)), [symbol("max(5,n)")]),
        (lambda: contents("ReduceProd", DIMS, keepdims=False), 3 * N * S),
        (lambda: contents("ReduceSum", DIMS, i64(0)), [N + S + 3]),
        (lambda: contents("ReduceMax", i64(N, N + 1), keepdims=False), N + 1),
        (lambda: contents("ConstantOfShape", i64(2), value=np.array([7])), [7, 7]),
        (lambda: contents("Range", i64(N, scalar=True), i64(N + 2, scalar=True), i64(1, scalar=True)), [N, N + 1]),
        (lambda: contents("Equal", DIMS, i64(-1)), [False, False, False]),
        (lambda: contents("Equal", i64(N), i64(N)), [True]),
        (lambda: contents("GreaterOrEqual", i64(N, 3), i64(0)), [True, True]),
        (lambda: contents("Less", i64(N + 1), i64(N)), [False]),
        (lambda: contents("Where", known(True, False, dtype=DType.BOOL), i64(1), i64(N)), [1, N]),
        (lambda: contents("Pad", DIMS, i64(1, 0)), [0, N, 3, S]),
    ],
)
def test_contents(found: Any, expected: Any) -> None:
    assert found() == expected


@pytest.mark.parametrize(
    "found",
    [
        lambda: contents("Equal", i64(N), i64(1)),
        lambda: contents("Cast", DIMS, to="float32"),
        lambda: contents("Div", i64(N), i64(0)),
        lambda: contents("Gather", DIMS, i64(N, scalar=True)),
        lambda: contents("Where", TensorType(DType.BOOL, (1,)), i64(N), i64(1)),
        lambda: contents("Concat", i64(N), ONE, axis=0),
        lambda: contents("Gather", DIMS, i64(7)),
    ],
)
def test_contents_stay_unknown(found: Any) -> None:
    assert found() is None
