"""Board profiles, the JSON made of them, and what a machine is found to be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import devices
from devices import build, detection
from devices.profile import parse
from edge_rt.cli import main
from edge_rt.errors import DeviceError, TargetError

ROOT = Path(__file__).parent.parent
MIB, GIB = 1 << 20, 1 << 30

BOARDS = {
    "raspberry-pi-zero-2-w": "armv8-a",
    "raspberry-pi-3b-plus": "armv8-a",
    "raspberry-pi-4": "armv8-a",
    "raspberry-pi-cm4": "armv8-a",
    "raspberry-pi-5": "armv8.2-a-dotprod",
    "jetson-nano": "armv8-a",
    "jetson-xavier-nx": "armv8-a",
    "jetson-orin-nano": "armv8.2-a-dotprod",
    "generic-aarch64": "armv8-a",
    "generic-x86-64": "x86-64-v3",
}

GOOD: dict[str, Any] = {
    "title": "A Board",
    "models": ["A Board"],
    "soc": "A1",
    "arch": "aarch64",
    "features": ["fp", "asimd"],
    "memory_mib": [512, 1024],
    "bandwidth_gbs": 12.8,
    "page_sizes": [4096],
    "gpu_capability": "8.7",
    "sources": ["https://example.org/board"],
    "clusters": [{"core": "Cortex-A53", "cores": 4, "mhz": 1000}, {"core": "Cortex-A72", "cores": 2}],
    "caches": [{"level": 1, "kib": 32, "cores": 1, "line": 64}],
    "systems": [{"name": "Old", "python": "3.9"}, {"name": "New", "python": "3.13"}],
}


# ---- profiles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "target"), BOARDS.items())
def test_boards(name: str, target: str) -> None:
    device = devices.load(name)
    assert device.name == name
    assert device.target.name == target
    assert device.sources
    if not name.startswith("generic"):
        assert device.cores >= 4
        assert device.memory
        assert device.systems
        assert {c.level for c in device.caches} >= {1, 2}


def test_names_and_an_unknown_one() -> None:
    assert devices.names() == sorted(BOARDS)
    with pytest.raises(DeviceError, match=r"no board is named 'pi4', there are generic-aarch64, .*raspberry-pi-zero-2-w"):
        devices.load("pi4")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is in the standard library from Python 3.11 on")
def test_the_json_is_what_the_toml_files_say() -> None:
    shipped = (ROOT / "devices" / "boards.json").read_text()
    assert shipped == build.as_json(build.profiles()), "run `python -m devices.build`"


def test_a_profile_is_a_typed_device() -> None:
    device = parse("board", GOOD, "board.toml")
    assert device.memory == (512 * MIB, GIB)
    assert device.bandwidth == 12.8e9
    assert device.clusters == (devices.Cluster("Cortex-A53", 4, 1000), devices.Cluster("Cortex-A72", 2, None))
    assert device.cores == 6
    assert device.caches == (devices.Cache(1, 32 << 10, 1, 64),)
    assert [s.is_supported for s in device.systems] == [False, True]
    with pytest.raises(AttributeError):
        device.title = "another"  # type: ignore[misc]


def with_value(path: str, value: Any) -> dict[str, Any]:
    """GOOD with another value (None: without one) at a path such as clusters.0.core."""
    data: Any = json.loads(json.dumps(GOOD))
    *folders, key = path.split(".")
    place = data
    for name in folders:
        place = place[int(name) if name.isdecimal() else name]
    if value is None:
        del place[key]
    else:
        place[key] = value
    return data  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("title", None, "title: must be a text, it is missing"),
        ("title", " ", "title: must be a text, got ' '"),
        ("arch", "arm", "arch: must be one of aarch64, x86_64, got 'arm'"),
        ("features", ["neon"], r"features: must be a list of features that targets require \(asimd, .*\), got \['neon'\]"),
        ("features", ["fp", "fp"], "features: must be a list without repetitions"),
        ("features", "fp", "features: must be a list of texts, got 'fp'"),
        ("memory_mib", [1024, 512], "memory_mib: must be in ascending order"),
        ("memory_mib", [0.5], "memory_mib: must be a list of positive integers"),
        ("memory_mib", None, "memory_mib: must be a list of positive integers, it is missing"),
        ("bandwidth_gbs", "fast", "bandwidth_gbs: must be a positive number, got 'fast'"),
        ("bandwidth_gbs", True, "bandwidth_gbs: must be a positive number"),
        ("page_sizes", [-1], "page_sizes: must be a list of positive integers"),
        ("gpu_capability", 8.7, 'gpu_capability: must be a version such as "3.11", got 8.7'),
        ("sources", ["wikipedia"], "sources: must be a list of texts that begin with https://"),
        ("clusters.1.cores", 0, r"clusters\[1\]\.cores: must be a positive integer, got 0"),
        ("clusters.0.mhz", True, r"clusters\[0\]\.mhz: must be a positive integer, got True"),
        ("clusters.0.core", None, r"clusters\[0\]\.core: must be a text, it is missing"),
        ("clusters.0.corse", 4, r"clusters\[0\]\.corse: unknown key, known are core, cores, mhz"),
        ("clusters", {"core": "A53"}, "clusters: must be a list of tables"),
        ("caches", ["L1"], r"caches\[0\]: must be a table, got 'L1'"),
        ("caches.0.line", "64", r"caches\[0\]\.line: must be a positive integer"),
        ("systems.0.python", "3", r"systems\[0\]\.python: must be a version"),
        ("systems.0.python", None, r"systems\[0\]\.python: must be a version such as .*, it is missing"),
        ("mmeory", 1, "mmeory: unknown key, known are arch, "),
    ],
)
def test_what_is_wrong_with_a_profile_names_file_and_key(path: str, value: Any, message: str) -> None:
    with pytest.raises(DeviceError, match=f"^board.toml: {message}"):
        parse("board", with_value(path, value), "board.toml")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is in the standard library from Python 3.11 on")
def test_the_build_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("title = ")
    with pytest.raises(DeviceError, match=r"bad\.toml: not TOML: "):
        build.profiles(tmp_path)
    (tmp_path / "bad.toml").write_text("title = 1")
    with pytest.raises(DeviceError, match=r"bad\.toml: "):
        build.profiles(tmp_path)


def test_what_a_board_lacks_is_named() -> None:
    with pytest.raises(TargetError, match="A Board: edge-rt needs armv8-a; this CPU lacks asimd"):
        _ = parse("board", with_value("features", ["fp"]), "board.toml").target


def test_the_target_of_a_board_does_not_depend_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RT_TARGET", "x86-64-v3")
    assert devices.load("raspberry-pi-5").target.name == "armv8.2-a-dotprod"


def test_devices_need_the_standard_library_only() -> None:
    code = "import sys, edge_rt; old = set(sys.modules); import devices; print(*sorted(set(sys.modules) - old))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    roots = {name.partition(".")[0] for name in out.split()}
    assert roots <= {*sys.stdlib_module_names, "devices", "edge_rt"}
    assert "tomllib" not in roots


def test_devices_are_read_from_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        for path in sorted((ROOT / "devices").glob("*.*")):
            archive.write(path, f"devices/{path.name}")
    code = "import devices; print(devices.__file__, devices.load('raspberry-pi-5').title)"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'app.zip'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout
    assert out == f"{tmp_path / 'app.zip' / 'devices' / '__init__.py'} Raspberry Pi 5\n"


# ---- this machine ---------------------------------------------------------------------------------------------------

A53 = "Features\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n"
A72 = "Features\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"
A76 = "Features\t: fp asimd atomics fphp asimdhp asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"


def machine(root: Path, cpus: list[str], **files: str) -> Path:
    """A fake root with these processors; files: by path, with __ for /."""
    info = "\n".join(f"processor\t: {i}\nBogoMIPS\t: 108.00\n{text}" for i, text in enumerate(cpus))
    for name, text in {"proc__cpuinfo": info, **files}.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Raspberry Pi 4 Model B Rev 1.5", "raspberry-pi-4"),
        ("Raspberry Pi 400 Rev 1.0", "raspberry-pi-4"),
        ("Raspberry Pi Compute Module 4 Rev 1.1", "raspberry-pi-cm4"),
        ("Raspberry Pi Compute Module 4S Rev 1.0", "generic-aarch64"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberry-pi-3b-plus"),
        ("Raspberry Pi 3 Model B Rev 1.2", "generic-aarch64"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "raspberry-pi-zero-2-w"),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberry-pi-5"),
        ("NVIDIA Jetson Nano Developer Kit", "jetson-nano"),
        ("NVIDIA Jetson Nano 2GB Developer Kit", "jetson-nano"),
        ("NVIDIA Jetson Xavier NX Developer Kit (eMMC)", "jetson-xavier-nx"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "jetson-orin-nano"),
        ("", "generic-aarch64"),
    ],
)
def test_a_board_is_known_by_its_model(model: str, name: str, tmp_path: Path) -> None:
    machine(tmp_path, [A72] * 4, **{"proc__device-tree__model": model + "\0"})
    assert devices.detect(tmp_path, "aarch64").name == name


def test_what_is_read_replaces_the_profile(tmp_path: Path) -> None:
    cache = "sys__devices__system__cpu__cpu0__cache__index"
    files = {
        "proc__device-tree__model": "Raspberry Pi 5 Model B Rev 1.1\0",
        "proc__meminfo": "MemTotal:        8256000 kB\nMemFree:          100 kB\n",
        "etc__os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
        f"{cache}0__level": "1\n", f"{cache}0__type": "Data\n", f"{cache}0__size": "64K\n",
        f"{cache}0__shared_cpu_list": "0\n", f"{cache}0__coherency_line_size": "64\n",
        f"{cache}1__level": "1\n", f"{cache}1__type": "Instruction\n", f"{cache}1__size": "64K\n",
        f"{cache}1__shared_cpu_list": "0\n", f"{cache}1__coherency_line_size": "64\n",
        f"{cache}2__level": "3\n", f"{cache}2__type": "Unified\n", f"{cache}2__size": "2M\n",
        f"{cache}2__shared_cpu_list": "0-3\n", f"{cache}2__coherency_line_size": "64\n",
        **{f"sys__devices__system__cpu__cpu{i}__cpufreq__cpuinfo_max_freq": "2600000\n" for i in range(4)},
    }  # fmt: skip
    found = devices.detect(machine(tmp_path, [A76] * 4, **files), "aarch64")
    assert found.title == "Raspberry Pi 5 Model B Rev 1.1"
    assert found.memory == (8256000 << 10,)
    assert found.clusters == (devices.Cluster("Cortex-A76", 4, 2600),)
    assert found.caches == (devices.Cache(1, 64 << 10, 1, 64), devices.Cache(3, 2 << 20, 4, 64))
    assert found.systems[0].name == "Debian GNU/Linux 13 (trixie)"
    assert found.target.name == "armv8.2-a-dotprod"


def test_what_cannot_be_read_keeps_the_profile(tmp_path: Path) -> None:
    machine(tmp_path, [], **{"proc__device-tree__model": "Raspberry Pi 4 Model B Rev 1.4\0"})
    found, profile = devices.detect(tmp_path, "aarch64"), devices.load("raspberry-pi-4")
    assert (found.features, found.clusters, found.caches) == (profile.features, profile.clusters, profile.caches)
    assert found.memory == profile.memory


def test_big_and_little_cores_and_second_threads(tmp_path: Path) -> None:
    found = devices.detect(machine(tmp_path / "arm", [A53] * 4 + [A72] * 2), "aarch64")
    assert sorted(found.clusters) == [devices.Cluster("Cortex-A53", 4, None), devices.Cluster("Cortex-A72", 2, None)]
    core = "flags\t: fpu sse2\nmodel name\t: A CPU\n"
    path = "sys__devices__system__cpu__cpu{}__topology__thread_siblings_list"
    siblings = {path.format(i): f"{i % 2},{i % 2 + 2}\n" for i in range(4)}
    found = devices.detect(machine(tmp_path / "x86", [core] * 4, **siblings), "x86_64")
    assert found.clusters == (devices.Cluster("A CPU", 2, None),)
    assert found.features == frozenset()
    with pytest.raises(TargetError, match="edge-rt needs x86-64-v3; this CPU lacks abm"):
        _ = found.target


def test_a_cuda_device_is_asked_through_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver:
        cuInit = staticmethod(lambda flags: 0)
        cuDeviceGet = staticmethod(lambda device, number: 0)

        @staticmethod
        def cuDeviceGetAttribute(out: Any, attribute: int, device: Any) -> int:
            out._obj.value = {75: 8, 76: 7}[attribute]
            return 0

    machine(tmp_path, [A72])
    monkeypatch.setattr(detection.ctypes, "CDLL", lambda name: Driver())
    assert devices.detect(tmp_path, "aarch64").gpu_capability == "8.7"
    monkeypatch.setattr(Driver, "cuInit", staticmethod(lambda flags: 100))  # CUDA_ERROR_NO_DEVICE
    assert devices.detect(tmp_path, "aarch64").gpu_capability is None


def test_an_architecture_without_code(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="edge-rt has no code for riscv64"):
        devices.detect(tmp_path, "riscv64")


def test_this_machine() -> None:
    found = devices.detect()
    assert found.memory[0] > 64 * MIB
    assert found.name in devices.names()


# ---- the command ----------------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["devices", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_command_lists_boards(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys)
    assert status == 0
    for name, target in BOARDS.items():
        assert any(line.startswith(name + " ") and line.endswith(" " + target) for line in out.splitlines())
    assert [d["name"] for d in json.loads(run(capsys, "--json")[1])] == sorted(BOARDS)


def test_command_shows_a_board(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "jetson-nano")
    assert status == 0
    for part in ("4 x Cortex-A57 at 1430 MHz", "L2 2 MiB per 4 cores", "2 GiB / 4 GiB", "compute capability 5.3",
                 "Python 3.6: too old for edge-rt", "https://developer.nvidia.com"):  # fmt: skip
        assert part in out
    data = json.loads(run(capsys, "raspberry-pi-5", "--json")[1])
    assert data["target"] == "armv8.2-a-dotprod"
    assert data["clusters"] == [{"core": "Cortex-A76", "cores": 4, "mhz": 2400}]


def test_command_detects(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--detect")
    assert status == 0
    assert "memory" in out


def test_command_with_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "pi4")
    assert (status, out) == (1, "")
    assert err.startswith("edge-rt devices: no board is named 'pi4', there are ")
