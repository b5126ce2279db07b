"""Makes the wheel's `_start.py` and `_joined.py`: the modules that starts need, in two files.

Python takes a third of a millisecond to find and read a module. `_start.py` has the modules that a start from a stored plan
needs, which `import edge_rt` loads; `_joined.py` those that load and run a convolutional network otherwise, read when the
first of them is asked for. The wheel carries both beside the modules themselves, which tools read and tracebacks of a
checkout name. In them each module is a function without arguments, all of whose names are global; its code is run as the
module's.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Container, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

START_NAME, NAME = "_start.py", "_joined.py"

START = (
    "hashing mapped linked lowering lowering._errors lowering._executor native native.team native.program native.cpu "
    "native.package instance prepared stored turn session model"
)
"""What a start from a stored plan needs."""

MODULES = (
    "errors dims types names graph targets plan arena binding layout binder linking runner signature loaded storing "
    "bundle bundle._format bundle._types bundle._encodings bundle.model bundle._msgpack "
    "bundle._attributes bundle.validate bundle._build bundle.reader ops ops._families ops._attrs ops._spec ops._rules "
    "ops._panels ops._windows ops.edge_gemm ops.edge_conv ops.reduce ops.shape ops.softmax native.features "
    "native.image native.mapping native.packs native.host lowering._families lowering._spec lowering.rules "
    "lowering._layout lowering.copy lowering.windows lowering.winograd lowering.gemm lowering.conv "
    "lowering.reduce lowering.softmax"
)
"""What loads and runs a convolutional network; other operators' families are read from their own files."""

DOCUMENTED = frozenset({"errors", "model", "session", "signature"})
"""Where public names are defined: these keep docstrings and annotations, which nobody asks others for."""

HEAD = '''\
"""Made by edge_rt/joining.py from the modules of this package: do not change it."""

import sys
from importlib.machinery import ModuleSpec


class Joined:
    """Finds and loads the modules in one file, for the path entry that is this file's name. modules: what there are; None
    until the first is asked for."""

    __slots__ = ("file", "modules")

    def __init__(self, file, modules):
        self.file, self.modules = file, modules

    def find_spec(self, name, target=None):
        if self.modules is None:
            if name == LATER:
                return None
            from edge_rt import _joined

            self.modules = _joined.MODULES
        found = self.modules.get(name)
        if found is None:
            return None
        spec = ModuleSpec(name, self)
        if found[1]:
            spec.submodule_search_locations = [*ENTRIES, PACKAGE + name[7:].replace(".", "/")]
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        run, is_package = self.modules[module.__name__]
        file = PACKAGE + module.__name__[7:].replace(".", "/")
        module.__file__ = f"{file}/__init__.py" if is_package else f"{file}.py"
        exec(run.__code__, module.__dict__)


def begin():
    """Loads what `import edge_rt` needs, each module behind those that it imports; others come when they are asked for."""
    modules = sys.modules
    finder = sys.path_importer_cache[ENTRIES[0]] = Joined(ENTRIES[0], MODULES)
    sys.path_importer_cache[ENTRIES[1]] = Joined(ENTRIES[1], None)
    modules["edge_rt"].__path__[:0] = ENTRIES
    made = []
    for name in FIRST:
        spec = finder.find_spec(name)
        module = modules[name] = Module(name)
        module.__spec__, module.__loader__, module.__package__ = spec, finder, spec.parent
        if spec.submodule_search_locations:
            module.__path__ = spec.submodule_search_locations
        made.append(module)
    for module in made:
        parent, _, own = module.__name__.rpartition(".")
        setattr(modules[parent], own, module)
    try:
        for module in made:
            finder.exec_module(module)
    except BaseException:
        for name in FIRST:
            modules.pop(name, None)
        raise


Module = type(sys)
PACKAGE = __file__[: -len("/_start.py")]
ENTRIES = [__file__, PACKAGE + "/_joined.py"]
LATER = "edge_rt._joined"
'''


def write(package: Path, folder: Path) -> None:
    """Writes both files of the package's modules to a folder. Raises SyntaxError for a module that does not compile."""
    for name, text in joined(package).items():
        (folder / name).write_text(text, "utf-8")


def joined(
    package: Path, start: Iterable[str] = tuple(START.split()), modules: Iterable[str] = tuple(MODULES.split())
) -> dict[str, str]:
    """The sources of both files, by name. package: the folder of edge_rt.

    Raises SyntaxError for a module that does not compile.
    """
    sources = {name: (_file(package, name)).read_text("utf-8") for name in ("", *start)}
    first = ["FIRST = (", *[f'    "edge_rt.{module}",' for module in _in_order(sources)], ")"]
    build = f'BUILD = "{build_of(package)}"'
    others = '"""Made by edge_rt/joining.py from the modules of this package: do not change it."""\n'
    return {
        START_NAME: _text(package, start, HEAD, "\n".join([build, *first])),
        NAME: _text(package, modules, others, ""),
    }


def build_of(package: Path) -> str:
    """Hash of the modules of the package, but for those that compile kernels, which packs have a hash of."""
    digest = sha256()
    left_out = {package / START_NAME, package / NAME}
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] not in ("kernels", "codegen") and path not in left_out:
            digest.update(f"{path.relative_to(package)}\0".encode())
            digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _text(package: Path, modules: Iterable[str], head: str, tail: str) -> str:
    texts, table = [head], []
    for module in modules:
        name = module.replace(".", "_")
        source = _file(package, module).read_text("utf-8")
        texts.append(ast.unparse(_function(name, source, module in DOCUMENTED)))
        table.append(f'    "edge_rt.{module}": ({name}, {(package / module.replace(".", "/")).is_dir()}),')
    return "\n\n\n".join([*texts, "\n".join([*tail.splitlines(), "MODULES = {", *table, "}"])]) + "\n"


def _file(package: Path, module: str) -> Path:
    path = package / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _in_order(sources: Mapping[str, str]) -> list[str]:
    """The modules that the package, "", imports, directly or not, each behind those that it needs itself."""
    order: list[str] = []
    seen = {""}

    def visit(module: str) -> None:
        for needed in _imported(ast.parse(sources[module]).body, sources):
            if needed not in seen:
                seen.add(needed)
                visit(needed)
        order.append(module)

    visit("")
    return order[:-1]


def _imported(statements: Iterable[ast.stmt], modules: Container[str]) -> Iterator[str]:
    """Those of the modules that these statements import when they are run, not from within functions."""
    for s in statements:
        if isinstance(s, ast.ImportFrom) and (s.module or "").partition(".")[0] == "edge_rt":
            package = (s.module or "")[len("edge_rt.") :]
            for alias in s.names:
                inner = f"{package}.{alias.name}".lstrip(".")
                found = inner if inner in modules else package
                above = found.partition(".")[0]
                yield from (name for name in dict.fromkeys((above, found)) if name and name in modules)
        elif isinstance(s, ast.Try):
            yield from _imported(s.body, modules)


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
