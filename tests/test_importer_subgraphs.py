"""Branches, loops and scans of an ONNX file: what they capture."""

from __future__ import annotations

import numpy as np

from exporter.importers.onnx import import_onnx
from tests.onnx_models import model, run


def test_branches_get_the_same_captures() -> None:
    made = model(
        """g (bool c, float[2] x, float[2] z) => (float[2] y) {
            k = Constant<value = float[2] {5.0, 6.0}>()
            y = If(c) <
                then_branch = t () => (a) { a = Add(x, k) },
                else_branch = e () => (b) { d = Mul(z, z) \n b = Sub(d, x) }
            >
        }"""
    )
    graph = import_onnx(made)
    (node,) = graph.nodes
    then, other = node.attrs.then_branch, node.attrs.else_branch
    assert [v.name for v in node.inputs if v is not None] == ["c", "x", "z"]
    assert [v.name for v in then.inputs] == [v.name for v in other.inputs] == ["x", "z"]
    assert run(graph, True, [1, 2], [3, 4])[0].tolist() == [6, 8]
    assert run(graph, False, [1, 2], [3, 4])[0].tolist() == [8, 14]


def test_captures_through_two_levels() -> None:
    made = model(
        """g (bool c, bool d, float[2] x) => (float[2] y) {
            h = Relu(x)
            y = If(c) <
                then_branch = t () => (a) {
                    a = If(d) <
                        then_branch = tt () => (p) { p = Add(h, x) },
                        else_branch = te () => (q) { q = Neg(h) }
                    >
                },
                else_branch = e () => (b) { b = Identity(x) }
            >
        }"""
    )
    graph = import_onnx(made)
    assert run(graph, True, True, [1, -2])[0].tolist() == [2, -2]
    assert run(graph, True, False, [1, -2])[0].tolist() == [-1, 0]
    assert run(graph, False, False, [1, -2])[0].tolist() == [1, -2]


def test_loops_whose_carried_values_grow() -> None:
    made = model(
        """g (int64 n, float[1] x) => (y, float[n, 1] s) {
            c = Constant<value = bool {1}>()
            y, s = Loop(n, c, x) <
                body = b (int64 i, bool go, float[k] v) => (bool go2, float[m] w, float[1] e) {
                    go2 = Identity(go)
                    w = Concat<axis = 0>(v, x)
                    f = Cast<to = 1>(i)
                    e = Add(x, f)
                }
            >
        }"""
    )
    grown, scanned = run(import_onnx(made), 3, [2])
    assert grown.tolist() == [2, 2, 2, 2]
    assert scanned.tolist() == [[2], [3], [4]]


def test_scan_with_a_capture() -> None:
    made = model(
        """g (float[2] s, float[3, 2] x, float[2] k) => (t, y) {
            t, y = Scan<num_scan_inputs = 1, body = b (float[2] a, float[2] e) => (float[2] c, float[2] f) {
                c = Add(a, e)
                f = Mul(c, k)
            }>(s, x)
        }"""
    )
    state, rows = run(import_onnx(made), [0, 0], [[1, 2], [3, 4], [5, 6]], [1, 10])
    assert state.tolist() == [9, 12]
    assert rows.tolist() == [[1, 20], [4, 60], [9, 120]]


def test_scan_of_opset_8_has_a_batch() -> None:
    made = model(
        """g (float[b, 2] s, float[b, 3, 2] x, float[2] k) => (t, y) {
            t, y = Scan<num_scan_inputs = 1, directions = [1],
                body = b (float[2] a, float[2] e) => (float[2] c, float[2] f) {
                    c = Add(a, e)
                    f = Mul(c, k)
                }
            >(, s, x)
        }""",
        8,
    )
    x = np.arange(12).reshape(2, 3, 2)
    state, rows = run(import_onnx(made), [[0, 0], [1, 1]], x, [1, 10])
    assert state.tolist() == [[6, 9], [25, 28]]
    assert rows.tolist() == [[[4, 50], [6, 80], [6, 90]], [[11, 120], [19, 210], [25, 280]]]
