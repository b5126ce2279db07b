"""The text of what finds and runs the modules in the joined files."""

from __future__ import annotations

HEAD = '''\
"""Made by edge_rt/joining from the modules of this package: do not change it."""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec


class Joined:
    """Finds and loads the modules in one file, for the path entry that is this file's name. modules: what there are; None
    until the first is asked for."""

    __slots__ = ("file", "modules")

    def __init__(self, file, modules):
        self.file, self.modules = file, modules

    def find_spec(self, name, target=None):
        if self.modules is None:
            if name in WHOLE:
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
        run, is_package, wholes, parts = self.modules[module.__name__]
        file = PACKAGE + module.__name__[7:].replace(".", "/")
        module.__file__ = f"{file}/__init__.py" if is_package else f"{file}.py"
        scope = module.__dict__
        scope["__errors__"], scope["__later__"] = ERRORS, later_in(scope)
        for name, given in wholes:
            scope[given] = complete(name)
        for name, names, given in parts:
            scope.update(zip(given, map(complete(name).__dict__.__getitem__, names)))
        exec(run.__code__, scope)

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
                spec._initializing = False
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


def complete(name):
    """A module that has been run, by this thread now or by another one if it has not yet."""
    module = sys.modules.get(name)
    if module is None or getattr(module.__spec__, "_initializing", True):
        return import_module(name)
    return module


class Errors:
    """The classes in errors.py, by attributes."""

    __slots__ = ()

    def __getattr__(self, name):
        from edge_rt import errors

        return getattr(errors, name)


def later_in(scope):
    """What makes functions of a module's that are loaded when they are called: scope is its globals."""
    functions = None

    def function(name):
        nonlocal functions
        if functions is None:
            from edge_rt import _rest

            functions = Function(_rest.MODULES[scope["__name__"]].__code__, scope)()
        found = functions
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def later(name):
        found = None

        def stub(*args, **options):
            nonlocal found
            if found is None:
                found = function(name)
            return found(*args, **options)

        stub.__module__, stub.__name__, stub.__qualname__ = scope["__name__"], name.rpartition(".")[2], name
        return stub

    return later


def begin():
    """Loads what `import edge_rt` needs; others come when they are asked for."""
    for entry, modules in zip(ENTRIES, (MODULES, None)):
        sys.path_importer_cache[entry] = Joined(entry, modules)
    sys.modules["edge_rt"].__path__[:0] = ENTRIES
    sys.path_importer_cache[ENTRIES[0]].load(FIRST)


Module, Function = type(sys), type(begin)
ERRORS = Errors()
PACKAGE = __file__.rpartition("/")[0]  # in a zip the file is _start.pyc
ENTRIES = [PACKAGE + "/_start.py", PACKAGE + "/_joined.py"]
WHOLE = ("edge_rt._joined", "edge_rt._rest")
'''

RUN = """
from edge_rt._start import ENTRIES, Joined

Joined(ENTRIES[1], MODULES).load(TOGETHER)
"""
