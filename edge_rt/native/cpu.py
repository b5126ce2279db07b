"""What this CPU says of itself."""

from __future__ import annotations

import ctypes
import os

CPUINFO = "/proc/cpuinfo"
_AT_HWCAP = 16
_PART = 1000
"""Bytes to read at a time: the system asks each core for its part of the text, and the first one's is enough."""


def cpu_architecture() -> str:
    """The machine's architecture as targets spell it: x86_64 or aarch64 (or another, which no target has)."""
    machine = os.uname().machine.lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def cpu_text() -> str:
    """What this CPU and its system support, in their words: the line of flags in /proc/cpuinfo, or (aarch64) AT_HWCAP as a
    number. CPUs with the same text have the same features. Raises OSError.
    """
    if cpu_architecture() == "aarch64":
        getauxval = ctypes.CDLL(None).getauxval
        getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        return str(getauxval(_AT_HWCAP))
    descriptor = os.open(CPUINFO, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = b"\n"
        while part := os.read(descriptor, _PART):
            text += part
            line, end, _ = text.partition(b"\nflags")[2].partition(b"\n")
            if end:
                return line.partition(b":")[2].decode()
    finally:
        os.close(descriptor)
    return ""
