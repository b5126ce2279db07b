"""The fast path of a call: inputs like those of the call before, on a plan that one binding covers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from edge_rt.instance import Instance, conclude, is_dense

if TYPE_CHECKING:
    from edge_rt.linked import Linked

Array = np.ndarray[Any, Any]

InputForm = tuple[str, tuple[int, ...], "np.dtype[Any]", "bytes | None"]
"""Of an input: name, shape, dtype; its contents, where these decide shapes."""


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
