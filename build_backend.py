"""The build backend: setuptools, and for wheels the packs, the kernels compiled for each CPU family, and the joined modules.

Only a wheel needs the compiler; an editable install and an sdist do not. Objects come from the cache of kernels
(~/.cache/edge-rt), so that a build compiles what changed since the last one.
"""

from __future__ import annotations

import shutil
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


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return [*build_meta.get_requires_for_build_wheel(config_settings), *COMPILER]


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
    """Gives all files the same mode, whatever the umask is: modes are part of the wheel's bytes."""

    def write_wheelfile(self, *args: Any, **options: Any) -> None:
        super().write_wheelfile(*args, **options)
        for path in Path(self.bdist_dir).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
