"""Moving numbers between lanes and vectors, and turning them into other numbers."""

import functools

import numpy as np
from llvmlite import ir
from numba.core import types

from edge_rt.kernels.simd._core import INT, Vec, call, kind, new, pack, primitive, shuffle, suffix, unpack


def _constant(*args):
    return all(isinstance(a, types.IntegerLiteral) for a in args)


@primitive(lambda x, k: x if _constant(k) else None)
def lane(context, builder, sig, args):
    """lane(x, k): lane k (a constant) of each vector, repeated in all lanes; costs nothing in front of fma on Arm."""
    vec, k = sig.return_type, sig.args[1].literal_value
    return pack(builder, vec, [shuffle(builder, v, [k] * vec.lanes) for v in unpack(builder, vec, args[0]).flat])


@primitive(lambda x, k: x.dtype if isinstance(x, Vec) and x.count == 1 and isinstance(k, types.Integer) else None)
def extract(context, builder, sig, args):
    """extract(x, k): lane k of one vector, as a number."""
    (vector,) = unpack(builder, sig.args[0], args[0]).flat
    return builder.extract_element(vector, context.cast(builder, args[1], sig.args[1], types.int32))


@primitive(lambda x, *index: x.to(shape=x.shape[len(index) :]) if _constant(*index) else None)
def part(context, builder, sig, args):
    """part(x, i, ...): x[i, ...] of a tile, by constants."""
    index = tuple(i.literal_value for i in sig.args[1:])
    return pack(builder, sig.return_type, np.ravel(unpack(builder, sig.args[0], args[0])[index]))


@primitive(lambda x, *more: x.to(shape=(1 + len(more), *x.shape)) if all(m == x for m in more) else None)
def tile(context, builder, sig, args):
    """tile(x, y, ...): tiles of one type as one with a new first axis; `part` undoes it."""
    vectors = [v for t, a in zip(sig.args, args) for v in unpack(builder, t, a).flat]
    return pack(builder, sig.return_type, vectors)


def permutation(*order):
    """Makes a primitive: the lanes of each vector in the order given. For use outside of kernels."""

    @primitive(lambda x: x if isinstance(x, Vec) and x.lanes == len(order) else None)
    def permute(context, builder, sig, args):
        vectors = unpack(builder, sig.args[0], args[0]).flat
        return pack(builder, sig.return_type, [shuffle(builder, v, list(order)) for v in vectors])

    return permute


@primitive(lambda x: x if isinstance(x, Vec) else None)
def reverse(context, builder, sig, args):
    """reverse(x): the lanes of each vector, last first."""
    vec = sig.return_type
    order = list(range(vec.lanes))[::-1]
    return pack(builder, vec, [shuffle(builder, v, order) for v in unpack(builder, vec, args[0]).flat])


def _pair(x, y):
    return x.to(shape=(2, *x.shape)) if isinstance(x, Vec) and x == y else None


def _in_pairs(orders):
    """Emits two vectors from each two, by shuffles of both; orders(lanes) gives their lanes."""

    def emit(context, builder, sig, args):
        pairs = list(zip(*(unpack(builder, t, a).flat for t, a in zip(sig.args, args))))
        made = [shuffle(builder, x, order, y) for order in orders(sig.args[0].lanes) for x, y in pairs]
        return pack(builder, sig.return_type, made)

    return emit


def interleave(x, y):
    """x0 y0 x1 y1 ... as a tile of two: its first and its second half."""


def deinterleave(x, y):
    """What `interleave` undoes: of the numbers of x and then y, those at even places, and those at odd ones."""


