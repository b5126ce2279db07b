"""Runs on the board: a code image's kernels on the arrays of a file, then programs with a thread team.

Usage: run_kernels.py IMAGE ARRAYS OUT. ARRAYS has KERNEL:i for the i-th argument of a kernel; OUT gets them afterwards.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np

from edge_rt.native.packs import Library
from edge_rt.native.program import Program
from edge_rt.native.team import Team

library = Library.open(Path(sys.argv[1]))
with np.load(sys.argv[2]) as stored:
    arrays = {name: stored[name] for name in stored}
for kernel in sorted({name.partition(":")[0] for name in arrays} - {"counts"}):
    given = sorted(name for name in arrays if name.startswith(kernel + ":"))
    words = np.array([arrays[name].ctypes.data for name in given], np.int64)
    entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(library.address(kernel))
    entry(words.ctypes.data, 0, 1)

counts = arrays["counts"]
words = np.array([[row.ctypes.data] for row in counts], np.int64)
table = [(library.address("t_count"), words[i].ctypes.data, 1 + i % 5) for i in range(len(counts))]
team = Team(library, 3)
for _ in range(10):
    Program(table, library).run(0, None, team)
team.close()
np.savez(sys.argv[3], **arrays)
print(library.target)
