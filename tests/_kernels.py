"""Small kernels for tests, which belong to no family and to no code image."""

from __future__ import annotations

from typing import Any

from edge_rt.codegen.testing import call
from edge_rt.lowering._spec import SPECS, KernelSpec


def unlisted(symbol: str, params: str, in_place: tuple[tuple[str, str], ...] = ()) -> KernelSpec:
    """A spec that the manifest does not know."""
    spec = KernelSpec(symbol, params, in_place)
    del SPECS[symbol]
    return spec


def run(symbol: str, params: str, factory: Any, **args: Any) -> None:
    """Compiles the body that `factory` makes and runs it on the arrays."""
    call(unlisted(symbol, params), factory=factory, **args)