primitive(_pair, interleave)(
    _in_pairs(
        lambda n: [[i // 2 + n * (i % 2) for i in range(n)], [n // 2 + i // 2 + n * (i % 2) for i in range(n)]]
    )
)
primitive(_pair, deinterleave)(_in_pairs(lambda n: [list(range(0, 2 * n, 2)), list(range(1, 2 * n, 2))]))


@primitive(lambda x: x if isinstance(x, Vec) and x.shape == (x.lanes,) else None)
def transpose(context, builder, sig, args):
    """transpose(x): of a tile of shape (lanes,), number j of vector i becomes number i of vector j."""
    vec = sig.return_type
    rows = list(unpack(builder, vec, args[0]).flat)
    width = vec.lanes // 2
    while width:
        low = [i if i & width == 0 else vec.lanes + i - width for i in range(vec.lanes)]
        high = [i + width if i & width == 0 else vec.lanes + i for i in range(vec.lanes)]
        for i in range(vec.lanes):
            if i & width == 0:
                x, y = rows[i], rows[i + width]
                rows[i], rows[i + width] = shuffle(builder, x, low, y), shuffle(builder, x, high, y)
        width //= 2
    return pack(builder, vec, rows)


@primitive(new)
def convert(context, builder, sig, args):
    """convert(V, x): the same numbers in V's type. Floating to integers is rounded to zero and must be in range, see
    `saturate`; integers that do not fit wrap; the sign of x's type decides how it widens."""
    to, vec = sig.return_type, sig.args[1]
    if kind(to.dtype) == kind(vec.dtype) == 0 and to.dtype.bitwidth == vec.dtype.bitwidth:
        return args[1]
    longer = to.dtype.bitwidth > vec.dtype.bitwidth
    same = not longer and to.dtype.bitwidth == vec.dtype.bitwidth
    integers = 2 * ["bitcast" if same else "trunc"]
    table = (
        ("fpext" if longer else "fptrunc", "fptosi", "fptoui"),
        ("sitofp", *(2 * ["sext"] if longer else integers)),
        ("uitofp", *(2 * ["zext"] if longer else integers)),
    )
    rule = getattr(builder, table[kind(vec.dtype)][kind(to.dtype)])
    return pack(builder, to, [rule(v, to.ir) for v in unpack(builder, vec, args[1]).flat])


@primitive(new)
def saturate(context, builder, sig, args):
    """saturate(V, x): floating x as V's integers, rounded to zero; beyond its range the nearest one; 0 for NaN."""
    to, vec = sig.return_type, sig.args[1]
    name = f"llvm.fpto{'us'[kind(to.dtype) == 1]}i.sat.{suffix(to.ir)}.{suffix(vec.ir)}"
    return pack(builder, to, [call(builder, name, to.ir, v) for v in unpack(builder, vec, args[1]).flat])


@primitive(new)
def bitcast(context, builder, sig, args):
    """bitcast(V, x): the same bits, read as V."""
    to = sig.return_type
    return pack(builder, to, [builder.bitcast(v, to.ir) for v in unpack(builder, sig.args[1], args[1]).flat])


def total(x):
    """Sum over vectors and lanes: the vectors one after the other, then lane i with lane i + lanes/2, and so on."""


def smallest(x):
    """Minimum over vectors and lanes; NaN where one is NaN."""


def largest(x):
    """Maximum over vectors and lanes; NaN where one is NaN."""


def _reduction(function, rule):
    @primitive(lambda x: x.dtype if isinstance(x, Vec) and x.dtype != types.boolean else None, function)
    def emit(context, builder, sig, args):
        vec, dtype = sig.args[0], sig.return_type
        vector = functools.reduce(lambda x, y: rule(builder, dtype, x, y), unpack(builder, vec, args[0]).flat)
        width = vec.lanes
        while width > 1:
            width //= 2
            low, high = (shuffle(builder, vector, list(range(i, i + width))) for i in (0, width))
            vector = rule(builder, dtype, low, high)
        return builder.extract_element(vector, INT(0))


def _extremum(name):
    def rule(b, dtype, x, y):
        intrinsic = (f"{name}imum", f"s{name}", f"u{name}")[kind(dtype)]
        return call(b, f"llvm.{intrinsic}.{suffix(x.type)}", x.type, x, y)

    return rule


_reduction(total, lambda b, dtype, x, y: (b.add if kind(dtype) else b.fadd)(x, y))
_reduction(smallest, _extremum("min"))
_reduction(largest, _extremum("max"))


def any_true(mask):
    """Whether some lane of some vector is set."""


def all_true(mask):
    """Whether all lanes of all vectors are set."""


def _vote(function, combine, intrinsic):
    @primitive(lambda m: types.boolean if isinstance(m, Vec) and m.dtype == types.boolean else None, function)
    def emit(context, builder, sig, args):
        joined = functools.reduce(getattr(builder, combine), unpack(builder, sig.args[0], args[0]).flat)
        return call(builder, f"llvm.vector.reduce.{intrinsic}.{suffix(joined.type)}", ir.IntType(1), joined)


_vote(any_true, "or_", "or")
_vote(all_true, "and_", "and")
