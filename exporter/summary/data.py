"""`scalar`, `text`, `histogram` and `image`: one tensor each, in the form of TensorBoard's plugin for it.

All go to the default writer, under their name with the name scopes in front that are open, and say whether there was one.
step: by default that of `writer.as_default(step=...)`. description: Markdown. Raises AuthoringError for data of another
form, and TracingError for symbolic tensors, whose contents nobody knows while a function is traced.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.summary import protos
from exporter.summary.writer import default_writer, write

Array = np.ndarray[Any, Any]

# The plugins' own message for "version 0" is empty: its only field has the default value.
_VERSION_0 = b""


def scalar(name: str, data: Any, step: int | None = None, description: str | None = None) -> bool:
    """One number."""
    if default_writer() is None:
        return False
    number = np.asarray(data)
    if number.size != 1 or number.dtype.kind not in "biuf":
        raise AuthoringError(f"scalar '{name}': expected one number, got {number.dtype} with shape {number.shape}")
    tensor = protos.tensor(number.reshape(()).astype(np.float32))
    return write("scalars", name, tensor, step, _VERSION_0, description)


def text(name: str, data: Any, step: int | None = None, description: str | None = None) -> bool:
    """A string of Markdown; or a list or an array of strings, shown as a table."""
    if default_writer() is None:
        return False
    array = np.asarray(data)
    if array.dtype.kind != "U":
        raise AuthoringError(f"text '{name}': expected strings, got {array.dtype}")
    lines = [str(line).encode() for line in array.reshape(-1)]
    return write("text", name, protos.strings(lines, array.shape), step, _VERSION_0, description)


def histogram(
    name: str, data: Any, step: int | None = None, buckets: int = 30, description: str | None = None
) -> bool:
    """How the elements are distributed: counts in `buckets` intervals of equal width from the least to the largest."""
    if default_writer() is None:
        return False
    values = np.asarray(data).reshape(-1)
    if values.dtype.kind not in "biuf" or not np.isfinite(values := values.astype(np.float64)).all():
        raise AuthoringError(f"histogram '{name}': expected finite numbers, got {np.asarray(data).dtype}")
    return write("histograms", name, protos.tensor(_intervals(values, buckets)), step, _VERSION_0, description)


def image(
    name: str, data: Any, step: int | None = None, max_outputs: int = 3, description: str | None = None
) -> bool:
    """Images [k, height, width, channels], the first `max_outputs` of them: uint8, or float within [0, 1].

    1 channel is grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    """
    if default_writer() is None:
        return False
    pixels = np.asarray(data)
    if pixels.ndim != 4 or pixels.shape[3] not in _COLOURS or not (pixels.dtype == np.uint8 or pixels.dtype.kind == "f"):
        expected = "uint8 or float [k, height, width, 1 to 4 channels]"
        raise AuthoringError(f"image '{name}': expected {expected}, got {pixels.dtype} with shape {pixels.shape}")
    pixels = pixels[:max_outputs]
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    _, height, width, _ = pixels.shape
    strings = [str(width).encode(), str(height).encode(), *map(_png, pixels)]
    return write("images", name, protos.strings(strings, (len(strings),)), step, _VERSION_0, description)


def _intervals(values: Array, buckets: int) -> Array:
    """float64[buckets, 3]: from, to and how many. Equal values are all in the last one."""
    if not values.size:
        return np.zeros((buckets, 3))
    least, largest = values.min(), values.max()
    edges = np.linspace(least, largest, buckets + 1)
    counts = np.zeros(buckets) if least == largest else np.histogram(values, edges)[0].astype(np.float64)
    if least == largest:
        counts[-1] = values.size
    return np.stack([edges[:-1], edges[1:], counts], axis=1)


_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour types by the number of channels."""


def _png(pixels: Array) -> bytes:
    """uint8[height, width, channels] as a PNG file (ISO/IEC 15948), rows unfiltered."""
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
