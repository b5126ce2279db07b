"""Which function makes the body of which kernel.

    @kernel(RELU_F32)
    def relu_f32(target):
        V = Vec(F32, target.lanes)
        def body(x, out, n, part, parts):
            ...
        return body

The factory gets the Target, so that tiles fit its registers; the body has the parameters of the KernelSpec, by name, and
`part` and `parts`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_rt.lowering._spec import KernelSpec
from edge_rt.targets import Target

Factory = Callable[[Target], Callable[..., None]]
KERNELS: dict[str, tuple[KernelSpec, Factory]] = {}


def apart(function: Any) -> Any:
    """Marks a function that kernels call: in machine code it stays one, with registers of its own.

    Everything else is inlined. But around a loop that needs all registers LLVM would keep what is constant in others, and
    load it again at each turn.
    """
    function.is_apart = True
    return function


def kernel(spec: KernelSpec, only: str = "") -> Callable[[Any], Any]:
    """Decorator: the factory makes the body of `spec`'s kernel. only: the one target that has it, if not all do."""

    def register(factory: Any) -> Factory:
        if spec.symbol in KERNELS:
            raise ValueError(f"kernel {spec.symbol} is defined twice")
        factory.only = only
        KERNELS[spec.symbol] = (spec, factory)
        return factory  # type: ignore[no-any-return]

    return register


def has_kernel(target: Target, factory: Factory) -> bool:
    """Whether a target has the kernel whose body the factory makes."""
    return getattr(factory, "only", "") in ("", target.name)
