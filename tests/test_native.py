"""Code images: reading, checking, mapping, choosing, caching."""

from __future__ import annotations

import hashlib
import importlib.util
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgpack
import pytest

from edge_rt import codegen
from edge_rt.codegen import build_image
from edge_rt.errors import CodeImageError, TargetError
from edge_rt.lowering.executor import RUN_PROGRAM, STOP_TEAM
from edge_rt.native.cache import source_fingerprint
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.host import AnyLibrary, library
from edge_rt.native.image import CODE_OFFSET
from edge_rt.native.package import FOLDER
from edge_rt.native.packs import Library, find_pack
from edge_rt.targets import TARGETS

host_module = sys.modules["edge_rt.native.host"]
library_module = sys.modules["edge_rt.native.packs"]
HOST = choose_target(cpu_features())[0]


@pytest.fixture(scope="module")
def image() -> bytes:
    return build_image(HOST, [RUN_PROGRAM, STOP_TEAM])


def with_header(image: bytes, **changes: Any) -> bytes:
    """An image whose header lies, with the right hash."""
    (length,) = struct.unpack_from("<I", image, 12)
    fields = {**msgpack.unpackb(image[48 : 48 + length]), **changes}
    packed = msgpack.packb({k: v for k, v in fields.items() if v is not None})
    front = image[:12] + struct.pack("<I", len(packed)) + hashlib.sha256(packed).digest() + packed
    return front + bytes(CODE_OFFSET - len(front)) + image[CODE_OFFSET:]


