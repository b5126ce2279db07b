"""Layers give the same on a device as eagerly; networks of them run by kernels alone, without transposes between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt import errors
from edge_rt.bundle import read
from exporter.authoring.structure import flatten
from tests.keras import table
from tests.keras.cases import CASES, SUMS, Accuracy, Case, Inner

RUN = Accuracy(rtol=1e-4, atol=1e-5, scale=0.05)
L = ex.layers


def made(x: Any) -> Any:
    if isinstance(x, Inner):
        return getattr(L, x.layer)(**{k: made(v) for k, v in x.arguments.items()})
    return [made(item) for item in x] if isinstance(x, list) else x


def last_of_each() -> list[Case]:
    """Of each layer the last configuration without further arguments of the call: the most special one."""
    return list({case.layer: case for case in CASES if not case.call and not case.mask}.values())


@pytest.mark.parametrize("case", last_of_each(), ids=lambda case: case.name)
def test_a_layer_on_the_device(case: Case, tmp_path: Path) -> None:
    ex.random.seed(1)
    rng = np.random.default_rng(5)
    layer = getattr(L, case.layer)(**{k: made(v) for k, v in case.arguments.items()})
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in case.shapes]
    if case.draws == "indices":
        arrays = [rng.integers(0, 7, shape).astype(np.int32) for shape in case.shapes]
    args = arrays if case.layer == "MultiHeadAttention" or len(arrays) == 1 else [arrays]
    layer(*args)
    for v in layer.weights:
        v.assign(np.abs(rng.normal(size=v.shape)).astype(v.dtype) * 0.5 + 0.1)
    expected = flatten([layer(*args)])
    ex.export(layer, tmp_path / "layer.edge")
    model = edge_rt.load(tmp_path / "layer.edge")
    got = list(model.run(dict(zip((x.name for x in model.inputs), arrays))).values())
    assert len(got) == len(expected)
    for one, other in zip(got, expected):
        RUN.check(one, np.asarray(other))


def test_a_stateful_layer_goes_on_where_it_was(tmp_path: Path) -> None:
    layer = L.LSTM(5, stateful=True, return_sequences=True)
    x = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    layer(x)
    layer.reset_state()
    ex.export(layer, tmp_path / "lstm.edge", input_shapes={"sequences": (2, 6, 3)})
    model = edge_rt.load(tmp_path / "lstm.edge")
    for _ in range(3):
        SUMS.check(next(iter(model.run({"sequences": x}).values())), np.asarray(layer(x)))
    assert len(model.state) == 2
    model.reset_state()
    layer.reset_state()
    SUMS.check(next(iter(model.run({"sequences": x}).values())), np.asarray(layer(x)))


def separable(filters: int) -> list[Any]:
    return [
        L.DepthwiseConv2D(3, padding="same", use_bias=False), L.BatchNormalization(), L.ReLU(max_value=6.0),
        L.Conv2D(filters, 1, use_bias=False), L.BatchNormalization(), L.ReLU(),
    ]  # fmt: skip


def keywords() -> Any:
    first = [ex.Input((49, 10, 1)), L.Conv2D(32, (10, 4), strides=2, padding="same"), L.BatchNormalization(), L.ReLU()]
    last = [L.GlobalAveragePooling2D(), L.Dense(12, activation="softmax")]
    return ex.Sequential([*first, *separable(32), *separable(32), *last])


def residual() -> Any:
    x = start = ex.Input((32, 32, 3))
    x = L.Conv2D(16, 3, padding="same", activation="relu")(x)
    for filters, stride in ((16, 1), (32, 2)):
        y = L.BatchNormalization()(L.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x))
        y = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", use_bias=False)(L.ReLU()(y)))
        x = L.ReLU()(L.Add()([y, L.Conv2D(filters, 1, strides=stride)(x) if stride > 1 else x]))
    return ex.Model(start, L.Dense(10)(L.Flatten()(L.AveragePooling2D(8)(x))))


def recurrent() -> Any:
    return ex.Sequential([ex.Input((20, 8)), L.GRU(32, return_sequences=True), L.GRU(16), L.Dense(4)])


def both_ways() -> Any:
    lstm = L.Bidirectional(L.LSTM(16, return_sequences=True))
    return ex.Sequential([ex.Input((20, 8)), lstm, L.Bidirectional(L.LSTM(8)), L.Dense(4)])


def transformer() -> Any:
    x = start = ex.Input((16, 32))
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(4, 8)(x, x)]))
    y = L.Dense(32)(L.Dense(64, activation="gelu")(x))
    return ex.Model(start, L.LayerNormalization()(L.Add()([x, y])))


@pytest.mark.parametrize(
    ("make", "transposes"), [(keywords, 0), (residual, 0), (recurrent, 1), (both_ways, 1), (transformer, 0)]
)
def test_networks_run_by_kernels_alone(make: Any, transposes: int, tmp_path: Path) -> None:
    """Recurrent ones turn [batch, steps] of their input once."""
    ex.random.seed(2)
    rng = np.random.default_rng(3)
    model = make()
    for v in model.weights:
        v.assign((rng.normal(size=v.shape) * 0.3).astype(v.dtype) if len(v.shape) > 1 else rng.uniform(0.5, 1.5, v.shape))
    x = rng.normal(size=(2, *model.inputs[0].shape[1:])).astype(np.float32)
    report = ex.export(model, tmp_path / "net.edge")
    assert "every step has a kernel" in str(report)
    names = [node.op.name for node in main_graph(tmp_path / "net.edge").nodes]
    assert names.count("Transpose") == transposes
    assert not {"Mul", "Add", "Conv", "Relu"} & set(names)
    RUN.check(edge_rt.load(tmp_path / "net.edge")(x), np.asarray(model(x)))


@pytest.mark.parametrize("layer", ["GRU", "SimpleRNN", "Bidirectional"])
def test_masked_steps_on_the_device(layer: str, tmp_path: Path) -> None:
    inner = L.LSTM(4, return_sequences=True)
    last = L.Bidirectional(inner) if layer == "Bidirectional" else getattr(L, layer)(4, return_sequences=True)
    model = ex.Sequential([ex.Input((9, 3)), L.Masking(), L.LSTM(6, return_sequences=True, go_backwards=True), last])
    x = np.random.default_rng(6).normal(size=(3, 9, 3)).astype(np.float32)
    x[0, 2:4] = x[1, 6:] = x[2, :3] = 0
    ex.export(model, tmp_path / "net.edge")
    RUN.check(edge_rt.load(tmp_path / "net.edge")(x), np.asarray(model(x)))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_traced_and_eager(reverse: bool) -> None:
    factor = ex.Variable(0.5)

    def run(x: Any) -> Any:
        return ex.scan(lambda row, total: (row + total, total * factor + row), x, ex.zeros([2]), reverse=reverse)

    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    total, rows = np.zeros(2, np.float32), np.zeros_like(x)
    for i in range(4)[:: -1 if reverse else 1]:
        rows[i], total = x[i] + total, total * 0.5 + x[i]
    traced = ex.function(run, input_signature=[ex.TensorSpec([None, 2])])
    for outputs, state in (run(ex.constant(x)), traced(x)):
        np.testing.assert_array_equal(np.asarray(outputs), rows)
        np.testing.assert_array_equal(np.asarray(state), total)


def test_a_scan_refuses_what_it_cannot_carry() -> None:
    counter = ex.Variable(0.0)

    def counting(row: Any, total: Any) -> Any:
        counter.assign_add(1.0)
        return row, total

    spec = [ex.TensorSpec([None, 2])]
    with pytest.raises(errors.AuthoringError, match="assign to no variable"):
        ex.function(lambda x: ex.scan(counting, x, ex.zeros([2])), input_signature=spec).get_concrete_function()
    with pytest.raises(errors.AuthoringError, match="at least one slice"):
        ex.scan(lambda row, total: (row, total), ex.zeros([0, 2]), ex.zeros([2]))


def main_graph(path: Path) -> Any:
    return next(iter(read(path).signatures.values()))


def test_the_page_about_layers_says_what_is_compared() -> None:
    assert table.uncovered() == set()
    assert table.PAGE.read_text() == table.page()
