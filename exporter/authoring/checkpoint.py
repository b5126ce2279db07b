"""Checkpoints: the values of variables by attribute path, saved to files and put back into existing objects."""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError, CheckpointError
from edge_rt.types import TensorType
from exporter.authoring import variable as variables
from exporter.authoring.checkpoint_files import SHARD_BYTES, Reader, write
from exporter.authoring.checkpoint_state import record
from exporter.authoring.module import Module
from exporter.authoring.paths import resolve, variable_paths
from exporter.authoring.variable import Variable

Array = np.ndarray[Any, Any]

COUNTER = "save_counter"

_log = logging.getLogger("exporter.checkpoint")


class Checkpoint:
    """Saves and restores the variables of some objects: modules, variables, lists, tuples and dicts of them.

    Each variable is stored once, by the first path that leads to it, which starts with the keyword. The objects are
    attributes of the checkpoint. Restoring follows the paths of the file through the objects, so that other paths to the
    same variable do as well.
    """

    def __init__(self, **objects: Any) -> None:
        for name, x in objects.items():
            if not isinstance(x, (Module, Variable, list, tuple, Mapping)):
                kind = type(x).__name__
                raise AuthoringError(f"checkpoint: '{name}' must be a module, a variable or a container, got {kind}")
            if name == COUNTER:
                raise AuthoringError(f"checkpoint: the name '{COUNTER}' belongs to the checkpoint itself")
        self._objects = dict(objects)
        self._counter: Variable | None = None
        self._restoration: Restoration | None = None

    def __getattr__(self, name: str) -> Any:
        objects = self.__dict__.get("_objects", {})
        if name in objects:
            return objects[name]
        raise AttributeError(f"the checkpoint has no object '{name}', there are {', '.join(objects) or 'none'}")

    @property
    def save_counter(self) -> Variable:
        """How often `save` was called; saved and restored along."""
        if self._counter is None:
            self._counter = Variable(np.int64(0), trainable=False, name=COUNTER)
        return self._counter

    def write(self, path: str | os.PathLike[str], *, shard_bytes: int = SHARD_BYTES) -> str:
        """Writes `path`.index and the data, and returns the path. Atomic: what is at `path` is replaced as a whole.

        shard_bytes: size beyond which a further data file is begun. Raises OSError.
        """
        _write(os.fspath(path), self._objects, shard_bytes)
        return os.fspath(path)

    def save(self, prefix: str | os.PathLike[str], *, shard_bytes: int = SHARD_BYTES) -> str:
        """Writes `prefix-N` with the next number N, and returns that path; `latest_checkpoint` finds it."""
        self.save_counter.assign_add(np.int64(1))
        path = f"{os.fspath(prefix)}-{int(self.save_counter.numpy())}"
        try:
            _write(path, {**self._objects, COUNTER: self.save_counter}, shard_bytes)
        except BaseException:
            self.save_counter.assign_sub(np.int64(1))
            raise
        folder, name = os.path.split(path)
        record(folder, [name])
        return path

    def restore(self, path: str | os.PathLike[str]) -> CheckpointStatus:
        """Overwrites variables by the checkpoint's values. Those of variables that do not exist yet wait until they do.

        Raises CheckpointError that names path, expected and found for a value of another dtype or shape, and for damaged
        or missing files; no variable is changed then.
        """
        reader = Reader(os.fspath(path))
        if COUNTER in reader.entries:
            objects = {**self._objects, COUNTER: self.save_counter}
        else:
            objects = self._objects
        if self._restoration is not None:
            self._restoration.end()
        self._restoration = Restoration(reader, objects)
        return CheckpointStatus(self._restoration)

    read = restore


