"""Makes `edge_rt/_joined.py`: the modules that every start needs, in one file.

Python takes a third of a millisecond to find and read a module, and a start needs sixty. The wheel carries the joined file
beside the modules themselves, which tools read and tracebacks of a checkout name. In it each module is a function without
arguments, all of whose names are global; its code is run as the module's.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NAME = "_joined.py"

MODULES = (
    "errors hashing dims types names graph mapped targets plan arena binding layout binder instance runner signature "
    "prepared session model bundle bundle._format bundle._types bundle._encodings bundle.model bundle._msgpack "
    "bundle._attributes bundle.validate bundle._build bundle.reader ops ops._families ops._attrs ops._spec ops._rules "
    "ops._panels ops._windows ops.edge_gemm ops.edge_conv ops.reduce ops.shape ops.softmax native native.features "
    "native.image native.mapping native.package native.library native.host native.team native.program lowering "
    "lowering._families lowering._spec lowering._errors lowering._layout lowering.executor lowering.copy lowering.windows "
    "lowering.gemm lowering.conv lowering.reduce lowering.softmax"
)
"""Those that load and run a convolutional network; other operators' families are read from their own files."""

DOCUMENTED = frozenset({"errors", "model", "session", "signature"})
"""Where public names are defined: these keep docstrings and annotations, which nobody asks others for."""

HEAD = '''\
"""Made by edge_rt/joining.py from the modules of this package: do not change it."""

import sys
from importlib.machinery import ModuleSpec


class Joined:
    """Finds and loads the modules in this file, for the path entry that is this file's name."""

    __slots__ = ()

    def find_spec(self, name, target=None):
        found = MODULES.get(name)
        if found is None:
            return None
        spec = ModuleSpec(name, self)
        if found[1]:
            folder = PACKAGE + name[7:].replace(".", "/")
            spec.submodule_search_locations = [__file__, folder]
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        run, is_package = MODULES[module.__name__]
        file = PACKAGE + module.__name__[7:].replace(".", "/")
        module.__file__ = f"{file}/__init__.py" if is_package else f"{file}.py"
        exec(run.__code__, module.__dict__)


PACKAGE = __file__[: -len("/_joined.py")]
sys.path_importer_cache[__file__] = Joined()
sys.modules["edge_rt"].__path__.insert(0, __file__)
'''


def joined(package: Path, modules: Iterable[str] = tuple(MODULES.split())) -> str:
    """The source of `_joined.py`. package: the folder of edge_rt.

    Raises SyntaxError for a module that does not compile.
    """
    texts, table = [HEAD], []
    for module in modules:
        path = package / module.replace(".", "/")
        is_package = path.is_dir()
        source = (path / "__init__.py" if is_package else path.with_suffix(".py")).read_text("utf-8")
        name = module.replace(".", "_")
        texts.append(ast.unparse(_function(name, source, module in DOCUMENTED)))
        table.append(f'    "edge_rt.{module}": ({name}, {is_package}),')
    return "\n\n\n".join([*texts, "\n".join(["MODULES = {", *table, "}"])]) + "\n"


def _function(name: str, source: str, is_documented: bool) -> ast.FunctionDef:
    """A function that does what a module does, if its globals are the module's."""
    symbols = symtable.symtable(source, name, "exec").get_symbols()
    assigned = sorted({s.get_name() for s in symbols if s.is_assigned() or s.is_imported()} - {"annotations"})
    tree = ast.parse(source)
    tree.body = [s for s in tree.body if not (isinstance(s, ast.ImportFrom) and s.module == "__future__")]
    doc = ast.get_docstring(tree, clean=False)
    body = list(_Lean(is_documented).visit(tree).body)
    if is_documented and doc is not None:
        body[0] = ast.Assign([ast.Name("__doc__", ast.Store())], ast.Constant(doc))
        assigned.append("__doc__")
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    function = ast.FunctionDef(name, nothing, [ast.Global(assigned), *body] if assigned else body, [])
    return ast.fix_missing_locations(function)


class _Lean(ast.NodeTransformer):
    """Takes out what only people and type checkers read. Annotations that stay are strings, as they are meant to be."""

    def __init__(self, is_documented: bool) -> None:
        self._is_documented = is_documented

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
