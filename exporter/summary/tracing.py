"""`trace_on` ... `trace_export`: the functions called in between, as graphs, and the times of their steps."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_rt.errors import AuthoringError
from edge_rt.model import load
from edge_rt.profiler import Profile, chrome_trace, profile
from exporter.authoring import concrete as concretes
from exporter.authoring.concrete import ConcreteFunction
from exporter.export import export
from exporter.summary.graphs import graph_def
from exporter.summary.protos import proto, strings
from exporter.summary.writer import default_writer, write

Array = np.ndarray[Any, Any]

_CPU = "/device:CPU:0"


class _Call(NamedTuple):
    """The first call of a function while the trace was on."""

    function: ConcreteFunction
    inputs: dict[str, Array]


class _Recording:
    """The functions called since `trace_on`, each once, in the order of their first calls."""

    def __init__(self, graph: bool, profiler: bool) -> None:
        self.graph, self.profiler = graph, profiler
        self.calls: list[_Call] = []

    def called(self, function: ConcreteFunction, inputs: Mapping[str, Array]) -> None:
        if all(function is not call.function for call in self.calls):
            kept = {name: np.array(x) for name, x in inputs.items()} if self.profiler else {}
            self.calls.append(_Call(function, kept))


_recording: _Recording | None = None


def trace_on(graph: bool = True, profiler: bool = False) -> None:
    """Records the functions that are called until `trace_export` or `trace_off`; those inside of another are part of it.

    graph: their graphs. profiler: `trace_export` runs them with the inputs of their first calls and takes the times.
    Raises AuthoringError if a trace is on.
    """
    global _recording
    if not graph and not profiler:
        raise AuthoringError("trace_on: nothing to record with graph=False and profiler=False")
    if _recording is not None:
        raise AuthoringError("trace_on: a trace is on already; trace_export or trace_off ends it")
    _recording = _Recording(graph, profiler)
    concretes.OBSERVERS.append(_recording.called)


def trace_off() -> None:
    """Ends the trace, if one is on, and forgets it."""
    global _recording
    if _recording is not None:
        concretes.OBSERVERS.remove(_recording.called)
        _recording = None


def trace_export(name: str, step: int | None = None, profiler_outdir: str | os.PathLike[str] | None = None) -> None:
    """Ends the trace and writes it: the graphs to the default writer, under `name`, for TensorBoard's graph view.

    With profiler=True the functions are run by this machine's code, step by step. The times colour the nodes of the graph
    view ("Compute time"), and `profiler_outdir`/plugins/profile/<time>/<name>.trace.json has them for chrome://tracing and
    Perfetto. What a fused step took stands at the node that it is named after.

    Raises AuthoringError where no trace is on, where there is no default writer for a graph or no `profiler_outdir` for a
    profile, and where no function was called; what `ex.export` and running a model raise; OSError.
    """
    if _recording is None:
        raise AuthoringError("trace_export: no trace is on; call trace_on before the functions to record")
    found = _recording
    if found.graph and default_writer() is None:
        raise AuthoringError("trace_export: there is no default writer; use `with writer.as_default():`")
    if found.profiler and profiler_outdir is None:
        raise AuthoringError("trace_export: the profile needs profiler_outdir=")
    if not found.calls:
        raise AuthoringError("trace_export: no ex.function was called since trace_on (what runs eagerly has no graph)")
    trace_off()
    profiles = [_profiled(call) for call in found.calls] if found.profiler else []
    if found.graph:
        graphs = [graph_def(call.function.graph) for call in found.calls]
        # The plugin's names for "a graph" and for "a graph and times".
        kind = "graph_run_metadata" if profiles else "graph_run_metadata_graph"
        write(kind, name, strings([_run_metadata(graphs, profiles).SerializeToString()], ()), step, b"1")
    if profiler_outdir is not None and profiles:
        folder = Path(profiler_outdir, "plugins", "profile", time.strftime("%Y_%m_%d_%H_%M_%S"))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name.replace('/', '_')}.trace.json"
        path.write_text(json.dumps(chrome_trace(profiles)))


def _profiled(call: _Call) -> Profile:
    """The times of the function's steps, as the runtime runs it on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "function.edge")
        export(call.function, path, test_vectors=False)
        with load(path) as model:
            return profile(model, call.inputs)._replace(signature=call.function.name)


def _run_metadata(graphs: list[Any], profiles: list[Profile]) -> Any:
    made = proto("config").RunMetadata()
    for graph in graphs:
        made.function_graphs.add(pre_optimization_graph=graph)
    # TensorBoard numbers the graphs, if there are several.
    prefixes = [f"graph_{i + 1}/" for i in range(len(graphs))] if len(graphs) > 1 else [""]
    if profiles:
        device, now = made.step_stats.dev_stats.add(device=_CPU), 0
        for prefix, measured in zip(prefixes, profiles):
            for s in measured.steps:
                nanoseconds = round(s.median * 1000)
                # The graph view shows whole microseconds, and nodes of none as not run.
                took = max(1, round(s.median))
                device.node_stats.add(
                    node_name=prefix + s.step.name, timeline_label=f"{s.step.op} {'+'.join(s.step.kernels)}",
                    all_start_micros=now // 1000, all_start_nanos=now,
                    op_end_rel_micros=took, all_end_rel_micros=took,
                    op_end_rel_nanos=nanoseconds, all_end_rel_nanos=nanoseconds,
                )  # fmt: skip
                now += nanoseconds
    return made
