"""How many threads this process may and should use: affinity, cpuset, CPU quota, SMT siblings, big and little cores."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

BIG = 0.5
"""A core counts as big from this part of the largest capacity on: a slower one would keep the others waiting."""


class Cores:
    """What a process has to compute with.

    allowed: CPUs of its affinity and cpuset. used: one CPU per physical core, big cores only. quota: CPUs' worth of time
    that its cgroups grant, None without a limit. threads: the default number of threads.
    """

    __slots__ = ("allowed", "quota", "threads", "used")

    def __init__(self, allowed: tuple[int, ...], used: tuple[int, ...], quota: float | None, threads: int) -> None:
        self.allowed, self.used, self.quota, self.threads = allowed, used, quota, threads

    def __str__(self) -> str:
        text = f"{len(self.allowed)} CPUs allowed"
        if len(self.used) != len(self.allowed):
            text += f", {len(self.used)} of them big cores and not second threads of one"
        return text if self.quota is None else f"{text}, a quota of {self.quota:g} CPUs"


def usable_cores(root: str | os.PathLike[str] = "/", affinity: Iterable[int] | None = None) -> Cores:
    """What this process may use, as the system says now. root, affinity: others than this process's, for tests.

    The quota is rounded up: on 1.5 CPUs two threads get 1.5 CPUs' worth done, at the price of a pause at the end of a period
    that is used up; one thread would get 1. Threads sleep between calls, so short calls are seldom paused.
    """
    base = os.fspath(root).rstrip("/")
    groups = list(_groups(base))
    allowed = {*(os.sched_getaffinity(0) if affinity is None else affinity)}
    for group in groups:
        if group.is_cpuset:
            allowed = allowed & {*(group.nearest(_cpus) or ())} or allowed
    quotas = [q for group in groups for q in group.each(_quota)]
    quota = min(quotas, default=None)
    used = _big(base, _physical(base, sorted(allowed)))
    threads = len(used) if quota is None else min(len(used), math.ceil(quota))
    return Cores(tuple(sorted(allowed)), tuple(used), quota, max(1, threads))


def default_threads() -> int:
    """The number of threads that models use unless told otherwise: see `usable_cores`."""
    return usable_cores().threads


def cpu_list(text: str) -> list[int]:
    """The numbers of a list as the kernel writes it: 0-3,8. Raises ValueError for anything else."""
    found: list[int] = []
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if part:
            found += range(int(first), int(last if dash else first) + 1)
    return found


# ---- topology -------------------------------------------------------------------------------------------------------


def _physical(base: str, cpus: list[int]) -> list[int]:
    """The first of the CPUs of each core: threads of one core share its arithmetic units."""
    seen: set[int] = set()
    first = []
    for cpu in cpus:
        if cpu not in seen:
            first.append(cpu)
            path = f"{base}/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
            seen.update(_read(path, cpu_list) or ())
    return first


def _big(base: str, cpus: list[int]) -> list[int]:
    """Those of the CPUs that are not much slower than the fastest of them; all where the kernel tells no capacities."""
    capacities = {}
    for cpu in cpus:
        found = _read(f"{base}/sys/devices/system/cpu/cpu{cpu}/cpu_capacity", int)
        if found is None:
            return cpus
        capacities[cpu] = found
    limit = BIG * max(capacities.values(), default=0)
    return [cpu for cpu in cpus if capacities[cpu] >= limit]


# ---- cgroups --------------------------------------------------------------------------------------------------------


class _Group:
    """A cgroup of this process in one hierarchy, as folders from its own to the outermost that is visible."""

    __slots__ = ("folders", "is_cpuset")

    def __init__(self, folders: list[str], is_cpuset: bool) -> None:
        self.folders, self.is_cpuset = folders, is_cpuset

    def each(self, read: Callable[[str], T | None]) -> list[T]:
        """What `read` finds in each folder that tells."""
        return [found for folder in self.folders if (found := read(folder)) is not None]

    def nearest(self, read: Callable[[str], T | None]) -> T | None:
        """What `read` finds in the first folder that tells."""
        return next(iter(self.each(read)), None)


def _groups(base: str) -> Iterator[_Group]:
    """The cgroups of this process that limit CPUs, versions 1 and 2, wherever they are mounted."""
    own = {}
    for line in _lines(f"{base}/proc/self/cgroup"):
        parts = line.split(":", 2)
        if len(parts) == 3:
            own.update(dict.fromkeys(parts[1].split(","), parts[2]))
    for line in _lines(f"{base}/proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        mount, kind = before.split(), after.split()
        if len(mount) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        options = kind[2].split(",")
        controllers = [""] if kind[0] == "cgroup2" else [c for c in ("cpu", "cpuset") if c in options]
        for controller in controllers:
            if controller in own:
                folders = [base + mount[4].rstrip("/")]
                for name in _below(own[controller], mount[3]):
                    folders.append(f"{folders[-1]}/{name}")
                yield _Group(folders[::-1], controller != "cpu")


def _below(path: str, mounted: str) -> list[str]:
    """The names in a cgroup's path below the one that is mounted; none where it lies outside, as in some containers."""
    names, top = ([name for name in p.split("/") if name] for p in (path, mounted))
    return names[len(top) :] if names[: len(top)] == top and ".." not in names else []


def _cpus(folder: str) -> list[int] | None:
    """The CPUs of a cpuset; None where this folder limits none."""
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
        found = _read(f"{folder}/{name}", cpu_list)
        if found:
            return found
    return None


def _quota(folder: str) -> float | None:
    """The quota of one cgroup in CPUs; None where it has none."""
    return _read(f"{folder}/cpu.max", _quota_2) or _quota_1(folder)


def _quota_2(text: str) -> float | None:
    quota, period = text.split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_1(folder: str) -> float | None:
    quota, period = _read(f"{folder}/cpu.cfs_quota_us", int), _read(f"{folder}/cpu.cfs_period_us", int)
    return quota / period if quota and period and quota > 0 else None


def _lines(path: str) -> list[str]:
    return _read(path, str.splitlines) or []


def _read(path: str, parse: Callable[[str], T]) -> T | None:
    """What a file of the kernel says; None where there is none, it may not be read, or it says something else."""
    try:
        with open(path) as file:
            return parse(file.read())
    except (OSError, ValueError):
        return None
