"""Programs for tests of the thread team."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.codegen.link import link
from edge_rt.codegen.objects import kernel_object
from edge_rt.kernels import kernel_of
from edge_rt.kernels.simd import atomic_add
from edge_rt.lowering.executor import HELP_TEAM, RUN_PROGRAM, STOP_TEAM
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.image import write_image
from edge_rt.native.packs import Library
from edge_rt.native.program import Program
from edge_rt.native.team import Team
from tests._kernels import unlisted


def count_parts(target: Any) -> Any:
    """Counts how often each part runs."""

    def body(counts, part, parts):
        atomic_add(counts + part, 1)

    return body


def add_one(target: Any) -> Any:
    """out[i] = x[i] + 1, shared out by elements."""

    def body(x, out, n, part, parts):
        for i in range(n * part // parts, n * (part + 1) // parts):
            out[i] = x[i] + 1

    return body


COUNT = unlisted("t_count", "counts:i64*")
ADD_ONE = unlisted("t_add_one", "x:i64* out:i64* n:i64")


def make_library() -> Library:
    target = choose_target(cpu_features())[0]
    objects = {s.symbol: kernel_object(*kernel_of(s), target) for s in (RUN_PROGRAM, HELP_TEAM, STOP_TEAM)}
    objects["t_count"] = kernel_object(COUNT, count_parts, target)
    objects["t_add_one"] = kernel_object(ADD_ONE, add_one, target)
    code, symbols = link(objects)
    return Library.of_bytes(write_image(target.name, target.requires, symbols, code), "test")


class Chain:
    """A program of dependent steps: each adds one to what the step before it wrote, with as many parts as it likes."""

    def __init__(self, library: Library, steps: int, parts: Any, n: int = 200) -> None:
        self.blocks = np.zeros((2, n), np.int64)
        first, second = self.blocks[0].ctypes.data, self.blocks[1].ctypes.data
        self.words = np.array([[first, second, n], [second, first, n]], np.int64)
        address = library.address("t_add_one")
        table = [(address, self.words[i % 2].ctypes.data, parts(i)) for i in range(steps)]
        self.program, self.steps = Program(table, library), steps

    def check(self, team: Team | None) -> None:
        self.blocks[0] = np.arange(self.blocks.shape[1])
        self.program.run(0, None, team)
        assert np.array_equal(self.blocks[self.steps % 2], np.arange(self.blocks.shape[1]) + self.steps)
