"""The joined files of the wheel are the modules they were made of."""

from __future__ import annotations

import ast
import compileall
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter
from edge_rt import joining
from edge_rt.codegen import build_image
from edge_rt.joining.lean import BLIND
from edge_rt.joining.rest import REST
from edge_rt.joining.text import text_of
from edge_rt.native.features import choose_target, cpu_features
from tests.boards.emulator import device_package

ROOT = Path(__file__).parent.parent
TARGET, _ = choose_target(cpu_features())
FILES = (joining.START_NAME, joining.NAME, joining.REST_NAME)
MODULES = [*joining.START.split(), *joining.MODULES.split()]

CONTENTS = """
import importlib, inspect, json, sys
import numpy, msgpack
import edge_rt
first = sorted(name for name in sys.modules if name.startswith("edge_rt."))
def shown(value):
    is_error = inspect.isclass(value) and issubclass(value, Exception)
    return [inspect.getdoc(value), "" if is_error or not inspect.isroutine(value) else str(inspect.signature(value))]
found = {}
modules = {name: importlib.import_module("edge_rt." + name) for name in sys.argv[1].split()}
for name, module in modules.items():
    of = found[name] = {"": module.__file__}
    if module.__package__ == module.__name__:
        of["package"] = module.__path__[-1]
    for key, value in vars(module).items():
        if not key.startswith("__") and key != "annotations" and getattr(value, "__module__", "") != "edge_rt.errors":
            of[key] = [getattr(value, "__module__", None), getattr(value, "__qualname__", None), str(type(value))]
            if name in sys.argv[2].split() and of[key][0] == module.__name__ and not key.startswith("_"):
                of[key] += shown(value)
                if inspect.isclass(value):
                    of[key] += [shown(v) for k, v in inspect.getmembers(value, inspect.isfunction) if not k.startswith("_")]
found["first"] = [name for name in first if name not in ("edge_rt._start", "edge_rt._joined")]
joined = [n for n, m in sys.modules.items() if type(getattr(m, "__loader__", 0)).__name__ == "Joined"]
found["joined"] = sorted(joined)
for name in joined:
    package, _, own = name.rpartition(".")
    assert own in vars(sys.modules[package]), name
    before = vars(sys.modules[name]).copy()
    importlib.reload(sys.modules[name])
    assert name == "edge_rt.bundle._msgpack" or any(before.get(k) is not v for k, v in vars(sys.modules[name]).items()), name
print(json.dumps(found))
"""

