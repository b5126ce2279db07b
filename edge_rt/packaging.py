"""An app as one file: a zipapp with the runtime, its machine code, models and a script.

Copying the file deploys the app to a device that has Python >= 3.10 and its distribution's numpy and msgpack.
"""

from __future__ import annotations

import importlib
import importlib.util
import marshal
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from edge_rt import bundle, joining
from edge_rt.carrying import plans_of
from edge_rt.errors import ModelError, TargetError
from edge_rt.gathered import MARSHAL, MEMBER, Module, gather
from edge_rt.native.cache import PACKAGE, source_fingerprint
from edge_rt.native.host import can_compile
from edge_rt.native.image import read_header
from edge_rt.native.package import is_checkout
from edge_rt.native.packs import pack_path
from edge_rt.targets import TARGETS, Target
from edge_rt.writing import replacing, require_replaceable

LEFT_OUT = frozenset({
    "kernels", "codegen", "packs", "__pycache__", "packaging.py", "carrying.py", "joining", joining.NAME,
    joining.START_NAME, joining.REST_NAME,
})  # fmt: skip
"""Of the package: what compiles, packages and joins, and machine code for other CPUs."""
START = f"{joining.START} archive resources carried targets native.features"
"""What an app's start from a plan that it carries needs."""
AT_ONCE = (f"edge_rt/{joining.START_NAME}c", MEMBER)
"""What each start reads, and what is compressed already: stored uncompressed."""
APART = ("__init__.py", "gathered.py")
"""Modules of the package that are members of their own beside the joined ones; all others are gathered."""
EPOCH = (1980, 1, 1, 0, 0, 0)
ALIGNMENT = 64
PAGE = 1 << 14
"""Packs are at multiples of it, so that they are mapped where they are. It is the largest page size of boards we know; where
pages are larger, a copy is mapped."""

LAUNCHER = """\
import sys
from importlib.machinery import PathFinder
from zipimport import zipimporter

ARCHIVE = __loader__.archive
if sys.version_info < (3, 10):
    sys.exit(f"{ARCHIVE}: needs Python 3.10 or newer, this is {sys.version.split()[0]}")


class Importer(zipimporter):  # that loads each module once rather than twice, since it looks for no file's name in its code
    gathered = None

    def get_filename(self, fullname):
        path = f"{self.archive}/{self.prefix}{fullname.rpartition('.')[2]}"
        return f"{path}/__init__.py" if self.is_package(fullname) else f"{path}.py"

    def find_spec(self, fullname, target=None):
        found, kind = super().find_spec(fullname, target), type(self)
        if found is None and fullname.startswith("edge_rt."):
            if kind.gathered is None:
                from edge_rt.gathered import Gathered

                kind.gathered = Gathered(self.archive)
            found = kind.gathered.find_spec(fullname)
        return found


sys.path_hooks[sys.path_hooks.index(zipimporter)] = Importer
sys.path_importer_cache[ARCHIVE] = Importer(ARCHIVE)
for name in ("msgpack", "numpy"):  # found, not loaded: a start may do without msgpack
    if PathFinder.find_spec(name) is None:
        sys.exit(f"{ARCHIVE}: needs the Python package {name}: sudo apt install python3-{name}, or pip install it")
del name, PathFinder, zipimporter
__file__ = f"{ARCHIVE}/_app.py"
exec(__loader__.get_code("_app"))
"""
"""`__main__.py` of an app."""


class App(NamedTuple):
    """An app that was packaged. members: bytes in the file by kind: code, machine code, plans, resources."""

    path: Path
    size: int
    targets: tuple[str, ...]
    members: dict[str, int]


