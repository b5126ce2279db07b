"""Whether a model fits a board: a kernel for every step, memory for all of it, a Python that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from devices import Device
from edge_rt.binding import CONTROL
from edge_rt.dims import Sym
from edge_rt.errors import DataError, DeviceError, InferenceError
from edge_rt.graph import Graph
from edge_rt.plan import Plan
from edge_rt.types import TensorType
from exporter.stages import all_steps
from exporter.texts import count, size
from exporter.verify import sample_inputs

Array = np.ndarray[Any, Any]

RUNTIME_BYTES = 40 << 20
"""Resident memory of Python with NumPy, msgpack, the runtime and its code: 36 MiB when measured on x86-64."""
SHARE = 0.5
"""The part of a board's memory that may be used; the rest is for the system, other programs and cached files."""


@dataclass
class Fit:
    """How a model would run on a board. Sizes in bytes, for inputs of these types.

    numpy_steps: operators and nodes that no kernel covers. loops: nodes whose iteration runs in Python, their bodies by
    kernels. macs: multiply-adds, bodies of loops once. arrays: inputs and outputs. memory: sizes the board is sold with.
    enough: the smallest of them that suffices, None if none does. problems: why it does not fit.
    """

    device: str
    title: str
    target: str
    inputs: list[str]
    macs: int
    arena: int
    weights: int
    state: int
    arrays: int
    runtime: int = RUNTIME_BYTES
    memory: list[int] = field(default_factory=list)
    enough: int | None = None
    numpy_steps: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Bytes of memory that a process with the model takes."""
        return self.arena + self.weights + self.state + self.arrays + self.runtime

    def __str__(self) -> str:
        lines = [f"{self.title} ({self.device}), code for {self.target}, with {', '.join(self.inputs) or 'no inputs'}"]
        steps = "every step has a kernel" if not self.numpy_steps else f"steps in NumPy: {', '.join(self.numpy_steps)}"
        if self.loops:
            steps += f"; iterated in Python: {', '.join(self.loops)}"
        parts = {"arena": self.arena, "weights": self.weights, "state": self.state, "inputs and outputs": self.arrays,
                 "Python, NumPy and runtime": self.runtime}  # fmt: skip
        lines += [
            steps,
            f"memory: {size(self.total)} ({', '.join(f'{k} {size(v)}' for k, v in parts.items() if v)})",
            f"{count(self.macs)} multiply-adds a run",
        ]
        if self.enough is not None and self.enough != self.memory[0]:
            lines.append(f"needs the board with {size(self.enough)}")
        lines += [f"note: {n}" for n in self.notes] + [f"does not fit: {p}" for p in self.problems]
        return "\n    ".join(lines)


def fit(graph: Graph, device: Device, inputs: Mapping[str, Array] | None, weights: int, allow_numpy: bool) -> Fit:
    """How an optimised graph would run on a board.

    inputs: arrays that decide sizes and branches; random ones by default, if at most leading sizes are open (which are 1
    then). weights: bytes of constants. allow_numpy: a step without a kernel is no problem.
    Raises DeviceError where sizes are missing or the model does not accept the inputs, TargetError where there is no code
    for the board's CPU.
    """
    target = device.target
    arrays = _inputs(graph, inputs)
    try:
        steps, arena, output_bytes = all_steps(graph, arrays, device.arch, target.name)
    except (DataError, InferenceError) as error:
        raise DeviceError(
            f"{device.name}: what runs there depends on contents, and the model does not accept random ones: {error}; "
            "give inputs that it accepts"
        ) from None
    found = Fit(
        device=device.name,
        title=device.title,
        target=target.name,
        inputs=[f"{v.name}: {TensorType.of(a)}" for v, a in zip(graph.inputs, arrays)],
        notes=_decisive(graph, arrays, is_given=inputs is not None),
        macs=sum(s.macs for s in steps),
        arena=arena,
        weights=weights,
        state=sum(v.initial.nbytes for v in graph.variables),
        arrays=sum(a.nbytes for a in arrays) + output_bytes,
        memory=list(device.memory),
        numpy_steps=[f"{s.op} '{s.name}'" for s in steps if not s.is_native and s.op not in CONTROL],
        loops=[f"{s.op} '{s.name}'" for s in steps if s.op in CONTROL],
    )
    _judge(found, device, allow_numpy)
    return found


def _judge(found: Fit, device: Device, allow_numpy: bool) -> None:
    if found.numpy_steps and not allow_numpy:
        many = len(found.numpy_steps)
        found.problems.append(f"{many} step{'s have' if many > 1 else ' has'} no kernel: {', '.join(found.numpy_steps)}")
    found.enough = next((m for m in found.memory if found.total <= SHARE * m), None)
    if not found.memory:
        found.notes.append("the memory of this device is not known, so it was not checked")
    elif found.enough is None:
        most = size(int(SHARE * found.memory[-1]))
        found.problems.append(f"it needs {size(found.total)} of memory, more than {most}, half of what the board has")
    if device.systems and not any(s.is_supported for s in device.systems):
        systems = ", ".join(f"{s.name} has {s.python}" for s in device.systems)
        found.notes.append(f"edge-rt needs Python 3.10, {systems}: install a newer one, or use a container")


def _inputs(graph: Graph, given: Mapping[str, Array] | None) -> list[Array]:
    if given is None:
        missing = [f"{v.name}: {v.type}" for v in graph.inputs if _is_open(v.type)]
        if missing:
            raise DeviceError(f"planning for a device needs the sizes of the inputs {', '.join(missing)}; give input shapes")
        given = sample_inputs(graph, size=1)
    return [given[v.name] for v in graph.inputs]


def _decisive(graph: Graph, arrays: list[Array], is_given: bool) -> list[str]:
    """A note where the contents of inputs decide which steps there are."""
    plan = Plan(graph)
    names = [
        f"{v.name} ({np.array2string(a.ravel()[:8], separator=', ')})"
        for v, slot, a in zip(graph.inputs, plan.inputs, arrays)
        if slot in plan.decisive
    ]
    if not names:
        return []
    return [f"the steps depend on the contents of {', '.join(names)}" + ("" if is_given else ", which are made up")]


def _is_open(type_: TensorType) -> bool:
    """Whether sizes are missing that no batch of 1 gives."""
    return type_.shape is None or any(isinstance(d, Sym) for d in type_.shape[1:])
