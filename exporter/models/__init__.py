"""Models: graphs of layers, sequences of layers, and classes of one's own; saved, loaded, copied and summarised."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "cloning": "clone_model",
    "functional": "Functional",
    "input": "Input InputLayer",
    "model": "Model",
    "saving": "load_model",
    "sequential": "Sequential",
}
"""Public names by file; each file is imported when one is first used."""
_MODULE_OF = {name: f"exporter.models.{file}" for file, names in _NAMES.items() for name in names.split()}

__all__ = [*_MODULE_OF]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'exporter.models' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
