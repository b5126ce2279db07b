"""Numba sources of the kernels: one file per family. Imported by edge_rt.codegen only; needs numba.

Every module of this package is part of the manifest: what its `@kernel`s register is compiled into the code images.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from importlib.util import find_spec

from edge_rt.kernels._registry import KERNELS, Factory, has_kernel
from edge_rt.lowering._spec import KernelSpec
from edge_rt.targets import Target


def load_all(target: Target | None = None) -> dict[str, tuple[KernelSpec, Factory]]:
    """Imports every family; all kernels by symbol, or those that a target has."""
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        import_module(f"{__name__}.{module}")
    ours = {symbol: k for symbol, k in sorted(KERNELS.items()) if k[1].__module__.startswith(__name__)}
    return {symbol: k for symbol, k in ours.items() if target is None or has_kernel(target, k[1])}


def kernel_of(spec: KernelSpec) -> tuple[KernelSpec, Factory]:
    """The kernel of a spec, from the family of the lowering that declares it, or else from any; KeyError if none."""
    if spec.symbol not in KERNELS:
        for name, module in list(sys.modules.items()):
            family = f"{__name__}.{name.rpartition('.')[2]}"
            declares = name.startswith("edge_rt.lowering.") and any(v is spec for v in vars(module).values())
            if declares and find_spec(family):
                import_module(family)
    return KERNELS[spec.symbol] if spec.symbol in KERNELS else load_all()[spec.symbol]
