"""Images of specialised kernels: objects are cached one by one, and compiled by as many processes as there are cores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgpack
import numpy as np

from edge_rt.codegen.link import link
from edge_rt.codegen.objects import PRODUCER, object_key
from edge_rt.codegen.pieces import pieces_of
from edge_rt.codegen.specialise import specialise
from edge_rt.codegen.together import claim, compile_together, read_object, write_object
from edge_rt.jit.case import Case
from edge_rt.kernels import load_all
from edge_rt.kernels._registry import Factory
from edge_rt.kernels.programs import Program, program_factory
from edge_rt.lowering._spec import KernelSpec
from edge_rt.lowering.elementwise import ELEMENTWISE_F32
from edge_rt.native.cache import PACKAGE, cache_folder
from edge_rt.native.image import write_image
from edge_rt.targets import Target

WORTH_A_PROCESS = 3
"""Kernels for which it pays to start one, which loads Numba."""
_SOURCES = ("codegen/pieces.py", "codegen/specialise.py")


def build_cases(target: Target, cases: Sequence[Case], sources: str) -> bytes:
    """The code image of specialised kernels, by their names. sources: fingerprint of what they are compiled from.

    Raises CodegenError that names the kernel.
    """
    _compile_missing(cases, target)
    code, symbols = link({case.name: case_object(case, target) for case in cases})
    return write_image(target.name, target.requires, symbols, code, sources, PRODUCER)


def case_object(case: Case, target: Target) -> bytes:
    """The relocatable object of a specialised kernel, from the cache if it has it."""
    path = _object_path(case, target)
    found = read_object(path, case.name)
    if found is None:
        spec, factory, variant = _kernel_of(case)
        found = specialise(spec, case, pieces_of(spec, factory, target, variant), target)
        write_object(path, found)
    return found


def compile_unclaimed_cases(cases: Sequence[Case], target: Target, claims: Path) -> None:
    """Compiles what no other process does: first what Numba lowers, then the cases. See `compile_unclaimed`."""
    kernels = {(spec.symbol, variant): (spec, factory) for spec, factory, variant in map(_kernel_of, cases)}
    for (symbol, variant), (spec, factory) in kernels.items():
        if claim(claims / f"{symbol}-{hashlib.sha256(variant.encode()).hexdigest()[:16]}"):
            pieces_of(spec, factory, target, variant)
    for case in cases:
        if claim(claims / case.name):
            case_object(case, target)


def _compile_missing(cases: Sequence[Case], target: Target) -> None:
    """Compiles the objects that the cache lacks; errors are left to `case_object`, which meets them again."""
    missing = [case for case in cases if not _object_path(case, target).exists()]

    def arguments(claims: Path) -> list[str]:
        (claims / "cases").write_bytes(msgpack.packb([case.fields for case in missing]))
        return ["cases", "--target", target.name]

    together = len(missing) // WORTH_A_PROCESS
    compile_together(together, arguments, lambda claims: compile_unclaimed_cases(missing, target, claims))


def _kernel_of(case: Case) -> tuple[KernelSpec, Factory, str]:
    """Spec and factory of the kernel that is specialised, and the variant that the factory is of its kernel."""
    spec, factory = load_all()[case.symbol]
    if case.symbol == ELEMENTWISE_F32.symbol:
        table = case.known[[p.name for p in spec.params].index("program")]
        if isinstance(table, bytes):
            program = Program.of(np.frombuffer(table, np.int64).tolist())
            return spec, program_factory(program), repr(program)
    return spec, factory, ""


def _object_path(case: Case, target: Target) -> Path:
    spec, factory, variant = _kernel_of(case)
    digest = hashlib.sha256(f"{case.name} {object_key(spec, factory, target)} {variant}".encode())
    for relative in _SOURCES:
        digest.update((PACKAGE / relative).read_bytes())
    return cache_folder() / "objects" / f"{case.name}-{digest.hexdigest()[:32]}.o"