RUN = """
import pickle, sys
import numpy
import edge_rt
x = numpy.load(sys.argv[2])
model = edge_rt.load(sys.argv[1], threads=1)
y = model(x)
assert "msgpack" not in sys.modules
others = [n for n, m in sys.modules.items() if n.startswith("edge_rt.") and type(m.__loader__).__name__ != "Joined"]
assert pickle.loads(pickle.dumps(model))(x).tobytes() == y.tobytes()
numpy.save(sys.argv[3], y)
print(*others)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return device_package(tmp_path_factory.mktemp("joined"), {TARGET.name: build_image(TARGET)})


def run(package: Path, script: str, *arguments: object) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("EDGE_RT_", "PYTHON"))}
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=package, capture_output=True, text=True, check=False,
        env={**environment, "PYTHONPATH": str(package), "EDGE_RT_STORED_PLANS": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_joined_modules_define_what_their_files_define(package: Path, tmp_path: Path) -> None:
    apart = tmp_path / "apart"
    shutil.copytree(package, apart, ignore=shutil.ignore_patterns(*FILES, "__pycache__"))
    found: list[dict[str, Any]] = []
    for folder in (package, apart):
        printed = run(folder, CONTENTS, " ".join(MODULES), " ".join(joining.DOCUMENTED))
        found.append(json.loads(printed.replace(str(folder), "FOLDER")))
    joined, separate = found
    assert joined.pop("joined") == sorted(f"edge_rt.{name}" for name in MODULES)
    assert separate.pop("joined") == []
    for name in MODULES:
        for left_out in separate[name].keys() - joined[name].keys():
            assert left_out in imported_by(name), f"{name} must define {left_out}"
            del separate[name][left_out]
    assert joined == separate


def test_a_convolutional_network_needs_no_other_module(package: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "digits.edge"
    exporter.export(ROOT / "examples" / "digits.onnx", bundle)
    x = np.random.default_rng(0).random((2, 1, 8, 8), np.float32)
    np.save(tmp_path / "x.npy", x)
    others = run(package, RUN, bundle, tmp_path / "x.npy", tmp_path / "y.npy").split()
    expected = edge_rt.load(bundle)(x)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-6)
    families = {"edge_rt.ops.edge_pool", "edge_rt.lowering.pool"}
    assert set(others) - families == {"edge_rt._start", "edge_rt._joined"}


def test_text_has_one_space_for_each_level_but_strings_stay_as_they_are() -> None:
    source = 'def f(x):\n    """One.\n\n        Two.\n    """\n    if x:\n        return (1,\n            2)\n    return x\n'
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    text = text_of(function)
    assert text == 'def f(x):\n """One.\n\n        Two.\n    """\n if x:\n  return (1, 2)\n return x'
    assert ast.dump(ast.parse(text).body[0]) == ast.dump(function)


def tree_of(module: str) -> ast.Module:
    path = ROOT / "edge_rt" / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(source.read_text())


def imported_by(module: str) -> set[str]:
    imports = [s for s in tree_of(module).body if isinstance(s, (ast.Import, ast.ImportFrom))]
    return {a.asname or a.name for s in imports for a in s.names}


GLOBALS = """
import builtins, dis, importlib, sys, types
import edge_rt
from edge_rt import _rest
def codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)
for name in sys.argv[1].split():
    module = importlib.import_module("edge_rt." + name)
    bodies = [module.__loader__.modules[module.__name__][0], _rest.MODULES.get(module.__name__)]
    for code in (c for body in bodies if body for c in codes(body.__code__)):
        for instruction in dis.get_instructions(code):
            if instruction.opname == "LOAD_GLOBAL":
                known = instruction.argval in vars(module) or hasattr(builtins, instruction.argval)
                assert known, f"{name}: {code.co_name} uses {instruction.argval}"
print("all known")
"""


def test_no_import_that_is_used_is_left_out(package: Path) -> None:
    assert run(package, GLOBALS, " ".join(MODULES)) == "all known\n"


def functions_of(module: str) -> dict[str, ast.FunctionDef]:
    found = {}
    for s in tree_of(module).body:
        if isinstance(s, ast.ClassDef):
            found.update((f"{s.name}.{t.name}", t) for t in s.body if isinstance(t, ast.FunctionDef))
        elif isinstance(s, ast.FunctionDef):
            found[s.name] = s
    return found


def test_what_is_read_later_exists() -> None:
    assert set(REST) <= set(joining.MODULES.split())
    for module, names in REST.items():
        functions = functions_of(module)
        for name in names.split():
            assert name in functions, f"{module} has no function {name}"
            assert {ast.unparse(d).partition("(")[0] for d in functions[name].decorator_list} <= BLIND
            assert module not in joining.DOCUMENTED or any(part.startswith("_") for part in name.split(".")), name


REST_OF = """
import importlib, json, sys
import edge_rt
found = {}
for module, names in json.loads(sys.argv[1]).items():
    scope = vars(importlib.import_module("edge_rt." + module))
    assert "edge_rt._rest" not in sys.modules or found
    for name in names.split():
        value = scope[name.partition(".")[0]]
        if "." in name:
            value = vars(value)[name.partition(".")[2]]
        for attribute in ("__func__", "fget", "__wrapped__"):
            value = getattr(value, attribute, value)
        if value.__code__.co_name == "stub":
            cells = dict(zip(value.__code__.co_freevars, value.__closure__))
            value = cells["function"].cell_contents(cells["name"].cell_contents)
        assert value.__globals__ is scope, name
        found[module + ":" + name] = [value.__name__, str(value.__code__.co_varnames), str(value.__code__.co_names)]
