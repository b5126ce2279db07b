"""The models there are to measure, by name: the demo's, the zoo's, and the corpus of real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from bench.cache import models_folder
from bench.convert.models import Unconvertible, ncnn_file, onnx_file, tflite_file
from bench.errors import Refused
from bench.zoo import INT8, NAMES
from bench.zoo.network import samples
from exporter.importers import read
from tests.corpus import MODELS, ONNX_MODELS
from tests.corpus.fetch import fetch
from tests.corpus.inputs import corpus_inputs

Array = np.ndarray[Any, Any]

DIGITS = Path(__file__).parent.parent / "examples" / "digits.onnx"

CORPUS = (
    "silero_vad_16k_op15", "silero_vad_16k_sequence", "dtln_1", "blazeface_front_128", "oww_embedding_model",
    "ppocrv4_det", "minilm_l6_v2_int8",
)  # fmt: skip
"""Of the corpus, those in the table that the README quotes."""

NCNN_CORPUS = ("blazeface_front_128", "ppocrv4_det", "oww_embedding_model")
"""Those without control flow or state, which pnnx is asked to convert."""

FAILED = ".failed"
"""Behind the name of a file that a converter could not make: its message."""


class BenchModel(NamedTuple):
    """A model and the inputs it is measured with.

    files: the same model by format ("onnx", "tflite", "ncnn"), one per kind of peer. missing: why the file of a format could
    not be made. plain: the ONNX file that an int8 model was made from, if it is known. is_int8: quantised, for each format
    by another converter or kept by each runtime in another way, so that outputs agree loosely.
    """

    name: str
    files: Mapping[str, Path]
    inputs: dict[str, Array]
    missing: Mapping[str, str] = MappingProxyType({})
    plain: Path | None = None

    @property
    def is_int8(self) -> bool:
        return "int8" in self.name


def names() -> list[str]:
    """What `find` knows."""
    return ["digits", *NAMES, *(name.removesuffix(".onnx") for name in ONNX_MODELS)]


def find(name: str) -> BenchModel:
    """The model of this name, made or downloaded if it is not in a cache; of other formats, those that `convert` made.
    Or the .onnx file at this path.

    Raises Refused for an unknown name, Unavailable if it cannot be downloaded.
    """
    if name.endswith(".onnx") and Path(name).exists():
        return _model(Path(name).stem, Path(name), _seeded)
    name = name.removesuffix(".onnx")
    if name == "digits":
        return _model(name, DIGITS, _seeded)
    if name in NAMES:
        plain = onnx_file(name.removesuffix(INT8)) if name.endswith(INT8) else None
        return _model(name, onnx_file(name), _seeded)._replace(plain=plain)
    listed = MODELS.get(f"{name}.onnx")
    if listed is None:
        raise Refused(f"no model is named '{name}', there are {', '.join(names())}")
    return _model(name, fetch(listed.name), lambda infos: corpus_inputs(listed.name, listed.shapes, _dtypes(infos)))


def convert(name: str) -> list[str]:
    """Makes the model's files for the other runtimes that are not there yet; gives what could not be made, and why."""
    model, failures = find(name), []
    shapes = {n: a.shape for n, a in model.inputs.items()}
    if name in NAMES:
        failures += _tried(f"{name}.tflite", lambda: tflite_file(name))
    if not model.is_int8 and (name in NAMES or name in NCNN_CORPUS or name == "digits"):
        failures += _tried(f"{name}.param", lambda: ncnn_file(name, model.files["onnx"], shapes))
    return failures


def _tried(file: str, make: Callable[[], Path]) -> list[str]:
    reason = models_folder() / f"{file}{FAILED}"
    try:
        make()
    except Unconvertible as error:
        reason.write_text(str(error), "utf-8")
        return [f"{file}: {error}"]
    reason.unlink(missing_ok=True)
    return []


def _model(name: str, path: Path, inputs: Callable[[Mapping[str, Any]], dict[str, Array]]) -> BenchModel:
    graph = read(path).graph
    files, missing = {"onnx": path}, {}
    for format_, suffix in (("tflite", ".tflite"), ("ncnn", ".param")):
        made = models_folder() / f"{name}{suffix}"
        reason = made.with_name(f"{made.name}{FAILED}")
        if made.exists():
            files[format_] = made
        elif reason.exists():
            missing[format_] = reason.read_text("utf-8")
    return BenchModel(name, files, inputs({v.name: v.type for v in graph.inputs}), missing)


def _dtypes(infos: Mapping[str, Any]) -> dict[str, Any]:
    return {name: type_.dtype.numpy for name, type_ in infos.items()}


def _seeded(infos: Mapping[str, Any]) -> dict[str, Array]:
    """The first of `samples`; a size that the model leaves open is 1."""
    [(name, type_)] = infos.items()
    return {name: samples(tuple(d if isinstance(d, int) else 1 for d in type_.shape))[0]}
