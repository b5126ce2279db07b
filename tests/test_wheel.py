"""The wheel that `make wheel` made: what is in it, that the same sources make the same bytes, and that it runs alone."""

from __future__ import annotations

import base64
import calendar
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

import edge_rt
import exporter
from edge_rt.kernels import load_all
from edge_rt.native.cache import source_fingerprint
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.image import CODE_OFFSET, read_header
from edge_rt.targets import TARGETS

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parent.parent
MAX_SIZE = 2_500_000
DATA = {
    "edge_rt/_joined.py", "edge_rt/_rest.py", "edge_rt/_start.py", "edge_rt/py.typed", "exporter/py.typed",
    "edge_rt/bundle/FORMAT.md",
    *(f"edge_rt/packs/{target}.image" for target in TARGETS),
}  # fmt: skip
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}
RUN = """
import sys, numpy, edge_rt
x = numpy.load(sys.argv[2])
y = edge_rt.load(sys.argv[1])(x)
numpy.save(sys.argv[3], y)
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    found = list((ROOT / "dist").glob("*.whl"))
    assert len(found) == 1, "`make wheel` makes the wheel that is tested"
    return found[0]


@pytest.fixture(scope="module")
def archive(wheel: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel) as opened:
        yield opened


def test_contents(wheel: Path, archive: zipfile.ZipFile) -> None:
    info = f"edge_rt-{edge_rt.__version__}.dist-info"
    names = set(archive.namelist())
    modules = {str(p.relative_to(ROOT)) for room in ("edge_rt", "exporter") for p in (ROOT / room).rglob("*.py")}
    boards = {name for name in names if name.startswith("devices/") and name.endswith((".py", ".json", "py.typed"))}
    assert "devices/__init__.py" in boards
    assert names == modules | boards | DATA | {f"{info}/{name}" for name in METADATA}
    assert wheel.stat().st_size <= MAX_SIZE


def test_its_record_is_of_its_files(archive: zipfile.ZipFile) -> None:
    info = f"edge_rt-{edge_rt.__version__}.dist-info"
    rows = [*csv.reader(archive.read(f"{info}/RECORD").decode().splitlines())]
    assert [row[0] for row in rows] == archive.namelist()
    for name, digest, size in rows[:-1]:
        content = archive.read(name)
        hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
        assert (digest, int(size)) == (f"sha256={hashed}".rstrip("="), len(content))
    assert rows[-1] == [f"{info}/RECORD", "", ""]


def test_it_is_pure_and_needs_numpy_and_msgpack_only(wheel: Path, archive: zipfile.ZipFile) -> None:
    info = f"edge_rt-{edge_rt.__version__}.dist-info"
    assert wheel.name == f"edge_rt-{edge_rt.__version__}-py3-none-any.whl"
    tags = Parser().parsestr(archive.read(f"{info}/WHEEL").decode())
    assert (tags["Root-Is-Purelib"], tags["Tag"]) == ("true", "py3-none-any")
    metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    needed = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    assert needed == ["numpy>=1.24", "msgpack>=1.0"]
    assert metadata["Requires-Python"] == ">=3.10"


@pytest.mark.parametrize("name", TARGETS)
def test_packs_have_all_kernels_of_these_sources(name: str, archive: zipfile.ZipFile) -> None:
    image = archive.read(f"edge_rt/packs/{name}.image")
    header = read_header(image, name)
    assert header.target == name
    assert header.requires == TARGETS[name].requires
    assert header.sources == source_fingerprint()
    assert set(load_all(TARGETS[name])) == set(header.symbols) & set(load_all())
    assert header.code_offset % CODE_OFFSET == 0
    assert len(image) == header.code_offset + header.code_size


def test_the_same_sources_make_the_same_bytes(wheel: Path, archive: zipfile.ZipFile, tmp_path: Path) -> None:
    """From the checkout as from the sdist, whatever the umask is."""
    time = calendar.timegm(archive.infolist()[0].date_time)
    source = checkout(tmp_path / "checkout")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(source)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(time)}
    subprocess.run(command, check=True, env=environment, capture_output=True, umask=0o077)
    (again,) = tmp_path.glob("*.whl")
    assert again.read_bytes() == wheel.read_bytes()


def checkout(folder: Path) -> Path:
    """A copy of the tracked and new files, without what is built from them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


