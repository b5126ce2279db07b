"""The graph: typed when built, verified, rewritten without losing track of uses."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from edge_rt.dims import symbol
from edge_rt.errors import GraphError, InferenceError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.types import ELEMENT_TYPES, DType, TensorType

F32 = DType.FLOAT32


def two_layers() -> Graph:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (symbol("n"), 4)))
    hidden = graph.add("Relu", graph.add("MatMul", x, graph.constant(np.eye(4, dtype=np.float32)), name="fc"), name="act")
    graph.output(graph.add("Add", hidden, x, name="sum"), "y")
    return graph


def test_nodes_are_typed_when_made() -> None:
    graph = two_layers()
    assert [str(n.output.type) for n in graph.nodes] == ["float32[n, 4]"] * 3
    graph.verify()


def test_a_wrong_node_fails_where_it_is_made() -> None:
    graph = two_layers()
    x = graph.inputs[0]
    with pytest.raises(InferenceError, match=r"MatMul 'fc2': .*4.*3"):
        graph.add("MatMul", x, graph.constant(np.ones((3, 2), np.float32)), name="fc2")
    with pytest.raises(InferenceError, match="Add 'mixed': input 'B' must be float32 like the inputs before it, got int64"):
        graph.add("Add", x, graph.constant(np.int64(1)), name="mixed")
    with pytest.raises(GraphError, match="unknown operator 'Frobnicate'"):
        graph.add("Frobnicate", x)
    with pytest.raises(GraphError, match=r"Transpose 't': .*perm"):
        graph.add("Transpose", x, name="t", perm="ab")


def test_two_inputs_or_outputs_cannot_share_a_name() -> None:
    graph = two_layers()
    with pytest.raises(GraphError, match="two inputs are named 'x'"):
        graph.input("x", TensorType(F32, ()))
    with pytest.raises(GraphError, match="two outputs are named 'y'"):
        graph.output(graph.inputs[0], "y")


def test_replace_moves_all_uses() -> None:
    graph = two_layers()
    act = next(n for n in graph.nodes if n.op.name == "Relu")
    source = act.inputs[0]
    assert source is not None
    graph.replace(act.output, source)
    assert not act.output.uses
    graph.remove(act)
    graph.verify()
    x = -np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(evaluate(graph, [x])[0], x + x)


def test_a_node_in_use_cannot_be_removed() -> None:
    graph = two_layers()
    with pytest.raises(GraphError, match=r"cannot be removed, its output .* is used"):
        graph.remove(graph.nodes[0])


def test_verify_finds_a_use_before_its_producer() -> None:
    graph = two_layers()
    graph.nodes.reverse()
    with pytest.raises(GraphError, match="is used before it is computed"):
        graph.verify()


def test_verify_finds_a_stale_type() -> None:
    graph = two_layers()
    graph.nodes[1].output.type = TensorType(F32, (7,))
    with pytest.raises(GraphError, match="must be float32"):
        graph.verify()


def test_variables_are_state() -> None:
    graph = Graph()
    count = graph.variable("count", np.zeros((), np.int64))
    count.update = graph.add("Add", count.value, graph.constant(np.int64(1)))
    graph.output(count.update, "count")
    graph.verify()
    state: dict[str, np.ndarray] = {}
    assert [int(evaluate(graph, [], state)[0]) for _ in range(3)] == [1, 2, 3]


def test_prints_as_text() -> None:
    assert str(two_layers()).splitlines()[-1] == "  return y=%sum"


def test_element_types_are_one_object_each() -> None:
    for known in ELEMENT_TYPES:
        assert DType(known.value) is DType.of(known.numpy) is pickle.loads(pickle.dumps(known)) is copy.deepcopy(known)
        assert getattr(DType, known.value.upper()) is known
    with pytest.raises(ValueError, match="'float128' is not an element type"):
        DType("float128")
