"""The linear transforms of Winograd's minimal filtering for windows of three by three numbers.

Three weights that slide over m + 2 numbers and give m are a product of polynomials, turned around: evaluated at m + 1 points
and at infinity it takes m + 2 multiplications instead of 3 m. Here m is 2 down the columns and 4 along the rows of a tile:
errors of 4 in both directions are twice as large.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from edge_rt.kernels.simd import Vec, call, pack, primitive, suffix, unpack

NEAR, FAR = 5 / 8, 3 / 2
"""The points of rows are 0, NEAR, -NEAR, FAR, -FAR and infinity. These two and their powers are exact in f32; rounding
errors are least about here, and twice as large with the customary 1 and 2. Those of columns are 0, 1, -1 and infinity."""
_N, _F = NEAR * NEAR, FAR * FAR
_NEAR_WEIGHT, _FAR_WEIGHT = 1 / (2 * _N * (_N - _F)), 1 / (2 * _F * (_F - _N))
_SUMS = (
    [1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 1, -1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 1, -1, 0], [0, 0, 0, 0, 0, 1],
)  # fmt: skip

INPUTS = (
    (([1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]),),
    (
        (
            [_N * _F, 0, -_N - _F, 0, 1, 0],
            [0, 0, -_F, 0, 1, 0], [0, -_F, 0, 1, 0, 0], [0, 0, -_N, 0, 1, 0], [0, -_N, 0, 1, 0, 0],
            [0, _N * _F, 0, -_N - _F, 0, 1],
        ),
        (
            [1, 0, 0, 0, 0, 0], [0, 1, NEAR, 0, 0, 0], [0, 1, -NEAR, 0, 0, 0], [0, 0, 0, 1, FAR, 0], [0, 0, 0, 1, -FAR, 0],
            [0, 0, 0, 0, 0, 1],
        ),
    ),
)  # fmt: skip
WEIGHTS = (
    (
        ([1, 0, 0], [0.5, 0, 0.5], [0, 0.5, 0], [0, 0, 1]),
        ([1, 0, 0, 0], [0, 1, 1, 0], [0, 1, -1, 0], [0, 0, 0, 1]),
    ),
    (
        (
            [1 / (_N * _F), 0, 0], [_NEAR_WEIGHT, 0, _NEAR_WEIGHT * _N], [0, _NEAR_WEIGHT * NEAR, 0],
            [_FAR_WEIGHT, 0, _FAR_WEIGHT * _F], [0, _FAR_WEIGHT * FAR, 0], [0, 0, 1],
        ),
        _SUMS,
    ),
)  # fmt: skip
OUTPUTS = (
    (([1, 1, 1, 0], [0, 1, -1, 1]),),
    (
        _SUMS,
        ([1, 1, 0, 1, 0, 0], [0, 0, NEAR, 0, FAR, 0], [0, _N, 0, _F, 0, 0], [0, 0, NEAR * _N, 0, FAR * _F, 1]),
    ),
)
"""For columns and for rows, the matrices whose product is the transform of one, the one that comes first first."""


def transformer(down, along):
    """Makes a primitive transform(x): of a tile of vectors x, of its columns and then of its rows. down, along: matrices."""
    shape, made = (len(down[0][0]), len(along[0][0])), (len(down[-1]), len(along[-1]))

    def weighted(builder, vec, row, values):
        """The sum of row * values, by fused multiply-adds where factors are not 1 or -1."""
        total = None
        for factor, value in sorted(((f, v) for f, v in zip(row, values) if f), key=lambda term: term[0] != 1):
            constant = ir.Constant(vec.ir, [float(np.float32(factor))] * vec.lanes)
            if total is None:
                total = value if factor == 1 else builder.fmul(constant, value)
            elif abs(factor) == 1:
                total = (builder.fadd if factor == 1 else builder.fsub)(total, value)
            else:
                total = call(builder, f"llvm.fma.{suffix(vec.ir)}", vec.ir, constant, value, total)
        return total

    def line(builder, vec, matrices, values):
        for matrix in matrices:
            values = [weighted(builder, vec, row, values) for row in matrix]
        return values

    @primitive(lambda x: x.to(shape=made) if isinstance(x, Vec) and x.shape == shape else None)
    def transform(context, builder, sig, args):
        vec, x = sig.args[0], unpack(builder, sig.args[0], args[0])
        columns = [line(builder, vec, down, list(x[:, j])) for j in range(shape[1])]
        rows = [line(builder, vec, along, list(row)) for row in zip(*columns)]
        return pack(builder, sig.return_type, [v for row in rows for v in row])

    return transform
