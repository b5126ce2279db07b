"""Models with a team: the same bits for any number of threads, and no processor time for waiting."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter
from bench.apart import PERIOD_S, idle_percent, processor_time
from bench.models import BenchModel, find
from edge_rt.native.program import Program

pytest.importorskip("onnxruntime")

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of the bundles, beside the models that they are made of."""
    made = tmp_path_factory.mktemp("threads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_RT_BENCH", str(made))
        yield made


def bundle_of(name: str, folder: Path) -> tuple[Path, BenchModel]:
    model, path = find(name), folder / f"{name}.edge"
    if not path.exists():
        exporter.export(model.files["onnx"], path, inputs=model.inputs, test_vectors=False)
    return path, model


@pytest.mark.parametrize("name", ["dscnn", "resnet8", "gru", "vit", "dscnn-int8"])
def test_the_same_bits_for_any_number_of_threads(name: str, folder: Path) -> None:
    path, bench = bundle_of(name, folder)
    with edge_rt.load(path, threads=1) as model:
        assert any(parts > 1 for step in model.plan().steps for parts in step.parts)
        (wanted,) = model.run(bench.inputs).values()
    for threads in (2, 3, 4, 7):
        with edge_rt.load(path, threads=threads) as model:
            for _ in range(5):
                (got,) = model.run(bench.inputs).values()
                assert got.tobytes() == wanted.tobytes()


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are shared where that pays, as they are outside of tests."""
    monkeypatch.setattr(Program, "call", lambda p, start, stop, team, brief: p._prepare(start, stop, team, brief, True))


@pytest.mark.parametrize("threads", [2, 4])
def test_waiting_takes_no_processor_time(threads: int, folder: Path, chosen: None) -> None:
    """With one call in 20 ms a call takes what it takes in a loop, and the caches that went cold; helpers that waited
    awake would take 20 ms each."""
    path, bench = bundle_of("vit", folder)
    with edge_rt.load(path, threads=threads) as model:
        runs = [lambda: model.run(bench.inputs)]
        turns = [[processor_time(runs, 0, period) for period in (0.0, PERIOD_S)] for _ in range(3)]
        in_a_loop, paced = (min(times) for times in zip(*turns))  # other processes only add to it
        assert paced < 1.5 * in_a_loop + 1
        assert paced < 1e3 * PERIOD_S
        assert idle_percent(runs, 2) < 0.2


def test_threads_that_are_of_no_use_cost_nothing(folder: Path, chosen: None) -> None:
    """A model too small to share never asks for helpers."""
    path, bench = bundle_of("mlp", folder)
    with edge_rt.load(path, threads=2) as model:
        before = time.process_time(), time.thread_time()
        for _ in range(20000):
            model.run(bench.inputs)
        process, thread = time.process_time() - before[0], time.thread_time() - before[1]
        assert process - thread < 0.05 * thread + 0.005
