"""Numba's part of compiling a kernel, kept: the LLVM IR of each function, so that it is specialised without Numba.

Lowering a kernel by Numba takes seconds, the GEMM's half a minute; what LLVM does for known sizes takes a part of a second,
if it sees only the functions that these sizes need.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import llvmlite.binding as llvm
import msgpack
from numba.core.errors import NumbaError

from edge_rt.codegen.entry import argument_types
from edge_rt.codegen.lower import APART, INLINED, compiler_for
from edge_rt.codegen.objects import object_key
from edge_rt.errors import CodegenError
from edge_rt.kernels._registry import Factory
from edge_rt.lowering._spec import KernelSpec
from edge_rt.native.cache import cache_folder, locked
from edge_rt.targets import Target
from edge_rt.writing import write_atomic


class Pieces:
    """Bitcode of the functions of a kernel, by name. top: the body's name."""

    __slots__ = ("functions", "top")

    def __init__(self, top: str, functions: dict[str, bytes]) -> None:
        self.top, self.functions = top, functions


def pieces_of(spec: KernelSpec, factory: Factory, target: Target, variant: str = "") -> Pieces:
    """The pieces of a kernel, from the cache if it has them. variant: what sets the factory apart from others of its
    module. Raises CodegenError if the kernel does not compile; waits where another process lowers it."""
    key = hashlib.sha256(f"{object_key(spec, factory, target)} {variant}".encode()).hexdigest()[:32]
    path = cache_folder() / "pieces" / f"{spec.symbol}-{key}.pieces"
    found = _read(path)
    if found is None:
        with locked(path.with_suffix(".lock")):
            found = _read(path)
            if found is None:
                found = _lower(spec, factory, target)
                data = msgpack.packb((found.top, found.functions))
                write_atomic(path, hashlib.sha256(data).digest() + data)
    return found


def _lower(spec: KernelSpec, factory: Factory, target: Target) -> Pieces:
    try:
        compiled = compiler_for(target).function(factory(target)).compile(argument_types(spec))
    except (NumbaError, NotImplementedError) as error:
        raise CodegenError(f"kernel {spec.symbol} does not compile for {target.name}: {error}") from error
    functions: dict[str, bytes] = {}
    for text in compiled.library.texts():
        module = llvm.parse_assembly(text.replace(APART, INLINED))  # how small a case leaves it, is seen there
        (name,) = (f.name for f in module.functions if not f.is_declaration)
        functions[name] = module.as_bitcode()
    return Pieces(compiled.fndesc.llvm_func_name, functions)


def _read(path: Path) -> Pieces | None:
    """The cached pieces; None if there are none, or damaged ones."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, data = stored[:32], stored[32:]
    return Pieces(*msgpack.unpackb(data)) if hashlib.sha256(data).digest() == digest else None
