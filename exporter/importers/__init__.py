"""Readers of trained models, one package or module per format, found by file suffix or by the class of the object.

A format is a module that offers `read(source, input_shapes)`, which gives an Imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Union

import numpy as np

from edge_rt.errors import ImporterError
from edge_rt.graph import Graph

Array = np.ndarray[Any, Any]
InputShapes = Mapping[str, Sequence[Union[int, str, None]]]


class Oracle(Protocol):
    """A model in the runtime it comes from, which says what its outputs should be."""

    name: str
    """The runtime and its version."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name. Raises OracleError where the runtime does not run the model on these inputs."""


class OracleError(Exception):
    """The source runtime failed; caught by whoever asked it."""


class Imported(NamedTuple):
    """A model as a graph, with what the graph cannot say."""

    graph: Graph
    notes: list[str]
    """What of the model was left out without changing its tensors."""
    metadata: dict[str, Any]
    """What the source file says about the model, for the bundle's metadata."""
    oracle: Callable[[], Oracle | None]
    """Opens the model in its own runtime; None where that is not installed."""
    signature: str = "main"
    """Name of this entry point."""
    others: Mapping[str, Imported] = MappingProxyType({})
    """Further entry points by name. They have none themselves."""


class Format(NamedTuple):
    """A source format. package: of the classes whose objects, and those of subclasses, are models; needs: what to install
    for it."""

    name: str
    suffixes: tuple[str, ...]
    package: str
    module: str
    needs: str


FORMATS = (
    Format("ONNX", (".onnx",), "onnx", "exporter.importers.onnx", "pip install 'edge-rt[export]'"),
    Format("this project", (), "exporter", "exporter.importers.objects", "pip install 'edge-rt[export]'"),
)


def read(source: str | os.PathLike[str] | bytes | Any, input_shapes: InputShapes | None = None) -> Imported:
    """Reads a model: a path, the bytes of an ONNX file, or an object.

    Raises ImporterError for a format that is not known or not installed, and what the format's reader raises.
    """
    found = format_of(source)
    try:
        module = import_module(found.module)
    except ModuleNotFoundError as error:
        raise ImporterError(f"reading {found.name} needs the package {error.name}: {found.needs}") from None
    imported: Imported = module.read(source, input_shapes)
    return imported


def format_of(source: Any) -> Format:
    """The format of a source. Raises ImporterError that lists the formats there are."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return FORMATS[0]
    if isinstance(source, (str, os.PathLike)):
        suffix = Path(source).suffix.lower()
        for candidate in FORMATS:
            if suffix in candidate.suffixes:
                return candidate
        known = ", ".join(f"{f.name} ({', '.join(f.suffixes)})" for f in FORMATS if f.suffixes)
        raise ImporterError(f"{source}: unknown format '{suffix}', known: {known}")
    roots = {kind.__module__.partition(".")[0] for kind in type(source).__mro__}
    for candidate in FORMATS:
        if candidate.package in roots:
            return candidate
    known = ", ".join(f.name for f in FORMATS)
    raise ImporterError(f"a model must be a path, bytes or an object of {known}, got {type(source).__name__}")
