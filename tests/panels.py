"""Weights of convolutions in ONNX's layout as the panels of our own operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.ops._panels import pack_panels

Array = np.ndarray[Any, Any]


def pack_conv(w: Array, group: int = 1) -> Array:
    """ONNX's weights T[n, c/group, kh, kw] as panels T[group, ceil(n/group/16), kh*kw*c/group, 16]."""
    n = w.shape[0]
    return pack_panels(w.transpose(2, 3, 1, 0).reshape(-1, group, n // group).transpose(1, 0, 2))


def pack_conv_transpose(w: Array, group: int = 1) -> Array:
    """ONNX's weights T[c, n/group, kh, kw] as panels T[group, ceil(kh*kw*n/group/16), c/group, 16]."""
    c, n, kh, kw = w.shape
    return pack_panels(w.transpose(0, 2, 3, 1).reshape(group, c // group, kh * kw * n))
