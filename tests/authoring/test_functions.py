"""Functions: one graph per signature, variables by reference, control flow on tensors."""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import exporter as ex
from edge_rt.errors import AuthoringError, InputError


def test_a_function_is_traced_once_for_each_signature() -> None:
    calls = []

    @ex.function
    def scaled(x: Any, factor: int = 2) -> Any:
        calls.append(factor)
        return x * factor

    for value in ([1.0], [2.0], [3.0]):
        scaled(ex.constant(value))
    assert calls == [2]
    assert scaled(np.ones(2, np.float32)).numpy().tolist() == [2, 2]
    assert scaled(np.ones((1, 2), np.float32)).shape == (1, 2)
    assert scaled(np.ones(2, np.int32)).dtype == np.int32
    assert scaled(ex.constant([1.0]), 5).numpy() == [5]
    assert scaled(ex.constant([1.0]), factor=5).numpy() == [5]
    assert calls == [2, 2, 2, 2, 5]
    assert scaled.tracing_count == 5
    with pytest.raises(AuthoringError, match="has 5 traces"):
        print(scaled.graph)
    with pytest.raises(TypeError, match="function 'scaled': missing a required argument: 'x'"):
        scaled()


def test_a_list_of_floats_is_a_tensor_and_other_lists_are_python_values() -> None:
    @ex.function
    def reduced(x: Any, axes: Any) -> Any:
        return ex.reduce_sum(x["rows"], axes)

    assert reduced({"rows": [[1.0, 2], [3, 4]]}, [0, 1]).numpy() == 10
    assert reduced({"rows": [[5.0, 2], [3, 4]]}, [0, 1]).numpy() == 14
    assert reduced({"rows": [[5.0, 2], [3, 4]]}, (1,)).numpy().tolist() == [7, 7]
    assert [c.inputs for c in reduced.concrete_functions] == [("x_rows",), ("x_rows",)]
    with pytest.raises(AuthoringError, match="expected numbers, an array or a tensor"):
        reduced({"rows": [[1.0], [2.0, 3.0]]}, 0)


def test_an_input_signature_gives_one_graph_and_refuses_the_rest() -> None:
    @ex.function(input_signature=[ex.TensorSpec([None, 3], "float32", "rows"), {"bias": ex.TensorSpec([3])}])
    def shifted(x: Any, more: Any) -> Any:
        return x + more["bias"]

    for rows in (1, 2, 5):
        assert shifted(np.ones((rows, 3)), {"bias": [1, 2, 3]}).shape == (rows, 3)
    assert shifted.tracing_count == 1
    assert shifted.get_concrete_function().inputs == ("rows", "more_bias")
    with pytest.raises(AuthoringError, match=r"'shifted', 'x': expected TensorSpec.*, got float32\[3\]"):
        shifted(np.ones(3, np.float32), {"bias": [1, 2, 3]})
    with pytest.raises(AuthoringError, match=r"'more': expected the structure"):
        shifted(np.ones((1, 3)), {"other": [1, 2, 3]})


def test_names_of_inputs_and_outputs_follow_arguments_and_results() -> None:
    class Pair(NamedTuple):
        first: Any
        second: Any

    def compute(x: Any, pair: Any, *more: Any, **named: Any) -> Any:
        return {"sum": x + pair[0] + more[0], "parts": Pair(named["k"], None), "one": 1}

    spec = ex.TensorSpec([2])
    concrete = ex.function(compute).get_concrete_function(spec, [spec, spec], spec, k=spec)
    assert concrete.inputs == ("x", "pair_0", "pair_1", "more_0", "k")
    assert concrete.graph.output_names == ["one", "parts_0", "sum"]
    one = ex.ones([2])
    result = concrete(one, one, one, one, k=one)
    assert isinstance(result["parts"], Pair)
    assert result["parts"].second is None
    assert result["sum"].numpy().tolist() == [3, 3]
    assert result["one"].numpy() == 1
    assert "x: float32[2]" in concrete.pretty_printed_signature()
    assert "sum: float32[2]" in concrete.pretty_printed_signature()
    with pytest.raises(InputError, match="expected shape"):
        concrete(ex.ones([3]), one, one, one, k=one)
    with pytest.raises(AuthoringError, match="takes the inputs x, pair_0"):
        concrete(one, x=one)
    assert ex.function(lambda x: (x, x)).get_concrete_function(spec).graph.output_names == ["output_0", "output_1"]


