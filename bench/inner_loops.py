"""How near the inner loops of our kernels come to a CPU's limit, by LLVM's model of its pipelines (llvm-mca).

The limit is what the multiply instructions of a loop alone would take: their number over the most that the model can
issue in a cycle. Memory is assumed to answer from the nearest cache.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from edge_rt.codegen.objects import kernel_object
from edge_rt.kernels import load_all
from edge_rt.lowering.depthwise_int8 import SLIDE
from edge_rt.targets import Target

MULTIPLY = re.compile(
    r"(fmla|sdot|udot|smlal2?|umlal2?|smull2?|umull2?|smlsl2?|vfmadd\w*ps|vpdpbusd\w*|vpmaddwd|vpdpwssd)\s"
)
"""Instructions that do a kernel's work."""
DOT = re.compile(r"(sdot|udot)\s")
SLOW = re.compile(
    r"(fdiv|fsqrt|frint\w*|fcvt\w*|scvtf|ucvtf|fcm\w+|shl|sshr|vdiv\w*|vsqrt\w*|vround\w*|vrndscale\w*|vcvt\w*|vcmp\w*)\s"
)
"""Instructions of activations (shifts: of exponents) and conversions: their loops wait for other things than multiplies."""
COMPARISON = re.compile(r"(fmax|fmin)\w*\s")
"""What bounds a number."""
ROUNDING, LIMIT = re.compile(r"fcvtn\w*\s"), re.compile(r"smax\s")
"""What makes whole numbers, and what limits bytes."""
PACKING = re.compile(r"sqxtu?n2\s+v\d+\.16b")
"""What makes bytes of numbers of 16 bits."""
LOAD = re.compile(r"(ldp|ldr|ldur|ld1)\s")
BRANCH = re.compile(r"(b|b\.\w+|cbn?z|tbn?z|j\w+|bl|blr|call\w*|ret\w*)\b")
CPUS = {
    "armv8-a": "cortex-a72", "armv8.2-a-dotprod": "cortex-a76", "x86-64-v3": "haswell", "x86-64-v4-vnni": "icelake-server"
}  # fmt: skip
"""Which CPU's pipelines stand for a target."""
FEATURES = {"x86-64-v4-vnni": "+avx512vnni"}
ITERATIONS = 200
LEAST = 4
"""Loops of fewer multiply instructions do not matter."""
LLVM = 19
"""The version of LLVM whose tools are asked; models differ between versions."""


class Loop(NamedTuple):
    """An innermost loop. instructions, multiplies, comparisons, roundings, limits: in one iteration; cycles: of one, as
    modelled; limit: what its multiplies alone would take; busiest: what issuing all instructions takes, or the busiest pipe;
    sums: registers that multiplies write; loaded: vectors that are loaded."""

    kernel: str
    cpu: str
    instructions: int
    multiplies: int
    cycles: float
    limit: float
    busiest: float
    comparisons: int
    roundings: int
    limits: int
    sums: int
    loaded: int

    @property
    def share(self) -> float:
        """Of the limit; 1 is all that the CPU can do."""
        return self.limit / self.cycles

    @property
    def share_of_busiest(self) -> float:
        """Of what no order of the same instructions can surpass."""
        return self.busiest / self.cycles


class ToolMissing(Exception):
    """LLVM's tools are not installed."""


def inner_loops(symbol: str, target: Target) -> list[Loop]:
    """The innermost loops of a kernel with LEAST multiply instructions and none that are slower, those with most first.

    Raises ToolMissing, KeyError for an unknown kernel, CodegenError.
    """
    bodies = _loops(_disassembled(kernel_object(*load_all()[symbol], target)))
    found = [
        _loop(symbol, target, body, MULTIPLY)
        for body in bodies
        if sum(bool(MULTIPLY.match(line)) for line in body) >= LEAST and not any(SLOW.match(line) for line in body)
    ]
    return sorted(found, key=lambda loop: (-loop.multiplies, loop.cycles))


def fused_loops(symbol: str, target: Target) -> list[Loop]:
    """Innermost loops that also arrange and finish what they multiply, by dot products of bytes; those with most come first.
    Named by how many vectors of results they make, and whether these are limited; the slowest of each.

    Branches within them are taken only to stay.
    """
    slowest: dict[str, Loop] = {}
    for body in _walks(_disassembled(kernel_object(*load_all()[symbol], target))):
        if sum(bool(DOT.match(line)) for line in body) >= LEAST and any(SLOW.match(line) for line in body):
            straight = [line for line in body[:-1] if not BRANCH.match(line)] + body[-1:]
            loop = _loop(symbol, target, straight, DOT)
            name = f"{symbol}, results: {loop.roundings // 4}{', limited' if loop.limits else ''}"
            if name not in slowest or slowest[name].cycles < loop.cycles:
                slowest[name] = loop._replace(kernel=name, instructions=len(body))
    return sorted(slowest.values(), key=lambda loop: (-loop.multiplies, loop.cycles))


