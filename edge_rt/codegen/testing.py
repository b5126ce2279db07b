"""Runs one kernel alone, on NumPy arrays: for tests of kernels.

    call(RELU_F32, x=x, out=out, n=x.size, parts=3)

compiles the kernel of RELU_F32 for this host and runs its parts, in order, over the arrays themselves.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from edge_rt.codegen.link import link
from edge_rt.codegen.objects import kernel_object
from edge_rt.kernels import kernel_of
from edge_rt.kernels._registry import Factory
from edge_rt.lowering._spec import KernelSpec
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.image import write_image
from edge_rt.native.packs import Library
from edge_rt.targets import Target

ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_DTYPES = {"f16*": "f2", "f32*": "f4", "i8*": "i1", "u8*": "u1 b1", "i32*": "i4", "i64*": "i8"}


def call(
    spec: KernelSpec,
    *,
    parts: int = 1,
    order: Iterable[int] | None = None,
    target: Target | None = None,
    factory: Factory | None = None,
    **args: Any,
) -> None:
    """Runs a kernel on this host.

    args: an array (or None: null) for each pointer, a number for each scalar, by the names in the spec. Arrays must be
    contiguous and of the dtype the spec says (TypeError otherwise); the kernel writes into them. order: the parts to
    run, by default all of them in order. target: compile for this one, instead of the best for this CPU. factory: makes
    the body of a kernel that is not registered.
    """
    names = [p.name for p in spec.params]
    if sorted(names) != sorted(args):
        raise TypeError(f"{spec.symbol} takes {', '.join(names)}; got {', '.join(args)}")
    words = np.array([_word(spec, p.name, p.type, args[p.name]) for p in spec.params] or [0], np.int64)
    entry = entry_of(spec, target, factory)
    for part in range(parts) if order is None else order:
        entry(words.ctypes.data, part, parts)


def entry_of(spec: KernelSpec, target: Target | None = None, factory: Factory | None = None) -> Any:
    """The kernel's entry, as a ctypes function of (address of the argument words, part, parts)."""
    return _entry(spec, target or choose_target(cpu_features())[0], factory)


@functools.cache
def _entry(spec: KernelSpec, target: Target, factory: Factory | None) -> Any:
    data = kernel_object(spec, factory or kernel_of(spec)[1], target)
    code, symbols = link({spec.symbol: data})
    library = Library.of_bytes(write_image(target.name, target.requires, symbols, code), spec.symbol)
    return ENTRY(library.address(spec.symbol))


def _word(spec: KernelSpec, name: str, kind: str, value: Any) -> int:
    if kind == "i64":
        return int(value)
    if kind == "f32":
        return int(struct.unpack("<i", struct.pack("<f", value))[0])
    if value is None:
        return 0
    if not isinstance(value, np.ndarray) or value.dtype.str[1:] not in _DTYPES[kind].split():
        raise TypeError(f"{spec.symbol}: '{name}' must be an array for {kind}, got {getattr(value, 'dtype', value)!r}")
    if not value.flags.c_contiguous:
        raise TypeError(f"{spec.symbol}: '{name}' must be contiguous")
    return int(value.ctypes.data)
