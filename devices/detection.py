"""What this machine is: read from /proc and /sys, and matched to a profile."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from devices.loading import load, names
from devices.profile import Cache, Cluster, Device, System, known_features
from edge_rt.errors import DeviceError
from edge_rt.native.cores import cpu_list

CORES = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd41"): "Cortex-A78",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x4e", "0x004"): "NVIDIA Carmel",
}
"""Names of Arm cores by CPU implementer and CPU part, as /proc/cpuinfo gives them."""


def detect(root: Path = Path("/"), arch: str | None = None) -> Device:
    """This machine: the profile of the board it is (or the generic one of its architecture), with what was read in place
    of what the profile says. What cannot be read keeps the profile's word.

    root, arch: of another file system than this machine's, for tests. Raises DeviceError for an architecture that edge-rt
    has no code for.
    """
    arch = arch or {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    model = _text(root / "proc/device-tree/model").rstrip("\0")
    profile = _match(model, arch)
    cpus = _cpuinfo(root)
    flags = cpus[0].get("flags") or cpus[0].get("Features") if cpus else None
    memory = _memory(root)
    system = _system(root)
    return profile._replace(
        title=model or _text(root / "sys/class/dmi/id/product_name").strip() or profile.title,
        features=known_features(arch).intersection(flags.split()) if flags else profile.features,
        clusters=tuple(_clusters(root, cpus)) or profile.clusters,
        caches=tuple(_caches(root)) or profile.caches,
        memory=(memory,) if memory else profile.memory,
        page_sizes=(os.sysconf("SC_PAGE_SIZE"),),
        gpu_capability=profile.gpu_capability or _cuda_capability(),
        systems=(system,) if system else profile.systems,
    )


def _match(model: str, arch: str) -> Device:
    """The board whose text in `models` begins `model`, as whole words; the longest one if several do."""
    found = []
    for device in map(load, names()):
        found += [(len(text), device) for text in device.models if f"{model} ".startswith(f"{text} ")]
    if found:
        return max(found, key=lambda pair: pair[0])[1]
    generic = f"generic-{arch.replace('_', '-')}"
    if generic not in names():
        raise DeviceError(f"edge-rt has no code for {arch}; it has code for x86_64 and aarch64")
    return load(generic)


def _cpuinfo(root: Path) -> list[dict[str, str]]:
    """The fields of each processor in /proc/cpuinfo."""
    found: list[dict[str, str]] = []
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if key == "processor":
            found.append({})
        if colon and found:
            found[-1].setdefault(key, value)
    return found


def _clusters(root: Path, cpus: Iterable[dict[str, str]]) -> Iterable[Cluster]:
    """Cores of one kind and clock, the fastest first. A core that runs two threads counts once."""
    kinds: Counter[tuple[int, str]] = Counter()
    for fields in cpus:
        folder = root / "sys/devices/system/cpu" / f"cpu{fields['processor']}"
        siblings = cpu_list(_text(folder / "topology/thread_siblings_list"))
        if siblings and siblings[0] != int(fields["processor"]):
            continue
        khz = _text(folder / "cpufreq/cpuinfo_max_freq").strip()
        core = CORES.get((fields.get("CPU implementer", ""), fields.get("CPU part", "")))
        kinds[int(khz) // 1000 if khz.isdecimal() else 0, core or fields.get("model name") or "unknown core"] += 1
    for (mhz, core), count in sorted(kinds.items(), reverse=True):
        yield Cluster(core, count, mhz or None)


def _caches(root: Path) -> Iterable[Cache]:
    """Data and unified caches of the first core."""
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        size, line = _text(folder / "size").strip(), _text(folder / "coherency_line_size").strip()
        level, kind = _text(folder / "level").strip(), _text(folder / "type").strip()
        if kind in ("Data", "Unified") and level.isdecimal() and line.isdecimal() and size[:-1].isdecimal():
            unit = {"K": 1 << 10, "M": 1 << 20}.get(size[-1])
            if unit:
                shared = len(cpu_list(_text(folder / "shared_cpu_list")))
                yield Cache(int(level), int(size[:-1]) * unit, max(shared, 1), int(line))


def _memory(root: Path) -> int:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) << 10
    return 0


def _system(root: Path) -> System | None:
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for line in _text(root / "etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return System(line.partition("=")[2].strip("\"'"), python)
    return None


def _cuda_capability() -> str | None:
    """Compute capability of the first CUDA device, as its driver tells it; None where there is no driver or device."""
    try:
        driver: Any = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    major, minor, device = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    ask = driver.cuDeviceGetAttribute
    calls: tuple[Callable[[], int], ...] = (
        lambda: driver.cuInit(0),
        lambda: driver.cuDeviceGet(ctypes.byref(device), 0),
        lambda: ask(ctypes.byref(major), 75, device),  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        lambda: ask(ctypes.byref(minor), 76, device),
    )
    return f"{major.value}.{minor.value}" if all(call() == 0 for call in calls) else None


def _text(path: Path) -> str:
    """A file's text; empty where there is none to be read, as in many containers."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
