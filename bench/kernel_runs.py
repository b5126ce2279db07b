"""A kernel call over buffers of its own, run many times by one native call: kernel time and nothing else."""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.codegen.testing import entry_of
from edge_rt.instance import address_of, aligned_bytes
from edge_rt.lowering._spec import Arg, Call, In, KernelSpec, Out, Scratch, Table
from edge_rt.lowering.executor import RUN_PROGRAM

Array = np.ndarray[Any, Any]


class KernelRuns:
    """A call over `inputs` and `output`, all its parts on this thread. Needs numba."""

    def __init__(self, call: Call, inputs: Sequence[Array | None], output: Array) -> None:
        self._keep: list[Array] = [a for a in (*inputs, output) if a is not None]
        scratch = [aligned_bytes(n) for n in call.scratch]
        words = np.array([self._word(arg, inputs, output, scratch) for arg in call.args], np.int64)
        self._keep += [*scratch, words]
        self._step = (_address(call.spec), address_of(words), call.parts)
        self._tables: dict[int, tuple[Array, Array]] = {}
        self._run = entry_of(RUN_PROGRAM)

    def microseconds(self, runs: int) -> float:
        """Of one run, of `runs` that follow each other."""
        words = self._program(runs)
        begin = time.perf_counter_ns()
        self._run(words, 0, 1)
        return (time.perf_counter_ns() - begin) / 1e3 / runs

    def _program(self, runs: int) -> int:
        """Address of the executor's arguments: the same step, `runs` times."""
        if runs not in self._tables:
            steps = np.array([self._step] * runs, np.int64)
            self._tables[runs] = (np.array([address_of(steps), 0, runs, 0], np.int64), steps)
        return address_of(self._tables[runs][0])

    def _word(self, arg: Arg, inputs: Sequence[Array | None], output: Array, scratch: Sequence[Array]) -> int:
        if isinstance(arg, float):
            return int(struct.unpack("<i", struct.pack("<f", arg))[0])
        if isinstance(arg, Table):
            self._keep.append(arg.data)
            return address_of(arg.data)
        if isinstance(arg, In):
            array = output if isinstance(arg, Out) else scratch[arg.index] if isinstance(arg, Scratch) else inputs[arg.index]
            return 0 if array is None else address_of(array)
        return int(arg)  # type: ignore[arg-type]


def _address(spec: KernelSpec) -> int:
    return int(ctypes.cast(entry_of(spec), ctypes.c_void_p).value or 0)
