"""ImageDecoder for formats that need no codec: BMP, PNM, PNG and uncompressed TIFF, with 8 bits per channel."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from edge_rt.errors import DataError
from edge_rt.ops._attrs import Attrs, Str
from edge_rt.ops._rules import shape_of
from edge_rt.ops._spec import Accuracy, Array, Types, Values, define
from edge_rt.ops._windows import check_rank


class ImageDecoderAttrs(Attrs):
    pixel_format = Str("RGB", choices=("RGB", "BGR", "Grayscale"))


def _image_shapes(attrs: Any, types: Types, values: Values) -> Any:
    check_rank("encoded_stream", shape_of(types), 1)
    return [[None, None, 1 if attrs.pixel_format == "Grayscale" else 3]]


def _image_decoder(attrs: Any, stream: Array) -> Array:
    pixels = decode(stream.tobytes())
    gray = pixels.shape[2] == 1
    if attrs.pixel_format == "Grayscale":
        return pixels if gray else _luma(pixels)
    pixels = np.repeat(pixels, 3, axis=2) if gray else pixels
    return np.ascontiguousarray(pixels[:, :, ::-1]) if attrs.pixel_format == "BGR" else pixels


def _luma(pixels: Array) -> Array:
    """ITU-R 601 luma of u8[h, w, 3], in 16-bit fixed point."""
    weights = np.array([19595, 38470, 7471], np.uint32)
    return ((pixels @ weights + 0x8000) >> 16).astype(np.uint8)[:, :, None]


def decode(data: bytes) -> Array:
    """u8[h, w, 1 or 3] of an image. Raises DataError for other formats, damage and depths other than 8 bits."""
    try:
        if data[:2] == b"BM":
            return _bmp(data)
        if data[:2] in (b"P5", b"P6"):
            return _pnm(data)
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            return _png(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
    except (struct.error, zlib.error, IndexError) as error:
        raise DataError(f"the image is damaged: {error}") from None
    raise DataError(f"the image must be BMP, PNM, PNG or TIFF, it begins with {data[:4]!r}")


def _rows(data: bytes, start: int, height: int, stride: int) -> Array:
    """u8[height, stride] from data[start:]."""
    if height < 1 or stride < 1 or start < 0 or start + height * stride > len(data):
        raise DataError(f"the image ends too early: {len(data)} bytes, {height} rows of {stride} bytes at {start}")
    return np.frombuffer(data, np.uint8, height * stride, start).reshape(height, stride)


def _bmp(data: bytes) -> Array:
    start, header, width, signed_height, _, depth, compression = struct.unpack_from("<IIiiHHI", data, 10)
    colours = struct.unpack_from("<I", data, 46)[0] or 256
    if depth not in (8, 24, 32) or compression != 0:
        raise DataError(f"a BMP must have 8, 24 or 32 bits, uncompressed, got {depth} and compression {compression}")
    height, size = abs(signed_height), depth // 8
    rows = _rows(data, start, height, (width * size + 3) // 4 * 4)[:, : width * size].reshape(height, width, size)
    if signed_height > 0:
        rows = rows[::-1]
    if depth == 8:
        palette = _rows(data, 14 + header, colours, 4)
        if rows.max() >= colours:
            raise DataError(f"the image refers to colour {rows.max()} of {colours}")
        rows = palette[rows[:, :, 0]]
    return np.ascontiguousarray(rows[:, :, 2::-1])


def _pnm(data: bytes) -> Array:
    fields: list[int] = []
    at = 2
    while len(fields) < 3:
        while data[at : at + 1].isspace():
            at += 1
        if data[at : at + 1] == b"#":
            at = data.index(b"\n", at) if b"\n" in data[at:] else len(data)
            continue
        end = at
        while data[end : end + 1].isdigit():
            end += 1
        if not 0 < end - at < 10:
            raise DataError("the PNM header must hold a width, a height and the highest value")
        fields.append(int(data[at:end]))
        at = end
    width, height, most = fields
    if most != 255:
        raise DataError(f"a PNM must have 255 as its highest value, got {most}")
    channels = 3 if data[:2] == b"P6" else 1
    return _rows(data, at + 1, height, width * channels).reshape(height, width, channels).copy()


PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type: gray, RGB, palette, gray and alpha, RGB and alpha."""


