"""profile: every step with its times, also where only running the model tells which steps there are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_rt import bundle
from edge_rt.dims import symbol
from edge_rt.errors import DataError
from edge_rt.graph import Graph
from edge_rt.model import load
from edge_rt.profiler import profile
from edge_rt.types import DType, TensorType
from tests.test_stages import positives


def saved(graph: Graph, folder: Path) -> Path:
    bundle.write(bundle.Bundle(signatures={"main": graph}), folder / "m.edge")
    return folder / "m.edge"


def test_a_model_with_a_cut_is_profiled_stage_by_stage(tmp_path: Path) -> None:
    x = np.linspace(-1, 2, 60, dtype=np.float32)
    with load(saved(positives(), tmp_path)) as model:
        result = profile(model, {"x": x}, runs=3)
        assert [(s.step.op, s.stage) for s in result.steps] == [("Mul", 0), ("Greater", 0), ("Compress", 0), ("Relu", 1)]
        assert all(len(s.times) == 3 for s in result.steps)
        assert result.steps[-1].step.outputs == ("float32[40]",)
        assert "4 steps, in 2 stages" in str(result)
        assert [s["stage"] for s in result.to_dict()["steps"]] == [0, 0, 0, 1]
        assert len(json.loads(result.chrome_trace())["traceEvents"]) == 4


def test_profiling_leaves_the_state_of_the_model_alone(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, (4,)))
    total = graph.variable("total", np.zeros(4, np.float32))
    total.update = graph.add("Add", total.value, x)
    graph.output(total.update, "y")
    with load(saved(graph, tmp_path)) as model:
        assert len(profile(model, {"x": np.ones(4, np.float32)}, runs=2).steps) == 1
        np.testing.assert_array_equal(model.run({"x": np.ones(4, np.float32)})["y"], np.ones(4))


def test_data_errors_of_a_later_stage_name_the_node(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, (symbol("n"),)))
    places = graph.add("NonZero", x)
    flat = graph.add("Reshape", places, graph.constant(np.array([-1])))
    table = graph.constant(np.ones(3, np.float32))
    graph.output(graph.add("Gather", table, flat, name="lookup"), "y")
    with load(saved(graph, tmp_path)) as model:
        assert len(profile(model, {"x": np.ones(3, np.float32)}, runs=1).steps) >= 2
        with pytest.raises(DataError, match="lookup"):
            profile(model, {"x": np.ones(5, np.float32)}, runs=1)
