"""From a trained model to a bundle: read, optimise, write, compare."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np

from devices import Device
from devices import load as load_device
from edge_rt.bundle import Bundle, TestVector, to_bytes, write
from edge_rt.errors import DeviceError, ImporterError, VerificationError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.model import load
from edge_rt.signature import Signature
from edge_rt.writing import require_replaceable
from exporter import importers
from exporter.compress import Compressor, float16_weights
from exporter.fit import fit
from exporter.importers import Imported, InputShapes, OracleError
from exporter.passes import optimize, widen
from exporter.report import Report, constants, count_macs, count_ops, count_parameters, tensors
from exporter.verify import compare, instability, sample, sample_inputs

Array = np.ndarray[Any, Any]
Asset = Union[bytes, str, "os.PathLike[str]"]

VECTOR_LIMIT = 256 << 10
"""Bytes of inputs and outputs up to which a test vector is worth its place in the bundle."""


class _Trial(NamedTuple):
    """Inputs, and what the model should give for them."""

    inputs: dict[str, Array]
    outputs: dict[str, Array]
    oracle: str
    """Who computed the outputs."""
    instability: dict[str, float]
    """Of unstable outputs: see `verify.instability`."""


def export(
    source: str | os.PathLike[str] | bytes | Any,
    path: str | os.PathLike[str],
    *,
    input_shapes: InputShapes | None = None,
    inputs: Mapping[str, Array] | None = None,
    metadata: Mapping[str, Any] | None = None,
    assets: Mapping[str, Asset] | None = None,
    test_vectors: bool = True,
    verify: bool = False,
    device: str | Device | None = None,
    allow_numpy: bool = False,
    weights: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Writes the bundle of a trained model to `path`, and reports what was done.

    source: a path, bytes (ONNX), or an object of a format in `importers.FORMATS`, a module or function of this project
    among them, all of whose traces become signatures. input_shapes: shapes that replace declared ones, by input name; a
    number fixes a size, a string names it, None keeps it. inputs: arrays to compare and to make the test vector with, of the
    first signature; random ones by default. metadata: JSON-like data for the bundle, over what the source says about itself.
    assets: blobs by name, as bytes or as paths of files. test_vectors: store inputs and outputs for
    `edge-rt verify`, up to VECTOR_LIMIT bytes; outputs come from the source runtime, or where that is not installed
    from the NumPy references. verify: run the bundle and the source model and compare, before anything is written.
    device: the board (by name, see `devices.names()`) that the model must fit: see `exporter.fit`. allow_numpy: it fits also
    if steps of it have no kernel. weights: how weights are stored. "auto": in the fewest bytes that give each to within 4
    units in the last place of float32 (exactly, where no pass multiplied them by something), or as float16 where all are in
    the source; "float32": as they are computed with;
    "float16", "int8", "int4": rounded. Where `verify` compares, differences are then reported, not refused, and the outputs
    of test vectors are the bundle's own.
    progress: called with the name of each step as it begins.

    Raises UnsupportedError that lists all operators the project lacks, ImporterError for a source that cannot be read,
    VerificationError where outputs differ or the source runtime is missing, InputError for unfitting `inputs`, DeviceError
    that lists why the model does not fit the device, ValueError for other `weights`, OSError.
    """
    _require_another_file(source, path)
    board, compressor = _board(device), Compressor(weights)
    tell = progress or (lambda step: None)
    tell("reading the model")
    imported = importers.read(source, input_shapes)
    graph = imported.graph
    report = _report(source, imported)
    trial = None
    if test_vectors or verify or inputs is not None:
        tell("running the source model")
        trial = _try(imported, inputs, report, must_run=verify)
    tell("optimising")
    _, were_float16 = float16_weights(graph)
    report.passes = optimize(graph)
    tell("storing weights")
    report.passes += compressor.run(graph, were_float16)
    report.ops_after = count_ops(graph)
    report.weight_bytes = sum(a.nbytes for a in constants(graph))
    if board is not None:
        tell(f"planning for {board.name}")
        report.device = fit(graph, board, None if trial is None else trial.inputs, report.weight_bytes, allow_numpy)
        if report.device.problems:
            raise DeviceError(f"{report.source} does not fit {board.name}: {'; '.join(report.device.problems)}")
    trials = {imported.signature: trial}
    vectors = _vectors(trial, report, imported.signature) if test_vectors else []
    for name, other in imported.others.items():
        tell(f"signature '{name}'")
        own = _report(name, other)
        trials[name] = _try(other, None, own, must_run=verify) if test_vectors or verify else None
        _, were_float16 = float16_weights(other.graph)
        own.passes = [*optimize(other.graph), *compressor.run(other.graph, were_float16)]
        if board is not None:
            _fit_other(other, board, trials[name], allow_numpy)
        vectors += _vectors(trials[name], own, name) if test_vectors else []
        report.notes += [f"signature '{name}': {note}" for note in own.notes]
    graphs = {imported.signature: graph, **{name: other.graph for name, other in imported.others.items()}}
    about = {**imported.metadata, **(metadata or {})}
    bundle = Bundle(graphs, about, _read_assets(assets or {}), vectors, encodings=compressor.encodings)
    report.weights, report.weight_bytes = compressor.stored, report.weight_bytes - compressor.saved_in_file
    if compressor.is_lossy and vectors:
        _restate(bundle)
        report.test_vector += "; then those of the bundle, since its weights are rounded"
    if verify and trial is not None:
        tell("comparing")
        with load(to_bytes(bundle)) as model:
            for name, tried in trials.items():
                if tried is not None:
                    made = model.session().run(tried.inputs, signature=name)
                    found = compare(tried.outputs, made, tried.instability, refuse=not compressor.is_lossy)
                    prefix = f"{name}: " if imported.others else ""
                    report.differences += [d._replace(output=prefix + d.output) for d in found]
        report.oracle = trial.oracle
    tell("writing")
    report.path, report.file_bytes = os.fspath(path), write(bundle, path)
    report.numpy_steps = _numpy_steps(path, imported, trial)
    return report


