"""Operations element by element. Numbers among the operands are repeated in all lanes.

Nothing is contracted or reassociated. Integers wrap. Of comparisons with NaN, only `x != y` is true.
"""

import operator

import numpy as np
from llvmlite import ir
from numba.core import types

from edge_rt.kernels.simd._core import ANY, Vec, call, kind, machine, pack, primitive, repeat, suffix, unpack


def join(*args):
    """The type operands broadcast to; a mask counts for its shape only."""
    vecs = [a for a in args if isinstance(a, Vec)]
    numbers = [v for v in vecs if v.dtype != types.boolean] or vecs
    return numbers[0].to(shape=np.broadcast_shapes(*(v.shape for v in vecs))) if vecs else None


def mask(*args):
    vec = join(*args)
    return vec and vec.to(dtype=types.boolean)


def elementwise(*functions, result=join, patterns=ANY):
    """Decorator for rule(builder, dtype, *vectors) -> vector: the function of every vector of the operands."""

    def decorate(rule):
        emit_rule(lambda context: rule, functions, result, patterns)
        return rule

    return decorate


def _vectors(context, builder, vec, sig, args):
    """The operands of each vector of the tile `vec`."""
    tiles = []
    for t, a in zip(sig.args, args):
        if isinstance(t, Vec):
            tiles.append(np.broadcast_to(unpack(builder, t, a), vec.shape).flat)
        else:
            tiles.append([repeat(builder, vec, context.cast(builder, a, t, vec.dtype))] * vec.count)
    return zip(*tiles)


def emit_rule(rule_for, functions, result=join, patterns=ANY):
    """As `elementwise`, for rules that differ by machine: rule_for(context) gives the rule."""

    def emit(context, builder, sig, args):
        vec, rule = join(*sig.args), rule_for(context)
        made = [rule(builder, vec.dtype, *vectors) for vectors in _vectors(context, builder, vec, sig, args)]
        return pack(builder, sig.return_type, made)

    primitive(result, *functions, patterns=patterns)(emit)


BINARY = [(Vec, Vec), (Vec, types.Any), (types.Any, Vec)]
_ARITHMETIC = {
    operator.add: "fadd add add", operator.sub: "fsub sub sub", operator.mul: "fmul mul mul",
    operator.truediv: "fdiv - -", operator.and_: "- and_ and_", operator.or_: "- or_ or_",
    operator.xor: "- xor xor", operator.lshift: "- shl shl", operator.rshift: "- ashr lshr",
}  # fmt: skip
_UNARY = {operator.neg: "fneg neg neg", operator.invert: "- not_ not_"}
_COMPARISONS = {
    operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==", operator.ne: "!=",
}  # fmt: skip


def _only_for(names):
    """The result rule of an operator that some kinds of numbers lack."""

    def result(*args):
        vec = join(*args)
        return vec if vec and names[kind(vec.dtype)] != "-" else None

    return result


def _compare(symbol):
    def rule(b, dtype, x, y):
        floating = b.fcmp_unordered if symbol == "!=" else b.fcmp_ordered
        return (floating, b.icmp_signed, b.icmp_unsigned)[kind(dtype)](symbol, x, y)

    return rule


for op, text in _ARITHMETIC.items():
    names = text.split()
    elementwise(
        op, getattr(operator, "i" + op.__name__.strip("_")), result=_only_for(names), patterns=BINARY
    )(lambda b, dtype, x, y, names=names: getattr(b, names[kind(dtype)])(x, y))  # fmt: skip
for op, text in _UNARY.items():
    names = text.split()
    elementwise(op, result=_only_for(names), patterns=[(Vec,)])(
        lambda b, dtype, x, names=names: getattr(b, names[kind(dtype)])(x)
    )
for op, symbol in _COMPARISONS.items():
    elementwise(op, result=mask, patterns=BINARY)(_compare(symbol))


def minimum(x, y):
    """The smaller. NaN where x is NaN; y must not be NaN (x86 would give x there). One instruction."""


def maximum(x, y):
    """The larger. NaN where x is NaN; y must not be NaN (x86 would give x there). One instruction."""


def nan_minimum(x, y):
    """The smaller; NaN where either is NaN; -0 is below 0."""


def nan_maximum(x, y):
    """The larger; NaN where either is NaN; -0 is below 0."""


def fma(x, y, z):
    """x * y + z, rounded once."""


def round_even(x):
    """The nearest integers, ties to even, as floating-point numbers."""


def select(mask, x, y):
    """x where mask, else y."""


def ldexp(x, n):
    """x * 2**n by adding n (int32 of the same lanes) to the exponent of f32 x: both x and the result must be normal."""


def _extremum(name, symbol, by_comparison):
    def rule(b, dtype, x, y):
        if kind(dtype):
            return call(b, f"llvm.{'us'[kind(dtype) == 1]}{name}.{suffix(x.type)}", x.type, x, y)
        if by_comparison:  # minps and maxps give their second operand where one is NaN
            return b.select(b.fcmp_ordered(symbol, y, x), y, x)
        return call(b, f"llvm.{name}imum.{suffix(x.type)}", x.type, x, y)

    return rule


emit_rule(lambda context: _extremum("min", "<", machine(context).arch == "x86_64"), [minimum])
emit_rule(lambda context: _extremum("max", ">", machine(context).arch == "x86_64"), [maximum])
elementwise(nan_minimum)(_extremum("min", "<", False))
elementwise(nan_maximum)(_extremum("max", ">", False))


def _emit_fma(context, builder, sig, args):
    vec = join(*sig.args)
    name = f"llvm.fma.{suffix(vec.ir)}"
    made = [call(builder, name, vec.ir, *vectors) for vectors in _vectors(context, builder, vec, sig, args)]
    has_constant = any(isinstance(t, types.Float) for t in sig.args)
    # Else LLVM, which goes by how many registers are taken, puts one vector behind the other.
    if has_constant and machine(context).lanes == 8 and 1 < vec.count <= 4:
        made = _in_step(builder, made)
    return pack(builder, vec, made)


def _in_step(builder, vectors):
    """The vectors behind an empty instruction that waits for all of them."""
    kinds = [v.type for v in vectors]
    outs, ins = ",".join(["=x"] * len(kinds)), ",".join(map(str, range(len(kinds))))
    made = builder.asm(ir.FunctionType(ir.LiteralStructType(kinds), kinds), "", f"{outs},{ins}", vectors, False)
    return [builder.extract_value(made, i) for i in range(len(kinds))]


primitive(join, fma)(_emit_fma)
elementwise(round_even)(lambda b, dtype, x: call(b, f"llvm.roundeven.{suffix(x.type)}", x.type, x))
elementwise(select)(lambda b, dtype, m, x, y: b.select(m, x, y))


@primitive(lambda x, n: x if isinstance(x, Vec) and isinstance(n, Vec) and x.shape == n.shape else None, ldexp)
def _emit_ldexp(context, builder, sig, args):
    vec, integers = sig.args
    pairs = zip(unpack(builder, vec, args[0]).flat, unpack(builder, integers, args[1]).flat)
    shift = repeat(builder, integers, integers.ir.element(23))
    raised = (builder.add(builder.bitcast(x, integers.ir), builder.shl(n, shift)) for x, n in pairs)
    return pack(builder, vec, [builder.bitcast(bits, vec.ir) for bits in raised])


def clamp(x, low, high):
    """x within numbers low..high; NaN stays NaN."""
    return minimum(maximum(x, low), high)
