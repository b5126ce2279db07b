"""What connects an operator to machine code, without any of numba: kernel signatures, calls and the lowering registry.

A `KernelSpec` declares a kernel where lowering and codegen can both read it; calling one gives a `Call`:

    RELU_F32 = KernelSpec("relu_f32", "x:f32* out:f32* n:i64", in_place=(("x", "out"),))

    @lowers("Relu")
    def relu(node: BoundNode) -> Lowered:
        n = node.outputs[0].size
        return [RELU_F32(x=In(0), out=Out(0), n=n, parts=parts_for(n, n))]

Parameters are `name:T*` (pointer to T; a null pointer, the immediate 0, stands for an absent optional tensor), `name:i64`
and `name:f32`. T is one of f16 f32 i8 u8 i32 i64 (bool is u8). Every kernel also gets `part` and `parts`: it does the
part-th of `parts` shares of the work. How the work is shared must not change any bit of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt.ops._spec import OpSpec
from edge_rt.types import TensorType

Array = np.ndarray[Any, Any]
MAX_VALUES = 64
"""Elements of a constant whose contents a lowering may look at: sizes, axes, scalars."""
PARAM_TYPES = frozenset({"f16*", "f32*", "i8*", "u8*", "i32*", "i64*", "i64", "f32"})


class In:
    """The address of the node's i-th input."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.index})"


class Out(In):
    """The address of the node's i-th output."""

    __slots__ = ()


class Scratch(In):
    """The address of the i-th scratch buffer of the node, 64-byte aligned. Buffers live for all calls of the node."""

    __slots__ = ()


class Table:
    """The address of constant data that the binding keeps (strides, index tables); any dtype, contiguous."""

    __slots__ = ("data",)

    def __init__(self, data: Any, dtype: Any = np.int64) -> None:
        self.data: Array = np.ascontiguousarray(data, dtype)

    def __repr__(self) -> str:
        return f"Table({self.data.dtype}{list(self.data.shape)})"


class ErrorWord:
    """The address of the session's error word: kernels `report` data errors there (see kernels/errors.py)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ErrorWord()"


class StepNumber:
    """The number of the step in its program, which `report` needs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "StepNumber()"


class Varying(int):
    """A number that whoever calls the kernel may change: no kernel is made for just this one."""


class Calls:
    """The address of words about other calls, a row for each: the address of its kernel's entry, that of its argument words,
    and then numbers. rows: (step, call, numbers); a call's tensors are those of its step in the binding."""

    __slots__ = ("rows",)

    def __init__(self, rows: Sequence[tuple[int, Call, Sequence[int]]]) -> None:
        self.rows = tuple(rows)

    def __repr__(self) -> str:
        return f"Calls({', '.join(call.spec.symbol for _, call, _ in self.rows)})"


Arg = In | Table | ErrorWord | StepNumber | Calls | int | float


class Param:
    """A parameter of a kernel."""

    __slots__ = ("name", "type")

    def __init__(self, text: str) -> None:
        self.name, _, self.type = text.partition(":")
        if self.type not in PARAM_TYPES:
            raise ValueError(f"kernel parameter '{text}': type must be one of {', '.join(sorted(PARAM_TYPES))}")

    @property
    def is_pointer(self) -> bool:
        return self.type.endswith("*")


class KernelSpec:
    """A kernel's symbol and parameters. in_place: pairs (input, output) of pointers that may be the same address. strided:
    an output that consists of rows, with the parameter that says how many numbers they are apart; those of inputs that may
    be at the same address, too. merges: whether a part of p parts is just what n parts of n * p are, if no argument is
    scratch memory."""

    __slots__ = ("_params", "in_place", "merges", "names", "strided", "symbol")

    def __init__(
        self, symbol: str, params: str, in_place: tuple[tuple[str, str], ...] = (), strided: tuple[str, str] | None = None,
        merges: bool = False,
    ) -> None:  # fmt: skip
        self.symbol, self.in_place, self.strided, self.merges = symbol, in_place, strided, merges
        self._params = params.split()
        self.names = [text.partition(":")[0] for text in self._params]
        """Of the parameters."""
        SPECS[symbol] = self

    @property
    def params(self) -> tuple[Param, ...]:
        """Made when somebody asks: calls need names only. Raises ValueError for one of no known type."""
        return tuple(map(Param, self._params))

    def __call__(
        self, *, parts: int = 1, scratch: Sequence[int] = (), flops: int = 0, **args: Arg
    ) -> Call:
        """A call with these arguments. scratch: bytes of each scratch buffer the node needs for it; flops: for profiles."""
        if len(args) != len(self.names) or not all(map(args.__contains__, self.names)):
            raise TypeError(f"{self.symbol} takes {', '.join(self.names)}; got {', '.join(args)}")
        return Call(self, tuple(map(args.__getitem__, self.names)), parts, tuple(scratch), flops)

    def __repr__(self) -> str:
        return f"KernelSpec({self.symbol})"


