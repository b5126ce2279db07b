"""What classic models end with: labels and probabilities of scores, and rows divided by their norm."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.reduce import magnitude, plus, row_folder, same, square
from edge_rt.kernels.simd import Vec, extract, is_null, load, load_first, pointer, splat, store, store_first
from edge_rt.kernels.softmax import row_normalizer
from edge_rt.kernels.vbits import square_root
from edge_rt.lowering.classic import CLASSIFY, NORMALIZER_F32, NORMS
from edge_rt.ops.edge_trees import SECOND, TRANSFORMS
from edge_rt.types import DType

F32, F64 = types.float32, types.float64
INF = float("inf")
NUMBERS = {DType.FLOAT32: F32, DType.FLOAT64: F64}
SOFTMAX, LOGISTIC, SOFTMAX_ZERO = map(TRANSFORMS.index, ("SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"))
NEGATIVE = SECOND.index("negative")
MAX, L1 = NORMS.index("MAX"), NORMS.index("L1")
NEAR_ZERO = 1e-7
"""Scores up to this one are 0 to SOFTMAX_ZERO."""


def best_of(scores, n):
    """The first place of the largest score; of the first NaN, if there is one."""
    best, top = 0, scores[0]
    for i in range(1, n):
        if scores[i] > top or (scores[i] != scores[i] and top == top):
            best, top = i, scores[i]
    return best


def is_zero(score):
    return not abs(score) > NEAR_ZERO


def _register(dtype, spec):
    @kernel(spec)
    def classify(target):
        LANES, V = target.lanes, Vec(F32, target.lanes)
        NUMBER = NUMBERS[dtype]
        normalize = row_normalizer(target)

        def apply(p, n, logistic):
            """Sigmoids of the numbers, or exponentials."""
            for i in range(0, n, LANES):
                count = min(LANES, n - i)
                v = load_first(V, p + i, count)
                store_first(p + i, vmath.sigmoid(v) if logistic else vmath.exp(v), count)

        def largest_of_others(scores, n):
            """The largest score that is not 0; 0 if there is none."""
            top, found = scores[0], 0
            for i in range(n):
                if is_zero(scores[i]):
                    continue
                if not found or scores[i] > top:
                    top, found = scores[i], 1
            return top if found else NUMBER(0.0)

        def softmax_of_others(scores, out, n):
            """Softmax over the scores that are not 0; 0 for those that are."""
            apply(out, n, 0)
            whole = F32(0.0)
            for i in range(n):
                if is_zero(scores[i]):
                    out[i] = F32(0.0)
                whole += out[i]
            for i in range(n):
                out[i] = out[i] / (F32(1.0) if whole == 0.0 else whole)

        def body(scores, labels, label, out, rows, columns, transform, second, threshold, part, parts):
            classes = 2 if second else columns
            numbers = pointer(NUMBER, scores)
            for row in range(rows * part // parts, rows * (part + 1) // parts):
                source, made = numbers + row * columns, out + row * classes
                best = best_of(source, columns)
                if second:
                    score = source[0]
                    best = 1 if score > threshold else 0
                    first = -score if second == NEGATIVE or transform == LOGISTIC else 1 - score
                    made[0], made[1] = F32(first), F32(score)
                else:
                    shift = NUMBER(0.0)
                    if transform == SOFTMAX:
                        shift = source[best]
                    elif transform == SOFTMAX_ZERO:
                        shift = largest_of_others(source, columns)
                    for i in range(columns):
                        made[i] = F32(source[i] - shift)
                if not is_null(label):
                    label[row] = labels[best]
                if transform == LOGISTIC:
                    apply(made, classes, 1)
                elif transform == SOFTMAX and not second:
                    normalize(made, made, columns, F32(0.0))
                elif transform == SOFTMAX_ZERO and not second:
                    softmax_of_others(source, made, columns)

        return body


for _dtype, _spec in CLASSIFY.items():
    _register(_dtype, _spec)


@kernel(NORMALIZER_F32)
def normalizer_f32(target):
    LANES, V, ONE = target.lanes, Vec(F32, target.lanes), Vec(F32, 1)
    find_largest = row_folder(target, same, vmath.larger, -INF)
    add_up = row_folder(target, magnitude, plus, 0.0)
    add_squares = row_folder(target, square, plus, 0.0)

    def divide(x, out, n, norm):
        i = 0
        while i + LANES <= n:
            store(out + i, load(V, x + i) / norm)
            i += LANES
        if i < n:
            store_first(out + i, load_first(V, x + i, n - i) / norm, n - i)

    def body(x, out, rows, size, norm, part, parts):
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            source = x + row * size
            if norm == MAX:
                length = find_largest(source, size, F32(0.0))
            elif norm == L1:
                length = add_up(source, size, F32(0.0))
            else:
                length = extract(square_root(splat(ONE, add_squares(source, size, F32(0.0)))), 0)
            divide(source, out + row * size, size, F32(1.0) if length == 0.0 else length)

    return body
