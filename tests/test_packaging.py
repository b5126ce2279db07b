"""edge-rt package: an app as one file."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import numpy as np
import pytest

import edge_rt
import exporter
from devices import load
from edge_rt.cli import doctor, main
from edge_rt.errors import BundleError, ModelError, TargetError
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.packaging import PAGE, pack, package
from edge_rt.targets import TARGETS

DIGITS = Path(__file__).parent.parent / "examples" / "digits.onnx"
HOST = choose_target(cpu_features())[0].name
SCRIPT = """\
import sys
import numpy as np
import edge_rt
assert "numba" not in sys.modules
model = edge_rt.load(edge_rt.resource("digits.edge"), verify="all")
print(edge_rt.native.library().origin)
print(*model.run({"image": np.zeros((1, 1, 8, 8), np.float32)})["probabilities"].ravel().tolist())
print(bytes(edge_rt.resource("labels.txt")).decode(), __name__, sys.argv[1:])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app's files, and the app made of them."""
    made = tmp_path_factory.mktemp("app")
    exporter.export(DIGITS, made / "digits.edge")
    (made / "app.py").write_text(SCRIPT)
    (made / "labels.txt").write_text("0123456789")
    package([made / "digits.edge"], made / "app.py", made / "app.pyz", [HOST], [made / "labels.txt"])
    return made


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False, cwd="/")


def test_it_runs_from_any_folder_with_its_own_machine_code(folder: Path) -> None:
    done = run(sys.executable, folder / "app.pyz", "--fast")
    assert done.returncode == 0, done.stderr
    origin, outputs, rest = done.stdout.splitlines()
    assert origin == f"{folder / 'app.pyz'}/edge_rt/packs/{HOST}.image"
    wanted = edge_rt.load(folder / "digits.edge").run({"image": np.zeros((1, 1, 8, 8), np.float32)})["probabilities"]
    assert np.array_equal(np.array(outputs.split(), np.float32), wanted.ravel())
    assert rest == "0123456789 __main__ ['--fast']"


def test_what_it_contains(folder: Path) -> None:
    with zipfile.ZipFile(folder / "app.pyz") as app:
        names = {i.filename for i in app.infolist()}
        assert {n.split("/")[0] for n in names} == {
            "__main__.py", "__main__.pyc", "_app.py", "_app.pyc", "edge_rt", "digits.edge", "labels.txt"
        }  # fmt: skip
        assert [n for n in names if "/packs/" in n] == [f"edge_rt/packs/{HOST}.image"]
        assert not [n for n in names if n.startswith(("edge_rt/kernels/", "edge_rt/codegen/"))]
        assert {n for n in names if n.endswith(".pyc")} == {f"{n}c" for n in names if n.endswith(".py")}
        assert len(names) < 24  # Python reads this list at each start
    assert (folder / "app.pyz").stat().st_mode & 0o111
    data, bundle = (folder / "app.pyz").read_bytes(), (folder / "digits.edge").read_bytes()
    assert data.index(bundle) % 64 == 0
    assert data.index(pack(TARGETS[HOST])) % PAGE == 0


RARE = """\
import inspect
import traceback
import edge_rt
from edge_rt.cli import doctor
from edge_rt.ops import quantize
assert "edge_rt.cli.run" not in __import__("sys").modules
print(doctor.__file__, doctor.__package__, len(inspect.getsource(doctor)))
try:
    import edge_rt.ops.no_such_module
except ModuleNotFoundError as error:
    print(error)
try:
    doctor.add(None)
except AttributeError:
    traceback.print_exc()
"""


@pytest.mark.parametrize("python", ["that packaged", "another"])
def test_modules_that_starts_do_not_need(python: str, folder: Path) -> None:
    (folder / "rare.py").write_text(RARE)
    app = folder / "rare.pyz"
    package([folder / "digits.edge"], folder / "rare.py", app, [HOST])
    if python == "another":
        data = app.read_bytes()
        assert data.count(b"edge_rt/_gathered" + MAGIC_NUMBER) == 1
        app.write_bytes(data.replace(b"edge_rt/_gathered" + MAGIC_NUMBER, b"edge_rt/_gathered\0\0\r\n"))
    done = run(sys.executable, app)
    source = Path(doctor.__file__).read_text("utf-8")
    assert done.stdout.splitlines() == [
        f"{app}/edge_rt/cli/doctor.py edge_rt.cli {len(source)}", "No module named 'edge_rt.ops.no_such_module'"
    ], done.stderr  # fmt: skip
    assert "AttributeError: 'NoneType'" in done.stderr
    line = next(line for line in source.splitlines() if "add_parser" in line)
    assert line.strip() in done.stderr, "tracebacks show the sources"


