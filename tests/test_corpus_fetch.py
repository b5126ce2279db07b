"""Fetching corpus models: every part but the download itself."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests import corpus
from tests.corpus import MODELS, PACKAGES, QUICK_MODELS, CorpusModel
from tests.corpus.fetch import Unavailable, fetch


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_RT_CORPUS", str(tmp_path / "corpus"))
    return tmp_path / "corpus"


def _put_package(cache: Path, package: str, file: str, contents: dict[str, bytes]) -> None:
    folder = cache / "packages" / package
    folder.mkdir(parents=True)
    if file.endswith(".whl"):
        with zipfile.ZipFile(folder / file, "w") as archive:
            for name, data in contents.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(folder / file, "w:gz") as tar:
            for name, data in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def _list(monkeypatch: pytest.MonkeyPatch, path: str, content: bytes) -> None:
    model = CorpusModel("m.onnx", "p", path, hashlib.sha256(content).hexdigest(), "test", {})
    monkeypatch.setitem(MODELS, "m.onnx", model)
    monkeypatch.setitem(PACKAGES, "p", {"registry": "pip", "package": "p==1"})


def _zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize("file", ["p-1-py3-none-any.whl", "p-1.tar.gz"])
@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("p/m.onnx", {"p/m.onnx": b"model"}),
        ("p/pack.zip!in/m.onnx", {"p/pack.zip": _zipped("in/m.onnx", b"model")}),
        ("p/lib.so#3:8", {"p/lib.so": b"...model..."}),
    ],
)
def test_files_in_packages(
    file: str, path: str, stored: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _list(monkeypatch, path, b"model")
    _put_package(cache, "p", file, stored)
    assert fetch("m.onnx") == cache / "m.onnx"
    assert (cache / "m.onnx").read_bytes() == b"model"


def test_folders_in_packages(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _list(monkeypatch, "p/saved/", b"onetwo")
    _put_package(cache, "p", "p.whl", {"p/saved/a": b"one", "p/saved/v/b": b"two", "p/other": b"x"})
    assert (fetch("m.onnx") / "v" / "b").read_bytes() == b"two"


def test_other_contents_are_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _list(monkeypatch, "p/m.onnx", b"model")
    _put_package(cache, "p", "p.whl", {"p/m.onnx": b"another"})
    with pytest.raises(Unavailable, match=r"m\.onnx: SHA-256 must be"):
        fetch("m.onnx")
    assert not (cache / "m.onnx").exists()


def test_failed_downloads_say_why(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _list(monkeypatch, "p/m.onnx", b"model")

    def missing(command: Any, **_: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("subprocess.run", missing)
    with pytest.raises(Unavailable, match="is not installed"):
        fetch("m.onnx")


def test_the_list_is_complete() -> None:
    assert set(QUICK_MODELS) <= set(MODELS)
    assert all(model.package in PACKAGES and len(model.sha256) == 64 for model in MODELS.values())
    assert all(MODELS[name].shapes for name in corpus.ONNX_MODELS)
