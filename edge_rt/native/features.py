"""What this CPU can do, and which target fits it."""

from __future__ import annotations

import ctypes
import os

from edge_rt.errors import TargetError
from edge_rt.targets import TARGETS, Target

CPUINFO = "/proc/cpuinfo"
_AT_HWCAP = 16
_HWCAP = {"fp": 0, "asimd": 1, "fphp": 9, "asimdhp": 10, "asimddp": 20}
"""Bits of AT_HWCAP on aarch64, for the features that targets require."""


def cpu_architecture() -> str:
    """The machine's architecture as targets spell it: x86_64 or aarch64 (or another, which no target has)."""
    machine = os.uname().machine.lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def cpu_features() -> frozenset[str]:
    """What this CPU and its system support: the flags of /proc/cpuinfo (x86-64), or the names of AT_HWCAP (aarch64)."""
    if cpu_architecture() == "aarch64":
        getauxval = ctypes.CDLL(None).getauxval
        getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        bits = getauxval(_AT_HWCAP)
        return frozenset(name for name, bit in _HWCAP.items() if bits >> bit & 1)
    try:
        with open(CPUINFO) as lines:  # read as far as needed: the kernel asks each core for its part of the text
            for line in lines:
                if line.startswith("flags"):
                    return frozenset(line.partition(":")[2].split())
    except OSError as error:
        raise TargetError(f"cannot read the CPU's features: {error}") from None
    return frozenset()


def lacking(target: Target, features: frozenset[str], arch: str | None = None) -> str:
    """What keeps a CPU with these features from running code for a target, for people; empty if nothing does."""
    if target.arch != (arch or cpu_architecture()):
        return f"is for {target.arch}"
    return f"needs {', '.join(sorted(target.requires - features))}" if target.requires - features else ""


def choose_target(features: frozenset[str], arch: str | None = None) -> tuple[Target, str]:
    """The best target for a CPU with these features, and why it was chosen.

    $EDGE_RT_TARGET names another one, for tests. Raises TargetError where no target fits, or where the CPU lacks
    features that the target named requires.
    """
    arch = arch or cpu_architecture()
    named = os.environ.get("EDGE_RT_TARGET")
    if named:
        if named not in TARGETS:
            raise TargetError(f"EDGE_RT_TARGET must be one of {', '.join(TARGETS)}, got {named!r}")
        target = TARGETS[named]
        if target.arch != arch:
            raise TargetError(f"EDGE_RT_TARGET is {named}, which is for {target.arch}; this machine is {arch}")
        require(target.name, target.requires, features)
        return target, "named by EDGE_RT_TARGET"
    native = [t for t in TARGETS.values() if t.arch == arch]
    fitting = [t for t in native if t.requires <= features]
    if fitting:
        lacks = "".join(f"; {t.name} {lacking(t, features, arch)}" for t in native if t not in fitting)
        return fitting[-1], f"the best of those this CPU can run ({', '.join(t.name for t in fitting)}){lacks}"
    if not native:
        raise TargetError(f"edge-rt has no code for {arch}; it has code for x86_64 and aarch64")
    floor = native[0]
    raise TargetError(f"edge-rt needs {floor.name}; this CPU lacks {', '.join(sorted(floor.requires - features))}")


def require(what: str, required: frozenset[str], features: frozenset[str]) -> None:
    """Raises TargetError that names the missing ones unless all required features are there."""
    missing = required - features
    if missing:
        raise TargetError(f"{what} needs a CPU with {', '.join(sorted(missing))}, which this one lacks")
