"""Atomic words and what threads that wait need. Words are int64, aligned to 8 bytes.

Loads acquire, stores release, the others do both; `fence` orders a store before a later load.
"""

from llvmlite import ir
from numba.core import types

from edge_rt.kernels.simd._core import INT, LONG, call, machine, primitive

WORD = types.CPointer(types.int64)
VOID = ir.VoidType()


def _word(result):
    return lambda p, *values: result if p == WORD else None


def _integer(context, builder, sig, args, i):
    return context.cast(builder, args[i], sig.args[i], types.int64)


@primitive(_word(types.int64))
def atomic_load(context, builder, sig, args):
    """atomic_load(p)"""
    return builder.load_atomic(args[0], "acquire", 8)


@primitive(_word(types.none))
def atomic_store(context, builder, sig, args):
    """atomic_store(p, value)"""
    builder.store_atomic(_integer(context, builder, sig, args, 1), args[0], "release", 8)
    return context.get_dummy_value()


@primitive(_word(types.int64))
def atomic_add(context, builder, sig, args):
    """atomic_add(p, n): adds n; what was there before."""
    return builder.atomic_rmw("add", args[0], _integer(context, builder, sig, args, 1), "acq_rel")


@primitive(_word(types.int64))
def atomic_min(context, builder, sig, args):
    """atomic_min(p, n): leaves the smaller; what was there before."""
    return builder.atomic_rmw("min", args[0], _integer(context, builder, sig, args, 1), "acq_rel")


@primitive(_word(types.boolean))
def compare_exchange(context, builder, sig, args):
    """compare_exchange(p, expected, new): writes new if expected is there; whether it was."""
    expected, new = (_integer(context, builder, sig, args, i) for i in (1, 2))
    pair = builder.cmpxchg(args[0], expected, new, "acq_rel", "acquire")
    return builder.extract_value(pair, 1)


@primitive(lambda: types.none)
def fence(context, builder, sig, args):
    """fence(): what comes before is seen before what comes after."""
    builder.fence("seq_cst")
    return context.get_dummy_value()


@primitive(lambda: types.none)
def pause(context, builder, sig, args):
    """pause(): a few dozen cycles without work, for loops that wait."""
    if machine(context).arch == "x86_64":
        call(builder, "llvm.x86.sse2.pause", VOID)
    else:
        call(builder, "llvm.aarch64.isb", VOID, INT(15))
    return context.get_dummy_value()


_NUMBERS = {"sched_yield": {"x86_64": 24, "aarch64": 124}, "futex": {"x86_64": 202, "aarch64": 98}}
_FUTEX_WAIT_PRIVATE, _FUTEX_WAKE_PRIVATE = 128, 129


def _system_call(context, builder, name, *args):
    """Calls the system through the function that the linker provides."""
    given = [LONG(_NUMBERS[name][machine(context).arch]), *args, *[LONG(0)] * (4 - len(args))]
    call(builder, "system_call", LONG, *given)
    return context.get_dummy_value()


@primitive(lambda: types.none)
def yield_processor(context, builder, sig, args):
    """yield_processor(): lets another thread run on this core."""
    return _system_call(context, builder, "sched_yield")


def _upper_half(builder, p):
    """Address of the upper half of a word, which is what the system can wait for."""
    return builder.add(builder.ptrtoint(p, LONG), LONG(4))


@primitive(_word(types.none))
def futex_wait(context, builder, sig, args):
    """futex_wait(p, value): sleeps while the upper half of the word is that of value; may wake without reason."""
    expected = builder.lshr(_integer(context, builder, sig, args, 1), LONG(32))
    wait = LONG(_FUTEX_WAIT_PRIVATE)
    return _system_call(context, builder, "futex", _upper_half(builder, args[0]), wait, expected, LONG(0))


@primitive(_word(types.none))
def futex_wake(context, builder, sig, args):
    """futex_wake(p, n): wakes up to n threads that sleep in futex_wait(p, ...)."""
    count = _integer(context, builder, sig, args, 1)
    return _system_call(context, builder, "futex", _upper_half(builder, args[0]), LONG(_FUTEX_WAKE_PRIVATE), count)


@primitive(lambda address, args, part, parts: types.none if args == WORD else None)
def call_kernel(context, builder, sig, args):
    """call_kernel(address, args, part, parts): calls the entry of a kernel."""
    entry = ir.FunctionType(VOID, [args[1].type, LONG, LONG])
    function = builder.inttoptr(_integer(context, builder, sig, args, 0), entry.as_pointer())
    builder.call(function, [args[1], *(_integer(context, builder, sig, args, i) for i in (2, 3))])
    return context.get_dummy_value()
