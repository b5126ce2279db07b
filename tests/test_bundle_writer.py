"""The writer: files that appear whole or not at all, and what it refuses."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_rt.bundle import TestVector, to_bytes, write
from edge_rt.bundle import writer as writer_module
from edge_rt.errors import BundleError, BundleSchemaError, GraphError
from edge_rt.graph import Graph
from edge_rt.types import DType, TensorType
from tests import bundles
from tests.bundles import bundle_of, f32


class DiskFull(Exception):
    pass


@pytest.mark.parametrize("stage", ["write", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    path = tmp_path / "m.edge"
    write(bundles.small(), path)
    old = path.read_bytes()

    def fail(*_: Any) -> Any:
        raise DiskFull

    if stage == "write":
        chunks = writer_module._chunks
        monkeypatch.setattr(writer_module, "_chunks", lambda b: (fail() if i else c for i, c in enumerate(chunks(b))))
    else:
        monkeypatch.setattr(os, stage, fail)
    with pytest.raises(DiskFull):
        write(bundles.large(), path)
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["m.edge"]


def test_a_bundle_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    bundle = bundles.small()
    bundle.test_vectors[0].outputs["y"] = np.zeros(3, np.float32)
    with pytest.raises(BundleSchemaError, match=r"test_vectors\[0\].outputs.y must be float32"):
        write(bundle, tmp_path / "m.edge")
    assert os.listdir(tmp_path) == []


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    write(bundles.small(), tmp_path / "m.edge")
    assert (tmp_path / "m.edge").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_open_files_are_written_to() -> None:
    out = io.BytesIO()
    assert write(bundles.small(), out) == len(out.getvalue())
    assert out.getvalue() == to_bytes(bundles.small())


@pytest.mark.parametrize("metadata", [{"a": object()}, {"a": 2**70}, {"a": "\ud800"}, {1: 2}, {"a": {1: 2, "b": 3}}])
def test_metadata_that_cannot_be_stored(metadata: Any) -> None:
    with pytest.raises((GraphError, BundleError)):
        to_bytes(bundle_of(bundles.convnet(), metadata=metadata))


def test_metadata_that_contains_itself() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    with pytest.raises(GraphError, match="nested deeper than 32"):
        to_bytes(bundle_of(bundles.convnet(), metadata={"a": cyclic}))


def test_state_inside_control_flow_is_refused() -> None:
    graph, then, other = Graph(), Graph("then"), Graph("else")
    x = graph.input("x", f32(2))
    for branch in (then, other):
        branch.output(branch.add("Neg", branch.input("a", f32(2))), "r")
    then.variable("v", np.zeros(2, np.float32))
    flag = graph.input("flag", TensorType(DType.BOOL, ()))
    graph.output(graph.add("If", flag, x, then_branch=then, else_branch=other), "y")
    with pytest.raises(GraphError, match="graph 'then': only signatures may have variables"):
        to_bytes(bundle_of(graph))


def test_a_graph_out_of_order_is_refused() -> None:
    graph = bundles.convnet()
    graph.nodes.reverse()
    with pytest.raises(GraphError, match="is used before it is computed"):
        to_bytes(bundle_of(graph))


def test_test_vectors_are_checked_against_their_signature() -> None:
    bundle = bundles.small()
    bundle.test_vectors.append(TestVector("other", {}, {}))
    with pytest.raises(BundleSchemaError, match=r"test_vectors\[1\].signature must be .* got 'other'"):
        to_bytes(bundle)
