"""Objects of kernels, each cached under a hash of all that decides its bytes: editing one kernel recompiles one."""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from pathlib import Path

import llvmlite
import numba

from edge_rt.codegen.link import Object
from edge_rt.errors import CodegenError
from edge_rt.kernels._registry import Factory
from edge_rt.lowering._spec import KernelSpec
from edge_rt.native.cache import PACKAGE, cache_folder, write_atomic
from edge_rt.targets import Target

PRODUCER = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}"
_COMPILER_SOURCES = ("codegen/lower.py", "codegen/entry.py", "targets.py")


def kernel_object(spec: KernelSpec, factory: Factory, target: Target) -> bytes:
    """The relocatable object of one kernel. Raises CodegenError if it does not compile."""
    path = cache_folder() / "objects" / f"{spec.symbol}-{object_key(spec, factory, target)}.o"
    cached = _read_object(path, spec)
    if cached is not None:
        return cached
    from edge_rt.codegen.lower import compiler_for

    compiler = compiler_for(target)
    data = compiler.object(compiler.module(spec, factory(target)))
    write_atomic(path, hashlib.sha256(data).digest() + data)
    return data


def _read_object(path: Path, spec: KernelSpec) -> bytes | None:
    """The cached object; None if there is none, or a damaged or foreign one."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, data = stored[:32], stored[32:]
    if hashlib.sha256(data).digest() != digest:
        return None
    try:
        Object(spec.symbol, data)
    except CodegenError:
        return None
    return data


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
    if not module.startswith("edge_rt.kernels"):
        return frozenset(found)
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