def test_variables_are_captured_by_reference_and_assigned_in_program_order() -> None:
    v = ex.Variable(1.0, name="v")

    @ex.function
    def step(x: Any) -> Any:
        before = v * 1
        v.assign_add(x)
        middle = v.value()
        v.assign(v * 2)
        return before, middle, v

    assert [float(t) for t in step(ex.constant(2.0))] == [1, 3, 6]
    v.assign(0.0)
    assert [float(t) for t in step(ex.constant(2.0))] == [0, 2, 4]
    assert step.tracing_count == 1
    assert step.concrete_functions[0].assigned == (v,)


def test_a_failing_call_leaves_variables_alone() -> None:
    v = ex.Variable(1, name="v")

    @ex.function
    def divide(x: Any) -> Any:
        v.assign_add(1)
        return v // x

    with pytest.raises(Exception, match="divisor must not be 0"):
        divide(ex.constant(0))
    assert v.numpy() == 1


def test_functions_and_concrete_functions_are_inlined_into_others() -> None:
    v = ex.Variable(1.0)

    @ex.function
    def inner(x: Any) -> Any:
        v.assign_add(1.0)
        return {"y": x * v}

    concrete = inner.get_concrete_function(ex.TensorSpec([None]))

    @ex.function
    def outer(x: Any) -> Any:
        return inner(x)["y"] + concrete(x)["y"]

    assert outer(ex.constant([1.0, 2.0])).numpy().tolist() == [5, 10]
    assert v.numpy() == 3
    assert {n.op.name for n in outer.graph.nodes} == {"Add", "Mul"}
    with pytest.raises(AuthoringError, match="input 'x': expected TensorSpec"):
        ex.function(lambda x: concrete(x))(ex.ones([1, 1]))


def test_retracing_warns_once() -> None:
    @ex.function
    def plus(x: Any, n: int) -> Any:
        return x + n

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(12):
            plus(ex.constant(1), n)
    assert [w.category for w in caught] == [ex.RetracingWarning]
    assert "'plus' is traced for the 7th time" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_variables_are_made_in_the_first_trace_only_and_from_no_input() -> None:
    def make(x: Any) -> Any:
        return x + ex.Variable(1.0)

    made = ex.function(make)
    assert made(ex.constant(1.0)).numpy() == 2
    with pytest.raises(AuthoringError, match="made a variable again"):
        made(ex.constant([1.0]))
    with pytest.raises(AuthoringError, match="must not depend on the tensor 'x'"):
        ex.function(lambda x: ex.Variable(x))(ex.constant(1.0))


def test_methods_have_traces_of_their_own_and_do_not_keep_their_object_alive() -> None:
    class Scale(ex.Module):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = ex.Variable(by)

        @ex.function
        def __call__(self, x: Any) -> Any:
            return x * self.by

    two, three = Scale(2.0), Scale(3.0)
    assert two(ex.constant(1.0)).numpy() == 2
    assert three(ex.constant(1.0)).numpy() == 3
    assert two.__call__ is two.__call__
    assert two.__call__ is not three.__call__
    gone = weakref.ref(two)
    del two
    gc.collect()
    assert gone() is None


def test_arguments_must_be_tensors_or_hashable() -> None:
    with pytest.raises(AuthoringError, match="must be a tensor or hashable, got bytearray"):
        ex.function(lambda x: 1)(bytearray(3))
    with pytest.raises(AuthoringError, match="must return tensors, got object"):
        ex.function(lambda: object())()


def test_results_drawn_in_a_graph_differ_from_call_to_call() -> None:
    draw = ex.function(lambda: ex.random.normal([4]))
    assert (draw().numpy() != draw().numpy()).any()


# ---- control flow ---------------------------------------------------------------------------------------------------


def test_cond_takes_one_branch_and_its_assignments() -> None:
    v = ex.Variable(0.0, name="v")
    w = ex.Variable(10.0, name="w")

    def choose(x: Any) -> Any:
        def grow() -> Any:
            v.assign_add(x)
            return {"a": x * w, "b": v}

        return ex.cond(x > 0, grow, lambda: {"a": w.assign(x) * 1, "b": x})

    for call in (choose, ex.function(choose)):
        v.assign(0.0)
        w.assign(10.0)
        assert [float(t) for t in call(ex.constant(2.0)).values()] == [20, 2]
        assert (float(v), float(w)) == (2, 10)
        assert [float(t) for t in call(ex.constant(-3.0)).values()] == [-3, -3]
        assert (float(v), float(w)) == (2, -3)
    with pytest.raises(AuthoringError, match="the same structure"):
        ex.function(lambda x: ex.cond(x > 0, lambda: x, lambda: (x, x)))(ex.constant(1.0))


