"""The fast path of a call: inputs like those of the call before, on a plan that one binding covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from edge_rt.instance import Instance
from edge_rt.runner import Runner
from edge_rt.signature import Signature, is_dense

Array = np.ndarray[Any, Any]


class Prepared:
    """A signature chosen, inputs checked and an instance found: for all calls whose inputs have the same dtypes and
    shapes, and the same contents where these decide shapes.

    It only recognises such inputs; others may be right as well, which the full check decides.
    """

    __slots__ = (
        "_count", "_execute", "_inputs", "_instance", "_names", "_outputs", "_results", "_runner", "_single", "signature",
    )  # fmt: skip

    def __init__(
        self,
        signature: str | None,
        entry: Signature,
        arrays: Sequence[Array],
        runner: Runner,
        instance: Instance,
        results: Sequence[Array],
    ) -> None:
        """signature: as the caller named it. arrays: checked inputs. instance: the runner's only one for them. results:
        the instance's fixed ones."""
        self.signature = signature
        self._runner, self._instance, self._results = runner, instance, results
        self._execute = instance.executor
        self._names = entry.graph.output_names
        self._outputs = tuple(zip(self._names, results)) if len(results) == len(self._names) else ()
        """Where no state changes, names and views of the outputs."""
        self._single = (self._names[0], results[0].copy) if len(self._outputs) == 1 else ("", None)
        """Where there is but one output and no state changes, its name and what copies it."""
        stage = instance.binding.stage
        contents = [a.tobytes() if s in stage.decisive else None for a, s in zip(arrays, stage.live)]
        self._inputs = tuple(
            (info.name, a.shape, a.dtype, view if c is None else None, number, c)
            for number, (info, a, view, c) in enumerate(zip(entry.inputs, arrays, instance.copies, contents))
        )
        self._count = len(self._inputs)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array] | None:
        """Outputs by name, as fresh arrays; None, and nothing is done, for inputs that it is not for.

        The session's lock must be held. Raises DataError; the state is unchanged then.
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
            return dict(zip(self._names, self._runner.conclude(self._results)))
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
