"""Inputs of the corpus models that make sense for what the models do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SCALARS = {"sr": 16000}
"""Contents of inputs that select something: here the sampling rate."""

VOCABULARY = {
    "minilm_l6_v2_int8.onnx": 30522,
    "tashkeel_bilstm_int8.onnx": 40,
    "tashkeel_rawi_int8.onnx": 40,
    "magika_standard_v3_3.onnx": 257,
}
"""Number of tokens that a model's integer inputs may be."""


def corpus_inputs(model: str, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, Any]) -> dict[str, Array]:
    """Seeded inputs that reach all of a model: pages of glyphs for text recognition, embeddings as the wake words' own
    network makes them, audio and spectrograms in [-1, 1), other images and features in [0, 1), tokens below the
    vocabulary, masks of ones."""
    rng = np.random.default_rng(sum(map(ord, model)))
    return {name: _input(rng, model, name, shape, np.dtype(dtypes[name])) for name, shape in shapes.items()}


def _input(rng: np.random.Generator, model: str, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    if name in SCALARS:
        return np.full(shape, SCALARS[name], dtype)
    if dtype.kind in "iu":
        if "mask" in name:
            return np.ones(shape, dtype)
        if "type" in name:
            return np.zeros(shape, dtype)
        return rng.integers(0, VOCABULARY[model], shape).astype(dtype)
    if model.startswith("ppocr"):
        return _page(rng, shape).astype(dtype)
    if model.startswith("oww_") and shape[-1] == 96:
        return rng.normal(0, 15, shape).astype(dtype)
    if model == "dnsmos_p808.onnx":
        return rng.uniform(-1, 1, shape).astype(dtype)
    if len(shape) == 2 and shape[1] > 500:
        return rng.uniform(-1, 1, shape).astype(dtype)
    return np.asarray(rng.random(shape)).astype(dtype)


def _page(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A white page with lines of dark 12 x 9 glyphs, normalised as ImageNet's images are; detectors find text on it."""
    _, _, height, width = shape
    page = np.full((height, width), 0.95)
    for y in range(20, height - 20, 28):
        for x in range(12, width - 20, 11):
            if rng.random() < 0.85:
                page[y : y + 12, x : x + 9] = np.where(np.kron(rng.random((4, 3)) < 0.6, np.ones((3, 3))), 0.05, 0.95)
    mean = np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    deviation = np.array([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    return np.broadcast_to((page - mean) / deviation, shape)