def package(
    models: Iterable[Path],
    script: Path,
    out: Path,
    targets: Iterable[str] | None = None,
    resources: Iterable[Path] = (),
    progress: Callable[[str], None] | None = None,
) -> App:
    """Writes the app `out`: an executable zip file that runs `script` with the runtime, the bundles and other resources, and
    with plans of those bundles whose calls can be foreseen, so that each start is one from a stored plan: see carrying.py.

    targets: CPU families to carry machine code for (None: all). The file is written to a temporary name and renamed; the
    same inputs give the same bytes. Bundles and resources are stored uncompressed at 64-byte boundaries, and
    `edge_rt.resource(NAME)` maps them. Bytecode is that of the Python which packages; another compiles the sources at each
    start.
    Raises BundleError for a damaged model, SyntaxError for a script that does not compile, ModelError for names that clash,
    TargetError for an unknown target or where neither a pack nor numba is there, OSError.
    """
    require_replaceable(out)
    chosen = [_target(name) for name in (TARGETS if targets is None else targets)]
    code = _code(script)
    models = [*models]
    stored = _resources(models, [*resources])
    images = {t.name: pack(t, progress) for t in chosen}
    packs = {f"edge_rt/packs/{name}.image": image for name, image in images.items()}
    plans = {name: plan for path in models for name, plan in plans_of(path, images).items()}
    with replacing(out) as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w") as app:
            for name, data in sorted(code.items()):
                _write(app, name, data, zipfile.ZIP_STORED if name in AT_ONCE else zipfile.ZIP_DEFLATED)
            for name, data in sorted({**packs, **plans, **stored}.items()):
                _write(app, name, data, zipfile.ZIP_STORED, PAGE if name in packs else ALIGNMENT)
            kinds = {"code": code, "machine code": packs, "plans": plans, "resources": stored}
            sizes = {kind: sum(app.getinfo(name).compress_size for name in names) for kind, names in kinds.items()}
        size = file.tell()
        os.fchmod(file.fileno(), 0o755)
    return App(out, size, tuple(t.name for t in chosen), sizes)


def pack(target: Target, progress: Callable[[str], None] | None = None) -> bytes:
    """The image of all kernels for a target: what ships with this installation, or compiled now where numba is there and
    the sources are newer. progress: called with each kernel's symbol before it is compiled.
    """
    path = Path(pack_path(target))
    if path.exists():
        data = path.read_bytes()
        if not is_checkout() or read_header(data, str(path)).sources == source_fingerprint():
            return data
    if not can_compile():
        raise TargetError(
            f"no code image for {target.name}: this installation has no {path}. Install the wheel of edge-rt, which carries "
            "it, or numba, to compile it: pip install 'edge-rt[jit]'"
        )
    made: bytes = importlib.import_module("edge_rt.codegen").build_image(target, progress=progress)
    return made


def _target(name: str) -> Target:
    if name not in TARGETS:
        raise TargetError(f"unknown target '{name}', there are {', '.join(TARGETS)}")
    return TARGETS[name]


def _code(script: Path) -> dict[str, bytes]:
    """Sources and bytecode of the runtime, the script and the launcher. Modules that starts need are in two files, as in the
    wheel, and in these only; those that most starts do not need are in one."""
    sources = {"__main__.py": LAUNCHER.encode(), "_app.py": script.read_bytes()}
    start = START.split()
    others = [name for name in joining.MODULES.split() if name not in start]
    together = [name for name in joining.TOGETHER.split() if name not in start]
    joined = joining.joined(PACKAGE, start, others, together, build="")
    sources.update((f"edge_rt/{name}", text.encode()) for name, text in joined.items())
    apart = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inner = path.relative_to(PACKAGE)
        name, source = f"edge_rt/{inner}", path.read_bytes()
        module = ".".join(inner.with_suffix("").parts).removesuffix(".__init__")
        if str(inner) in APART:
            sources[name] = source
        elif LEFT_OUT.isdisjoint(inner.parts) and module not in start and module not in others:
            apart[f"edge_rt.{module}"] = Module(inner.name == "__init__.py", source, _compiled(source, name))
    bytecode = {f"{name}c": _bytecode(data, str(script) if name == "_app.py" else name) for name, data in sources.items()}
    return {**sources, **bytecode, MEMBER: gather(apart)}


def _compiled(source: bytes, name: str) -> CodeType:
    made: CodeType = compile(source, name, "exec", dont_inherit=True)
    return made


def _bytecode(source: bytes, name: str) -> bytes:
    """A .pyc that is never compared with its source, as both are in one file (PEP 552: hash-based, unchecked)."""
    code = marshal.dumps(_compiled(source, name), MARSHAL)
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source) + code


def _resources(models: list[Path], others: list[Path]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in [*models, *others]:
        if path.name in found or path.name in ("__main__.py", "__main__.pyc", "_app.py", "_app.pyc", "edge_rt"):
            raise ModelError(f"{path}: the app has another file named '{path.name}'")
        found[path.name] = path.read_bytes()
    for path in models:
        bundle.read(path, verify="all")
    return found


def _write(app: zipfile.ZipFile, name: str, data: bytes, compression: int, alignment: int = 1) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type, info.external_attr = compression, 0o644 << 16
    if alignment > 1:
        assert app.fp is not None
        # An extra field of an unassigned kind (its header is 4 bytes) moves the contents to the boundary.
        gap = -(app.fp.tell() + 30 + len(name.encode()) + 4) % alignment
        info.extra = b"\xe5\xed" + gap.to_bytes(2, "little") + bytes(gap)
    app.writestr(info, data)
    info.extra = b""  # the list of members at the end does without
