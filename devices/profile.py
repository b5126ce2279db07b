"""What a board is, and the strict reading of one from its profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from edge_rt.errors import DeviceError, TargetError
from edge_rt.targets import TARGETS, Target

T = TypeVar("T")
MIB = 1 << 20
PYTHON = (3, 10)
"""The oldest Python that edge-rt runs on."""


class Cluster(NamedTuple):
    """Cores of one kind. mhz: the highest clock; None where nobody says."""

    core: str
    cores: int
    mhz: int | None


class Cache(NamedTuple):
    """A data or unified cache. size, line: bytes. cores: that share one of it."""

    level: int
    size: int
    cores: int
    line: int


class System(NamedTuple):
    """An operating system that is usual on a board, and the Python it brings."""

    name: str
    python: str

    @property
    def is_supported(self) -> bool:
        """Whether that Python is new enough for edge-rt."""
        return tuple(int(part) for part in self.python.split(".")[:2]) >= PYTHON


class Device(NamedTuple):
    """A board, or a machine as `detect` found it.

    models: how the text in /proc/device-tree/model begins. features: of the CPU, those that targets require. memory: bytes,
    one entry per size that is sold, the smallest first; empty where it is unknown, as clusters and caches are.
    bandwidth: of the memory in bytes per second, as the vendor states it. gpu_capability: CUDA compute capability.
    sources: where the facts are from.
    """

    name: str
    title: str
    models: tuple[str, ...]
    soc: str
    arch: str
    features: frozenset[str]
    clusters: tuple[Cluster, ...]
    caches: tuple[Cache, ...]
    memory: tuple[int, ...]
    bandwidth: float | None
    page_sizes: tuple[int, ...]
    gpu_capability: str | None
    systems: tuple[System, ...]
    sources: tuple[str, ...]

    @property
    def cores(self) -> int:
        """Cores of all clusters; 0 where they are unknown."""
        return sum(c.cores for c in self.clusters)

    @property
    def target(self) -> Target:
        """The best target this CPU can run. Raises TargetError that names what it lacks for the lowest."""
        native = [t for t in TARGETS.values() if t.arch == self.arch]
        fitting = [t for t in native if t.requires <= self.features]
        if fitting:
            return fitting[-1]
        if not native:
            raise TargetError(f"{self.title}: edge-rt has no code for {self.arch}")
        missing = ", ".join(sorted(native[0].requires - self.features))
        raise TargetError(f"{self.title}: edge-rt needs {native[0].name}; this CPU lacks {missing}")


def known_features(arch: str) -> frozenset[str]:
    """What the targets of an architecture require, all together."""
    return frozenset[str]().union(*(t.requires for t in TARGETS.values() if t.arch == arch))


def parse(name: str, data: Mapping[str, Any], where: str) -> Device:
    """The device of a profile. `where` names the file in errors.

    Raises DeviceError for a key that is missing, unknown, or has a wrong type or value.
    """
    fields = _Fields(data, where, "")
    arch = fields.one_of("arch", sorted({t.arch for t in TARGETS.values()}))
    return fields.done(
        Device(
            name=name,
            title=fields.text("title"),
            models=fields.texts("models"),
            soc=fields.text("soc", default=""),
            arch=arch,
            features=frozenset(fields.texts("features", among=known_features(arch))),
            clusters=fields.tables("clusters", _cluster),
            caches=fields.tables("caches", _cache),
            memory=tuple(n * MIB for n in fields.counts("memory_mib", ascending=True)),
            bandwidth=fields.gigabytes("bandwidth_gbs"),
            page_sizes=fields.counts("page_sizes", ascending=True),
            gpu_capability=fields.version("gpu_capability", default=None),
            systems=fields.tables("systems", _system),
            sources=fields.texts("sources", prefix="https://"),
        )
    )


def _cluster(fields: _Fields) -> Cluster:
    mhz = fields.count("mhz") if "mhz" in fields.data else None
    return Cluster(fields.text("core"), fields.count("cores"), mhz)


def _cache(fields: _Fields) -> Cache:
    return Cache(fields.count("level"), fields.count("kib") << 10, fields.count("cores"), fields.count("line"))


def _system(fields: _Fields) -> System:
    python = fields.version("python", default="")
    return System(fields.text("name"), python or "")


class _Fields:
    """Takes the fields of one table out one by one, and knows its place for errors."""

    def __init__(self, data: Any, where: str, path: str) -> None:
        self.where, self.path = where, path
        if not isinstance(data, Mapping):
            raise DeviceError(f"{where}: {path.rstrip('.')}: must be a table, got {data!r}")
        self.data, self.taken = data, set[str]()

    def fail(self, key: str, requirement: str) -> DeviceError:
        got = f"got {self.data[key]!r}" if key in self.data else "it is missing"
        return DeviceError(f"{self.where}: {self.path}{key}: must be {requirement}, {got}")

    def done(self, made: T) -> T:
        """`made`, after the check that no field is left."""
        unknown = sorted({*self.data} - self.taken)
        if unknown:
            known = ", ".join(sorted(self.taken))
            raise DeviceError(f"{self.where}: {self.path}{unknown[0]}: unknown key, known are {known}")
        return made

    def take(self, key: str) -> Any:
        self.taken.add(key)
        return self.data.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.fail(key, "a text")
        return value

    def one_of(self, key: str, allowed: list[str]) -> str:
        value = self.take(key)
        if value not in allowed:
            raise self.fail(key, f"one of {', '.join(allowed)}")
        return str(value)

    def texts(self, key: str, among: frozenset[str] | None = None, prefix: str = "") -> tuple[str, ...]:
        value = self.take(key)
        if not isinstance(value, list) or not all(isinstance(v, str) and v.startswith(prefix) and v for v in value):
            raise self.fail(key, f"a list of texts{' that begin with ' + prefix if prefix else ''}")
        if len({*value}) != len(value):
            raise self.fail(key, "a list without repetitions")
        if among is not None and not among.issuperset(value):
            raise self.fail(key, f"a list of features that targets require ({', '.join(sorted(among))})")
        return tuple(value)

    def count(self, key: str) -> int:
        value = self.take(key)
        if type(value) is not int or value < 1:
            raise self.fail(key, "a positive integer")
        return value

    def counts(self, key: str, ascending: bool = False) -> tuple[int, ...]:
        value = self.take(key)
        if not isinstance(value, list) or not all(type(v) is int and v > 0 for v in value):
            raise self.fail(key, "a list of positive integers")
        if ascending and value != sorted({*value}):
            raise self.fail(key, "in ascending order")
        return tuple(value)

    def gigabytes(self, key: str) -> float | None:
        """A positive number of 10^9 bytes, as bytes; None where it is missing."""
        value = self.take(key)
        if value is None:
            return None
        if type(value) not in (int, float) or not value > 0:
            raise self.fail(key, "a positive number")
        return float(value) * 1e9

    def version(self, key: str, default: str | None) -> str | None:
        """MAJOR.MINOR as text; `default` where it is missing, unless that is empty."""
        value = self.take(key)
        if value is None and default is None:
            return default
        if not isinstance(value, str) or [p.isdecimal() for p in value.split(".")] != [True, True]:
            raise self.fail(key, 'a version such as "3.11"')
        return value

    def tables(self, key: str, read: Callable[[_Fields], T]) -> tuple[T, ...]:
        value = self.take(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.fail(key, "a list of tables")
        fields = [_Fields(v, self.where, f"{self.path}{key}[{i}].") for i, v in enumerate(value)]
        return tuple(f.done(read(f)) for f in fields)