class Restoration:
    """The values of a checkpoint on their way into variables. Keeps no module or variable alive."""

    def __init__(self, reader: Reader, objects: Mapping[str, Any]) -> None:
        self.prefix = reader.prefix
        self._roots = {name: _reference(x) for name, x in objects.items()}
        self.waiting = {path: reader.read(path) for path in reader.entries}
        """Values by path that no variable has taken yet."""
        self.is_expected = False
        """Whether somebody knows what finds no counterpart, so that nothing need be logged."""
        self._taken: set[int] = set()
        """The births of the variables that took one."""
        self._birth = variables.next_birth()
        self.settle()
        if self.waiting:
            _WAITING.append(self)

    @property
    def objects(self) -> dict[str, Any]:
        """What is restored, as far as it is still there."""
        alive = {name: root() for name, root in self._roots.items()}
        return {name: x for name, x in alive.items() if x is not None}

    def settle(self) -> None:
        """Gives values to all variables that exist. Raises CheckpointError for one that does not fit; none is given then."""
        objects = self.objects
        found = {}
        for path, array in self.waiting.items():
            target = resolve(objects, path)
            if isinstance(target, Variable):
                if target.type != TensorType.of(array):
                    got = TensorType.of(array)
                    raise CheckpointError(f"{self.prefix}: variable '{path}': expected {target.type}, found {got}")
                found[path] = target
        for path, target in found.items():
            target.replace(self.waiting.pop(path))
            self._taken.add(target.birth)
        if not self.waiting or not objects:
            self.end()

    def settle_for(self, variable: Variable) -> None:
        """`settle`, if the variable is new since the values began to wait."""
        if variable.birth > self._birth and variable.birth not in self._taken:
            self.settle()

    def end(self) -> None:
        """Nothing waits any longer."""
        if self in _WAITING:
            _WAITING.remove(self)
            self.report()

    def report(self) -> None:
        """Logs what found no counterpart, once, unless that is expected."""
        if not self.is_expected:
            self.is_expected = True
            for difference in _differences(self):
                _log.warning("%s: %s", self.prefix, difference)

    def missing(self) -> dict[str, Variable]:
        """Variables of the objects that got no value, by path."""
        return {path: v for path, v in variable_paths(self.objects).items() if v.birth not in self._taken}


def _reference(x: Any) -> Callable[[], Any]:
    return weakref.ref(x) if isinstance(x, (Module, Variable)) else lambda: x


_WAITING: list[Restoration] = []


def _settle(variable: Variable) -> None:
    for restoration in tuple(_WAITING):
        restoration.settle_for(variable)


variables.SETTLE.append(_settle)


class CheckpointStatus:
    """What became of a restoration. What found no counterpart is logged when nothing waits any longer, or at exit, unless
    one of the methods was called."""

    def __init__(self, restoration: Restoration) -> None:
        self._restoration = restoration
        weakref.finalize(self, _report_unless_waiting, restoration)

    def assert_consumed(self) -> CheckpointStatus:
        """Raises CheckpointError unless every value has found a variable and every variable a value."""
        self._restoration.settle()
        self._check(extra=True)
        return self.expect_partial()

    def assert_existing_objects_matched(self) -> CheckpointStatus:
        """Raises CheckpointError unless every variable that exists now has got a value."""
        self._restoration.settle()
        self._check(extra=False)
        return self.expect_partial()

    def expect_partial(self) -> CheckpointStatus:
        """Logs nothing about what found no counterpart."""
        self._restoration.is_expected = True
        return self

    def _check(self, extra: bool) -> None:
        found = _differences(self._restoration, extra)
        if found:
            raise CheckpointError(f"{self._restoration.prefix}: " + "; ".join(found))


def _differences(restoration: Restoration, extra: bool = True) -> list[str]:
    found = [f"variable '{p}': expected {v.type}, found nothing" for p, v in sorted(restoration.missing().items())]
    if extra:
        values = sorted(restoration.waiting.items())
        found += [f"variable '{p}': expected nothing, found {TensorType.of(a)}" for p, a in values]
    return found


def _report_unless_waiting(restoration: Restoration) -> None:
    if restoration not in _WAITING:
        restoration.report()


@atexit.register
def _report_waiting() -> None:
    for restoration in _WAITING:
        restoration.report()


def _write(path: str, objects: Mapping[str, Any], shard_bytes: int) -> None:
    write(path, {p: v.array for p, v in variable_paths(objects).items()}, shard_bytes)
