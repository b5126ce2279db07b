"""A real TensorBoard serves what ex.summary wrote, and a real browser draws it."""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import exporter as ex
from edge_rt.graph import Graph
from tests.authoring.test_guide_modules import ONE, FlexibleSequential
from tests.tensorboard.browser import Page
from tests.tensorboard.models import node_names, write_logs

pytestmark = pytest.mark.tensorboard


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Graph]:
    folder = tmp_path_factory.mktemp("logs")
    write_guide(folder / "the_guide")
    return folder, write_logs(folder, profiler=True)


def write_guide(folder: Path) -> None:
    """The graph view step of TensorFlow's guide "Introduction to modules, layers, and models"."""
    model = FlexibleSequential(name="the_model")
    writer = ex.summary.create_file_writer(folder)
    ex.summary.trace_on(graph=True)
    model(ex.constant(ONE))
    with writer.as_default():
        ex.summary.trace_export(name="my_func_trace", step=0)
    writer.close()


@pytest.fixture(scope="module")
def url(logs: tuple[Path, Graph]) -> Iterator[str]:
    """Where TensorBoard listens, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs[0]), "--host", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--load_fast=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 60
        while not {"run", "the_guide"} <= set(_runs(address)):
            assert server.poll() is None, "TensorBoard ended"
            assert time.monotonic() < end, "TensorBoard does not show the runs"
            time.sleep(0.5)
        yield address
    finally:
        server.kill()
        server.wait()


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        content: bytes = answer.read()
    return content


def _runs(address: str) -> list[str]:
    try:
        found: list[str] = json.loads(get(f"{address}/data/runs"))
    except OSError:
        return []
    return found


def test_the_graph_endpoint_returns_every_node(url: str, logs: tuple[Path, Graph]) -> None:
    served = get(f"{url}/data/plugin/graphs/graph?run=run&tag=network").decode()
    names = set(re.findall(r'^  name: "(.*)"$', served, re.MULTILINE))
    wanted = node_names(logs[1])
    assert len(wanted) > 10
    assert [name for name in wanted if name not in names] == []


def test_the_guides_model_is_served(url: str) -> None:
    assert json.loads(get(f"{url}/data/plugin/graphs/info"))["the_guide"]["tags"]["my_func_trace"]["op_graph"] is True
    served = get(f"{url}/data/plugin/graphs/graph?run=the_guide&tag=my_func_trace").decode()
    ops = re.findall(r'^  op: "(.*)"$', served, re.MULTILINE)
    assert sorted(ops) == sorted(["Placeholder", *["VariableV2"] * 4, *["MatMul", "Add", "Relu"] * 2, "_Retval"])


def test_the_times_of_steps_are_served(url: str) -> None:
    served = get(f"{url}/data/plugin/graphs/run_metadata?run=run&tag=network").decode()
    assert "first/MatMul" in re.findall(r'node_name: "(.*)"', served)


def test_scalars_are_served(url: str) -> None:
    points = json.loads(get(f"{url}/data/plugin/scalars/scalars?run=run&tag=loss"))
    assert [(step, round(value, 5)) for _, step, value in points] == [(0, 1.0), (1, 0.5), (2, 0.33333)]


def test_a_browser_draws_the_graph(url: str, tmp_path: Path) -> None:
    # The graph view opens with the first run by name.
    with Page(f"{url}/#graphs", tmp_path / "profile") as page:
        texts = page.wait_for("second")
        assert {"first", "second", "output_0"} <= set(texts)
        png = page.screenshot()
    (tmp_path / "graph.png").write_bytes(png)
    pixels = pixels_of(png)
    assert pixels.shape[0] > 500
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 50, "the page is blank"


def pixels_of(png: bytes) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """The pixels of an 8-bit PNG (ISO/IEC 15948)."""
    width, height, _, colour = struct.unpack(">IIBB", png[16:26])
    channels = {2: 3, 6: 4}[colour]
    data, at = b"", 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + size]
        at += size + 12
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    # Filtered rows differ as much as the pixels do, which is what is asked for.
    return rows[:, 1:].reshape(height, width, channels)
