"""The cache folder of this host, its images, and writing to it while other processes do the same."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from importlib.metadata import version
from pathlib import Path

from edge_rt.errors import CodeImageError, TargetError
from edge_rt.native.package import FOLDER, cache_path
from edge_rt.native.packs import Library
from edge_rt.targets import Target

PACKAGE = Path(FOLDER)


def cache_folder() -> Path:
    """Where it is. Raises TargetError for a user without a home, unless $EDGE_RT_CACHE names a folder."""
    found = cache_path()
    if found is None:
        raise TargetError("no folder for compiled kernels: this user has no home; EDGE_RT_CACHE may name one")
    return Path(found)


def producer() -> str:
    """The compilers' versions, as part of a folder's name."""
    return f"numba-{version('numba')}-llvmlite-{version('llvmlite')}"


def cached_image(path: Path, target: Target, sources: str, symbols: Collection[str]) -> Library | None:
    """The image in the cache; None if there is none, or one that is damaged, or is not of this target, of these sources and
    with these kernels."""
    try:
        found = Library.open(path)
    except (FileNotFoundError, CodeImageError):
        return None
    header = found.header
    fits = header.target == target.name and header.requires == target.requires and header.sources == sources
    return found if fits and header.symbols.keys() >= set(symbols) else None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file `path`, which the system frees when the process ends in whatever way."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough: a process forked meanwhile holds the file open


def source_fingerprint() -> str:
    """Hash of all that decides what the kernels compile to, apart from the versions of numba and llvmlite."""
    from hashlib import sha256

    digest = sha256()
    files = [PACKAGE / "targets.py"]
    for folder in ("kernels", "lowering", "codegen"):
        files += sorted((PACKAGE / folder).rglob("*.py"))
    for path in files:
        digest.update(f"{path.relative_to(PACKAGE)}\0".encode())
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]