DAMAGE = {
    "empty": (lambda i: b"", "not a code image"),
    "foreign": (lambda i: b"\x7fELF" + i[4:], "not a code image"),
    "short": (lambda i: i[:20], "ends within the header"),
    "newer": (lambda i: i[:8] + struct.pack("<I", 3) + i[12:], "code image format 3, this edge-rt reads 2"),
    "header cut": (lambda i: i[:60], "ends within the header"),
    "header bit": (lambda i: i[:60] + bytes([i[60] ^ 1]) + i[61:], "the header differs from its SHA-256"),
    "code cut": (lambda i: i[:-1], "bytes of code, its header says"),
    "code longer": (lambda i: i + b"\0", "bytes of code, its header says"),
    "code bit": (lambda i: i[:-1] + bytes([i[-1] ^ 1]), "the code differs from its CRC-32"),
    "no symbols": (lambda i: with_header(i, symbols=None), "the header must have the fields"),
    "symbols": (lambda i: with_header(i, symbols=[]), "header field symbols must be dict"),
    "outside": (lambda i: with_header(i, symbols={"f": 1 << 20}), "symbol 'f' at 1048576 lies outside the code"),
    "negative": (lambda i: with_header(i, symbols={"f": -1}), "symbol 'f' at -1 lies outside the code"),
    "offset": (lambda i: with_header(i, code_offset=4096), "at offset 4096 is not allowed"),
    "huge": (lambda i: with_header(i, code_size=1 << 60), "is not allowed"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_image_is_refused(kind: str, image: bytes, tmp_path: Path) -> None:
    damage, message = DAMAGE[kind]
    path = tmp_path / "damaged.image"
    path.write_bytes(damage(image))
    with pytest.raises(CodeImageError, match=message) as raised:
        Library.open(path)
    assert str(path) in str(raised.value)
    with pytest.raises(CodeImageError, match=message):
        Library.of_bytes(damage(image), "memory")


def test_an_installed_pack_is_trusted_and_doctor_checks_it(
    image: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_module, "PACKS", str(tmp_path))
    path = tmp_path / f"{HOST.name}.image"
    path.write_bytes(image)
    whole = find_pack(HOST, cpu_features())
    assert whole is not None
    whole.check()
    path.unlink()  # a new file: the mapped one must not change
    path.write_bytes(image[:-1] + bytes([image[-1] ^ 1]))
    damaged = find_pack(HOST, cpu_features())
    assert damaged is not None
    with pytest.raises(CodeImageError, match="the code differs from its CRC-32"):
        damaged.check()


def test_an_image_runs_from_a_file_and_from_memory(image: bytes, tmp_path: Path) -> None:
    path = tmp_path / "good.image"
    path.write_bytes(image)
    for opened in (Library.open(path), Library.of_bytes(image, "memory")):
        assert opened.target == HOST.name
        assert opened.address("run_program") % 16 == 0
        with pytest.raises(CodeImageError, match="has no kernel missing"):
            opened.address("missing")


def test_code_is_never_writable(image: bytes) -> None:
    library = Library.of_bytes(image, "memory")
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, permissions = line.split()[:2]
        first, last = (int(x, 16) for x in span.split("-"))
        assert "wx" not in permissions
        if first <= library.base < last:
            assert permissions == "r-xp"
            break
    else:
        pytest.fail("the code is not mapped")


def test_an_image_for_another_cpu_is_refused(image: bytes) -> None:
    lying = with_header(image, requires=["avx", "quantum"])
    with pytest.raises(TargetError, match=r"needs a CPU with .*quantum, which this one lacks"):
        Library.of_bytes(lying, "memory")


V3, V4 = TARGETS["x86-64-v3"].requires, TARGETS["x86-64-v4-vnni"].requires
A72, A76 = TARGETS["armv8-a"].requires, TARGETS["armv8.2-a-dotprod"].requires


@pytest.mark.parametrize(
    ("arch", "features", "name"),
    [
        ("x86_64", V3, "x86-64-v3"), ("x86_64", V4, "x86-64-v4-vnni"), ("x86_64", V4 - {"avx512_vnni"}, "x86-64-v3"),
        ("aarch64", A72, "armv8-a"), ("aarch64", A76, "armv8.2-a-dotprod"),
    ],
)  # fmt: skip
def test_the_best_target_is_chosen(
    arch: str, features: frozenset[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_RT_TARGET", raising=False)
    assert choose_target(features, arch)[0].name == name


def test_what_a_cpu_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_RT_TARGET", raising=False)
    with pytest.raises(TargetError, match="edge-rt needs x86-64-v3; this CPU lacks avx2, fma"):
        choose_target(V3 - {"avx2", "fma"}, "x86_64")
    with pytest.raises(TargetError, match="has no code for riscv64"):
        choose_target(frozenset(), "riscv64")
    assert "x86-64-v4-vnni needs avx512_vnni" in choose_target(V4 - {"avx512_vnni"}, "x86_64")[1]


def test_a_target_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RT_TARGET", "x86-64-v3")
    assert choose_target(V4, "x86_64")[0].name == "x86-64-v3"
    with pytest.raises(TargetError, match="for x86_64; this machine is aarch64"):
        choose_target(A76, "aarch64")
    monkeypatch.setenv("EDGE_RT_TARGET", "armv8.2-a-dotprod")
    with pytest.raises(TargetError, match="needs a CPU with asimddp, asimdhp, fphp"):
        choose_target(A72, "aarch64")
    monkeypatch.setenv("EDGE_RT_TARGET", "pentium")
    with pytest.raises(TargetError, match="must be one of"):
        choose_target(V4, "x86_64")


@pytest.fixture
def empty_cache(image: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A host without packs and cache; the list gets the symbols of each compilation."""
    compiled: list[str] = []

    def build(target: Any, symbols: list[str]) -> dict[str, bytes]:
        compiled.append(" ".join(symbols))
        return {symbol: with_header(image, sources=source_fingerprint()) for symbol in symbols}

    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(library_module, "PACKS", tmp_path / "packs")
    monkeypatch.setattr(codegen, "build_kernels", build)
    monkeypatch.setattr(host_module, "_process", [])
    return compiled


def load_again() -> AnyLibrary:
    host_module._process.clear()
    return library()


def cached(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache").rglob("*.image")
    return path


def test_the_host_compiles_a_kernel_once(empty_cache: list[str]) -> None:
    first = load_again()
    assert library() is first
    assert empty_cache == []
    first.address("run_program")
    first.address("run_program")
    again = load_again()
    assert again is not first
    again.address("run_program")
    assert empty_cache == ["run_program"]
    again.prepare(["run_program", "stop_team"])
    assert empty_cache == ["run_program", "stop_team"]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_in_the_cache_is_rebuilt(kind: str, empty_cache: list[str], tmp_path: Path) -> None:
    load_again().address("run_program")
    path = cached(tmp_path)
    good = path.read_bytes()
    path.write_bytes(DAMAGE[kind][0](good))
    load_again().address("run_program")
    assert path.read_bytes() == good
    assert len(empty_cache) == 2


def test_a_foreign_image_in_the_cache_is_rebuilt(empty_cache: list[str], tmp_path: Path) -> None:
    load_again().address("run_program")
    for changes in ({"target": "armv8-a"}, {"sources": "other"}, {"requires": []}, {"symbols": {"other": 0}}):
        path = cached(tmp_path)
        path.write_bytes(with_header(path.read_bytes(), **changes))
        load_again().address("run_program")
    assert len(empty_cache) == 5


def test_a_pack_comes_first_unless_the_sources_changed(empty_cache: list[str], image: bytes, tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / f"{HOST.name}.image").write_bytes(with_header(image, sources=source_fingerprint()))
    assert load_again().origin.startswith(str(packs))
    load_again().address("run_program")
    assert empty_cache == []
    with pytest.raises(CodeImageError, match="has no kernel"):
        load_again().prepare(["run_program", "other"])
    (packs / f"{HOST.name}.image").write_bytes(with_header(image, sources="older"))
    assert load_again().origin.startswith(str(tmp_path / "cache"))
    (packs / f"{HOST.name}.image").write_bytes(image[:-1])
    with pytest.raises(CodeImageError, match="bytes of code"):
        load_again()


def test_without_numba_and_packs_the_error_says_what_to_install(
    empty_cache: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TargetError, match=r"Install the wheel of edge-rt, .* pip install 'edge-rt\[jit\]'"):
        load_again()


def test_processes_that_start_together_compile_once(image: bytes, tmp_path: Path) -> None:
    """Each of 4 processes finds an empty cache; one compiles, and all run what it made."""
    (tmp_path / "code.image").write_bytes(image)
    script = f"""
import os, time
from pathlib import Path
from edge_rt import codegen, native
from edge_rt.native.cache import source_fingerprint
from edge_rt.native.image import CODE_OFFSET, read_header, write_image
folder = Path({str(tmp_path)!r})
image = (folder / "code.image").read_bytes()
def build(target, symbols):
    (folder / f"compiled-{{os.getpid()}}").touch()
    time.sleep(0.5)
    found = read_header(image, "image").symbols
    made = write_image(target.name, target.requires, found, image[CODE_OFFSET:], source_fingerprint())
    return {{symbol: made for symbol in symbols}}
codegen.build_kernels = build
assert native.library().address("run_program")
"""
    environment = {"EDGE_RT_CACHE": str(tmp_path / "cache"), "PATH": ""}
    processes = [subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(4)]
    assert [p.wait() for p in processes] == [0] * 4
    assert len(list(tmp_path.glob("compiled-*"))) == 1


def test_a_pack_in_a_zip_is_run_from_memory(image: bytes, tmp_path: Path) -> None:
    package = Path(FOLDER)
    archive = tmp_path / "site.zip"
    with zipfile.ZipFile(archive, "w") as z:
        for path in package.rglob("*.py"):
            z.write(path, f"edge_rt/{path.relative_to(package)}")
        z.writestr(f"edge_rt/packs/{HOST.name}.image", image)
    script = (
        "import importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name: None if name == 'numba' else find(name);"
        "import edge_rt.native as n; library = n.library(); print(n.__file__, library.address('run_program') > 0)"
    )
    environment = {"PYTHONPATH": str(archive)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(archive))
    assert done.stdout.split()[-1] == "True"


def test_loading_an_image_imports_no_compiler(image: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.image").write_bytes(image)
    script = (
        "import sys; from pathlib import Path; from edge_rt.native import Library;"
        f"Library.open(Path({str(tmp_path / 'a.image')!r}));"
        "print(sorted({'numba', 'llvmlite', 'exporter'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