def test_an_app_without_its_gathered_modules(folder: Path) -> None:
    (folder / "rare.py").write_text(RARE)
    app = folder / "less.pyz"
    package([folder / "digits.edge"], folder / "rare.py", app, [HOST])
    app.write_bytes(app.read_bytes().replace(b"edge_rt/_gathered", b"edge_rt/_gathexed"))
    done = run(sys.executable, app)
    assert done.stderr.splitlines()[-1] == f"ImportError: {app}: there is no edge_rt/_gathered in this app"


def test_the_same_inputs_give_the_same_bytes(folder: Path) -> None:
    again = folder / "again.pyz"
    made = package([folder / "digits.edge"], folder / "app.py", again, [HOST], [folder / "labels.txt"])
    assert again.read_bytes() == (folder / "app.pyz").read_bytes()
    assert made.size == again.stat().st_size
    assert 0 < made.size - sum(made.members.values()) < PAGE + (16 << 10)


def test_a_missing_package_is_named(folder: Path) -> None:
    done = run(sys.executable, "-I", "-S", folder / "app.pyz")
    assert done.returncode == 1
    assert done.stderr == (
        f"{folder / 'app.pyz'}: needs the Python package msgpack: sudo apt install python3-msgpack, or pip install it\n"
    )


def test_a_resource_that_is_not_there(folder: Path) -> None:
    (folder / "wrong.py").write_text("import edge_rt\nedge_rt.resource('other.edge')\n")
    package([folder / "digits.edge"], folder / "wrong.py", folder / "wrong.pyz", [HOST])
    done = run(sys.executable, folder / "wrong.pyz")
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"FileNotFoundError: resource 'other.edge': {folder / 'wrong.pyz'} has no such file, it has")
    assert "digits.edge" in said
    done = run(sys.executable, folder / "wrong.py")
    assert done.stderr.splitlines()[-1] == (
        f"FileNotFoundError: resource 'other.edge': there is no file {folder / 'other.edge'}"
    )


def test_the_script_runs_from_its_folder_as_well(folder: Path) -> None:
    text = "import edge_rt\nprint(edge_rt.load(edge_rt.resource('digits.edge')).outputs[0].name)\n"
    (folder / "plain.py").write_text(text)
    done = run(sys.executable, folder / "plain.py")
    assert (done.stdout, done.returncode) == ("probabilities\n", 0)


def test_what_cannot_be_packaged_leaves_the_earlier_app(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "app.pyz"
    out.write_bytes(b"earlier")
    damaged = tmp_path / "digits.edge"
    content = bytearray((folder / "digits.edge").read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    broken = tmp_path / "app.py"
    broken.write_text("def (\n")
    with pytest.raises(BundleError, match=r"digits\.edge: tensors"):
        package([damaged], folder / "app.py", out, [HOST])
    with pytest.raises(SyntaxError, match="invalid syntax"):
        package([folder / "digits.edge"], broken, out, [HOST])
    with pytest.raises(TargetError, match="unknown target 'vax', there are x86-64-v3"):
        package([folder / "digits.edge"], folder / "app.py", out, ["vax"])
    with pytest.raises(ModelError, match=r"the app has another file named 'digits\.edge'"):
        package([folder / "digits.edge", damaged], folder / "app.py", out, [HOST])
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert out.read_bytes() == b"earlier"


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(folder / name) for name in ("digits.edge", "app.py", "labels.txt")]
    assert main(["package", *files, "-o", str(tmp_path / "made.pyz"), "--target", HOST]) == 0
    assert (tmp_path / "made.pyz").read_bytes() == (folder / "app.pyz").read_bytes()
    assert f"KiB for {HOST} (code " in capsys.readouterr().out
    assert main(["package", files[0], "-o", str(tmp_path / "x.pyz")]) == 1
    assert "exactly one .py file must be given, the app's script; got 0" in capsys.readouterr().err
    board = "generic-x86-64" if TARGETS[HOST].arch == "x86_64" else "generic-aarch64"
    assert main(["package", *files, "-o", str(tmp_path / "board.pyz"), "--device", board]) == 0
    assert f"KiB for {load(board).target.name} (code " in capsys.readouterr().out
