"""Objects of kernels, each cached under a hash of all that decides its bytes: editing one kernel recompiles one."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import llvmlite
import numba

from edge_rt.codegen.link import Object
from edge_rt.errors import CodegenError
from edge_rt.kernels._registry import Factory
from edge_rt.lowering._spec import KernelSpec
from edge_rt.native.cache import PACKAGE, cache_folder, write_atomic
from edge_rt.native.cores import default_threads
from edge_rt.targets import Target

PRODUCER = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}"
_COMPILER_SOURCES = ("codegen/lower.py", "codegen/entry.py", "targets.py")


def kernel_object(spec: KernelSpec, factory: Factory, target: Target) -> bytes:
    """The relocatable object of one kernel. Raises CodegenError if it does not compile."""
    path = _object_path(spec, factory, target)
    cached = _read_object(path, spec)
    if cached is not None:
        return cached
    from edge_rt.codegen.lower import compiler_for

    compiler = compiler_for(target)
    data = compiler.object(compiler.module(spec, factory(target)))
    write_atomic(path, hashlib.sha256(data).digest() + data)
    return data


def compile_together(kernels: Mapping[str, tuple[KernelSpec, Factory]], target: Target) -> None:
    """Compiles the objects that the cache lacks with as many processes as there are cores; the cache has them then.

    Errors are left to `kernel_object`, which meets them again.
    """
    missing = [symbol for symbol, kernel in kernels.items() if not _object_path(*kernel, target).exists()]
    helpers = min(default_threads(), len(missing)) - 1 if sys.executable else 0
    if helpers < 1:
        return
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryDirectory() as claims:
        command = [sys.executable, "-m", "edge_rt.codegen", "objects", "--target", target.name, "--claims", claims]
        processes = [
            subprocess.Popen(
                [*command, *missing],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(helpers)
        ]
        try:
            compile_unclaimed({symbol: kernels[symbol] for symbol in missing}, target, Path(claims))
        finally:
            for process in processes:
                process.wait()


def compile_unclaimed(kernels: Mapping[str, tuple[KernelSpec, Factory]], target: Target, claims: Path) -> None:
    """Compiles those objects that no other process does: a process claims one by making a folder of its name."""
    for symbol, kernel in kernels.items():
        try:
            (claims / symbol).mkdir()
        except FileExistsError:
            continue
        kernel_object(*kernel, target)


def _object_path(spec: KernelSpec, factory: Factory, target: Target) -> Path:
    return cache_folder() / "objects" / f"{spec.symbol}-{object_key(spec, factory, target)}.o"


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
