"""Makes the wheel's `_start.py` and `_joined.py`: the modules that starts need, in two files.

Python takes a third of a millisecond to find and read a module. `_start.py` has the modules that a start from a stored plan
needs, which `import edge_rt` loads; `_joined.py` those that load and run a convolutional network otherwise, read when the
first of them is asked for. Those that every model needs are run there and then, each behind those that it imports, since
the machinery of imports takes as long as they do. The wheel carries both beside the modules themselves, which tools read
and tracebacks of a checkout name. In them each module is a function without arguments, all of whose names are global; its
code is run as the module's. Classes of errors are loaded when one is raised or caught.
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
    "fingerprint garbage mapped linked lowering lowering._errors lowering._executor native native.team native.program "
    "native.cpu native.package instance prepared stored turn session model"
)
"""What a start from a stored plan needs."""

TOGETHER = (
    "hashing dims types names graph targets plan arena binding bands excitation joins layout binder linking runner "
    "signature loaded "
    "bundle bundle._format bundle._types bundle._encodings bundle.model bundle._msgpack "
    "bundle._attributes bundle.validate bundle._build bundle.reader ops ops._families ops._attrs ops._spec "
    "native.features native.image native.mapping native.packs native.host lowering._families lowering._spec lowering.rules"
)
"""What every model needs that is read from its bundle."""

MODULES = (
    f"{TOGETHER} ops._rules ops._panels ops._windows ops.edge_gemm ops.edge_conv ops.reduce ops.shape "
    "ops.softmax lowering._layout lowering.copy lowering.windows lowering.winograd lowering.gemm lowering.conv "
    "lowering.bands lowering.reduce lowering.softmax"
)
"""What loads and runs a convolutional network; other operators' families are read from their own files."""

LATER_ERRORS = "__errors__"

DOCUMENTED = frozenset({"model", "session", "signature"})
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
        return spec.loader_state

    def exec_module(self, module):
        if module.__spec__.loader_state is module:
            return
        run, is_package = self.modules[module.__name__]
        file = PACKAGE + module.__name__[7:].replace(".", "/")
        module.__file__ = f"{file}/__init__.py" if is_package else f"{file}.py"
        exec(run.__code__, module.__dict__)

    def load(self, names):
        """Loads modules in this order, in which each is behind those that it imports. Others find each when it is complete,
        so that threads may ask for it at any time; until then they wait for the file that calls this."""
        modules, done, inner = sys.modules, [], {}
        try:
            for name in names:
                if name in modules:
                    continue
                spec = self.find_spec(name)
                module = Module(name)
                module.__spec__, module.__loader__, module.__package__ = spec, self, spec.parent
                if spec.submodule_search_locations:
                    module.__path__ = spec.submodule_search_locations
                for own, submodule in inner.pop(name, ()):
                    setattr(module, own, submodule)  # first, since the package may give the name to something else
                self.exec_module(module)
                spec.loader_state = modules[name] = module  # importlib takes this spec for one that it is just looking for
                done.append(name)
                parent, _, own = name.rpartition(".")
                if parent in modules:
                    setattr(modules[parent], own, module)
                else:
                    inner.setdefault(parent, []).append((own, module))
        except BaseException:
            for name in done:
                del modules[name]
            raise


class Errors:
    """The classes in errors.py, by attributes."""

    __slots__ = ()

    def __getattr__(self, name):
        from edge_rt import errors

        return getattr(errors, name)


def begin():
    """Loads what `import edge_rt` needs; others come when they are asked for."""
    for entry, modules in zip(ENTRIES, (MODULES, None)):
        sys.path_importer_cache[entry] = Joined(entry, modules)
    sys.modules["edge_rt"].__path__[:0] = ENTRIES
    sys.path_importer_cache[ENTRIES[0]].load(FIRST)