def _png(data: bytes) -> Array:
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunks[kind] = chunks.get(kind, b"") + data[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks.get(b"IHDR", b""))
    if depth != 8 or colour not in PNG_CHANNELS or interlaced:
        raise DataError(f"a PNG must have 8 bits and no interlace, got {depth} bits, interlace {interlaced}")
    channels = PNG_CHANNELS[colour]
    size = height * (1 + width * channels)
    if size > 1100 * len(data):
        raise DataError(f"{len(data)} bytes cannot hold {height} rows of {width} pixels")
    raw = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), size)
    pixels = _unfiltered(_rows(raw, 0, height, 1 + width * channels), channels).reshape(height, width, channels)
    if colour == 3:
        palette = np.frombuffer(chunks.get(b"PLTE", b""), np.uint8).reshape(-1, 3)
        if pixels.max() >= len(palette):
            raise DataError(f"the image refers to colour {pixels.max()} of {len(palette)}")
        return palette[pixels[:, :, 0]]
    return np.ascontiguousarray(pixels[:, :, : 1 if colour in (0, 4) else 3])


def _unfiltered(rows: Array, channels: int) -> Array:
    """Undoes the filters of PNG, of which each row names one: 0 none, 1 left, 2 above, 3 their mean, 4 Paeth."""
    above = np.zeros(rows.shape[1] - 1, np.uint8)
    out = np.empty((len(rows), rows.shape[1] - 1), np.uint8)
    for y, row in enumerate(rows):
        kind, line = row[0], row[1:]
        if kind == 0:
            out[y] = line
        elif kind == 1:
            out[y] = np.cumsum(line.reshape(-1, channels), axis=0, dtype=np.uint8).reshape(-1)
        elif kind == 2:
            out[y] = line + above
        elif kind in (3, 4):
            out[y] = _sequential(line.tolist(), above.tolist(), channels, kind == 4)
        else:
            raise DataError(f"a PNG filter must be 0 to 4, got {kind}")
        above = out[y]
    return out


def _sequential(line: list[int], above: list[int], channels: int, paeth: bool) -> list[int]:
    """Filters whose every byte needs the one before it."""
    made = [0] * channels
    corner = [0] * channels + above
    for i, value in enumerate(line):
        left, up = made[i], above[i]
        if paeth:
            estimate = left + up - corner[i]
            distances = abs(estimate - left), abs(estimate - up), abs(estimate - corner[i])
            guess = (left, up, corner[i])[distances.index(min(distances))]
        else:
            guess = (left + up) // 2
        made.append((value + guess) & 255)
    return made[channels:]


TIFF_FORMATS = {1: "B", 3: "H", 4: "I"}
"""Of the field types byte, short and long."""


def _tiff(data: bytes) -> Array:
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    fields: dict[int, tuple[int, ...]] = {}
    for i in range(count):
        at = first + 2 + 12 * i
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, at)
        if kind not in TIFF_FORMATS or length > len(data):
            continue
        layout = f"{order}{length}{TIFF_FORMATS[kind]}"
        place = at + 8 if struct.calcsize(layout) <= 4 else struct.unpack_from(f"{order}I", data, at + 8)[0]
        fields[tag] = struct.unpack_from(layout, data, place)
    width, height, channels = (fields.get(tag, (1,))[0] for tag in (256, 257, 277))
    plain = fields.get(259, (1,))[0] == 1 and fields.get(284, (1,))[0] == 1 and set(fields.get(258, ())) == {8}
    if not plain or channels not in (1, 3):
        raise DataError("a TIFF must be uncompressed, with 1 or 3 interleaved channels of 8 bits")
    per_strip = min(fields.get(278, (height,))[0], height)
    strips = []
    for i, place in enumerate(fields.get(273, ())):
        left = height - i * per_strip
        strips.append(_rows(data, place, min(per_strip, left), width * channels))
    rows = np.concatenate(strips) if strips else np.empty((0, width * channels), np.uint8)
    if len(rows) != height:
        raise DataError(f"the image must have {height} rows, got {len(rows)}")
    pixels = rows.reshape(height, width, channels)
    return 255 - pixels if channels == 1 and fields.get(262, (1,))[0] == 0 else pixels


IMAGE_DECODER = define(
    "ImageDecoder", "encoded_stream:uint8 -> image:uint8", since=20, attrs=ImageDecoderAttrs,
    shapes=_image_shapes, reference=_image_decoder, accuracy=Accuracy(steps=1),
)  # fmt: skip
