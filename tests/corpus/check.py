"""python -m tests.corpus.check [NAME ...]: imports, exports and runs corpus models, and prints how far they are off.

Columns: largest difference from onnxruntime relative to the output's largest magnitude, by the NumPy references over
the imported graph and by the exported bundle; steps in NumPy of all steps; seconds of import, passes and first run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from edge_rt.errors import EdgeError
from edge_rt.interpreter import evaluate
from edge_rt.model import load
from exporter import export
from exporter.importers import Imported, read
from exporter.importers.onnx._runtime import OnnxRuntime
from exporter.verify import compare, instability
from tests.corpus import MODELS, ONNX_MODELS
from tests.corpus.fetch import Unavailable, fetch
from tests.corpus.inputs import corpus_inputs


class Result(NamedTuple):
    """How a model did; differences relative to the largest magnitude."""

    reference: float
    exported: float
    instability: float
    """How much onnxruntime's own outputs change with the last bits of the inputs, where that is beyond tolerance."""
    numpy_steps: int
    steps: int
    seconds: float

    def __str__(self) -> str:
        unstable = f"  (onnxruntime itself {self.instability:.1e})" if self.instability else ""
        return (
            f"reference {self.reference:.1e}  exported {self.exported:.1e}{unstable}  "
            f"NumPy steps {self.numpy_steps} of {self.steps}  {self.seconds:.1f} s"
        )


def check(name: str, folder: Path) -> Result:
    """Compares one model with onnxruntime. Raises VerificationError, and what export and load raise."""
    path, start = fetch(name), time.perf_counter()
    imported = read(path)
    inputs = _inputs(name, imported)
    oracle = OnnxRuntime(path)
    expected = oracle.run(inputs)
    allowed = instability(oracle, inputs, expected)
    graph = imported.graph
    graph.verify()
    outputs = evaluate(graph, [inputs[v.name] for v in graph.inputs])
    reference = compare(expected, dict(zip(graph.output_names, outputs)), allowed)
    bundle = folder / f"{name}.edge"
    export(path, bundle, inputs=inputs, test_vectors=False)
    with load(bundle) as model:
        exported = compare(expected, model.run(inputs), allowed)
        table = model.plan(values=inputs)
    return Result(
        max(d.relative for d in reference),
        max(d.relative for d in exported),
        max(allowed.values(), default=0.0),
        len(table.numpy_steps),
        len(table.steps),
        time.perf_counter() - start,
    )


def _inputs(name: str, imported: Imported) -> dict[str, Any]:
    return corpus_inputs(name, MODELS[name].shapes, {v.name: v.type.dtype.numpy for v in imported.graph.inputs})


def main(names: list[str]) -> int:
    equal, wanted = 0, names or ONNX_MODELS
    for name in wanted:
        try:
            with tempfile.TemporaryDirectory() as folder:
                print(f"{name:30} {check(name, Path(folder))}", flush=True)
            equal += 1
        except (EdgeError, Unavailable) as error:
            print(f"{name:30} {type(error).__name__}: {error}", flush=True)
    print(f"{equal} of {len(wanted)} equal onnxruntime")
    return int(equal < len(wanted))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