print(json.dumps(found))
"""


def test_functions_read_later_are_those_of_their_modules(package: Path, tmp_path: Path) -> None:
    apart = tmp_path / "apart"
    shutil.copytree(package, apart, ignore=shutil.ignore_patterns(*FILES, "__pycache__"))
    joined, separate = (json.loads(run(folder, REST_OF, json.dumps(REST))) for folder in (package, apart))
    assert len(joined) == sum(len(names.split()) for names in REST.values())
    assert joined.keys() == separate.keys()
    # names of classes of errors are attributes there
    assert {k: v[:2] for k, v in joined.items()} == {k: v[:2] for k, v in separate.items()}


LATER = """
import sys, threading
import numpy
import edge_rt
from edge_rt import dims, graph, types
from edge_rt.types import DType, TensorType
assert "edge_rt._rest" not in sys.modules
start, found = threading.Barrier(8), []
def work():
    start.wait()
    found.append(repr(TensorType(DType.of(numpy.zeros(1, "float32")), (1, 2))))
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(set(found))
n = dims.symbol("n")
print((n + 1) * 2 // 2, n % 1)
assert "edge_rt._rest" in sys.modules
try: int(n)
except edge_rt.errors.SymbolicDimError as error: print(error)
"""


def test_functions_read_later_run(package: Path) -> None:
    assert run(package, LATER).splitlines() == run(ROOT, LATER.replace("assert", "0 and")).splitlines()


AT_ONCE = """
import sys, threading
import edge_rt
names, start, problems = sys.argv[1].split(), threading.Barrier(8), []
def work(number):
    start.wait()
    try:
        for name in names[number * 3:] + names[:number * 3]:
            module = __import__("edge_rt." + name, fromlist=["_"])
            assert module is sys.modules["edge_rt." + name], name
            seen.setdefault(name, module)
            assert seen[name] is module, name
    except BaseException as error:
        problems.append(error)
seen = {}
sys.setswitchinterval(1e-4)
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(problems)
"""


def test_threads_import_at_once(package: Path) -> None:
    compileall.compile_dir(package, quiet=1)
    for _ in range(5):
        assert run(package, AT_ONCE, " ".join(joining.MODULES.split())) == "[]\n"


def test_errors_are_loaded_when_they_are_needed(package: Path, tmp_path: Path) -> None:
    script = """
import sys, edge_rt
model = edge_rt.load(sys.argv[1])
print("edge_rt.errors" in sys.modules)
try: model.run({})
except edge_rt.errors.InputError as error: print(error, type(error).__module__)
"""
    exporter.export(ROOT / "examples" / "digits.onnx", tmp_path / "digits.edge")
    first, second = run(package, script, tmp_path / "digits.edge").splitlines()
    assert first == "False"
    assert second.endswith("got none edge_rt.errors")


def test_an_import_that_fails_leaves_no_modules(package: Path) -> None:
    script = """
import sys
sys.modules["ctypes"] = None
try:
    import edge_rt
except ModuleNotFoundError as error:
    print(error.name, [name for name in sys.modules if name.startswith("edge_rt") and name != "edge_rt._start"])
del sys.modules["ctypes"]
import edge_rt
print(edge_rt.load)
"""
    first, second = run(package, script).splitlines()
    assert first == "ctypes []"
    assert second.startswith("<function load at")


def test_tracebacks_show_the_line(package: Path) -> None:
    script = "import edge_rt, traceback\ntry: edge_rt.load(b'')\nexcept edge_rt.errors.BundleError: traceback.print_exc()"
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=True)
    for name, line in zip(FILES, ("return Model(content_of(path_or_bytes", "BundleTruncatedError(f'the file must")):
        assert f'{package}/edge_rt/{name}", line ' in done.stderr
        assert line in done.stderr


def test_a_module_that_does_not_compile(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("from edge_rt import names")
    (tmp_path / "names.py").write_text("class Names(\n")
    with pytest.raises(SyntaxError):
        joining.joined(tmp_path, ["names"], [], [])
