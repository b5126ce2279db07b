"""`Vec`, a tile of vectors that is one value to Numba, and the means to write operations on it that emit LLVM IR.

    V = Vec(types.float32, 16)                # one vector of 16 floats
    TILE = Vec(types.float32, 16, (8, 2))     # 8x2 of them: registers, as long as they fit

Tiles broadcast over their shape as NumPy's arrays do. What looks like a loop over vectors here is unrolled while
lowering, so that a whole 8x2 tile is one variable to Numba, and an operation on it one call.
"""

import math

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

INT, LONG = ir.IntType(32), ir.IntType(64)


class Vec(types.Type):
    """In kernels, an instance also serves as the first argument of what makes such a tile: load(V, p)."""

    def __init__(self, dtype, lanes, shape=()):
        self.dtype, self.lanes, self.shape, self.count = dtype, lanes, shape, math.prod(shape)
        super().__init__(f"Vec({dtype},{lanes},{shape})")

    def to(self, **changes):
        return Vec(**{"dtype": self.dtype, "lanes": self.lanes, "shape": self.shape, **changes})

    @property
    def ir(self):
        return ir.VectorType(number(self.dtype), self.lanes)


def number(dtype):
    """LLVM's type of one lane (masks are vectors of bits)."""
    if isinstance(dtype, types.Float):
        return {16: ir.HalfType, 32: ir.FloatType, 64: ir.DoubleType}[dtype.bitwidth]()
    return ir.IntType(getattr(dtype, "bitwidth", 1))


@register_model(Vec)
class VecModel(models.PrimitiveModel):
    def __init__(self, manager, vec):
        super().__init__(manager, vec, ir.ArrayType(vec.ir, vec.count))


ANY = [(types.VarArg(types.Any),)]
RESULTS = {}
"""For each function that is a primitive, the rules that give its result type."""


def primitive_type(function, args):
    """The signature of a primitive for arguments of these types, some of them tiles or pointers; None if it is none.

    Finds what Numba would, without trying its own operators on our types, which takes most of its time.
    """
    if not any(isinstance(a, (Vec, types.CPointer)) for a in args):
        return None
    for given in (tuple(map(types.unliteral, args)), tuple(args)):
        for rule in RESULTS.get(function, ()):
            made = rule(*given)
            if made:
                return signature(made, *given)
    return None


def primitive(result, *functions, patterns=ANY):
    """Decorator. The function becomes callable in kernels; it is written as Numba's lowering functions are, and
    `result(*argument types)` gives its type. With `functions`, those become callable instead."""

    class Template(AbstractTemplate):
        def generic(self, args, kws):
            made = result(*args)
            return made and signature(made, *args)

    def decorate(emit):
        for f in functions or (emit,):
            RESULTS.setdefault(f, []).append(result)
            infer_global(f, types.Function(type("Template", (Template,), {"key": f})))
            for pattern in patterns:
                lower_builtin(f, *pattern)(emit)
        return emit

    return decorate


def new(vec, *args):
    """Result type of primitives whose first argument is the type they make."""
    return getattr(vec, "instance_type", None)


def unpack(builder, vec, value):
    """The LLVM vectors of a tile, as a NumPy array of its shape."""
    tile = np.empty(vec.count, object)
    for i in range(vec.count):
        tile[i] = builder.extract_value(value, i)
    return tile.reshape(vec.shape)


def pack(builder, vec, vectors):
    value = ir.Constant(ir.ArrayType(vec.ir, vec.count), ir.Undefined)
    for i, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, i)
    return value


def shuffle(builder, x, lanes, y=None):
    """Lanes of x, or of x and y in a row."""
    return builder.shuffle_vector(x, x if y is None else y, ir.Constant(ir.VectorType(INT, len(lanes)), lanes))


def repeat(builder, vec, x):
    return shuffle(builder, builder.insert_element(ir.Constant(vec.ir, ir.Undefined), x, INT(0)), [0] * vec.lanes)


def call(builder, name, result, *args, flags=()):
    """Calls the LLVM intrinsic `name`."""
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(result, [a.type for a in args]), name)
    return builder.call(function, args, fastmath=flags)


def suffix(t):
    """How intrinsic names spell a type: v16f32, or f32 for a number alone."""
    if isinstance(t, ir.VectorType):
        return f"v{t.count}{suffix(t.element)}"
    return {"half": "f16", "float": "f32", "double": "f64"}.get(str(t), str(t))


def kind(dtype):
    """0 floating, 1 signed, 2 unsigned."""
    return 0 if isinstance(dtype, types.Float) else 1 if getattr(dtype, "signed", False) else 2


def machine(context):
    """The Target that the kernel is compiled for."""
    return context.codegen().target