Module = type(sys)
ERRORS = Errors()
PACKAGE = __file__[: -len("/_start.py")]
ENTRIES = [__file__, PACKAGE + "/_joined.py"]
LATER = "edge_rt._joined"
'''

RUN = """
from edge_rt._start import ENTRIES, Joined

Joined(ENTRIES[1], MODULES).load(TOGETHER)
"""


def write(package: Path, folder: Path) -> None:
    """Writes both files of the package's modules to a folder. Raises SyntaxError for a module that does not compile."""
    for name, text in joined(package).items():
        (folder / name).write_text(text, "utf-8")


def joined(
    package: Path,
    start: Iterable[str] = tuple(START.split()),
    modules: Iterable[str] = tuple(MODULES.split()),
    together: Iterable[str] = tuple(TOGETHER.split()),
) -> dict[str, str]:
    """The sources of both files, by name. package: the folder of edge_rt.

    Raises SyntaxError for a module that does not compile.
    """
    sources = {name: (_file(package, name)).read_text("utf-8") for name in ("", *start, *modules)}
    first = [name for name in _in_order([""], {name: sources[name] for name in ("", *start)}) if name]
    later = _in_order(together, {name: sources[name] for name in modules})
    build = f'BUILD = "{build_of(package)}"\n'
    others = '"""Made by edge_rt/joining.py from the modules of this package: do not change it."""\n'
    return {
        START_NAME: _text(package, start, HEAD, f"{build}{_listed('FIRST', first)}", ""),
        NAME: _text(package, modules, others, _listed("TOGETHER", later), f"\n{RUN}"),
    }


def _listed(name: str, modules: Iterable[str]) -> str:
    return "\n".join([f"{name} = (", *[f'    "edge_rt.{module}",' for module in modules], ")"])


def build_of(package: Path) -> str:
    """Hash of the modules of the package, but for those that compile kernels, which packs have a hash of."""
    digest = sha256()
    left_out = {package / START_NAME, package / NAME}
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] not in ("kernels", "codegen") and path not in left_out:
            digest.update(f"{path.relative_to(package)}\0".encode())
            digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _text(package: Path, modules: Iterable[str], head: str, names: str, tail: str) -> str:
    texts, table = [head], []
    for module in modules:
        name = module.replace(".", "_")
        source = _file(package, module).read_text("utf-8")
        texts.append(ast.unparse(_function(name, source, module in DOCUMENTED)))
        table.append(f'    "edge_rt.{module}": ({name}, {(package / module.replace(".", "/")).is_dir()}),')
    return "\n\n\n".join([*texts, "\n".join([names, "MODULES = {", *table, "}"])]) + "\n" + tail


def _file(package: Path, module: str) -> Path:
    path = package / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _in_order(wanted: Iterable[str], sources: Mapping[str, str]) -> list[str]:
    """These modules, those that they import, directly or not, and their packages: each behind those that it needs itself.

    Raises ImportError where modules need each other.
    """
    order: list[str] = []
    seen: set[str] = set()

    def visit(module: str) -> None:
        if module not in seen:
            seen.add(module)
            for needed in _imported(ast.parse(sources[module]).body, sources):
                visit(needed)
            order.append(module)
        elif module not in order:
            raise ImportError(f"edge_rt.{module} imports itself by way of others, so that it cannot be joined")

    for module in wanted:
        visit(module)
    for module in tuple(order):
        package = module.rpartition(".")[0]
        if package in sources:
            visit(package)
    return order


def _imported(statements: Iterable[ast.stmt], modules: Container[str]) -> Iterator[str]:
    """Those of the modules that these statements import when they are run, not from within functions."""
    for s in statements:
        if isinstance(s, ast.ImportFrom) and (s.module or "").partition(".")[0] == "edge_rt":
            package = (s.module or "")[len("edge_rt.") :]
            inner = [f"{package}.{alias.name}".lstrip(".") for alias in s.names]
            yield from (name for name in (package, *inner) if name and name in modules)
        elif isinstance(s, ast.Try):
            yield from _imported(s.body, modules)


def _function(name: str, source: str, is_documented: bool) -> ast.FunctionDef:
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
    function = ast.FunctionDef(name, nothing, [ast.Global(assigned), *body] if assigned else body, [])
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
