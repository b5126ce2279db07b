"""The entry of a kernel, `void(const int64_t *args, int64_t part, int64_t parts)`: unpacks words and calls the body.

Word i of `args` is parameter i of the KernelSpec: an address, an integer, or in its low half the bits of a float32.
The body stays a function of its own, because only there every pointer is `noalias` for all of LLVM's passes.
"""

from __future__ import annotations

from typing import Any

from numba.core import types

from edge_rt.lowering._spec import KernelSpec

POINTEES = {
    "f16*": types.uint16, "f32*": types.float32, "i8*": types.int8, "u8*": types.uint8, "i32*": types.int32,
    "i64*": types.int64,
}  # fmt: skip
"""What a pointer parameter points to in a kernel. f16 is storage only: bits, for `load_half` and `store_half`."""
_SCALARS = {"i64": ("i64", types.int64), "f32": ("float", types.float32)}


def argument_types(spec: KernelSpec) -> tuple[Any, ...]:
    """Numba types of the body's parameters, with those of `part` and `parts`."""
    given = [types.CPointer(POINTEES[p.type]) if p.is_pointer else _SCALARS[p.type][1] for p in spec.params]  # type: ignore[attr-defined]
    return (*given, types.int64, types.int64)


def entry_text(spec: KernelSpec, function: str) -> str:
    """LLVM IR that defines the entry, given the name of the compiled body."""
    shared = {name for pair in spec.in_place for name in pair}
    kinds = ["ptr" if p.is_pointer else _SCALARS[p.type][0] for p in spec.params]
    marks = [
        f"{kind} noalias" if p.is_pointer and p.name not in shared else kind for p, kind in zip(spec.params, kinds)
    ]
    unpack = [
        f"  %p{i} = getelementptr i64, ptr %args, i64 {i}\n  %a{i} = load {kind}, ptr %p{i}, align 8"
        for i, kind in enumerate(kinds)
    ]
    values = ", ".join([*(f"{kind} %a{i}" for i, kind in enumerate(kinds)), "i64 %part, i64 %parts"])
    params = ", ".join([*(f"{mark} %a{i}" for i, mark in enumerate(marks)), "i64 %part, i64 %parts"])
    bare = ", ".join([*kinds, "i64, i64"])
    body = f'@"{spec.symbol}.body"'
    lines = [
        f'declare void @"{function}"({bare})',
        # no-builtins: loops over memory stay loops, since there is no memcpy or memset to call
        f'define internal void {body}({params}) noinline nounwind "no-builtins" {{',
        f'  call void @"{function}"({values})',
        "  ret void",
        "}",
        f'define void @"{spec.symbol}"(ptr noalias readonly %args, i64 %part, i64 %parts) nounwind {{',
        *unpack,
        f"  call void {body}({values})",
        "  ret void",
        "}",
    ]
    return "\n".join(lines) + "\n"
