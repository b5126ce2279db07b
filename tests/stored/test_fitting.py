"""Plans are taken only for what they were made of."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
from edge_rt import ops, stored
from edge_rt.errors import BundleChecksumError, BundleLayoutError, BundleSchemaError
from edge_rt.graph import Graph
from edge_rt.native import cpu
from edge_rt.native.image import read_header, write_image
from edge_rt.types import TensorType
from tests.cases._case import Case
from tests.stored._models import F32, LARGE, MODELS, RNG, TARGET, bytes_of, dense, is_stored, leave, results, stored_dense

FAMILIES = (
    "attention", "channels_first", "compact", "copy", "dynamic_lstm", "edge_conv", "edge_pool", "elementwise", "gemm",
    "index", "int8", "integer", "normalize", "quantized_steps", "recurrent", "reduce", "trees",
)  # fmt: skip


def test_another_bundle_has_another_plan(plans: Path) -> None:
    data, x, expected = stored_dense(plans)
    other = bytes_of(dense("main", 9))
    assert not is_stored(edge_rt.load(other))
    graph = dense()
    graph.nodes[0].inputs[1].data[0, 0] += 1  # type: ignore[index, union-attr]
    changed = bytes_of(graph)
    assert len(changed) == len(data)
    model = edge_rt.load(changed)
    assert not is_stored(model)
    assert model(x).tobytes() != expected


def test_small_tensors_that_changed_behind_the_header(plans: Path) -> None:
    """Nobody may write into a bundle. Who does so gets what the bytes say now, as without a stored plan."""
    data, x, expected = stored_dense(plans)
    bias = dense().nodes[1].inputs[1].data  # type: ignore[union-attr]
    at = data.index(bias.tobytes())
    changed = data[:at] + (bias + 1).tobytes() + data[at + bias.nbytes :]
    model = edge_rt.load(changed)
    assert not is_stored(model)
    got = np.frombuffer(model(x).tobytes(), np.float32)
    np.testing.assert_allclose(got, np.frombuffer(expected, np.float32) + 1, rtol=1e-6)


CASES = [case for family in FAMILIES for case in import_module(f"tests.cases.{family}").CASES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules_look_at_no_other_contents(case: Case) -> None:
    """What `storing._spans` relies on: only those of `shape_inputs`, unless the operator's contents are followed."""
    op = ops.get(case.op)
    if op.follows or any(isinstance(value, Graph) for value in case.attributes.values()):
        return
    attrs = op.attrs(**case.attributes)
    types = [None if x is None else TensorType.of(x) for x in case.inputs]
    told = [x if i in op.shape_inputs else None for i, x in enumerate(case.inputs)]
    assert op.infer(attrs, types, told, "")[0] == op.infer(attrs, types, case.inputs, "")[0]


def test_large_tensors_are_read_where_they_are(plans: Path, tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (LARGE,)))
    w = RNG.random(LARGE, np.float32)
    graph.output(graph.add("Mul", x, graph.constant(w)), "y")
    data = bytes_of(graph)
    leave(data, {"x": np.ones(LARGE, np.float32)})
    at = data.index(w.tobytes())
    model = edge_rt.load(data[:at] + (2 * w).tobytes() + data[at + w.nbytes :])
    assert is_stored(model)
    np.testing.assert_array_equal(model(np.ones(LARGE, np.float32)), 2 * w)


def test_contents_that_decide_shapes_count_however_many_there_are(plans: Path) -> None:
    """A Gather of sizes is followed by inference, so the table of sizes decides what the plan is."""
    graph = Graph()
    x = graph.input("x", TensorType(F32, (12,)))
    sizes = np.arange(1, 201, dtype=np.int64)
    shape = graph.add("Gather", graph.constant(sizes), graph.constant(np.array([1, 5])))
    graph.output(graph.add("Exp", graph.add("Reshape", x, shape)), "y")
    data = bytes_of(graph)
    leave(data, {"x": np.ones(12, np.float32)})
    assert is_stored(edge_rt.load(data))
    swapped = sizes.copy()
    swapped[[1, 5]] = 3, 4
    at = data.index(sizes.tobytes())
    with pytest.raises(BundleSchemaError, match=r"must be float32\[3, 4\], got float32\[2, 6\]"):
        edge_rt.load(data[:at] + swapped.tobytes() + data[at + sizes.nbytes :])


def test_damaged_bundles_are_refused_as_without(plans: Path) -> None:
    data, _, _ = stored_dense(plans)
    with pytest.raises(BundleChecksumError):
        edge_rt.load(data[:70] + bytes([data[70] ^ 1]) + data[71:])
    with pytest.raises(BundleLayoutError):
        edge_rt.load(data + b"\0")
    length = int.from_bytes(data[16:24], "little")
    padding = 64 + length
    assert padding % 64, "there is padding"
    with pytest.raises(BundleLayoutError, match="padding, must be zero"):
        edge_rt.load(data[:padding] + b"\1" + data[padding + 1 :])


@pytest.mark.parametrize("change", ["build", "cpu", "target", "pack", "no pack"])
def test_another_build_machine_or_pack(change: str, plans: Path, image: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data, x, expected = stored_dense(plans)
    pack = Path(stored.PACKS) / f"{TARGET.name}.image"
    if change == "build":
        monkeypatch.setattr(stored, "build_of_this", lambda: "another build")
    elif change == "cpu":
        text = cpu.cpu_text()
        monkeypatch.setattr(stored, "cpu_text", lambda: text + " one_more")
    elif change == "target":
        monkeypatch.setenv("EDGE_RT_TARGET", TARGET.name)
    else:
        pack.unlink()
        if change == "pack":
            header = read_header(image, "")
            code = image[header.code_offset :]
            pack.write_bytes(write_image(header.target, header.requires, header.symbols, code, "others"))
    model = edge_rt.load(data)
    assert not is_stored(model)
    assert model(x).tobytes() == expected


@pytest.mark.parametrize(
    "options",
    [{"max_memory": 1 << 20}, {"verify": "all"}, {"backend": "reference"}, {"stored_plan": False}],
    ids=lambda options: next(iter(options)),
)
def test_options_that_need_the_whole_bundle(options: dict[str, Any], plans: Path) -> None:
    data = bytes_of(dense())
    results(edge_rt.load(data, **options), MODELS["dense"][1])
    assert not plans.exists()
    stored_dense(plans)
    assert not is_stored(edge_rt.load(data, **options))


def test_what_cannot_be_stored(plans: Path) -> None:
    """Steps in Python, and sizes that only running tells."""
    graph = Graph()
    graph.output(graph.add("NonZero", graph.input("x", TensorType(F32, (9,)))), "y")
    leave(bytes_of(graph), {"x": np.float32([0, 1] * 4 + [2])})
    assert not plans.exists()


def test_a_checkout_stores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "edge_rt._start" not in sys.modules
    assert stored.build_of_this() == ""
    assert stored.shelf(memoryview(bytes_of(dense()))) is None
