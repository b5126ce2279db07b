"""Types of a kernel's variables: Numba's inference, which asks for each call once.

Numba resolves a call by trying the templates of all that has this name, again in each round of inference, in each function
and while lowering; most of its time went there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import errors, typeinfer, types, typing
from numba.core.dispatcher import Dispatcher

from edge_rt.kernels.simd import primitive_type


class Typing(typing.Context):
    """Numba's typing, except that called functions (plain or @njit) compile for this target, not for the host, and that
    what was found is kept.

    Types and functions are told apart by identity: Numba makes each type once, and what stands here keeps them alive.
    """

    def __init__(self, compiler):
        self.compiler = compiler
        self.value_types: dict[int, tuple[Any, Any]] = {}
        self.calls: dict[tuple[int, ...], tuple[Any, Any, Any, Any]] = {}
        super().__init__()

    def refresh(self):
        super().refresh()
        self.value_types.clear()  # functions may have got further templates

    def resolve_value_type(self, value):
        found = self.value_types.get(id(value))
        if found is None:
            found = self.value_types[id(value)] = self._type_of(value), value
        return found[0]

    def _type_of(self, value):
        value = value.py_func if isinstance(value, Dispatcher) else value
        try:
            return super().resolve_value_type(value)
        except ValueError:
            if not hasattr(value, "__code__"):
                raise
            return types.Dispatcher(self.compiler.function(value))

    def resolve_function_type(self, function, args, kws):
        if kws:
            return super().resolve_function_type(function, args, kws)
        found = self.known_call(function, args)
        if found is None:
            found = self._signature(function, tuple(args))
            if found is not None and found.return_type.is_precise():
                made = function._impl_keys[found.args] if isinstance(function, types.Function) else None
                self.calls[(id(function), *map(id, args))] = found, made, function, args
        return found

    def known_call(self, function: Any, args: Sequence[Any]) -> Any:
        """The signature of a call, if it was resolved before. Function types are those of all targets, which leave in them
        what to call: the last one stays."""
        found = self.calls.get((id(function), *map(id, args)))
        if found is None:
            return None
        signature, made, _, _ = found
        if made is not None:
            function._impl_keys[signature.args] = made
        return signature

    def _signature(self, function, args):
        if isinstance(function, types.Function):
            found = primitive_type(function.typing_key, args)
            if found is not None:
                function._impl_keys[found.args] = function.typing_key
                return found
        return super().resolve_function_type(function, args, {})


class Constraints(typeinfer.ConstraintNetwork):
    """What must hold of the types in a function. Calls that are known take no time."""

    def propagate(self, inference):
        """Goes over all constraints once; the errors of those that do not hold, as far as is known."""
        found = []
        for constraint in self.constraints:
            if _resolve_known(constraint, inference):
                continue
            try:
                constraint(inference)
            except errors.TypingError as error:
                found.append(errors.TypingError(str(error), loc=constraint.loc, highlighting=False))
                found[-1].__cause__ = error
        return found


def _resolve_known(constraint: Any, inference: Any) -> bool:
    """Whether the constraint is a call that is known; its result is typed then."""
    variables, context = inference.typevars, inference.context
    if type(constraint) is typeinfer.CallConstraint:
        function = variables[constraint.func].type
    elif type(constraint) is typeinfer.IntrinsicCallConstraint:
        function = constraint.func
        function = context.resolve_value_type(function) if callable(function) else function
    else:
        return False
    if constraint.kws or constraint.vararg is not None:
        return False
    signature = context.known_call(function, [variables[a.name].type for a in constraint.args])
    if signature is None:
        return False
    inference.add_type(constraint.target, signature.return_type, loc=constraint.loc)
    constraint.signature = signature
    return True


def infer(context: Typing, target: Any, func_ir: Any, args: Sequence[Any]) -> tuple[Any, Any, Any]:
    """(type of each variable, type of the result, signature of each call). Raises Numba's TypingError."""
    inference = typeinfer.TypeInferer(context, func_ir, errors.WarningsFixer(errors.NumbaWarning))
    inference.constraints = Constraints()
    with context.callstack.register(target, inference, func_ir.func_id, args):
        for index, (name, kind) in enumerate(zip(func_ir.arg_names, args)):
            inference.seed_argument(name, index, kind)
        inference.build_constraint()
        inference.propagate()
        return inference.unify()
