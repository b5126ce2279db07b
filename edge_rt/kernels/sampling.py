"""Reading images at fractional positions: for some points at once, neighbours and weights first, then each channel."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels._registry import apart, kernel
from edge_rt.kernels.memory import stack
from edge_rt.lowering.sampling import GRID_SAMPLE_F32, MODES, PADDINGS, POINTS

F32, F64, I32, I64 = types.float32, types.float64, types.int32, types.int64
NEAREST, CUBIC = MODES.index("nearest"), MODES.index("cubic")
BORDER, REFLECTION = PADDINGS.index("border"), PADDINGS.index("reflection")
TAPS = 16 * POINTS
FAR = 1e9
"""Beyond any image, and within what integers hold."""


def floor(x):
    whole = I64(x)
    return whole - 1 if F64(whole) > x else whole


def nearest(x):
    """The nearest integer, ties to even."""
    whole = floor(x + 0.5)
    return whole - 1 if F64(whole) - x == 0.5 and whole & 1 else whole


@apart
def mirrored(at, size, align_corners):
    """A position mirrored at the borders until it is inside."""
    low = F64(0) if align_corners else F64(-0.5)
    span = F64(size - 1) if align_corners else F64(size)
    if span == 0:
        return F64(0)
    turn = at - low
    turn -= F64(floor(turn / (2 * span))) * (2 * span)
    return (2 * span - turn if turn > span else turn) + low


def bounded(at, low, high):
    return low if at < low else high if at > high else at


def position(coordinate, size, mode, padding, align_corners):
    """Where a coordinate from -1 to 1 lies on an axis."""
    g = F64(coordinate)
    at = (g + 1) / 2 * F64(size - 1) if align_corners else ((g + 1) * F64(size) - 1) / 2
    at = bounded(at, -FAR, FAR) if at == at else F64(-FAR)
    if mode == CUBIC:
        return at
    if padding == BORDER:
        return bounded(at, F64(0), F64(size - 1))
    return mirrored(at, size, align_corners) if padding == REFLECTION else at


def neighbour(index, size, padding, align_corners):
    """The index on the axis that an index stands for; -1 for none."""
    if index >= 0 and index < size:
        return index
    if padding == BORDER:
        return I64(0) if index < 0 else size - 1
    if padding == REFLECTION:
        at = I64(mirrored(F64(index), size, align_corners))
        return I64(0) if at < 0 else size - 1 if at >= size else at
    return I64(-1)


def read(source, offset, weight):
    v = source[max(offset, 0)]
    return weight * (v if offset >= 0 else F32(0))


def share(rest, k, mode):
    """Weight of the k-th neighbour of a position that lies `rest` behind one."""
    if mode != CUBIC:
        return rest if k == 1 else 1 - rest
    d = rest - F64(k - 1)
    d = -d if d < 0 else d
    if d <= 1:
        return (1.25 * d - 2.25) * (d * d) + 1
    return ((-0.75 * d + 3.75) * d - 6) * d + 3 if d < 2 else F64(0)


@kernel(GRID_SAMPLE_F32)
def grid_sample_f32(target):
    def body(x, grid, out, n, c, h, w, points, mode, padding, align_corners, part, parts):
        offsets, weights = stack(I32, TAPS), stack(F32, TAPS)
        reach = 1 if mode == NEAREST else 4 if mode == CUBIC else 2
        before, taps = 1 if mode == CUBIC else 0, reach * reach
        blocks = (points + POINTS - 1) // POINTS
        units = n * blocks
        for unit in range(units * part // parts, units * (part + 1) // parts):
            image = unit // blocks
            start = (unit - image * blocks) * POINTS
            count = min(POINTS, points - start)
            given = grid + 2 * (image * points + start)
            for p in range(count):
                across = position(given[2 * p], w, mode, padding, align_corners)
                down = position(given[2 * p + 1], h, mode, padding, align_corners)
                left = nearest(across) if mode == NEAREST else floor(across)
                top = nearest(down) if mode == NEAREST else floor(down)
                for i in range(reach):
                    row = neighbour(top + i - before, h, padding, align_corners)
                    high = F64(1) if mode == NEAREST else share(down - F64(top), i, mode)
                    for j in range(reach):
                        column = neighbour(left + j - before, w, padding, align_corners)
                        wide = F64(1) if mode == NEAREST else share(across - F64(left), j, mode)
                        at = (p * reach + i) * reach + j
                        offsets[at] = I32(-1) if row < 0 or column < 0 else I32(row * w + column)
                        weights[at] = F32(high * wide)
            for channel in range(image * c, (image + 1) * c):
                source, made = x + channel * h * w, out + (channel * points + start)
                if taps == 4:
                    for p in range(count):
                        o, s = offsets + 4 * p, weights + 4 * p
                        upper = read(source, o[0], s[0]) + read(source, o[1], s[1])
                        made[p] = upper + (read(source, o[2], s[2]) + read(source, o[3], s[3]))
                else:
                    for p in range(count):
                        total = F32(0)
                        for t in range(p * taps, (p + 1) * taps):
                            total += read(source, offsets[t], weights[t])
                        made[p] = total

    return body
