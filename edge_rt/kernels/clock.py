"""When and where a kernel runs, for those that wait, or decide by time."""

from llvmlite import ir
from numba.core import cgutils, types

from edge_rt.kernels.simd import INT, LONG, call, machine, primitive

READ_REGISTER = "llvm.read_volatile_register.i64"
X86_TICKS = 2500
"""Ticks of x86-64 in a microsecond, roughly: they come at a CPU's nominal frequency."""


def _register(builder, name):
    module = builder.module
    read = module.globals.get(READ_REGISTER)
    if read is None:
        read = ir.Function(module, ir.FunctionType(LONG, [ir.MetaDataType()]), READ_REGISTER)
    return builder.call(read, [module.add_metadata([name])])


@primitive(lambda: types.int64)
def ticks(context, builder, sig, args):
    """ticks(): a counter that runs at a steady pace, some tens to some thousands of counts in a microsecond."""
    if machine(context).arch == "x86_64":
        return call(builder, "llvm.readcyclecounter", LONG)
    return _register(builder, "cntvct_el0")


@primitive(lambda: types.int64)
def ticks_in_a_microsecond(context, builder, sig, args):
    """ticks_in_a_microsecond(): within a factor of two."""
    if machine(context).arch == "x86_64":
        return LONG(X86_TICKS)
    return builder.add(builder.udiv(_register(builder, "cntfrq_el0"), LONG(1_000_000)), LONG(1))


_GETCPU = {"x86_64": 309, "aarch64": 168}


@primitive(lambda: types.int64)
def current_cpu(context, builder, sig, args):
    """current_cpu(): the number of the CPU that this thread runs on; a call of the system."""
    number = cgutils.alloca_once_value(builder, INT(0))
    address = builder.ptrtoint(number, LONG)
    call(builder, "system_call", LONG, LONG(_GETCPU[machine(context).arch]), address, LONG(0), LONG(0), LONG(0))
    return builder.zext(builder.load(number), LONG)
