"""An edge-rt that is installed, as far as stored plans can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_rt import stored
from edge_rt.codegen import build_image
from edge_rt.native import host, packs
from edge_rt.native.features import cpu_features
from tests.stored._models import TARGET


@pytest.fixture(scope="session")
def image() -> bytes:
    return build_image(TARGET)


@pytest.fixture
def plans(image: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An edge-rt that is installed, with a pack and a cache of its own; the folder of its stored plans."""
    folder = tmp_path / "packs"
    folder.mkdir()
    (folder / f"{TARGET.name}.image").write_bytes(image)
    for module in (packs, stored):
        monkeypatch.setattr(module, "PACKS", str(folder))
    monkeypatch.setattr(host, "_process", [packs.find_pack(TARGET, cpu_features())])
    monkeypatch.setattr(stored, "build_of_this", lambda: "a build")
    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGE_RT_CODE", raising=False)
    monkeypatch.delenv(stored.SWITCH, raising=False)
    return tmp_path / "cache" / "plans"
