"""The CPU families that kernels are compiled for."""

from __future__ import annotations


class Target:
    """A CPU family.

    triple, cpu, llvm_features: what LLVM compiles for. requires: features the CPU must report before code for this target
    may run, by the names in /proc/cpuinfo (x86-64) or of the HWCAP bits (aarch64). lanes: f32 numbers in one vector.
    """

    __slots__ = ("arch", "cpu", "lanes", "llvm_features", "name", "requires", "triple")

    def __init__(self, name: str, triple: str, cpu: str, llvm_features: str, lanes: int, requires: str) -> None:
        self.name, self.triple, self.cpu, self.llvm_features, self.lanes = name, triple, cpu, llvm_features, lanes
        self.arch = triple.partition("-")[0]
        self.requires = frozenset(requires.split())

    def __repr__(self) -> str:
        return f"Target({self.name})"


_X86, _ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
_V3 = "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
_V4 = _V3 + " avx512f avx512bw avx512cd avx512dq avx512vl"
_VNNI = "+avx512vnni,-prefer-256-bit,+amx-tile,+amx-int8"
"""Matrix registers (AMX) are used where a kernel finds them, see kernels/amx.py: the target does not require them."""
_NEON = "+neon,+use-postra-scheduler"
"""Instructions are ordered once more behind the choice of registers: docs/kernels.md."""

TARGETS: dict[str, Target] = {
    t.name: t
    for t in (
        Target("x86-64-v3", _X86, "x86-64-v3", "", 8, _V3),
        Target("x86-64-v4-vnni", _X86, "x86-64-v4", _VNNI, 16, _V4 + " avx512_vnni"),
        Target("armv8-a", _ARM, "cortex-a72", _NEON, 4, "fp asimd"),
        Target("armv8.2-a-dotprod", _ARM, "cortex-a76", _NEON + ",+dotprod,+fullfp16", 4, "fp asimd asimddp asimdhp fphp"),
    )
}
"""All targets by name; of those that a CPU can run, the last one is the best."""
