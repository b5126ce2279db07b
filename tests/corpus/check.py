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
from exporter.verify import compare
from tests.corpus import DIFFERENT, MODELS, ONNX_MODELS
from tests.corpus.fetch import Unavailable, fetch
from tests.corpus.inputs import corpus_inputs


class Result(NamedTuple):
    """How a model did; differences relative to the largest magnitude."""

    reference: float
    exported: float
    numpy_steps: int
    steps: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"reference {self.reference:.1e}  exported {self.exported:.1e}  "
            f"NumPy steps {self.numpy_steps} of {self.steps}  {self.seconds:.1f} s"
        )


def check(name: str, folder: Path) -> Result:
    """Compares one model with onnxruntime. Raises VerificationError, and what export and load raise."""
    path, start = fetch(name), time.perf_counter()
    imported = read(path)
    inputs = _inputs(name, imported)
    oracle = OnnxRuntime(path)
    expected = oracle.run(inputs)
    graph = imported.graph
    graph.verify()
    outputs = evaluate(graph, [inputs[v.name] for v in graph.inputs])
    reference = compare(expected, dict(zip(graph.output_names, outputs)))
    bundle = folder / f"{name}.edge"
    export(path, bundle, inputs=inputs, test_vectors=False)
    with load(bundle) as model:
        exported = compare(expected, model.run(inputs))
        table = model.plan(values=inputs)
    return Result(
        max(d.relative for d in reference),
        max(d.relative for d in exported),
        len(table.numpy_steps),
        len(table.steps),
        time.perf_counter() - start,
    )


def _inputs(name: str, imported: Imported) -> dict[str, Any]:
    return corpus_inputs(name, MODELS[name].shapes, {v.name: v.type.dtype.numpy for v in imported.graph.inputs})


def main(names: list[str]) -> int:
    equal, surprises, wanted = 0, 0, names or ONNX_MODELS
    for name in wanted:
        try:
            with tempfile.TemporaryDirectory() as folder:
                print(f"{name:30} {check(name, Path(folder))}", flush=True)
            equal += 1
            surprises += name in DIFFERENT
        except (EdgeError, Unavailable) as error:
            reason = f" (known: {DIFFERENT[name]})" if name in DIFFERENT else ""
            print(f"{name:30} {type(error).__name__}: {error}{reason}", flush=True)
            surprises += not reason
    print(f"{equal} of {len(wanted)} equal onnxruntime")
    return int(surprises > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
