"""Layers with Keras 3's names, arguments, defaults and semantics, each family in a file of its own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "activation_layers": "Activation ELU LeakyReLU PReLU ReLU Softmax",
    "attention": "AdditiveAttention Attention",
    "base": "Layer",
    "batch_norm": "BatchNormalization",
    "borders": "Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D ZeroPadding3D",
    "conv": "Conv1D Conv2D Conv3D",
    "conv_transpose": "Conv1DTranspose Conv2DTranspose",
    "dense": "Dense",
    "depthwise": "DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D",
    "dropout": (
        "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D "
        "SpatialDropout3D"
    ),
    "embedding": "Embedding",
    "lambda_layer": "Lambda",
    "masking": "Masking",
    "merge_functions": "add average concatenate dot maximum minimum multiply subtract",
    "merging": "Add Average Concatenate Dot Maximum Merge Minimum Multiply Subtract",
    "multi_head_attention": "MultiHeadAttention",
    "norms": "GroupNormalization LayerNormalization RMSNormalization UnitNormalization",
    "operator": "Operator",
    "pooling": (
        "AveragePooling1D AveragePooling2D AveragePooling3D GlobalAveragePooling1D GlobalAveragePooling2D "
        "GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D MaxPooling1D MaxPooling2D "
        "MaxPooling3D"
    ),
    "recurrent": "GRU LSTM SimpleRNN",
    "recurrent_cells": "GRUCell LSTMCell SimpleRNNCell StackedRNNCells",
    "reshaping": "Flatten Identity Permute RepeatVector Reshape",
    "rnn": "RNN",
    "scaling": "Normalization Rescaling",
    "spec": "InputSpec",
    "upsampling": "UpSampling1D UpSampling2D UpSampling3D",
    "wrappers": "Bidirectional TimeDistributed",
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
