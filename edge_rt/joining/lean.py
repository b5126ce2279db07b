"""A module as a function without arguments, all of whose names are global: its code is run as the module's.

Without what only people and type checkers read. Classes of errors are loaded when one is raised or caught.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable, Mapping
from typing import Any

LATER_ERRORS = "__errors__"


def function_of(name: str, source: str, is_documented: bool) -> ast.FunctionDef:
    """A function that does what a module does, if its globals are the module's."""
    symbols = symtable.symtable(source, name, "exec").get_symbols()
    assigned = sorted({s.get_name() for s in symbols if s.is_assigned() or s.is_imported()} - {"annotations"})
    assigned.append(LATER_ERRORS)
    tree = ast.parse(source)
    tree.body = [s for s in tree.body if not (isinstance(s, ast.ImportFrom) and s.module == "__future__")]
    doc = ast.get_docstring(tree, clean=False)
    body = list(_Lean(is_documented, _errors(tree.body)).visit(tree).body)
    if is_documented and doc is not None:
        body[0] = ast.Assign([ast.Name("__doc__", ast.Store())], ast.Constant(doc))
        assigned.append("__doc__")
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    function = ast.FunctionDef(name, nothing, [ast.Global(assigned), *body], [])
    return ast.fix_missing_locations(function)


def _is_of_errors(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "edge_rt.errors"


def _errors(statements: Iterable[ast.stmt]) -> dict[str, str]:
    """The classes of errors that a module imports, by their names in it."""
    found = [a for s in statements if isinstance(s, ast.ImportFrom) and _is_of_errors(s) for a in s.names]
    return {alias.asname or alias.name: alias.name for alias in found}


class _Lean(ast.NodeTransformer):
    """Takes out what only people and type checkers read. Annotations that stay are strings, as they are meant to be.

    errors: names that become attributes of what loads the classes of errors.
    """

    def __init__(self, is_documented: bool, errors: Mapping[str, str]) -> None:
        self._is_documented, self._errors = is_documented, errors

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if self._errors and _is_of_errors(node):
            return ast.ImportFrom("edge_rt._start", [ast.alias("ERRORS", LATER_ERRORS)], 0)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self._errors:
            return ast.Attribute(ast.Name(LATER_ERRORS, ast.Load()), self._errors[node.id], node.ctx)
        return node

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.generic_visit(node)
        node.body = self._kept(node.body, self._is_documented)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = self._kept(node.body, self._is_documented and not node.name.startswith("_"))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        is_public = self._is_documented and not node.name.startswith("_")
        node.body = self._kept(node.body, is_public)
        for holder in (node, *self._parameters(node.args)):
            field = "returns" if holder is node else "annotation"
            annotation = getattr(holder, field)
            if annotation is not None:
                setattr(holder, field, ast.Constant(ast.unparse(annotation)) if is_public else None)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        return None if node.value is None else ast.Assign([node.target], node.value)

    def visit_If(self, node: ast.If) -> Any:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(s) for s in node.orelse]
        return self.generic_visit(node)

    @staticmethod
    def _parameters(arguments: ast.arguments) -> list[ast.arg]:
        extra = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
        return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]

    @staticmethod
    def _kept(body: list[ast.stmt], is_documented: bool) -> list[ast.stmt]:
        """Statements without those that are but strings; the first such one stays where documented."""
        kept = [
            s
            for i, s in enumerate(body)
            if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) or (is_documented and i == 0)
        ]
        return kept or [ast.Pass()]
