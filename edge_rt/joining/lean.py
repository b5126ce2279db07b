"""A module as a function without arguments, all of whose names are global: its code is run as the module's.

Without what only people and type checkers read. Classes of errors are loaded when one is raised or caught, functions that
the module is told to do without when one is called.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from edge_rt.joining.links import is_link

if TYPE_CHECKING:
    from typing import TypeGuard

LATER_ERRORS = "__errors__"
LATER = "__later__"
FUNCTIONS = "functions"
BLIND = frozenset({"property", "staticmethod", "contextmanager", "lowers"})
"""Decorators that do not look into what they decorate."""


def function_of(name: str, source: str, is_documented: bool, later: Container[str] = ()) -> ast.FunctionDef:
    """A function that does what a module does, if its globals are the module's, with LATER, LATER_ERRORS and what it imports
    (links.py) among them.

    later: functions, and methods as CLASS.NAME, that LATER makes of their names.
    """
    symbols = symtable.symtable(source, name, "exec").get_symbols()
    assigned = sorted({s.get_name() for s in symbols if s.is_assigned() or s.is_imported()} - {"annotations"})
    body = [s for s in lean(source, is_documented) if not is_link(s)]
    doc = ast.get_docstring(ast.parse(source), clean=False)
    if is_documented and doc is not None:
        body[0] = ast.Assign([ast.Name("__doc__", ast.Store())], ast.Constant(doc))
        assigned.append("__doc__")
    names: list[ast.stmt] = [ast.Global(assigned)] if assigned else []
    return _function(name, [*names, *_without(body, later, "")])


def rest_of(name: str, source: str, is_documented: bool, later: Container[str]) -> ast.FunctionDef | None:
    """A function that gives a class of those functions, and of classes of those methods, if its globals are the module's;
    None without any."""
    body = _only(lean(source, is_documented), later, "")
    if not body:
        return None
    held = ast.ClassDef(FUNCTIONS, [], [], body, [])  # names in a class are not those that functions in it see
    return _function(name, [held, ast.Return(ast.Name(FUNCTIONS, ast.Load()))])


def _function(name: str, body: list[ast.stmt]) -> ast.FunctionDef:
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.fix_missing_locations(ast.FunctionDef(name, nothing, body, []))


def lean(source: str, is_documented: bool) -> list[ast.stmt]:
    """The statements of a module, without what only people and type checkers read."""
    tree = ast.parse(source)
    tree.body = [s for s in tree.body if not (isinstance(s, ast.ImportFrom) and s.module == "__future__")]
    return list(_Lean(is_documented, _errors(tree.body)).visit(tree).body)


def _without(body: Iterable[ast.stmt], later: Container[str], path: str) -> list[ast.stmt]:
    kept = []
    for s in body:
        if isinstance(s, ast.ClassDef) and not path:
            s.body = _without(s.body, later, f"{s.name}.")
        elif _is_later(s, later, path):
            made: ast.expr = ast.Call(ast.Name(LATER, ast.Load()), [ast.Constant(path + s.name)], [])
            for decorator in s.decorator_list:
                made = ast.Call(decorator, [made], [])
            s = ast.Assign([ast.Name(s.name, ast.Store())], made)
        kept.append(s)
    return kept


def _only(body: Iterable[ast.stmt], later: Container[str], path: str) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for s in body:
        if isinstance(s, ast.ClassDef) and not path:
            methods = _only(s.body, later, f"{s.name}.")
            if methods:
                found.append(ast.ClassDef(s.name, [], [], methods, []))
        elif _is_later(s, later, path):
            s.decorator_list = []
            found.append(s)
    return found


def _is_later(statement: ast.stmt, later: Container[str], path: str) -> TypeGuard[ast.FunctionDef]:
    """Raises ValueError for a function that depends on where it is defined, or has a decorator that may look into it."""
    if not isinstance(statement, ast.FunctionDef) or path + statement.name not in later:
        return False
    names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    decorators = {ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in statement.decorator_list}
    if names & {"super", "__class__"} or not decorators <= BLIND:
        raise ValueError(f"{path}{statement.name} must be where its module is")
    return True


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

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if self._errors and _is_of_errors(node) else node

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
