"""Operators that only move elements: all of them are strided copies between boxes of tensors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from edge_rt.lowering._layout import MAX_DIMS, broadcast_strides, dense_strides, front_padded, merge
from edge_rt.lowering._spec import Alias, Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Table, lowers, parts_for

COPY = {
    size: KernelSpec(f"copy_{size}", f"x:{t}* out:{t}* table:i64*", merges=True)
    for size, t in {1: "u8", 2: "f16", 4: "i32", 8: "i64"}.items()
}
"""out[dst . i] = x[src . i] for all i of a box, by element size.

table: mode, offset in x, offset in out, pieces, size of a piece, MAX_DIMS dims, strides in x, strides in out.
ROWS: work is shared by rows along the last dim, each cut into pieces. TILES: the last dim lies densely in out, the one
before it in x (a transpose); work is shared by pieces of the latter.
"""
ROWS, TILES = 0, 1
HEADER, TILE = 5, 64
_PIECE, _WOVEN = 1 << 14, 1 << 10


def copy_call(
    source: Arg, target: Arg, itemsize: int, dims: Sequence[int], src: Sequence[int], dst: Sequence[int],
    src_offset: int = 0, dst_offset: int = 0,
) -> Call | None:  # fmt: skip
    """A strided copy; None if it needs too many dimensions, or elements of a size that no kernel has."""
    merged, (src, dst) = merge(dims, src, dst)
    if len(merged) > MAX_DIMS or itemsize not in COPY:
        return None
    n = math.prod(merged)
    mode, pieces, piece = ROWS, 1, merged[-1]
    last = len(merged) - 1
    across = [i for i in range(last) if src[i] == 1]
    if dst[last] == 1 and src[last] != 1 and across and merged[last] >= 2 and merged[across[0]] >= 4:
        order = [i for i in range(last) if i != across[0]] + [across[0], last]
        merged, src, dst = ([v[i] for i in order] for v in (merged, src, dst))
        piece = TILE if merged[-1] > 4 else _WOVEN
        mode, units = TILES, n // (merged[-1] * merged[-2]) * -(-merged[-2] // piece)
    else:
        rows = n // merged[-1] if merged[-1] else 0
        if rows < 16 and piece > _PIECE:
            piece = _PIECE
            pieces = -(-merged[-1] // piece)
        units = rows * pieces
    table = [mode, src_offset, dst_offset, pieces, piece, *front_padded(merged, MAX_DIMS, 1)]
    table += [*front_padded(src, MAX_DIMS, 0), *front_padded(dst, MAX_DIMS, 0)]
    work = n * (1 if mode == ROWS and src[-1] == dst[-1] == 1 else 2)
    return COPY[itemsize](x=source, out=target, table=Table(table), parts=parts_for(work, max(units, 1)))


def _all(calls: Sequence[Call | None]) -> Lowered:
    return None if any(c is None for c in calls) else [c for c in calls if c is not None]


def _rearranged(node: BoundNode, shape: Sequence[int], perm: Sequence[int]) -> Lowered:
    """The input, read as `shape`, with its axes permuted."""
    strides = dense_strides(shape)
    dims = [shape[p] for p in perm]
    call = copy_call(
        In(0), Out(0), node.outputs[0].dtype.itemsize, dims, [strides[p] for p in perm], dense_strides(dims)
    )
    return _all([call])


@lowers("Dropout")
def dropout(node: BoundNode) -> Lowered:
    """Where it drops nothing. The mask has no kernel."""
    training = node.values[2] if node.has(2) else np.array(False)
    return Alias(0) if training is not None and not training.any() and not any(node.used[1:]) else None


@lowers("Transpose")
def transpose(node: BoundNode) -> Lowered:
    shape = node.type(0).static_shape
    perm = node.attrs.perm
    perm = list(range(len(shape)))[::-1] if perm is None else list(perm)
    moved = [p for p in perm if shape[p] != 1]
    return Alias(0) if moved == sorted(moved) else _rearranged(node, shape, perm)


@lowers("DepthToSpace")
def depth_to_space(node: BoundNode) -> Lowered:
    n, c, h, w = node.type(0).static_shape
    b = node.attrs.blocksize
    if node.attrs.mode == "DCR":
        return _rearranged(node, (n, b, b, c // (b * b), h, w), (0, 3, 4, 1, 5, 2))
    return _rearranged(node, (n, c // (b * b), b, b, h, w), (0, 1, 4, 2, 5, 3))


@lowers("SpaceToDepth")
def space_to_depth(node: BoundNode) -> Lowered:
    n, c, h, w = node.type(0).static_shape
    b = node.attrs.blocksize
    perm = (0, 3, 5, 1, 2, 4) if node.attrs.mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return _rearranged(node, (n, c, h // b, b, w // b, b), perm)


@lowers("Expand")
def expand(node: BoundNode) -> Lowered:
    shape, target = node.type(0).static_shape, node.outputs[0].static_shape
    if math.prod(shape) == math.prod(target):
        return Alias(0)
    strides = broadcast_strides(shape, target)
    return _all([copy_call(In(0), Out(0), node.outputs[0].dtype.itemsize, target, strides, dense_strides(target))])


@lowers("Tile")
def tile(node: BoundNode) -> Lowered:
    shape, target = node.type(0).static_shape, node.outputs[0].static_shape
    if shape == target:
        return Alias(0)
    dims: list[int] = []
    src: list[int] = []
    for d, t, stride in zip(shape, target, dense_strides(shape)):
        dims += [t // d if d else 0, d]
        src += [0, stride]
    return _all([copy_call(In(0), Out(0), node.outputs[0].dtype.itemsize, dims, src, dense_strides(dims))])


@lowers("Concat")
def concat(node: BoundNode) -> Lowered:
    if len(node.inputs) == 1:
        return Alias(0)
    out = node.outputs[0]
    strides = dense_strides(out.static_shape)
    axis, at = node.attrs.axis % len(strides), 0
    calls = []
    for i in range(len(node.inputs)):
        shape = node.type(i).static_shape
        if math.prod(shape):
            own = dense_strides(shape)
            calls.append(copy_call(In(i), Out(0), out.dtype.itemsize, shape, own, strides, 0, at * strides[axis]))
        at += shape[axis]
    return _all(calls)


@lowers("Split")
def split(node: BoundNode) -> Lowered:
    shape = node.type(0).static_shape
    axis, at = node.attrs.axis % len(shape), 0
    strides, calls = dense_strides(shape), []
    for i, out in enumerate(node.outputs):
        own = out.static_shape
        if node.used[i] and out.size:
            offset = at * strides[axis]
            calls.append(copy_call(In(0), Out(i), out.dtype.itemsize, own, strides, dense_strides(own), offset))
        at += own[axis]
    return _all(calls)


@lowers("Slice")
def slice_(node: BoundNode) -> Lowered:
    """Where starts, axes and steps are known."""
    from edge_rt.ops.move import sliced

    shape, target = node.type(0).static_shape, node.outputs[0].static_shape
    starts, ends, axes, steps = (node.values[i] if node.has(i) else None for i in (1, 2, 3, 4))
    if starts is None or ends is None or (node.has(3) and axes is None) or (node.has(4) and steps is None):
        return None
    strides, offset = dense_strides(shape), 0
    src = list(strides)
    for i, axis in enumerate(range(starts.size) if axes is None else axes.reshape(-1).tolist()):
        axis %= len(shape)
        step = 1 if steps is None else int(steps.reshape(-1)[i])
        found = sliced(shape[axis], int(starts.reshape(-1)[i]), int(ends.reshape(-1)[i]), step)
        assert found is not None
        offset += int(found[0]) * strides[axis]
        src[axis] = strides[axis] * step
    if target == shape and src == strides:
        return Alias(0)
    if not math.prod(target):
        return []
    dst = dense_strides(target)
    return _all([copy_call(In(0), Out(0), node.outputs[0].dtype.itemsize, target, src, dst, offset)])


# ---- padding ---------------------------------------------------------------------------------------------------------

Segment = tuple[int, int, int, int]
"""(first position in out, length, first position in x, step in x) of a stretch of an axis."""


def segments(source: Sequence[int]) -> Iterator[Segment]:
    """Stretches of an axis whose positions in x step evenly; source: the position in x of each position in out."""
    start = 0
    while start < len(source):
        end = start + 1
        step = source[end] - source[start] if end < len(source) else 0
        while end < len(source) and source[end] - source[end - 1] == step:
            end += 1
        yield start, end - start, source[start], step if end - start > 1 else 0
        start = end


def _box(node: BoundNode, source: Arg, axes: Sequence[Segment], src: Sequence[int]) -> Call | None:
    dst = dense_strides(node.outputs[0].static_shape)
    steps = [s[3] * t for s, t in zip(axes, src)]
    return copy_call(
        source, Out(0), node.outputs[0].dtype.itemsize, [s[1] for s in axes], steps, dst,
        sum(s[2] * t for s, t in zip(axes, src)), sum(s[0] * t for s, t in zip(axes, dst)),
    )  # fmt: skip


def _filled_around(node: BoundNode, value: Arg, before: Sequence[int]) -> Lowered:
    """The input at `before` (negative: cropped) in a tensor of `value`: fills a border of two boxes per axis."""
    shape, target = node.type(0).static_shape, node.outputs[0].static_shape
    first = [min(max(0, b), t) for b, t in zip(before, target)]
    last = [max(f, min(t, b + d)) for f, b, d, t in zip(first, before, shape, target)]
    nothing = [0] * len(shape)
    calls: list[Call | None] = []
    for axis, size in enumerate(target):
        inner: list[Segment] = [(f, e - f, 0, 0) for f, e in zip(first[:axis], last[:axis])]
        outer: list[Segment] = [(0, t, 0, 0) for t in target[axis + 1 :]]
        for start, end in ((0, first[axis]), (last[axis], size)):
            box = [*inner, (start, end - start, 0, 0), *outer]
            if math.prod(s[1] for s in box):
                calls.append(_box(node, value, box, nothing))
    middle: list[Segment] = [(f, e - f, f - b, 1) for f, e, b in zip(first, last, before)]
    if math.prod(s[1] for s in middle):
        calls.append(_box(node, In(0), middle, dense_strides(shape)))
    return _all(calls)


@lowers("Pad")
def pad(node: BoundNode) -> Lowered:
    """Where pads and axes are known. Modes that repeat copy one box per combination of stretches, at most 81."""
    shape = node.type(0).static_shape
    pads, axes = node.values[1], node.values[3] if node.has(3) else np.arange(len(shape))
    if pads is None or axes is None:
        return None
    before, after = [0] * len(shape), [0] * len(shape)
    for i, axis in enumerate(axes.reshape(-1).tolist()):
        before[axis % len(shape)], after[axis % len(shape)] = int(pads[i]), int(pads[i + axes.size])
    if not any(before) and not any(after):
        return Alias(0)
    if node.attrs.mode == "constant":
        dtype = node.outputs[0].dtype.numpy
        return _filled_around(node, In(2) if node.has(2) else Table(np.zeros(1, dtype), dtype), before)
    if not node.outputs[0].size:
        return []
    from edge_rt.ops.arrange import padding_source

    sources = [padding_source(d, b, a, node.attrs.mode) for d, b, a in zip(shape, before, after)]
    stretches = [list(segments(source.tolist())) for source in sources]
    if math.prod(map(len, stretches)) > 81:
        return None
    return _all([_box(node, In(0), box, dense_strides(shape)) for box in itertools.product(*stretches)])


@lowers("CenterCropPad")
def center_crop_pad(node: BoundNode) -> Lowered:
    shape, target = node.type(0).static_shape, node.outputs[0].static_shape
    before = [(t - d) // 2 if t > d else -((d - t) // 2) for d, t in zip(shape, target)]
    dtype = node.outputs[0].dtype.numpy
    return Alias(0) if shape == target else _filled_around(node, Table(np.zeros(1, dtype), dtype), before)
