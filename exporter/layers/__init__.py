"""Layers with Keras 3's names, arguments, defaults and semantics, each family in a file of its own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "activation_layers": "Activation ELU LeakyReLU PReLU ReLU Softmax",
    "base": "Layer",
    "batch_norm": "BatchNormalization",
    "dense": "Dense",
    "dropout": (
        "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D "
        "SpatialDropout3D"
    ),
    "embedding": "Embedding",
    "lambda_layer": "Lambda",
    "merging": "Add Average Concatenate Dot Maximum Merge Minimum Multiply Subtract",
    "norms": "GroupNormalization LayerNormalization RMSNormalization UnitNormalization",
    "operator": "Operator",
    "reshaping": "Flatten Identity Permute RepeatVector Reshape",
    "scaling": "Normalization Rescaling",
    "spec": "InputSpec",
}
"""Public names by file; each file is imported when one is first used."""
_MODULE_OF = {name: f"exporter.layers.{file}" for file, names in _NAMES.items() for name in names.split()}

__all__ = [*_MODULE_OF]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'exporter.layers' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
