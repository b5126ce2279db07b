"""A kernel's pieces and what is known of its arguments -> the object of a kernel for just these.

Known arguments become constants of the entry, known tables constants beside it. LLVM then needs to see only those
functions of the kernel that these constants lead to: they are linked as calls of them are left, level by level, and what
the constants decide is folded between. The arithmetic is that of the kernel, so results have the same bits.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import llvmlite.binding as llvm

from edge_rt.codegen.lower import compiler_for
from edge_rt.codegen.pieces import Pieces
from edge_rt.jit.case import Case, Known
from edge_rt.lowering._spec import KernelSpec, Param
from edge_rt.lowering.gemm import GEMM_F32
from edge_rt.targets import Target

UNVECTORISED = frozenset({"gemm_f32", "pack_panels_f32", "recurrent_project_f32"})
"""Kernels whose loops over single numbers LLVM's loop vectoriser makes slower: it gathers and scatters columns."""

TILE = "_tile12_3clocals_3e4tile"
"""In the names of the GEMM's tiles (of functions `tile` inside of `..._tile`). They stay functions: around a tile that needs
all registers, what is the same for all tiles would otherwise wait in registers, too."""
ROWS = [p.name for p in GEMM_F32.params].index("m")
_ONE_LANE = re.compile(
    r"(?:tail )?call void @llvm\.masked\.store\.v(\d+)i(8|16)\.p0\(<\d+ x i\d+> (%[\w.$]+), ptr align (\d+) (%[\w.$]+), "
    r"<\d+ x i1> <i1 true(?:, i1 false)+>\)(?: #\d+)?"
)
_TYPES = {"i64": "i64", "f32": "float"}


def specialise(spec: KernelSpec, case: Case, pieces: Pieces, target: Target) -> bytes:
    """The relocatable object that exports the case's entry."""
    compiler: Any = compiler_for(target)
    head = str(compiler.codegen._create_empty_module(case.name))
    module = llvm.parse_assembly(head + _entry_text(spec, case, pieces.top))
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = case.symbol not in UNVECTORISED
    options.slp_vectorization = True  # of loops that known sizes unroll
    passes = llvm.create_pass_builder(compiler.codegen.machine, options)
    own_tiles = case.symbol == GEMM_F32.symbol and case.known[ROWS] != 1
    while missing := [f.name for f in module.functions if f.is_declaration and f.name in pieces.functions]:
        for name in missing:
            piece = llvm.parse_bitcode(pieces.functions[name])
            if own_tiles and TILE in name:
                piece = llvm.parse_assembly(str(piece).replace("alwaysinline", "noinline"))
            module.link_in(piece)
        for value in (*module.functions, *module.global_variables):
            if not value.is_declaration and value.name != case.name:
                value.linkage = "internal"
        _folding().run(module, passes)
    passes.getModulePassManager().run(module, passes)
    module = _with_plain_stores(module)
    module.verify()
    return compiler.object(module)


def _with_plain_stores(module: Any) -> Any:
    """The module with masked stores of one known byte or half word as plain ones: where the numbers were truncated from 32
    bits, LLVM (22, for x86) makes stores of 32 bits of them."""
    text = str(module)
    changed = _ONE_LANE.sub(
        lambda m: f"%one.{m.start()} = extractelement <{m[1]} x i{m[2]}> {m[3]}, i64 0\n"
        f"  store i{m[2]} %one.{m.start()}, ptr {m[5]}, align {m[4]}",
        text,
    )
    return module if changed == text else llvm.parse_assembly(changed)


def _folding() -> Any:
    """Passes that inline what is there, and drop what constants rule out."""
    manager = llvm.create_new_module_pass_manager()
    manager.add_always_inliner_pass()
    manager.add_global_dead_code_eliminate_pass()
    manager.add_sroa_pass()
    manager.add_ipsccp_pass()
    manager.add_instruction_combine_pass()
    manager.add_simplify_cfg_pass()
    manager.add_sccp_pass()
    manager.add_simplify_cfg_pass()
    manager.add_aggressive_dce_pass()
    manager.add_global_dead_code_eliminate_pass()
    manager.add_strip_dead_prototype_pass()
    return manager


def _entry_text(spec: KernelSpec, case: Case, top: str) -> str:
    """LLVM IR of the entry, which reads unknown arguments only. As in `entry.py`, the body is a function of its own."""
    shared = {name for pair in spec.in_place for name in pair}
    kinds = ["ptr" if p.is_pointer else _TYPES[p.type] for p in spec.params]
    marks = [f"{k} noalias" if p.is_pointer and p.name not in shared else k for p, k in zip(spec.params, kinds)]
    tables, loads, values = [], [], []
    for i, (param, kind, known) in enumerate(zip(spec.params, kinds, case.known)):
        if isinstance(known, bytes) and param.is_pointer:
            tables.append(f"@table{i} = internal constant {_array(param, known)}, align 64")
            values.append(f"ptr @table{i}")
        elif (constant := _constant(param, known)) is not None:
            values.append(f"{kind} {constant}")
        else:
            loads += [f"  %p{i} = getelementptr i64, ptr %args, i64 {i}", f"  %a{i} = load {kind}, ptr %p{i}, align 8"]
            values.append(f"{kind} %a{i}")
    share = "i64 %part, i64 %parts" if case.is_shared else "i64 0, i64 1"
    inside = ", ".join([*(f"{kind} %a{i}" for i, kind in enumerate(kinds)), "i64 %part, i64 %parts"])
    params = ", ".join([*(f"{mark} %a{i}" for i, mark in enumerate(marks)), "i64 %part, i64 %parts"])
    lines = [
        *tables,
        f'declare void @"{top}"({", ".join([*kinds, "i64, i64"])})',
        f'define internal void @"{case.name}.body"({params}) noinline nounwind "no-builtins" {{',
        f'  call void @"{top}"({inside})',
        "  ret void",
        "}",
        f'define void @"{case.name}"(ptr noalias readonly %args, i64 %part, i64 %parts) nounwind {{',
        *loads,
        f'  call void @"{case.name}.body"({", ".join([*values, share])})',
        "  ret void",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _array(param: Param, contents: bytes) -> str:
    """LLVM's notation of a table: of integers as such, since only loads of just these fold in all passes; else of bytes."""
    if param.type in ("i64*", "i32*"):
        size = int(param.type[1:3]) // 8
        numbers = [int.from_bytes(contents[i : i + size], "little", signed=True) for i in range(0, len(contents), size)]
        return f"[{len(numbers)} x i{8 * size}] [{', '.join(f'i{8 * size} {n}' for n in numbers)}]"
    return f"[{len(contents)} x i8] c\"{''.join(f'{chr(92)}{byte:02x}' for byte in contents)}\""


def _constant(param: Param, known: Known) -> str | None:
    """LLVM's notation of a known argument; None if it is to be read."""
    if param.type == "f32" and isinstance(known, (int, float)):
        (single,) = struct.unpack("<f", struct.pack("<f", known))
        return f"0x{struct.unpack('<Q', struct.pack('<d', single))[0]:016X}"
    if param.is_pointer:
        return "null" if known == 0 else None
    return str(known) if isinstance(known, int) else None
