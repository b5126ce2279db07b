"""The models there are to measure, by name: the demo's, small made ones, and the corpus of real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.zoo import ZOO
from exporter.importers import read
from tests.corpus import MODELS, ONNX_MODELS
from tests.corpus.fetch import fetch
from tests.corpus.inputs import corpus_inputs

Array = np.ndarray[Any, Any]

DIGITS = Path(__file__).parent.parent / "examples" / "digits.onnx"


class BenchModel(NamedTuple):
    """A model and the inputs it is measured with. files: the same model by format ("onnx"), one per kind of peer."""

    name: str
    files: Mapping[str, Path]
    inputs: dict[str, Array]


def names() -> list[str]:
    """What `find` knows."""
    return ["digits", *ZOO, *(name.removesuffix(".onnx") for name in ONNX_MODELS)]


def find(name: str, folder: Path) -> BenchModel:
    """The model of this name, downloaded if it is not in the corpus's cache; made ones are written to `folder`.

    Raises ValueError for an unknown name, Unavailable if it cannot be downloaded.
    """
    name = name.removesuffix(".onnx")
    if name == "digits":
        return _onnx(name, DIGITS, _seeded({"image": (1, 1, 8, 8)}))
    if name in ZOO:
        path = folder / f"{name}.onnx"
        shapes = ZOO[name](path)
        return _onnx(name, path, _seeded(shapes))
    listed = MODELS.get(f"{name}.onnx")
    if listed is None:
        raise ValueError(f"no model is named '{name}', there are {', '.join(names())}")
    return _onnx(name, fetch(listed.name), lambda dtypes: corpus_inputs(listed.name, listed.shapes, dtypes))


def _onnx(name: str, path: Path, inputs: Callable[[dict[str, Any]], dict[str, Array]]) -> BenchModel:
    graph = read(path).graph
    return BenchModel(name, {"onnx": path}, inputs({v.name: v.type.dtype.numpy for v in graph.inputs}))


def _seeded(shapes: Mapping[str, tuple[int, ...]]) -> Callable[[dict[str, Any]], dict[str, Array]]:
    rng = np.random.default_rng(0)
    return lambda dtypes: {name: rng.random(shape).astype(dtypes[name]) for name, shape in shapes.items()}