def packing_loops(symbol: str, target: Target) -> list[Loop]:
    """The innermost loops that end with sixteen bytes or more, for Arm; the shortest first. multiplies: those of PACKING."""
    found = []
    for body in _walks(_disassembled(kernel_object(*load_all()[symbol], target))):
        if any(PACKING.match(line) for line in body):
            straight = [line for line in body[:-1] if not BRANCH.match(line)] + body[-1:]
            found.append(_loop(symbol, target, straight, PACKING)._replace(instructions=len(body)))
    return sorted(found, key=lambda loop: loop.instructions)


def _loop(symbol: str, target: Target, body: list[str], multiply: re.Pattern[str]) -> Loop:
    multiplies, cpu = [line for line in body if multiply.match(line)], CPUS[target.name]
    comparisons, roundings, limits = (
        sum(bool(what.match(line)) for line in body) for what in (COMPARISON, ROUNDING, LIMIT)
    )
    sums, loaded = len({line.split()[1] for line in multiplies}), sum(_vectors_loaded(line) for line in body)
    cycles, busiest = _modelled(target, cpu, body)
    limit = len(multiplies) / _rate(target, cpu, multiplies[0])
    counts = comparisons, roundings, limits, sums, loaded
    return Loop(symbol, cpu, len(body), len(multiplies), cycles, limit, busiest, *counts)


def _vectors_loaded(line: str) -> int:
    """Vectors of 16 bytes that an instruction of Arm loads."""
    return len(re.findall(r"\b(q\d+|v\d+\.)", line)) if LOAD.match(line) else 0


KERNELS = ("gemm_f32", "depthwise_f32", "gemm_int8", "depthwise_int8")
"""What nearly all the time of a model is spent in."""
FUSED = {"armv8.2-a-dotprod": ("depthwise_int8",)}
"""Kernels of a target whose most used loops do more than multiply."""


WINDOWS = {500: "5x5", 300: "5x5 stride 2", 108: "3x3", 72: "3x3 stride 2", 56: "7x7"}
"""The loops of depthwise_f32 on Arm, by their multiplies: four outputs across, and as many rows of them as wait for others;
of 7x7 windows a row of eight. Each begins with the window's size."""


def main_loops(target: Target) -> list[Loop]:
    """The two largest inner loops of each of KERNELS; on Arm those of depthwise kernels are one for each of their names."""
    found = []
    for symbol in KERNELS:
        named = NAMED.get(symbol) if target.arch == "aarch64" else None
        found += named(target) if named else inner_loops(symbol, target)[:2]
    for symbol in FUSED.get(target.name, ()):
        found += fused_loops(symbol, target)
    return found


BOUNDS = {0: "", 1: ", rectified", 2: ", bounded"}
"""Loops of a window, by how many comparisons an output takes."""


def window_loops(target: Target) -> list[Loop]:
    """Of depthwise_f32, for Arm: the loops of each of WINDOWS by BOUNDS, the slowest where there are several."""
    slowest: dict[tuple[int, int], Loop] = {}
    for loop in inner_loops("depthwise_f32", target):
        if loop.multiplies in WINDOWS:
            bounds = loop.comparisons * int(WINDOWS[loop.multiplies][0]) ** 2 // loop.multiplies
            name = f"depthwise_f32 {WINDOWS[loop.multiplies]}{BOUNDS[bounds]}"
            slowest[loop.multiplies, bounds] = loop._replace(kernel=name)
    return [slowest[key] for key in sorted(slowest, key=lambda key: (list(WINDOWS).index(key[0]), key[1]))]


TAPS = {40: "taps: 5", 24: "taps: 3", 16: "taps: 1"}
"""The loops of depthwise_int8 for Arm without dot products, by their multiplies: a row of the kernel for four results."""


def tap_loops(target: Target) -> list[Loop]:
    """Of depthwise_int8, for Arm: by how many taps they add at a time, the slowest where there are several."""
    slowest: dict[str, Loop] = {}
    for loop in inner_loops("depthwise_int8", target):
        name = TAPS.get(loop.multiplies, "")
        if "+dotprod" in target.llvm_features:
            name = _chain_name(loop)
        if name and (name not in slowest or slowest[name].cycles < loop.cycles):
            slowest[name] = loop._replace(kernel=f"depthwise_int8, {name}")
    return list(slowest.values())


def _chain_name(loop: Loop) -> str:
    """Tiles are SLIDE columns of one line or of two, or twice as many columns of a line."""
    taps = loop.multiplies // loop.sums
    for lines, columns in ((1, SLIDE), (2, SLIDE), (1, 2 * SLIDE)):
        if loop.sums == lines * columns and loop.loaded == columns + taps - 1 + taps * lines:
            return f"taps: {taps}, lines: {lines}{', long' if columns > SLIDE else ''}"
    return ""


