"""Makes the wheel's `_start.py`, `_joined.py` and `_rest.py`: the modules that starts need, in few files.

Python takes a third of a millisecond to find and read a module. `_start.py` has the modules that a start from a stored plan
needs, which `import edge_rt` loads; `_joined.py` those that load and run a convolutional network otherwise, read when the
first of them is asked for. Those that every model needs are run there and then, each behind those that it imports, since
the machinery of imports takes as long as they do. What starts do not call of them, a third, is in `_rest.py` (`rest.py`
lists it): read when the first of these functions is called. The wheel carries these files beside the modules themselves,
which tools read and tracebacks of a checkout name. In them each module is a function (`lean.py`) and a table of what it
imports (`links.py`), which the finder (`finder.py`) runs.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from edge_rt.joining.finder import HEAD, RUN
from edge_rt.joining.lean import function_of, lean, rest_of
from edge_rt.joining.links import Links, links_of, names_in
from edge_rt.joining.rest import REST
from edge_rt.joining.text import text_of

START_NAME, NAME, REST_NAME = "_start.py", "_joined.py", "_rest.py"

START = (
    "fingerprint garbage mapped linked lowering lowering._errors lowering._executor native native.team native.program "
    "native.cpu native.package instance prepared stored turn session model"
)
"""What a start from a stored plan needs."""

EVERY = (
    "hashing decoding dims types names graph targets plan arena binding bands excitation joins layout binder linking runner "
    "signature loaded "
    "bundle bundle._format bundle._types bundle._encodings bundle.model bundle._msgpack "
    "bundle._attributes bundle.validate bundle._build bundle.reader ops ops._families ops._attrs ops._spec "
    "native.features native.image native.mapping native.packs native.host lowering._families lowering._spec lowering.rules"
)
"""What every model needs that is read from its bundle."""

TOGETHER = (
    f"{EVERY} ops._rules ops._panels ops._windows ops.edge_gemm ops.edge_conv ops.reduce ops.reshape ops.softmax "
    "lowering._layout lowering.alias lowering.windows lowering.gemm lowering.conv lowering.reduce lowering.softmax"
)
"""And what loads and runs a common convolutional network. Others do not need all of it, but to run these files one by one,
as they are asked for, takes longer than what is in them."""

MODULES = f"{TOGETHER} lowering.copy lowering.winograd lowering.bands"
"""And some more of convolutional networks; other operators' families are read from their own files."""

DOCUMENTED = frozenset({"model", "session", "signature"})
"""Where public names are defined: these keep docstrings and annotations, which nobody asks others for."""


def write(package: Path, folder: Path) -> None:
    """Writes the files of the package's modules to a folder. Raises SyntaxError for a module that does not compile."""
    for name, text in joined(package).items():
        (folder / name).write_text(text, "utf-8")


def joined(
    package: Path,
    start: Iterable[str] = tuple(START.split()),
    modules: Iterable[str] = tuple(MODULES.split()),
    together: Iterable[str] = tuple(TOGETHER.split()),
    build: str | None = None,
) -> dict[str, str]:
    """The sources of the files, by name. package: the folder of edge_rt. build: its name; by default what `build_of` says.

    Raises SyntaxError for a module that does not compile.
    """
    sources = {name: (_file(package, name)).read_text("utf-8") for name in ("", *start, *modules)}
    first = [name for name in _in_order([""], {name: sources[name] for name in ("", *start)}) if name]
    later = _in_order(together, {name: sources[name] for name in modules})
    named = f'BUILD = "{build_of(package) if build is None else build}"\n'
    others = '"""Made by edge_rt/joining from the modules of this package: do not change it."""\n'
    left_out = {name: frozenset(REST.get(name, "").split()) for name in modules}
    return {
        START_NAME: _text(package, dict.fromkeys(start, frozenset()), HEAD, f"{named}{_listed('FIRST', first)}", ""),
        NAME: _text(package, left_out, others, _listed("TOGETHER", later), f"\n{RUN}"),
        REST_NAME: _rest(package, left_out, others),
    }


def _listed(name: str, modules: Iterable[str]) -> str:
    return "\n".join([f"{name} = (", *[f'    "edge_rt.{module}",' for module in modules], ")"])


def build_of(package: Path) -> str:
    """Hash of the modules of the package, but for those that compile kernels, which packs have a hash of."""
    digest = sha256()
    left_out = {package / START_NAME, package / NAME, package / REST_NAME}
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] not in ("kernels", "codegen") and path not in left_out:
            digest.update(f"{path.relative_to(package)}\0".encode())
            digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _text(package: Path, modules: Mapping[str, frozenset[str]], head: str, names: str, tail: str) -> str:
    """modules: what each leaves to `_rest.py`."""
    texts, table = [head], []
    for module, left_out in modules.items():
        name = module.replace(".", "_")
        source = _file(package, module).read_text("utf-8")
        texts.append(text_of(function_of(name, source, module in DOCUMENTED, left_out)))
        is_package = (package / module.replace(".", "/")).is_dir()
        wholes, parts = _links(package, source, module in DOCUMENTED or is_package)
        table.append(f'    "edge_rt.{module}": ({name}, {is_package}, {wholes}, {parts}),')
    return "\n\n\n".join([*texts, "\n".join([names, "MODULES = {", *table, "}"])]) + "\n" + tail


def _links(package: Path, source: str, is_public: bool) -> Links:
    """What a module imports; what only annotations use but where somebody may ask for these, or for what it imports."""

    def is_module(name: str) -> bool:
        return name.startswith("edge_rt.") and _file(package, name[len("edge_rt.") :]).exists()

    used = set(names_in(lean(source, False)))
    return links_of(ast.parse(source).body, None if is_public or "__all__" in used else used, is_module)


def _rest(package: Path, modules: Mapping[str, frozenset[str]], head: str) -> str:
    texts, table = [head], []
    for module, later in modules.items():
        name = module.replace(".", "_")
        function = rest_of(name, _file(package, module).read_text("utf-8"), module in DOCUMENTED, later)
        if function is not None:
            texts.append(text_of(function))
            table.append(f'    "edge_rt.{module}": {name},')
    return "\n\n\n".join([*texts, "\n".join(["MODULES = {", *table, "}"])]) + "\n"


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
