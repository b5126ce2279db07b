"""Mapping code where the system refuses something: the error names the cause and the way out, and the way out works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_rt.codegen import build_image
from edge_rt.errors import CodeImageError, TargetError
from edge_rt.lowering.executor import RUN_PROGRAM, STOP_TEAM
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.image import CODE_OFFSET, read_header, write_image
from edge_rt.native.packs import Library, find_pack
from edge_rt.targets import TARGETS

ROOT = Path(__file__).parent.parent
HOST = choose_target(cpu_features())[0]
host_module = sys.modules["edge_rt.native.host"]
library_module = sys.modules["edge_rt.native.packs"]

SCRIPT = """
import os, sys
from pathlib import Path
from edge_rt.errors import TargetError
from edge_rt.lowering.executor import RUN_PROGRAM
from edge_rt.native.packs import Library
from edge_rt.native.program import Program
from tests._refusals import MEMFD_CREATE, MMAP, PROT_EXEC, refuse, refuse_new_code

def from_file(path): return Library.open(Path(path))
def from_zip(path): return Library.of_bytes(Path(path).read_bytes(), path)
def try_it(opened, path):
    try:
        library = opened(path)
    except TargetError as error:
        print("refused:", error)
        return
    Program([], library).run()
    maps = Path("/proc/self/maps").read_text().splitlines()
    assert not [m for m in maps if " rwx" in m or " -wx" in m], maps
    print("runs")
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "some.image"
    path.write_bytes(build_image(HOST, [RUN_PROGRAM, STOP_TEAM]))
    return path


def lines_of(program: str, image: Path, *wrapper: str, **environment: str) -> list[str]:
    """What a process prints that runs SCRIPT and `program`, in which `path` is the image."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_RT_")}
    script = f"{SCRIPT}\npath = {str(image)!r}\n{program}"
    done = subprocess.run(
        [*wrapper, sys.executable, "-c", script],
        capture_output=True, text=True, env={**inherited, "PYTHONPATH": str(ROOT), **environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_policy_against_executable_mappings(image: Path) -> None:
    """As by seccomp; nothing helps but another policy, or no machine code."""
    told = lines_of("refuse(MMAP, 2, PROT_EXEC); try_it(from_file, path); try_it(from_zip, path)", image)
    for line, copy in zip(told, ("", " for a copy"), strict=True):
        assert line.startswith(f"refused: {image}: the system refuses to map it as code (Operation not permitted); ")
        assert f"a security policy (SELinux, AppArmor, seccomp) forbids it{copy}. Ways out: allow this process" in line
        assert 'edge_rt.load(..., backend="reference")' in line


def test_no_anonymous_files(image: Path, tmp_path: Path) -> None:
    """A zip needs one, unless a folder is named. Code in files runs as always."""
    told = lines_of("refuse(MEMFD_CREATE); try_it(from_zip, path); try_it(from_file, path)", image)
    assert told[0].startswith(f"refused: {image}: the system gives no anonymous file to hold its code ([Errno 1] ")
    assert "EDGE_RT_CODE=FOLDER" in told[0]
    assert told[1:] == ["runs"]
    told = lines_of("refuse(MEMFD_CREATE); try_it(from_zip, path)", image, EDGE_RT_CODE=str(tmp_path))
    assert told == ["runs"]
    assert list(tmp_path.iterdir()) == []


def test_a_python_without_memfd_create(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(TargetError, match=r"no anonymous file to hold its code .*memfd_create"):
        Library.of_bytes(image.read_bytes(), "memory")


@pytest.fixture
def noexec(tmp_path: Path) -> tuple[str, ...]:
    """A command that runs another one with a file system mounted noexec at tmp_path / "noexec"."""
    folder = tmp_path / "noexec"
    folder.mkdir()
    mount = f'mount -t tmpfs -o noexec tmpfs {folder} && cp -r {tmp_path}/content/. {folder} && exec "$@"'
    (tmp_path / "content").mkdir()
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    command = (*unshare, "sh", "-c", mount, "sh")
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount file systems")
    return command


def test_a_file_system_mounted_noexec(image: Path, noexec: tuple[str, ...], tmp_path: Path) -> None:
    shutil.copy(image, tmp_path / "content")
    path = tmp_path / "noexec" / image.name
    (line,) = lines_of("try_it(from_file, path)", path, *noexec)
    assert line.startswith(f"refused: {path}: the system refuses to map it as code (Operation not permitted); ")
    assert "its file system is mounted noexec. Ways out: EDGE_RT_CODE=memory" in line
    assert lines_of("try_it(from_file, path)", path, *noexec, EDGE_RT_CODE="memory") == ["runs"]
    other = tmp_path / "other"
    other.mkdir()
    assert lines_of("try_it(from_file, path)", path, *noexec, EDGE_RT_CODE=str(other)) == ["runs"]
    (line,) = lines_of("try_it(from_file, path)", path, *noexec, EDGE_RT_CODE=str(path.parent))
    assert f"EDGE_RT_CODE is {str(path.parent)!r}, whose file system is mounted noexec" in line


def test_a_folder_that_cannot_be_written(image: Path) -> None:
    (line,) = lines_of("try_it(from_file, path)", image, EDGE_RT_CODE="/nowhere")
    assert line == (
        f"refused: {image}: EDGE_RT_CODE is '/nowhere', where its copy cannot be written (No such file or directory)"
    )


def test_systemds_memory_deny_write_execute(image: Path) -> None:
    """Code from files and from zips was never writable memory, so it may run where no memory may become code."""
    program = """