def check(
    source: str | os.PathLike[str] | bytes | Any,
    *,
    input_shapes: InputShapes | None = None,
    inputs: Mapping[str, Array] | None = None,
    device: str | Device | None = None,
    allow_numpy: bool = False,
) -> Report:
    """What `export` would read, and how it would run on a device, without running or writing it.

    Arguments as those of `export`. Why a model does not fit the device is in the report: `report.device.problems`.
    Raises UnsupportedError that lists what is missing, and DeviceError where sizes are needed and not given.
    """
    board = _board(device)
    imported = importers.read(source, input_shapes)
    graph = imported.graph
    report = _report(source, imported)
    if board is not None:
        given = None if inputs is None else _checked(imported, inputs)
        _, were_float16 = float16_weights(graph)
        report.passes = [*optimize(graph), *Compressor().run(graph, were_float16)]
        report.ops_after = count_ops(graph)
        report.weight_bytes = sum(a.nbytes for a in constants(graph))
        report.device = fit(graph, board, given, report.weight_bytes, allow_numpy)
    return report


def _require_another_file(source: Any, path: str | os.PathLike[str]) -> None:
    """Raises ImporterError if the bundle would replace the model that it is made of, OSError if it cannot be a file."""
    require_replaceable(path)
    both = isinstance(source, (str, os.PathLike)) and os.path.exists(source) and os.path.exists(path)
    if both and os.path.samefile(source, path):
        raise ImporterError(f"{os.fspath(path)}: is the source model itself; write the bundle to another file")


def _board(device: str | Device | None) -> Device | None:
    return load_device(device) if isinstance(device, str) else device


def _report(source: Any, imported: Imported) -> Report:
    graph = imported.graph
    return Report(
        source=os.fspath(source) if isinstance(source, (str, os.PathLike)) else graph.name,
        path=None,
        inputs=tensors([v.name for v in graph.inputs], graph.inputs),
        outputs=tensors(graph.output_names, graph.outputs),
        parameters=count_parameters(graph),
        macs=count_macs(graph),
        ops_before=count_ops(graph),
        notes=imported.notes,
    )