def test_nested_control_flow_captures_through_both() -> None:
    def compute(x: Any, n: Any) -> Any:
        def body(i: Any, total: Any) -> Any:
            return i + 1, total + ex.cond(i % 2 == 0, lambda: x * ex.cast(i, "float32"), lambda: x * 0)

        return ex.while_loop(lambda i, total: i < n, body, [ex.constant(0) * n, x * 0])[1]

    x = np.array([1.0, 2.0], np.float32)
    assert compute(ex.constant(x), ex.constant(5)).numpy().tolist() == [6, 12]
    assert ex.function(compute)(x, np.int32(5)).numpy().tolist() == [6, 12]


def test_a_loop_carries_variables_growing_sizes_and_a_limit() -> None:
    v = ex.Variable(0, name="v")

    def grow(x: Any) -> Any:
        def body(rows: Any) -> Any:
            v.assign_add(1)
            return ex.concat([rows, rows[:1]], 0)

        return ex.while_loop(lambda rows: ex.shape(rows)[0] < 6, body, [x], maximum_iterations=10)

    for call in (grow, ex.function(grow)):
        v.assign(0)
        (rows,) = call(ex.ones([2, 3]))
        assert rows.shape == (6, 3)
        assert v.numpy() == 4
    limited = ex.function(lambda x: ex.while_loop(lambda x: x < 100, lambda x: x + 1, [x], maximum_iterations=3))
    assert limited(ex.constant(0))[0].numpy() == 3
    with pytest.raises(AuthoringError, match="loop variable 0 must stay int32"):
        ex.function(lambda x: ex.while_loop(lambda x: x < 9, lambda x: x / 2, [x]))(ex.constant(0))


def test_a_loop_over_concrete_values_is_unrolled_until_it_meets_symbolic_ones() -> None:
    @ex.function
    def count(n: Any, step: Any) -> Any:
        fixed = ex.while_loop(lambda i: i < 3, lambda i: i + 1, [0])[0]
        open_end = ex.while_loop(lambda i: i < n, lambda i: i + 1, [0])[0]
        mixed = ex.while_loop(lambda i: i < 9, lambda i: i + step, [ex.constant(0)], maximum_iterations=4)[0]
        return fixed, open_end, mixed

    assert [int(t) for t in count(np.int32(5), np.int32(2))] == [3, 5, 8]
    assert [int(t) for t in count(np.int32(-1), np.int32(4))] == [3, 0, 12]
    assert [n.op.name for n in count.graph.nodes].count("Loop") == 2
    assert [int(t) for t in ex.while_loop(lambda i: i < 9, lambda i: i + 1, [0], maximum_iterations=2)] == [2]


def test_python_control_flow_on_concrete_values_is_unrolled() -> None:
    @ex.function
    def power(x: Any, n: int) -> Any:
        y = x
        for _ in range(n):
            y = y * x
        if ex.constant(n) > 2:
            y = -y
        return y

    assert power(ex.constant(2.0), 2).numpy() == 8
    assert power(ex.constant(2.0), 3).numpy() == -16
    assert [n.op.name for n in power.concrete_functions[0].graph.nodes] == ["Mul", "Mul"]


def test_a_graph_prints_as_text() -> None:
    v = ex.Variable(1.0, name="v")

    @ex.function
    def grow(x: Any) -> Any:
        ex.cond(x > 0, lambda: v.assign(x * 2), lambda: v)

    grow(ex.constant(1.0))
    assert str(grow.graph).splitlines() == [
        "graph grow(%x: float32[])",
        "  state %v: float32[], becomes %cond:1",
        "  constant %const: float32[], 0.0",
        "  %Greater: bool[] = Greater(%x, %const)",
        "  %cond:0: float32[], %cond:1: float32[] = If(%Greater, %x, %v) "
        "{else_branch=graph cond/else, then_branch=graph cond/then}",
        "  return",
        "  graph cond/else(%x: float32[], %v: float32[])",
        "    return output_0=%v, output_1=%v",
        "  graph cond/then(%x: float32[], %v: float32[])",
        "    constant %const: float32[], 2.0",
        "    %Mul: float32[] = Mul(%x, %const)",
        "    return output_0=%Mul, output_1=%Mul",
    ]
