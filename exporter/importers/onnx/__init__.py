"""ONNX models (opset 7 and newer) as graphs of the op table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from edge_rt.dims import symbol
from edge_rt.errors import GraphError, ImporterError
from edge_rt.graph import Graph
from edge_rt.types import Dim
from exporter.importers import Imported, InputShapes
from exporter.importers.onnx._build import Builder
from exporter.importers.onnx._functions import changed_operators
from exporter.importers.onnx._problems import Problems, Refused
from exporter.importers.onnx._proto import dim_name, has_bfloat16, read_model, read_type
from exporter.importers.onnx._runtime import open_oracle
from exporter.importers.onnx._scope import LOST, Scope

__all__ = ["OLDEST_OPSET", "import_onnx", "read"]

OLDEST_OPSET = 7


def import_onnx(source: str | os.PathLike[str] | bytes | Any, *, input_shapes: InputShapes | None = None) -> Graph:
    """The graph of an ONNX model, every operator in its newest semantics.

    source: a path, the bytes, or an onnx.ModelProto. input_shapes: shapes by input name that replace declared ones; a
    number fixes a size (also where other inputs have a size of the same name), a string names it, None keeps it.
    Initializers become constants, also those listed among the inputs. Outputs keep their names.

    Raises UnsupportedError that lists all operators and element types this project lacks, ImporterError for a file that
    is no ONNX model, is damaged, or does not fit `input_shapes`.
    """
    return read(source, input_shapes).graph


def read(source: str | os.PathLike[str] | bytes | Any, input_shapes: InputShapes | None = None) -> Imported:
    """import_onnx, together with notes, metadata and the oracle."""
    model, name, folder = read_model(source)
    try:
        problems = Problems()
        opsets = {("" if e.domain == "ai.onnx" else e.domain): e.version for e in model.opset_import}
        opset = opsets.get("", OLDEST_OPSET)
        if opset < OLDEST_OPSET and (changed := changed_operators(model.graph, opset, OLDEST_OPSET)):
            ops = ", ".join(changed)
            raise ImporterError(f"opset {opset} is older than {OLDEST_OPSET}, which is the oldest supported for {ops}")
        local = {(f.domain, f.name, f.overload): f for f in model.functions}
        builder = Builder(folder, local, problems)
        graph = Graph(model.graph.name or "main")
        scope = Scope(graph, {**opsets, "ai.onnx": opsets.get("", 0)})
        builder.initializers(model.graph, scope)
        _inputs(model.graph, scope, dict(input_shapes or {}), problems)
        builder.nodes(model.graph.node, scope)
        if has_bfloat16(model.graph):
            builder.notes.append("bfloat16 is read as float32, and nothing is rounded to it")
        outputs = [(o.name, scope.lookup(o.name, f"output '{o.name}'")) for o in model.graph.output]
        problems.raise_for(name)
        for public, value in outputs:
            if value is None or value is LOST:
                raise ImporterError(f"output '{public}' is never computed")
            graph.output(value, public)
        if not graph.outputs:
            raise ImporterError("the model has no outputs")
    except GraphError as error:
        raise ImporterError(f"{name}: {error}") from None
    except ImporterError as error:
        text = str(error)
        raise type(error)(text if text.startswith(f"{name}: ") else f"{name}: {text}") from None
    metadata = {"onnx": {p.key: p.value for p in model.metadata_props}} if model.metadata_props else {}
    return Imported(graph, builder.notes, metadata, partial(open_oracle, source))


def _inputs(proto: Any, scope: Scope, shapes: InputShapes, problems: Problems) -> None:
    infos = [info for info in proto.input if info.name not in scope.names]
    unknown = [name for name in shapes if name not in {info.name for info in infos}]
    if unknown:
        known = ", ".join(info.name for info in infos) or "none"
        raise ImporterError(f"input_shapes: no input '{unknown[0]}', the inputs are: {known}")
    sizes = _fixed_sizes(infos, shapes)
    for info in infos:
        try:
            scope.names[info.name] = scope.graph.input(info.name, _input_type(info, sizes, shapes.get(info.name)))
        except Refused as problem:
            problems.type(problem.reason, info.name)
            scope.names[info.name] = LOST


def _fixed_sizes(infos: Sequence[Any], shapes: InputShapes) -> dict[str, int]:
    """Numbers that `input_shapes` gives to named sizes."""
    sizes: dict[str, int] = {}
    for info in infos:
        declared = info.type.tensor_type.shape.dim
        for dim, size in zip(declared, shapes.get(info.name, ())):
            key = dim_name(dim)
            if key and isinstance(size, int) and sizes.setdefault(key, size) != size:
                raise ImporterError(f"input_shapes: size '{key}' must be one number, got {sizes[key]} and {size}")
    return sizes


def _input_type(info: Any, sizes: Mapping[str, int], wanted: Sequence[int | str | None] | None) -> Any:
    declared = read_type(info, sizes)
    if wanted is None:
        return declared
    if declared.shape is not None and len(declared.shape) != len(wanted):
        raise ImporterError(f"input '{info.name}': expected {len(declared.shape)} sizes {declared}, got {list(wanted)}")
    shape: list[Dim] = []
    for axis, size in enumerate(wanted):
        old = symbol(f"{info.name}.{axis}") if declared.shape is None else declared.shape[axis]
        new = old if size is None else symbol(size) if isinstance(size, str) else size
        if isinstance(new, int) and new < 0:
            raise ImporterError(f"input '{info.name}': axis {axis} must not be negative, got {new}")
        if isinstance(old, int) and new != old:
            raise ImporterError(f"input '{info.name}': axis {axis} must be {old}, got {size}")
        shape.append(new)
    return read_type(info, sizes, tuple(shape))
