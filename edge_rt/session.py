"""A session: arena, state and bindings of one user of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.garbage import uncollected
from edge_rt.prepared import Prepared

if TYPE_CHECKING:
    from edge_rt.bound import BoundCall
    from edge_rt.model import Model
    from edge_rt.prepared import Call
    from edge_rt.runner import Runner
    from edge_rt.signature import Signature
from edge_rt.turn import Turn

Array = np.ndarray[Any, Any]


class Session:
    """Runs a model. Calls on one session are serialised; sessions of one model share weights and run in parallel."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._turn = Turn()
        self._state = {name: initial.copy() for name, initial in model.initial_state.items()}
        self._runners: dict[str, Runner] = {}
        self.again: Call | None = None
        """`run` without a signature or `out`, for inputs like those before: see Prepared.taking. Who closed the model must
        not call it."""
        self._remember(model.stored_call(self._state))

    def run(
        self,
        inputs: Mapping[str, Any],
        *,
        signature: str | None = None,
        out: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """Outputs by name, as fresh arrays, or in the arrays of `out`.

        inputs: arrays by name, of exactly the declared dtypes; Python and NumPy scalars where the dtype represents them
        exactly. signature: which entry point; by default the only one that accepts these inputs.
        Raises InputError, SignatureError, DataError, MemoryLimitError, ClosedError; state is unchanged then, but where an
        array of `out` has a wrong size and only running the model told the right one.
        """
        if out is None and signature is None:
            again = self.again
            if again is not None and not self._model.is_closed:
                try:
                    made = again(inputs)
                except (TypeError, IndexError):
                    _require_named(inputs)
                    raise
                if made is not None:
                    return made
        else:
            if out is not None:
                _check_out(self._model.select(inputs, signature)[0], out)
            recent, again = self._recent, self._again
            if recent is not None and again is not None and recent.signature == signature and not self._model.is_closed:
                made = again(inputs)
                if made is not None:
                    return made if out is None else _fill(out, made)
        entry, arrays = self._model.select(inputs, signature)
        turn = self._turn
        with turn:
            made = dict(zip(entry.graph.output_names, self._execute(entry, arrays, signature)))
        return made if out is None else _fill(out, made)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs with inputs in order or by name; the output, or a tuple of all, in order."""
        made = self.run(self._model.named(args, kwargs))
        if len(made) != 1:
            return tuple(made.values())
        (only,) = made.values()
        return only

    def bind(self, signature: str | None = None, shapes: Mapping[str, Sequence[int]] | None = None) -> BoundCall:
        """A call whose inputs and outputs are views over the arena: fill, run, read; nothing is copied or checked.

        shapes: of the inputs with symbolic sizes. Raises InputError if sizes are missing or depend on contents.
        """
        from edge_rt.bound import BoundCall

        entry = self._model.entry(signature)
        if shapes:
            from edge_rt.arguments import require_shapes

            shapes = require_shapes(shapes, entry.input_names)
        return BoundCall(self._model, entry, shapes or {}, self._state, self._turn)

    @property
    def state(self) -> dict[str, Array]:
        """Copies of the variables by name. Set them with `set_state`."""
        turn = self._turn
        with turn:
            return {name: a.copy() for name, a in self._state.items()}

    def set_state(self, values: Mapping[str, Array]) -> None:
        """Overwrites variables. Raises InputError for an unknown name, or another dtype or shape than declared."""
        if not hasattr(values, "items"):
            raise _wrong(f"state: expected arrays by name, got {type(values).__name__}")
        turn = self._turn
        with turn:
            for name, value in values.items():
                held = self._state.get(name)
                if held is None:
                    known = ", ".join(self._state) or "none"
                    raise _wrong(f"state: no variable is named '{name}', there are {known}")
                if not isinstance(value, np.ndarray):
                    raise _wrong(f"state '{name}': expected an array, got {type(value).__name__}")
                if held.dtype != value.dtype or held.shape != value.shape:
                    raise _wrong(
                        f"state '{name}': expected {held.dtype}{list(held.shape)}, got {value.dtype}{list(value.shape)}"
                    )
            for name, value in values.items():
                self._state[name][...] = value

    def reset_state(self) -> None:
        """Gives all variables their initial values again."""
        self.set_state(self._model.initial_state)

    def _execute(self, entry: Signature, arrays: Sequence[Array], signature: str | None) -> list[Array]:
        if self._model.backend == "reference":
            from edge_rt.interpreter import evaluate

            state = {s.name: self._state[s.name] for s in entry.graph.variables}
            made = evaluate(entry.graph, arrays, state)
            for name, value in state.items():
                self._state[name][...] = value
            return [np.array(m) for m in made]
        runner = self._runner(entry)
        made = uncollected(runner.run, arrays)
        instance = runner.whole
        results = None if instance is None else instance.fixed_results
        if instance is not None and results is not None:
            decisive = instance.binding.stage.decisive
            forms = [
                (info.name, a.shape, a.dtype, a.tobytes() if slot in decisive else None)
                for info, a, slot in zip(entry.inputs, arrays, runner.plan.inputs)
            ]
            names = entry.graph.output_names
            call = Prepared(signature, forms, names, instance, results, runner.updated)
            self._remember(call)
            self._model.note_call(call, runner)
        return list(made)

    def _remember(self, call: Prepared | None) -> None:
        """Calls like this one are made by it from now on."""
        self._recent = call
        self._again = None if call is None else call.taking(self._turn)
        self.again = self._again if call is not None and call.signature is None else None

    def _runner(self, entry: Signature) -> Runner:
        runner = self._runners.get(entry.name)
        if runner is None:
            runner = self._runners[entry.name] = self._model.runner(entry, self._state)
        return runner


def _require_named(values: Any) -> None:
    from edge_rt.arguments import require_named

    require_named(values)


def _named(out: Any) -> Any:
    if not hasattr(out, "items"):
        raise _wrong(f"out must be arrays by name, {{'y': array}}, got {type(out).__name__}")
    return out.items()


def _wrong(message: str) -> Exception:
    from edge_rt.errors import InputError

    return InputError(message)


def _check_out(entry: Signature, out: Mapping[str, Array]) -> None:
    """Raises InputError for an array that cannot receive its output, as far as the declared types tell."""
    from edge_rt.arguments import require_target

    declared = {info.name: info for info in entry.outputs}
    for name, target in _named(out):
        info = declared.get(name)
        if info is None:
            raise _wrong(f"out: no output is named '{name}', there are {', '.join(declared)}")
        require_target(name, target)
        if target.dtype != info.dtype or (info.type.is_static and target.shape != info.shape):
            raise _wrong(f"out '{name}': expected {info.type}, got {target.dtype}{list(target.shape)}")


def _fill(out: Mapping[str, Array], made: dict[str, Array]) -> dict[str, Array]:
    for name, target in out.items():
        if target.shape != made[name].shape:
            dtype, shape = target.dtype, list(made[name].shape)
            raise _wrong(f"out '{name}': expected {dtype}{shape}, got {dtype}{list(target.shape)}")
    for name, target in out.items():
        target[...] = made[name]
        made[name] = target
    return made
