"""Objects of kernels, each cached under a hash of all that decides its bytes: editing one kernel recompiles one."""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import llvmlite
import numba

from edge_rt.codegen.together import claim, compile_together, read_object, write_object
from edge_rt.kernels._registry import Factory, has_kernel
from edge_rt.lowering._spec import KernelSpec
from edge_rt.native.cache import PACKAGE, cache_folder
from edge_rt.targets import TARGETS, Target

PRODUCER = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}"
_COMPILER_SOURCES = (
    "codegen/lower.py", "codegen/frontend.py", "codegen/inference.py", "codegen/entry.py", "targets.py",
)  # fmt: skip


def kernel_object(spec: KernelSpec, factory: Factory, target: Target) -> bytes:
    """The relocatable object of one kernel. Raises CodegenError if it does not compile."""
    path = _object_path(spec, factory, target)
    cached = read_object(path, spec.symbol)
    if cached is not None:
        return cached
    from edge_rt.codegen.lower import compiler_for

    compiler = compiler_for(target)
    data = compiler.object(compiler.module(spec, factory(target)))
    write_object(path, data)
    return data


def compile_kernels(kernels: Mapping[str, tuple[KernelSpec, Factory]], targets: Sequence[Target]) -> None:
    """Compiles the objects that the cache lacks with as many processes as there are cores; the cache has them then.

    Errors are left to `kernel_object`, which meets them again.
    """
    missing = [
        f"{target.name}:{symbol}"
        for target in targets
        for symbol, kernel in kernels.items()
        if has_kernel(target, kernel[1]) and not _object_path(*kernel, target).exists()
    ]
    compile_together(
        len(missing), lambda claims: ["objects", "--kernels", *missing],
        lambda claims: compile_unclaimed(kernels, missing, claims),
    )  # fmt: skip


def compile_unclaimed(
    kernels: Mapping[str, tuple[KernelSpec, Factory]], names: Iterable[str], claims: Path
) -> None:
    """Compiles those objects that no other process does: a process claims one by making a folder of its name. names:
    "target:symbol"."""
    for name in names:
        if claim(claims / name):
            target, _, symbol = name.partition(":")
            kernel_object(*kernels[symbol], TARGETS[target])


def _object_path(spec: KernelSpec, factory: Factory, target: Target) -> Path:
    return cache_folder() / "objects" / f"{spec.symbol}-{object_key(spec, factory, target)}.o"


def object_key(spec: KernelSpec, factory: Factory, target: Target) -> str:
    """Hash of a kernel's sources, signature, target and compilers."""
    digest = hashlib.sha256()
    for name in sorted(_sources_of(factory.__module__)):
        digest.update(_file_digest(name))
    for relative in _COMPILER_SOURCES:
        digest.update(hashlib.sha256((PACKAGE / relative).read_bytes()).digest())
    signature = " ".join(f"{p.name}:{p.type}" for p in spec.params)
    machine = f"{target.name} {target.triple} {target.cpu} {target.llvm_features} {target.lanes}"
    python = "{}.{}".format(*sys.version_info)
    digest.update(f"{spec.symbol} {signature} {spec.in_place} {machine} {PRODUCER} {python}".encode())
    return digest.hexdigest()[:32]


def _path(module: str) -> Path:
    file = sys.modules[module].__file__
    assert file is not None
    return Path(file)


@functools.cache
def _file_digest(module: str) -> bytes:
    return hashlib.sha256(_path(module).read_bytes()).digest()


@functools.cache
def _sources_of(module: str) -> frozenset[str]:
    """Modules whose text decides what a kernel in `module` compiles to: kernels, and lowerings with their constants."""
    found = {module}
    for node in ast.walk(ast.parse(_path(module).read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name in sys.modules and name.startswith(("edge_rt.kernels", "edge_rt.lowering.")) and name not in found:
                found |= _sources_of(name)
    return frozenset(found - {"edge_rt.kernels", "edge_rt.lowering._spec"})