try:
    refuse_new_code()
except OSError:
    print("too old")
else:
    try_it(from_file, path); try_it(from_zip, path)
"""
    told = lines_of(program, image)
    if told == ["too old"]:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert told == ["runs", "runs"]


@pytest.mark.parametrize("place", ["", "memory", "folder"])
def test_a_damaged_file_is_refused_wherever_it_is_mapped(place: str, image: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.image"
    data = image.read_bytes()
    damaged.write_bytes(data[:-1])
    told = lines_of("try_it(from_file, path)", damaged, EDGE_RT_CODE=str(tmp_path) if place == "folder" else place)
    size = len(data) - CODE_OFFSET
    assert told == [f"refused: {damaged}: has {size - 1} bytes of code, its header says {size}"]
    assert list(tmp_path.iterdir()) == [damaged]


def test_code_for_another_kind_of_cpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = next(t for t in TARGETS.values() if t.arch != HOST.arch)
    foreign = write_image(other.name, frozenset(), {"run_program": 0}, b"code")
    with pytest.raises(CodeImageError, match=rf"code for {other.name} \({other.arch}\); this machine is {HOST.arch}"):
        Library.of_bytes(foreign, "memory")
    monkeypatch.setattr(library_module, "PACKS", tmp_path)
    (tmp_path / f"{HOST.name}.image").write_bytes(foreign)
    with pytest.raises(CodeImageError, match=f"{HOST.name}.image: holds code for {other.name}, its name says {HOST.name}"):
        find_pack(HOST, cpu_features())


@pytest.mark.parametrize("page", [4096, 16384, 65536])
def test_code_can_be_mapped_with_any_size_of_pages(page: int, image: Path) -> None:
    """Raspberry Pi OS has pages of 16 KiB on a Pi 5; some servers have 64."""
    assert read_header(image.read_bytes(), "image").code_offset % page == 0


def test_a_pack_older_than_a_checkout_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "PACKS", tmp_path)
    monkeypatch.setattr(host_module, "can_compile", lambda: False)
    code = write_image(HOST.name, HOST.requires, {"run_program": 0}, b"code", sources="older")
    (tmp_path / f"{HOST.name}.image").write_bytes(code)
    with pytest.raises(TargetError, match=r"has other sources than .* pip install 'edge-rt\[jit\]'"):
        host_module._find()
    monkeypatch.setattr(host_module, "is_checkout", lambda: False)
    assert host_module._find().header.sources == "older"


def test_a_process_forked_while_another_thread_compiles(image: Path, tmp_path: Path) -> None:
    """Locks that a thread held, which the child does not have, keep neither the child nor later processes waiting."""
    program = f"""
import threading, time
from edge_rt import codegen, native
from edge_rt.native import library
from edge_rt.native.cache import locked, source_fingerprint
library.PACKS = Path({str(tmp_path / "none")!r})
data = Path(path).read_bytes()
started = threading.Event()
def build(target, symbols):
    started.set()
    time.sleep(1)
    return {{symbol: host_image for symbol in symbols}}
from edge_rt.native.image import CODE_OFFSET, read_header, write_image
header = read_header(data, "image")
host_image = write_image(header.target, header.requires, header.symbols, data[CODE_OFFSET:], source_fingerprint())
codegen.build_kernels = build
thread = threading.Thread(target=lambda: native.team(native.library(), 1))
thread.start()
started.wait()
child = os.fork()
if not child:
    assert native.team(native.library(), 1) is not None
    time.sleep(60)
thread.join()
with locked(native.library()._folder.with_suffix(".lock")):  # the child has the file open, and lives
    print("free")
os.kill(child, 9)
"""
    assert lines_of(program, image, "timeout", "30", EDGE_RT_CACHE=str(tmp_path / "cache")) == ["free"]