class Installed:
    """An environment of its own with the wheel in it."""

    def __init__(self, folder: Path, *packages: str) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.pip("install", "-q", *packages)

    def pip(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "pip", "--python", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def run(self, *arguments: str, ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("EDGE_RT_", "PYTHON"))}
        done = subprocess.run(
            [str(self.folder / "bin" / "python"), *arguments],
            capture_output=True, text=True, cwd=self.folder, env={**inherited, **environment}, check=False,
        )  # fmt: skip
        assert not ok or done.returncode == 0, done.stderr
        return done

    @property
    def packages(self) -> set[str]:
        return {p["name"] for p in json.loads(self.pip("list", "--format=json"))}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("empty") / "venv", str(wheel))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's bundle, inputs, and what they give here."""
    folder = tmp_path_factory.mktemp("demo")
    exporter.export(ROOT / "examples" / "digits.onnx", folder / "digits.edge")
    x = np.random.default_rng(0).random((4, 1, 8, 8), np.float32)
    np.save(folder / "x.npy", x)
    np.save(folder / "expected.npy", edge_rt.load(folder / "digits.edge")(x))
    return folder


def run_demo(where: Installed, demo: Path, **environment: str) -> None:
    out = demo / "out.npy"
    where.run("-c", RUN, str(demo / "digits.edge"), str(demo / "x.npy"), str(out), **environment)
    assert np.array_equal(np.load(out), np.load(demo / "expected.npy"))
    out.unlink()


def test_an_empty_environment_gets_numpy_and_msgpack_only(installed: Installed) -> None:
    assert installed.packages == {"edge-rt", "msgpack", "numpy"}


def test_the_demo_runs_in_it(installed: Installed, demo: Path) -> None:
    run_demo(installed, demo)
    done = installed.run("-m", "edge_rt", "verify", str(demo / "digits.edge"), "--json")
    assert json.loads(done.stdout)["ok"]


def test_lower_targets_run_too(installed: Installed, demo: Path) -> None:
    chosen, _ = choose_target(cpu_features())
    for name, target in TARGETS.items():
        if target.arch == chosen.arch and target.requires <= chosen.requires:
            out = demo / f"{name}.npy"
            arguments = (str(demo / "digits.edge"), str(demo / "x.npy"), str(out))
            installed.run("-c", RUN, *arguments, EDGE_RT_TARGET=name)
            np.testing.assert_allclose(np.load(out), np.load(demo / "expected.npy"), rtol=1e-5, atol=1e-6)


def test_its_code_is_mapped_from_the_file_and_never_writable(installed: Installed) -> None:
    script = "import edge_rt.native as n; print(n.library().origin); print(open('/proc/self/maps').read())"
    origin, *maps = installed.run("-c", script).stdout.splitlines()
    assert origin.startswith(str(installed.folder))
    assert [line.split()[1] for line in maps if line.endswith(origin)] == ["r-xp"]
    assert not [line for line in maps if " rwx" in line or " -wx" in line]


def test_the_commands_are_there(installed: Installed) -> None:
    report = json.loads(installed.run("-m", "edge_rt", "doctor", "--json").stdout)
    assert report["problem"] is None
    assert report["numba"] is None
    for command in ("edge-rt", "edge-export"):
        assert (installed.folder / "bin" / command).exists()


def test_the_wheel_runs_as_a_zip(installed: Installed, wheel: Path, demo: Path, tmp_path: Path) -> None:
    bare = Installed(tmp_path / "venv", "numpy", "msgpack")
    run_demo(bare, demo, PYTHONPATH=str(wheel))
    done = bare.run("-c", "import edge_rt.native as n; print(n.library().origin)", PYTHONPATH=str(wheel))
    assert done.stdout.startswith(str(wheel))


def test_an_editable_install_without_numba_says_what_to_install(tmp_path: Path) -> None:
    source = checkout(tmp_path / "checkout")
    where = Installed(tmp_path / "venv", "-e", str(source))
    assert where.packages == {"edge-rt", "msgpack", "numpy"}
    done = where.run("-m", "edge_rt", "doctor", ok=False)
    assert done.returncode == 1
    assert "pip install 'edge-rt[jit]'" in done.stderr