NAMED = {"depthwise_f32": window_loops, "depthwise_int8": tap_loops}
"""Kernels whose loops on Arm have names."""


def table(loops: list[Loop]) -> str:
    """Loops as a Markdown table."""
    lines = [
        "| kernel | CPU | instructions | multiplies | cycles | multiplies alone | share | busiest pipe | share |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {x.kernel} | {x.cpu} | {x.instructions} | {x.multiplies} | {x.cycles:.1f} | {x.limit:.1f} | {x.share:.0%} "
        f"| {x.busiest:.1f} | {x.share_of_busiest:.0%} |"
        for x in loops
    ]
    return "\n".join(lines)


def _tool(name: str) -> str:
    path = shutil.which(f"{name}-{LLVM}")
    if path is None:
        raise ToolMissing(f"{name}-{LLVM} is not installed: apt-get install llvm-{LLVM}")
    return path


def _disassembled(data: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.o"
        file.write_bytes(data)
        options = ["-d", "--no-show-raw-insn"]
        return subprocess.run(
            [_tool("llvm-objdump"), *options, str(file)], check=True, capture_output=True, text=True
        ).stdout


def _lines(text: str) -> tuple[list[str], list[int | None]]:
    """Instructions, and for those that branch where to: places in the list."""
    at: dict[int, int] = {}
    lines: list[str] = []
    for raw in text.splitlines():
        match = re.match(r"\s*([0-9a-f]+):\s+(.*)", raw)
        if match is None:
            continue
        at[int(match[1], 16)] = len(lines)
        lines.append(re.split(r"\s+(?://|#)\s", match[2])[0].strip().replace("\t", " "))
    targets = (re.search(r"0x([0-9a-f]+) <", line) if BRANCH.match(line) else None for line in lines)
    return lines, [at.get(int(target[1], 16)) if target else None for target in targets]


def _loops(text: str) -> list[list[str]]:
    """Straight runs of instructions from the target of a branch to that branch."""
    lines, targets = _lines(text)
    bodies = (lines[to : i + 1] for i, to in enumerate(targets) if to is not None and to <= i)
    return [body for body in bodies if not any(BRANCH.match(x) for x in body[:-1])]


def _always(line: str) -> bool:
    return re.match(r"(b|jmp\w*)\s", line) is not None


def _walks(text: str) -> list[list[str]]:
    """From the target of a branch back on to that branch; branches within go forward, and are taken only to stay."""
    lines, targets = _lines(text)
    found = []
    for end, begin in enumerate(targets):
        if begin is None or begin > end:
            continue
        body, i = [], begin
        while i < end:
            to = targets[i]
            within = to if to is not None and begin <= to <= end else None
            if BRANCH.match(lines[i]) and (_always(lines[i]) if within is None else within <= i):
                break
            body.append(lines[i])
            stays = not (_always(lines[i + 1]) and not begin <= (targets[i + 1] or 0) <= end)
            i = i + 1 if within is None or (stays and not _always(lines[i])) else within
        if i == end:
            found.append([*body, lines[end]])
    return found


def _rate(target: Target, cpu: str, multiply: str) -> float:
    """The most multiplies like this one that the model issues in a cycle: of copies that do not wait for each other."""
    name, operands = multiply.split(" ", 1)
    if target.arch == "aarch64":
        operands = re.sub(r"^v\d+", "v{}", re.sub(r"(?<!^)\bv\d+", "v31", operands))
    else:
        kind = "z" if "zmm" in operands else "y" if "ymm" in operands else "x"
        operands = f"%{kind}mm15, %{kind}mm15, %{kind}mm{{}}"
    copies = [f"{name} {operands.format(i)}" for i in range(14)]
    return len(copies) / _cycles(target, cpu, copies)


def _cycles(target: Target, cpu: str, body: list[str]) -> float:
    return _modelled(target, cpu, body)[0]


def _modelled(target: Target, cpu: str, body: list[str]) -> tuple[float, float]:
    """Cycles of an iteration, as modelled over many, and those that issuing it or its busiest pipe takes."""
    text = "top:\n" + "\n".join(re.sub(r"0x[0-9a-f]+ <.*>", "top", line) for line in body) + "\n"
    command = [_tool("llvm-mca"), f"-mtriple={target.triple}", f"-mcpu={cpu}", f"-iterations={ITERATIONS}"]
    if target.name in FEATURES:
        command.append(f"-mattr={FEATURES[target.name]}")
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    total, least = (re.search(rf"{x}:\s+([\d.]+)", done.stdout) for x in ("Total Cycles", "Block RThroughput"))
    assert total is not None, done.stdout[:500]
    assert least is not None, done.stdout[:500]
    return int(total[1]) / ITERATIONS, float(least[1])
