"""A Python function and the types of its arguments -> LLVM IR, by those passes of Numba that kernels need.

Numba's own pipeline spends most of its time on what kernels do not have (arrays, exceptions, `with`, functions made inside
of functions, reference counts, debug information) and on bookkeeping around each pass. The machine code is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numba.core import (
    analysis,
    bytecode,
    cgutils,
    compiler,
    errors,
    funcdesc,
    interpreter,
    ir,
    ir_utils,
    lowering,
    postproc,
    ssa,
    targetconfig,
    transforms,
    typed_passes,
    typing,
)
from numba.core.rewrites import static_getitem

from edge_rt.codegen.inference import Typing, infer

_CONSTANT_PLACES = (static_getitem.RewriteConstGetitems, static_getitem.RewriteConstSetitems)
"""What makes p[0] a place known to typing, as tuples of several types need."""


def compile_function(
    typing_context: Typing, target_context: Any, function: Callable[..., Any], args: Sequence[Any], flags: Any
) -> Any:
    """The function for arguments of these types, as Numba's `compile_extra` returns it. Raises NumbaError."""
    func_id = bytecode.FunctionIdentity.from_function(function)
    with targetconfig.ConfigStack().enter(flags):
        context = compiler._make_subtarget(target_context, flags)
        func_ir = _simplified(Reader(func_id).interpret(bytecode.ByteCode(func_id)), args)
        typemap, restype, calltypes = infer(typing_context, context.target, func_ir, args)
        func_ir = _with_lifetimes(typed_passes.PreLowerStripPhis()._strip_phi_nodes(func_ir))
        library = context.codegen().create_library(func_id.func_qualname)
        fndesc = funcdesc.PythonFunctionDescriptor.from_specialized_function(
            func_ir, typemap, restype, calltypes, context.mangler, flags.forceinline, flags.noalias, abi_tags=()
        )
        with context.push_code_library(library):
            Lowering(context, library, fndesc, func_ir).lower()
        entry = context.get_executable(library, fndesc, None)
        context.insert_user_function(entry, fndesc, [library])
        return compiler.compile_result(
            typing_context=typing_context, target_context=context, entry_point=entry, library=library, fndesc=fndesc,
            signature=typing.signature(restype, *args), objectmode=False, typing_error=None,
        )  # fmt: skip


class Reader(interpreter.Interpreter):
    """Bytecode -> Numba's IR, of functions without `with`."""

    def post_process(self, peepholes, func_ir):
        return super().post_process([p for p in peepholes if p is not interpreter.peep_hole_delete_with_exit], func_ir)


def _simplified(func_ir: Any, args: Sequence[Any]) -> Any:
    """In static single assignment, without branches that constants rule out."""
    func_ir.generator_info = None
    func_ir.blocks = transforms.canonicalize_cfg(func_ir.blocks)
    analysis.rewrite_semantic_constants(func_ir, args)
    analysis.dead_branch_prune(func_ir, args)
    for rewrite in _CONSTANT_PLACES:
        made = rewrite()
        for label, block in func_ir.blocks.items():
            if made.match(func_ir, block, None, None):
                func_ir.blocks[label] = made.apply()
    func_ir.blocks = transforms.canonicalize_cfg(func_ir.blocks)
    func_ir = ssa.reconstruct_ssa(func_ir)
    func_ir._definitions = ir_utils.build_definitions(func_ir.blocks)
    analysis.dead_branch_prune(func_ir, args)
    func_ir.blocks = transforms.canonicalize_cfg(func_ir.blocks)
    return func_ir


def _with_lifetimes(func_ir: Any) -> Any:
    """With a statement where each variable ends: lowering makes zeros of those that are in memory."""
    lifetimes = postproc.VariableLifetime(func_ir.blocks)
    func_ir.variable_lifetime = lifetimes
    postproc.PostProcessor(func_ir)._patch_var_dels(lifetimes.deadmaps.internal, lifetimes.deadmaps.escaping)
    return func_ir


class Lowering(lowering.Lower):
    """Numba's IR -> LLVM IR, without environments, reference counts and debug information."""

    def emit_environment_object(self):
        pass

    def pre_block(self, block):
        if block is self.blocks[self.firstblk]:
            super().pre_block(block)  # makes places for variables

    def lower_block(self, block):
        self.pre_block(block)
        for statement in block.body:
            self.loc = statement.loc
            try:
                self.lower_inst(statement)
            except errors.NumbaError as error:
                error.add_context(f'lowering "{statement}" at {self.loc}')
                raise

    def lower_inst(self, inst):
        if type(inst) is ir.Assign:
            name = inst.target.name
            self.storevar(self.lower_assign(self.typeof(name), inst), name)
        else:
            super().lower_inst(inst)

    def lower_binop(self, resty, expr, op):
        """Numba's also tries operands that are constants of the IR, which are made for powers only."""
        context, builder, signature = self.context, self.builder, self.fndesc.calltypes[expr]
        given = [
            context.cast(builder, self.loadvar(side.name), self.typeof(side.name), kind)
            for side, kind in zip((expr.lhs, expr.rhs), signature.args)
        ]
        function = context.typing_context.resolve_value_type(op)
        found = context.typing_context.resolve_function_type(function, signature.args, {})
        made = context.get_function(function, found)(builder, given)
        return context.cast(builder, made, signature.return_type, resty)

    def storevar(self, value, name, argidx=None):
        if name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self.builder.store(value, self.getvar(name))

    def loadvar(self, name):
        found = self._blk_local_varmap.get(name)
        return self.builder.load(self.getvar(name)) if found is None else found

    def getvar(self, name):
        found = self.varmap.get(name)
        if found is None:
            found = self.varmap[name] = self.alloca(name, self.typeof(name))
        return found

    def delvar(self, name):
        if name not in self._blk_local_varmap:
            self._singly_assigned_vars.discard(name)
            place = self.getvar(name)
            self.builder.store(place.type.pointee(None), place)

    def alloca_lltype(self, name, lltype, datamodel=None):
        return cgutils.alloca_once(self.builder, lltype, name=name)
