"""What this CPU can do, and which target fits it."""

from __future__ import annotations

import os

from edge_rt.errors import TargetError
from edge_rt.native.cpu import cpu_architecture, cpu_text
from edge_rt.targets import TARGETS, Target

_HWCAP = {"fp": 0, "asimd": 1, "fphp": 9, "asimdhp": 10, "asimddp": 20}
"""Bits of AT_HWCAP on aarch64, for the features that targets require."""


def cpu_features() -> frozenset[str]:
    """What this CPU and its system support: the flags of /proc/cpuinfo (x86-64), or the names of AT_HWCAP (aarch64)."""
    try:
        text = cpu_text()
    except OSError as error:
        raise TargetError(f"cannot read the CPU's features: {error}") from None
    if cpu_architecture() != "aarch64":
        return frozenset(text.split())
    return frozenset(name for name, bit in _HWCAP.items() if int(text) >> bit & 1)


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
