"""The package for devices, made once for all tests on boards."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_rt.codegen import build_image
from edge_rt.targets import TARGETS
from tests.boards import emulator


@pytest.fixture(scope="session")
def images() -> dict[str, bytes]:
    """The packs of all kernels, by target."""
    return {name: build_image(TARGETS[name]) for name in emulator.TARGET_OF.values()}


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, images: dict[str, bytes]) -> Path:
    """edge_rt as a device has it."""
    return emulator.device_package(tmp_path_factory.mktemp("device"), images)


@pytest.fixture(scope="session", params=sorted(emulator.TARGET_OF))
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)
