"""expand_einsum: equations of many kinds, static and symbolic."""

from __future__ import annotations

import pytest

from edge_rt.types import DType
from exporter.passes.expand_einsum import expand_einsum
from tests.passes._support import Net, fires, node, ops, stays

SIZES = {"a": 2, "b": 3, "c": 4, "d": 5, "e": 6, "f": 1}


def einsum(equation: str, *weights: int, symbolic: str = "") -> Net:
    """A graph with one Einsum. weights: operands that are constants; symbolic: letters whose size is not known."""
    g = Net()
    operands = []
    for i, term in enumerate(equation.partition("->")[0].split(",")):
        shape = [c if c in symbolic else SIZES[c] for c in term]
        operands.append(g.w(*(SIZES[c] for c in term)) if i in weights else g.x(*shape, name=f"x{i}"))
    g.output(g.add("Einsum", *operands, equation=equation), "y")
    return g


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        ("ab,bc->ac", "MatMul"),
        ("ab,bc", "MatMul"),
        ("ab,cb->ac", "Transpose MatMul"),
        ("ab,bc->ca", "Transpose Transpose MatMul"),
        ("abcd,abce->abde", "Transpose MatMul"),
        ("abde,abce->abcd", "Transpose MatMul"),
        ("abcd,cde->abe", "Reshape Reshape MatMul Reshape"),
        ("abcd,ed->abce", "Reshape Transpose MatMul Reshape"),
        ("ab,cd->abcd", "Unsqueeze Unsqueeze Mul"),
        ("ab,b->ab", "Transpose Unsqueeze Mul Transpose"),
        ("ab,ab->a", "Reshape Reshape MatMul Reshape"),
        ("a,a->", "Reshape Reshape MatMul Reshape"),
        ("ab->ba", "Transpose"),
        ("abc->b", "ReduceSum"),
        ("ab->", "ReduceSum"),
        ("abc,bd->ad", "ReduceSum MatMul"),
        ("abf,fc->abc", "Reshape MatMul Reshape"),
        ("ba,ca->bc", "Transpose MatMul"),
    ],
)
def test_equations(equation: str, expected: str) -> None:
    g = einsum(equation)
    fires(expand_einsum, g, times=1)
    assert sorted(ops(g)) == sorted(expected.split())


@pytest.mark.parametrize("equation", ["ba,cb->ca", "ab,cb->ac"])
def test_weights_stand_on_the_right(equation: str) -> None:
    g = einsum(equation, 0)
    fires(expand_einsum, g, times=1)
    assert node(g, "MatMul").inputs[1].data is not None


@pytest.mark.parametrize("equation", ["abcd,abce->abde", "ab,bc->ac", "ab,cd->acbd"])
def test_sizes_that_only_a_call_tells(equation: str) -> None:
    g = einsum(equation, symbolic="abcde")
    fires(expand_einsum, g, times=1)


def test_batches_that_only_a_call_tells() -> None:
    g = einsum("abcd,acde->abce", symbolic="a")
    fires(expand_einsum, g, times=1, a=2)


def test_where_it_stays() -> None:
    stays(expand_einsum, einsum("abcd,cde->abe", symbolic="d"))
    stays(expand_einsum, einsum("aa->a"))
    stays(expand_einsum, einsum("ab,bc,cd->ad"))
    for equation, left, right, dtype in (
        ("...ab,...bc->...ac", (2, 3, 4), (2, 4, 5), DType.FLOAT32),
        ("ab,bc->ac", (3, 4), (4, 5), DType.FLOAT64),
        ("ab,cb->ac", (3, 4), (5, 1), DType.FLOAT32),
        ("ab,bc->ac", (3, 0), (0, 5), DType.FLOAT32),
    ):
        g = Net()
        y = g.add("Einsum", g.x(*left, name="l", dtype=dtype), g.x(*right, name="r", dtype=dtype), equation=equation)
        g.output(y, "y")
        stays(expand_einsum, g)
