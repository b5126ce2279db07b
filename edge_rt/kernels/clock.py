"""A clock for kernels that decide by time."""

from llvmlite import ir
from numba.core import types

from edge_rt.kernels.simd import LONG, call, machine, primitive

READ_REGISTER = "llvm.read_volatile_register.i64"


@primitive(lambda: types.int64)
def ticks(context, builder, sig, args):
    """ticks(): a counter that runs at a steady pace, some tens to some thousands of counts in a microsecond."""
    if machine(context).arch == "x86_64":
        return call(builder, "llvm.readcyclecounter", LONG)
    module = builder.module
    read = module.globals.get(READ_REGISTER)
    if read is None:
        read = ir.Function(module, ir.FunctionType(LONG, [ir.MetaDataType()]), READ_REGISTER)
    return builder.call(read, [module.add_metadata(["cntvct_el0"])])
