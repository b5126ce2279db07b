"""Makes this process one to which Linux refuses things: a seccomp filter, or the kernel's ban on new executable memory."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

MMAP = {"x86_64": 9, "aarch64": 222}[platform.machine()]
MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}[platform.machine()]
PROT_EXEC = 4
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE = 22, 38, 65
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse(call: int, argument: int = 0, bits: int = 0) -> None:
    """From now on the system call fails with EPERM; with `bits`, only where its argument has one of them."""
    failure = _ERRNO | errno.EPERM
    steps = [(_LOAD, 0, 0, 0), (_EQUAL, 0, 3 if bits else 1, call)]
    if bits:
        steps += [(_LOAD, 0, 0, 16 + 8 * argument), (_ANY_BIT, 0, 1, bits)]
    steps += [(_RETURN, 0, 0, failure), (_RETURN, 0, 0, _ALLOW)]
    code = b"".join(struct.pack("<HBBI", *step) for step in steps)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0)
    program = _Program(len(steps), code)
    _prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(program))


def refuse_new_code() -> None:
    """Memory that was writable can never become executable: systemd's MemoryDenyWriteExecute. Linux 6.3 and newer."""
    _prctl(_PR_SET_MDWE, 1, 0)


def _prctl(option: int, a: int, b: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(a), ctypes.c_ulong(b), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), "prctl")
