"""Where members of zip files are, without zipfile."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from edge_rt.archive import stored_member

FILES = {"a/b.txt": b"first", "b.txt": b"second", "b.txt2": b"third", "empty": b"", "packed": b"x" * 1000}


@pytest.mark.parametrize("front", [b"", b"#!/usr/bin/env python3\n"])
@pytest.mark.parametrize("comment", [b"", b"said PK\x05\x06 " + b"." * 40, b"c" * 0xFFFF])
def test_stored_members_are_found(front: bytes, comment: bytes, tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip", front, comment)
    for name, data in FILES.items():
        assert member(path, name) == (None if name == "packed" else data)
    for name in ("", "b", "txt", "a/b.txt2", "PK"):
        assert member(path, name) is None


def test_a_zip_file_behind_something_else(tmp_path: Path) -> None:
    """As `cat program app.zip > app` makes it: places in the file are then relative to where the zip begins."""
    path = made(tmp_path / "a.zip")
    path.write_bytes(b"something else" + path.read_bytes())
    assert member(path, "b.txt") == b"second"


@pytest.mark.parametrize("size", [0, 10, 21, 22, 100])
def test_files_that_are_no_zip_have_no_members(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x05\x06"[:size] + b"\xff" * max(size - 4, 0))
    assert member(path, "b.txt") is None


def test_a_zip_file_that_was_cut_has_no_members(tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip")
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert member(path, "b.txt") is None


def made(path: Path, front: bytes = b"", comment: bytes = b"") -> Path:
    with open(path, "wb") as file:
        file.write(front)
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = comment
            for name, data in FILES.items():
                archive.writestr(name, data, zipfile.ZIP_DEFLATED if name == "packed" else zipfile.ZIP_STORED)
    return path


def member(path: Path, name: str) -> bytes | None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        place = stored_member(descriptor, name)
        return None if place is None else os.pread(descriptor, place[1], place[0])
    finally:
        os.close(descriptor)