def _try(imported: Imported, given: Mapping[str, Array] | None, report: Report, must_run: bool) -> _Trial | None:
    """Inputs and expected outputs; None where there are none to be had, which the report then explains."""
    graph = imported.graph
    if given is not None:
        given = _checked(imported, given)
    try:
        oracle = imported.oracle()
        if oracle is None and must_run:
            raise VerificationError("the source model's runtime is not installed (for ONNX: pip install onnxruntime)")
        if oracle is None:
            return _reference(graph, given, report)
        inputs, outputs = (dict(given), oracle.run(given)) if given is not None else sample(graph, oracle)
        trial = _Trial(inputs, outputs, oracle.name, instability(oracle, inputs, outputs))
        for name, change in trial.instability.items():
            report.notes.append(
                f"output '{name}' of the source model changes by {change:.2g} of its largest magnitude when inputs "
                "change in their last bits; so much is allowed where it is compared"
            )
        return trial
    except OracleError as error:
        if must_run:
            raise VerificationError(f"{error}; give it inputs that it accepts") from None
        report.test_vector = f"none: {error}"
        return None


def _checked(imported: Imported, given: Mapping[str, Array]) -> dict[str, Array]:
    graph = imported.graph
    return dict(zip([v.name for v in graph.inputs], Signature(imported.signature, graph).check(given)))


def _reference(graph: Graph, given: Mapping[str, Array] | None, report: Report) -> _Trial | None:
    if given is None and not all(v.type.is_static for v in graph.inputs):
        report.test_vector = "none: input sizes are not known, and no source runtime is installed to try some"
        return None
    inputs = dict(given) if given is not None else sample_inputs(graph, size=1)
    # Roundings of float16 would add up to more than replays of test vectors allow.
    widen(graph)
    outputs = evaluate(graph, [inputs[v.name] for v in graph.inputs])
    return _Trial(inputs, dict(zip(graph.output_names, outputs)), "the NumPy references", {})


def _fit_other(other: Imported, board: Device, trial: _Trial | None, allow_numpy: bool) -> None:
    """Raises DeviceError unless a further signature fits the device."""
    weights = sum(a.nbytes for a in constants(other.graph))
    fitted = fit(other.graph, board, None if trial is None else trial.inputs, weights, allow_numpy)
    if fitted.problems:
        raise DeviceError(f"signature '{other.signature}' does not fit {board.name}: {'; '.join(fitted.problems)}")


def _vectors(trial: _Trial | None, report: Report, signature: str) -> list[TestVector]:
    if trial is None:
        return []
    nbytes = sum(a.nbytes for a in [*trial.inputs.values(), *trial.outputs.values()])
    if nbytes > VECTOR_LIMIT:
        report.test_vector = f"none: inputs and outputs are {nbytes} bytes, more than {VECTOR_LIMIT}"
        return []
    if trial.instability:
        report.test_vector = "none: outputs change with the last bits of the inputs"
        return []
    report.test_vector = f"{nbytes} bytes, outputs by {trial.oracle}"
    return [TestVector(signature, trial.inputs, trial.outputs)]


def _restate(bundle: Bundle) -> None:
    """Gives the test vectors the outputs that the bundle itself computes."""
    vectors, bundle.test_vectors = bundle.test_vectors, []
    with load(to_bytes(bundle)) as model:
        for vector in vectors:
            made = model.session().run(vector.inputs, signature=vector.signature)
            bundle.test_vectors.append(TestVector(vector.signature, vector.inputs, made))


def _read_assets(assets: Mapping[str, Asset]) -> dict[str, bytes]:
    return {n: a if isinstance(a, bytes) else _read_asset(n, Path(a)) for n, a in assets.items()}


def _read_asset(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImporterError(f"asset '{name}': {path} cannot be read: {error.strerror or error}") from None


def _numpy_steps(path: str | os.PathLike[str], imported: Imported, trial: _Trial | None) -> list[str] | None:
    """Steps of the plan that no kernel covers, for the trial's inputs or the sizes that the model fixes."""
    if trial is None and not all(v.type.is_static for v in imported.graph.inputs):
        return None
    with load(path, backend="reference") as model:
        table = model.plan(signature=imported.signature, values=trial.inputs if trial is not None else None)
    steps = [f"{step.op} '{step.name}'" for step in table.numpy_steps]
    return steps if table.is_whole else [*steps, f"and what follows once {table.cut}"]