class Call:
    """A kernel with its arguments: one step of a program."""

    __slots__ = ("args", "flops", "parts", "scratch", "spec")

    def __init__(self, spec: KernelSpec, args: tuple[Arg, ...], parts: int, scratch: tuple[int, ...], flops: int) -> None:
        self.spec, self.args, self.parts, self.scratch, self.flops = spec, args, parts, scratch, flops

    def __repr__(self) -> str:
        args = ", ".join(f"{name}={a!r}" for name, a in zip(self.spec.names, self.args))
        return f"{self.spec.symbol}({args}) x{self.parts}"


class Alias:
    """Lowering of an operator whose first output is its i-th input in other clothes (Reshape): no step at all."""

    __slots__ = ("index",)

    def __init__(self, index: int = 0) -> None:
        self.index = index


Lowered = Sequence[Call] | Alias | None
"""Calls in order; or an Alias; or None where no kernel covers the case, which then is a visible NumPy step."""


class BoundNode:
    """A node with everything known: what a lowering function looks at."""

    __slots__ = ("arch", "attrs", "inputs", "op", "outputs", "target", "used", "values")

    op: OpSpec
    attrs: Any
    inputs: tuple[TensorType | None, ...]
    """Static types; None for absent optional inputs. Contents are dense, C order."""
    outputs: tuple[TensorType, ...]
    values: tuple[Array | None, ...]
    """Contents of inputs that are known and have at most MAX_VALUES elements."""
    used: tuple[bool, ...]
    """Which outputs anybody reads. A kernel may skip the others, by passing 0 for their address."""
    arch: str
    """The CPU architecture that the calls are for, as targets name it: not always this machine's."""
    target: str
    """The name of the target whose kernels are called, for what not all of an architecture have; "" where it may be any."""

    def __init__(
        self,
        op: OpSpec,
        attrs: Any,
        inputs: Sequence[TensorType | None],
        outputs: Sequence[TensorType],
        values: Sequence[Array | None],
        used: Sequence[bool],
        arch: str = "x86_64",
        target: str = "",
    ) -> None:
        self.op, self.attrs, self.arch, self.target = op, attrs, arch, target
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.values, self.used = tuple(values), tuple(used)

    def type(self, index: int) -> TensorType:
        """Type of an input that is not optional."""
        found = self.inputs[index]
        assert found is not None
        return found

    def has(self, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    @property
    def has_narrow_tiles(self) -> bool:
        """Whether tiles of float products are one panel wide on the target, but for very few rows: see kernels/tiles.py."""
        return self.arch == "aarch64" or self.target == AVX2

    def optional(self, index: int) -> Arg:
        """In(index), or 0 (null) where the input is absent."""
        return In(index) if self.has(index) else 0


AVX2 = "x86-64-v3"
"""The target of x86-64 that has 16 registers and no dot products of bytes; other ways pay there (`BoundNode.target`)."""

GRAIN = 1 << 15
"""Work (in units of about one vector-free arithmetic operation) below which a part is not worth handing to a thread."""


def parts_for(work: int, limit: int) -> int:
    """How many parts to share `work` operations into: at most `limit` (rows, tiles ...), at most 64; by shape only.

    More than 2 are a multiple of 4, as far as `limit` allows, so that 2 and 4 threads get as many each.
    """
    wanted = math.ceil(work / GRAIN)
    return max(1, min(limit, 64, wanted if wanted <= 2 else math.ceil(wanted / 4) * 4))


SPECS: dict[str, KernelSpec] = {}
RULES: dict[str, Callable[[BoundNode], Lowered]] = {}


def lowers(*ops: str) -> Callable[[Callable[[BoundNode], Lowered]], Callable[[BoundNode], Lowered]]:
    """Decorator: the function lowers these operators."""

    def register(rule: Callable[[BoundNode], Lowered]) -> Callable[[BoundNode], Lowered]:
        for op in ops:
            if op in RULES:
                raise ValueError(f"operator {op} is lowered twice")
            RULES[op] = rule
        return rule

    return register
