"""The fast path of a call: inputs like those of the call before, on a plan that one binding covers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from edge_rt.instance import Instance, conclude, is_dense

if TYPE_CHECKING:
    from edge_rt.linked import Linked
    from edge_rt.turn import Turn

Array = np.ndarray[Any, Any]

InputForm = tuple[str, tuple[int, ...], "np.dtype[Any]", "bytes | None"]
"""Of an input: name, shape, dtype; its contents, where these decide shapes."""

Call = Callable[[Mapping[str, Any]], "dict[str, Array] | None"]
"""Outputs by name; None, and nothing is done, for inputs that it is not for."""


class Prepared:
    """A signature chosen, inputs checked and an instance found: for all calls whose inputs have the same dtypes and
    shapes, and the same contents where these decide shapes.

    It only recognises such inputs; others may be right as well, which the full check decides.
    """

    __slots__ = (
        "_count", "_execute", "_inputs", "_instance", "_names", "_outputs", "_results", "_single", "_updated", "forms",
        "signature",
    )  # fmt: skip

    def __init__(
        self,
        signature: str | None,
        forms: Sequence[InputForm],
        names: Sequence[str],
        instance: Instance,
        results: Sequence[Array],
        updated: Sequence[Array],
    ) -> None:
        """signature: as the caller named it. forms: of the inputs, in order. names: of the outputs. instance: what does all
        of such a call. results: its fixed ones. updated: the variables that the last of these are the new contents of."""
        self.signature, self.forms = signature, forms
        self._instance, self._results, self._updated = instance, results, updated
        self._execute = instance.executor
        self._names = names
        self._outputs = () if updated else tuple(zip(names, results))
        """Where no state changes, names and views of the outputs."""
        self._single = (names[0], results[0].copy) if len(self._outputs) == 1 else ("", None)
        """Where there is but one output and no state changes, its name and what copies it."""
        self._inputs = tuple(
            (name, shape, dtype, view if contents is None else None, number, contents)
            for number, ((name, shape, dtype, contents), view) in enumerate(zip(forms, instance.copies))
        )
        self._count = len(self._inputs)

    def before_first(self, tell: Callable[[], object]) -> None:
        """Calls `tell` once, when this is first run."""
        execute = self._execute

        def first() -> None:
            self._execute = execute
            tell()
            execute()

        self._execute = first

    @property
    def linked(self) -> Linked:
        """What the instance is made of."""
        return self._instance.linked

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array] | None:
        """Outputs by name, as fresh arrays; None, and nothing is done, for inputs that it is not for.

        It must be the caller's turn on the session. Raises DataError; the state is unchanged then.
        """
        if len(inputs) != self._count:
            return None
        held: Any = None
        try:
            for name, shape, dtype, view, number, contents in self._inputs:
                array = inputs[name]
                if type(array) is not ndarray or array.shape != shape:
                    return None
                if array.dtype is not dtype and array.dtype != dtype:
                    return None
                if view is not None:
                    view[...] = array
                elif self._load(number, array, contents):
                    held = array, held  # kernels read it where it is
                else:
                    return None
        except KeyError:
            return None
        self._execute()
        name, copy = self._single
        if copy is not None:
            return {name: copy()}
        if not self._outputs:
            return dict(zip(self._names, conclude(self._results, self._updated)))
        return {name: view.copy() for name, view in self._outputs}

    def taking(self, turn: Turn) -> Call:
        """`run` for callers whose turn on the session it is not yet: the call takes it, and gives it back."""
        if self._single[1] is not None and len(self._inputs) == 1 and self._inputs[0][3] is not None:
            return _of_one(self, turn)
        free = turn.free

        def call(inputs: Mapping[str, Any]) -> dict[str, Array] | None:
            while True:  # `with turn`, written out
                try:
                    del free[0]
                    break
                except IndexError:
                    turn.wait()
            try:
                return self.run(inputs)
            finally:
                free.append(None)
                if turn.waiting:
                    turn.wake()

        return call

    def _load(self, number: int, array: Array, contents: bytes | None) -> bool:
        """Loads an input that is read in place, or whose contents decide; False for one this call is not for."""
        view = self._instance.copies[number]
        if contents is not None and array.tobytes() != contents:
            return False
        if view is not None:
            view[...] = array
            return True
        if is_dense(array):
            self._instance.refer(number, array)
            return True
        return False


def _of_one(prepared: Prepared, turn: Turn) -> Call:
    """`Prepared.taking` where one input is copied to the arena and one output from it: the same, written out."""
    ((name, shape, dtype, view, _, _),) = prepared._inputs
    output, copy = prepared._single
    free, waiting = turn.free, turn.waiting
    assert view is not None
    assert copy is not None

    def call(inputs: Mapping[str, Any]) -> dict[str, Array] | None:
        try:
            array = inputs[name]
        except KeyError:
            return None
        if type(array) is not ndarray or array.shape != shape or len(inputs) != 1:
            return None
        if array.dtype is not dtype and array.dtype != dtype:
            return None
        while True:  # `with turn`, written out
            try:
                del free[0]
                break
            except IndexError:
                turn.wait()
        try:
            view[...] = array
            prepared._execute()
            return {output: copy()}
        finally:
            free.append(None)
            if waiting:
                turn.wake()

    return call
