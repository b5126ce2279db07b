"""Event files, read back by tensorboard's own reader."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exporter as ex
from edge_rt.errors import AuthoringError
from tests.tensorboard.models import Network, X, node_names, write_logs


def events(folder: Path) -> list[Any]:
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    (path,) = folder.rglob("events.out.tfevents.*")
    return [Event.FromString(raw) for raw in RawEventFileLoader(str(path)).Load()]


def values(folder: Path) -> list[Any]:
    return [(e.step, v) for e in events(folder) for v in e.summary.value]


def test_graphs_have_all_nodes(tmp_path: Path) -> None:
    from tensorboard.compat.proto.config_pb2 import RunMetadata

    graph = write_logs(tmp_path)
    ((_, value),) = [(s, v) for s, v in values(tmp_path) if v.tag == "network"]
    metadata = RunMetadata.FromString(value.tensor.string_val[0])
    (drawn,) = (g.pre_optimization_graph for g in metadata.function_graphs)
    names = [node.name for node in drawn.node]
    assert len(names) == len(set(names))
    assert set(node_names(graph)) <= set(names)
    for node in drawn.node:
        for source in node.input:
            assert source.lstrip("^").partition(":")[0] in names, f"{node.name} reads {source}"


def test_scalars_texts_histograms_and_images(tmp_path: Path) -> None:
    from tensorboard.util.tensor_util import make_ndarray

    writer = ex.summary.create_file_writer(tmp_path)
    with writer.as_default(step=7):
        assert ex.summary.scalar("loss", 0.5)
        assert ex.summary.text("note", "**hi**", step=8)
        assert ex.summary.histogram("weights", [1.0, 2.0, 2.0, 5.0], buckets=4)
        assert ex.summary.image("noise", np.zeros((5, 2, 3, 3), np.uint8))
    found = {v.tag: (step, make_ndarray(v.tensor), v.metadata.plugin_data.plugin_name) for step, v in values(tmp_path)}
    assert found["loss"] == (7, np.float32(0.5), "scalars")
    assert (found["note"][0], found["note"][1].item(), found["note"][2]) == (8, b"**hi**", "text")
    assert found["weights"][1][:, 2].tolist() == [1, 2, 0, 1]
    width, height, *images = found["noise"][1]
    assert (width, height, len(images)) == (b"3", b"2", 3)
    assert all(i.startswith(b"\x89PNG\r\n\x1a\n") for i in images)


def test_the_profile_is_a_trace(tmp_path: Path) -> None:
    write_logs(tmp_path, profiler=True)
    (path,) = tmp_path.rglob("*.trace.json")
    assert path.parent.parent.parts[-2:] == ("plugins", "profile")
    trace = json.loads(path.read_text())["traceEvents"]
    steps = [e for e in trace if e["ph"] == "X"]
    assert {e["ph"] for e in trace} == {"M", "X"}
    assert steps
    assert all(e["dur"] >= 0 and {"name", "cat", "ts", "pid", "tid"} <= e.keys() for e in steps)


def test_nothing_is_written_without_a_writer() -> None:
    assert not ex.summary.scalar("loss", 0.5, step=0)


def test_misuse_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuthoringError, match="trace_export: no trace is on"):
        ex.summary.trace_export("x", 0)
    ex.summary.trace_on()
    with pytest.raises(AuthoringError, match="a trace is on already"):
        ex.summary.trace_on()
    with pytest.raises(AuthoringError, match="there is no default writer"):
        ex.summary.trace_export("x", 0)
    writer = ex.summary.create_file_writer(tmp_path)
    with writer.as_default():
        with pytest.raises(AuthoringError, match=r"no ex\.function was called"):
            ex.summary.trace_export("x", 0)
        with pytest.raises(AuthoringError, match="needs a step"):
            ex.summary.scalar("loss", 1.0)
        with pytest.raises(AuthoringError, match="expected one number, got float64 with shape"):
            ex.summary.scalar("loss", [1.0, 2.0], step=0)
    ex.summary.trace_off()
    writer.close()
    with pytest.raises(AuthoringError, match="is closed"), writer.as_default(step=0):
        ex.summary.scalar("loss", 1.0)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(AuthoringError, match=r"pip install 'edge-rt\[tensorboard\]'"):
        ex.summary.create_file_writer(tmp_path)


def test_the_graph_of_a_function_is_readable() -> None:
    network = Network()
    network(X)
    text = str(network.__call__.get_concrete_function(ex.TensorSpec((1, 3))).graph)
    for part in ("graph __call__(%x: float32", "state %calls", "constant ", "= If(", "= Loop(", "return output_0="):
        assert part in text, text
