"""Whether this CPU has matrix registers (AMX), and scripts in a process to which the system gives them, or refuses them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge_rt.native.features import choose_target, cpu_features

has_registers = "amx_int8" in cpu_features() and choose_target(cpu_features())[0].lanes == 16
"""Elsewhere the same calls are done by vectors, which tests of them are as good for."""
needs_registers = pytest.mark.skipif(not has_registers, reason="this CPU has no matrix registers (AMX)")

BEFORE = """
import ctypes
import numpy as np

class Stack(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

if {refused}:  # a stack for signals smaller than what would be saved there, so that Linux refuses the registers
    room = ctypes.create_string_buffer(8192)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.sigaltstack(ctypes.byref(Stack(ctypes.addressof(room), 0, 8192)), None) == 0, ctypes.get_errno()
"""
AFTER = """
allowed = ctypes.c_ulong()
ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(allowed))  # ARCH_GET_XCOMP_PERM
print(allowed.value >> 18 & 1)
"""


def run_script(script: str, refused: bool) -> list[str]:
    """What the script printed. Asserts that its kernels got the registers, or that they were refused to them."""
    done = subprocess.run(
        [sys.executable, "-c", BEFORE.format(refused=refused) + script + AFTER], capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    *printed, given = done.stdout.split() or [""]
    assert given == ("0" if refused else "1"), done.stderr
    return printed
