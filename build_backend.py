"""The build backend: setuptools, and for wheels the packs, the kernels compiled for each CPU family, and the joined modules;
their files are compressed as small as deflate goes.

Only a wheel needs the compiler; an editable install and an sdist do not. Objects come from the cache of kernels
(~/.cache/edge-rt), so that a build compiles what changed since the last one.
"""

from __future__ import annotations

import shutil
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

COMPILER = ("numba==0.68.1", "llvmlite==0.50.0", "numpy>=1.24", "msgpack>=1.0")
"""What compiles packs. Exact, since other versions make other bytes."""
COMPRESSOR = "zopfli==0.4.3"
"""Exact for the same reason."""
END = struct.Struct("<4s4H2LH")  # of a zip file: its last two words are the size and the place of the list of members
MEMBER, LOCAL = 46, 30  # bytes of a member in that list, and in front of its contents, without its name


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return [*build_meta.get_requires_for_build_wheel(config_settings), *COMPILER, COMPRESSOR]


class BuildPy(build_py):  # type: ignore[misc]
    """Copies the packages, and makes what lies beside their modules."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        built = Path(self.build_lib)
        shutil.rmtree(built, ignore_errors=True)  # what a former build left may be gone from the sources
        super().run()
        self._join_modules(built / "edge_rt")
        self._build_packs(built / "edge_rt" / "packs")

    def _join_modules(self, package: Path) -> None:
        from edge_rt import joining

        joining.write(package, package)

    def _build_packs(self, folder: Path) -> None:
        from edge_rt.codegen import build_images
        from edge_rt.targets import TARGETS

        folder.mkdir(parents=True)
        self.announce(f"compiling the kernels for {', '.join(TARGETS)}", level=2)
        for name, image in zip(TARGETS, build_images([*TARGETS.values()])):
            (folder / f"{name}.image").write_bytes(image)


class BdistWheel(bdist_wheel):  # type: ignore[misc]
    """Gives all files the same mode, whatever the umask is: modes are part of the wheel's bytes. Compresses it well."""

    def run(self) -> None:
        super().run()
        wheel = Path(self.distribution.dist_files[-1][2])
        self.announce(f"compressing {wheel.name}", level=2)
        wheel.write_bytes(recompressed(wheel))

    def write_wheelfile(self, *args: Any, **options: Any) -> None:
        super().write_wheelfile(*args, **options)
        for path in Path(self.bdist_dir).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)


def recompressed(wheel: Path) -> bytes:
    """The same zip file with smaller streams of its members, 3 % in all (a minute of a processor)."""
    from zopfli.zlib import compress

    with zipfile.ZipFile(wheel) as archive, ThreadPoolExecutor() as pool:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        contents = [archive.read(info) for info in archive.infolist()]
        smallest = partial(compress, blocksplittingmax=0)  # as many blocks as pay
        streams = [s[2:-4] for s in pool.map(smallest, contents)]  # without zlib's header and sum
    return with_streams(wheel.read_bytes(), streams)


def with_streams(old: bytes, streams: list[bytes]) -> bytes:
    """`old` is a zip file with the sizes in front of the contents, as for files that can be sought in."""
    *end, size, start, comment = END.unpack_from(old, len(old) - END.size)
    members, new, at = bytearray(old[start : start + size]), bytearray(), 0
    for stream in streams:
        (place,) = struct.unpack_from("<L", members, at + 42)
        head = bytearray(old[place : place + LOCAL + sum(struct.unpack_from("<2H", old, place + 26))])
        struct.pack_into("<L", head, 18, len(stream))
        struct.pack_into("<L", members, at + 20, len(stream))
        struct.pack_into("<L", members, at + 42, len(new))
        new += head + stream
        at += MEMBER + sum(struct.unpack_from("<3H", members, at + 28))
    assert at == size
    return bytes(new + members + END.pack(*end, size, len(new), comment))
