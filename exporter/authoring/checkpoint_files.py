"""The files of a checkpoint: `PREFIX.index`, and data shards `PREFIX.data-00000-of-00002` and so on.

    index   8   magic 89 45 43 4B 49 0D 0A 1A ("\\x89ECKI\\r\\n\\x1A")
            32  SHA-256 of the rest
                a msgpack value in the canonical form of bundles: {"format": 1, "token": 16 bytes, "shards": number,
                "variables": [[path, dtype, shape, shard, offset, nbytes, sha256], ...]}, sorted by path
    shard   8   magic 89 45 43 4B 44 0D 0A 1A ("\\x89ECKD\\r\\n\\x1A")
            16  token
            4,4 its number and the number of shards, little-endian
                zeros up to byte 64; then the tensors, each dense, little-endian and aligned to 64 bytes

A token belongs to one writing. Shards are written under temporary names that end in their token; renaming the index makes
the checkpoint valid; then the shards get their names. A reader takes the shard with the index's token, whichever name it
has. So a writing that is interrupted leaves the earlier checkpoint or the new one. One process may write a prefix at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from edge_rt.bundle import _msgpack
from edge_rt.errors import BundleError, CheckpointError, GraphError
from edge_rt.types import DType, TensorType
from edge_rt.writing import sync_folder

Array = np.ndarray[Any, Any]

INDEX_MAGIC = b"\x89ECKI\r\n\x1a"
SHARD_MAGIC = b"\x89ECKD\r\n\x1a"
SHARD_HEADER = struct.Struct("<8s16sII32x")
ALIGNMENT = 64
SHARD_BYTES = 1 << 31
"""A shard gets no further tensor once it is so large."""


class Entry(NamedTuple):
    """Where a tensor is."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    nbytes: int
    sha256: bytes

    @property
    def type(self) -> TensorType:
        return TensorType(DType(self.dtype), self.shape)


# ---- writing --------------------------------------------------------------------------------------------------------


def write(prefix: str, arrays: Mapping[str, Array], shard_bytes: int = SHARD_BYTES) -> None:
    """Writes arrays by path, in place of what is at `prefix`. Raises OSError; the earlier checkpoint is intact then."""
    folder = os.path.dirname(os.path.abspath(prefix))
    os.makedirs(folder, exist_ok=True)
    token = os.urandom(16)
    shards = _shared_out(arrays, shard_bytes)
    count = len(shards)
    finals = [_shard(prefix, i, count) for i in range(count)]
    named = [(f"{final}.{token.hex()}", final) for final in finals]
    index = f"{prefix}.index.{token.hex()}"
    try:
        entries: list[Entry] = []
        for i, paths in enumerate(shards):
            entries += _write_shard(named[i][0], i, count, token, arrays, paths)
        _write_index(index, token, count, sorted(entries))
        sync_folder(folder)
        os.replace(index, f"{prefix}.index")
    except BaseException:
        for temporary in (index, *(t for t, _ in named)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        raise
    sync_folder(folder)
    for temporary, final in named:
        os.replace(temporary, final)
    sync_folder(folder)
    _remove_others(prefix, set(finals))


def remove(prefix: str) -> None:
    """Removes the files of a checkpoint, the index first."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{prefix}.index")
    _remove_others(prefix, set())


def _shared_out(arrays: Mapping[str, Array], limit: int) -> list[list[str]]:
    """Paths by shard; at least one shard."""
    shards: list[list[str]] = [[]]
    size = 0
    for path in sorted(arrays):
        if size and size + arrays[path].nbytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(path)
        size += arrays[path].nbytes
    return shards


def _shard(prefix: str, number: int, count: int) -> str:
    return f"{prefix}.data-{number:05d}-of-{count:05d}"


def _write_shard(
    file: str, number: int, count: int, token: bytes, arrays: Mapping[str, Array], paths: list[str]
) -> Iterator[Entry]:
    with open(file, "xb") as out:
        end = out.write(SHARD_HEADER.pack(SHARD_MAGIC, token, number, count))
        for path in paths:
            array = np.asarray(arrays[path], order="C")
            content = array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data
            offset = -(-end // ALIGNMENT) * ALIGNMENT
            out.write(bytes(offset - end))
            out.write(content)
            end = offset + array.nbytes
            sha = hashlib.sha256(content).digest()
            yield Entry(path, DType.of(array).value, array.shape, number, offset, array.nbytes, sha)
        out.flush()
        os.fsync(out.fileno())


def _write_index(file: str, token: bytes, shards: int, entries: list[Entry]) -> None:
    variables = [[*e[:2], list(e.shape), *e[3:]] for e in entries]
    packed = _msgpack.encode({"format": 1, "shards": shards, "token": token, "variables": variables})
    with open(file, "xb") as out:
        out.write(INDEX_MAGIC + hashlib.sha256(packed).digest() + packed)
        out.flush()
        os.fsync(out.fileno())


def _remove_others(prefix: str, kept: set[str]) -> None:
    """Removes what an earlier writing of the prefix left behind. kept: paths of the shards to keep."""
    names = {os.path.basename(path) for path in kept}
    folder, name = os.path.split(prefix)
    pattern = re.compile(re.escape(name) + r"(\.data-\d{5}-of-\d{5}(\.[0-9a-f]{32})?|\.index\.[0-9a-f]{32})")
    for found in os.listdir(folder or "."):
        if pattern.fullmatch(found) and found not in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, found))


# ---- reading --------------------------------------------------------------------------------------------------------


class Reader:
    """A checkpoint's index, checked; tensors are read when they are asked for. Raises CheckpointError throughout."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        try:
            with open(f"{prefix}.index", "rb") as file:
                content = file.read()
        except FileNotFoundError:
            raise CheckpointError(f"{prefix}: there is no checkpoint, the file {prefix}.index does not exist") from None
        if content[: len(INDEX_MAGIC)] != INDEX_MAGIC:
            raise CheckpointError(f"{prefix}.index: is not the index of a checkpoint")
        sha, packed = content[len(INDEX_MAGIC) :][:32], content[len(INDEX_MAGIC) + 32 :]
        if hashlib.sha256(packed).digest() != sha:
            raise CheckpointError(f"{prefix}.index: is damaged, its SHA-256 must be {sha.hex()}")
        try:
            raw = _msgpack.decode(packed, "index")
            self.token, self.shards, self.entries = _checked(raw)
        except (BundleError, GraphError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{prefix}.index: is not a valid index: {error}") from None

    def read(self, path: str) -> Array:
        """The tensor at a path, checked against its SHA-256."""
        entry = self.entries[path]
        where = f"{self.prefix}: variable '{path}'"
        file = self._file(entry, where)
        with open(file, "rb") as shard:
            shard.seek(entry.offset)
            content = shard.read(entry.nbytes)
        if len(content) != entry.nbytes:
            expected = f"expected bytes {entry.offset} to {entry.offset + entry.nbytes}"
            raise CheckpointError(f"{where}: {expected} of {file}, found only {os.path.getsize(file)} bytes")
        if hashlib.sha256(content).digest() != entry.sha256:
            raise CheckpointError(
                f"{where}: expected SHA-256 {entry.sha256.hex()}, found {hashlib.sha256(content).hexdigest()} in {file}"
            )
        dtype = DType(entry.dtype).numpy
        return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(entry.shape)

    def _file(self, entry: Entry, where: str) -> str:
        """The shard's file with this index's token, under its name or still under its temporary one."""
        final = _shard(self.prefix, entry.shard, self.shards)
        wanted = SHARD_HEADER.pack(SHARD_MAGIC, self.token, entry.shard, self.shards)
        found = "no file"
        for file in (final, f"{final}.{self.token.hex()}"):
            try:
                with open(file, "rb") as shard:
                    header = shard.read(SHARD_HEADER.size)
            except FileNotFoundError:
                continue
            if header == wanted:
                return file
            if header[: len(SHARD_MAGIC)] != SHARD_MAGIC:
                found = "a file that is not a shard"
            else:
                found = "a truncated shard" if len(header) < SHARD_HEADER.size else "a shard of another checkpoint"
        raise CheckpointError(f"{where}: expected it in {final}, found {found}")


def _checked(raw: Any) -> tuple[bytes, int, dict[str, Entry]]:
    if raw["format"] != 1:
        raise ValueError(f"format must be 1, got {raw['format']!r}")
    token, shards = raw["token"], raw["shards"]
    if not isinstance(token, bytes) or len(token) != 16 or type(shards) is not int or not 0 < shards < 100000:
        raise ValueError("token must be 16 bytes and shards a number")
    entries: dict[str, Entry] = {}
    for path, dtype, shape, shard, offset, nbytes, sha in raw["variables"]:
        entry = Entry(path, dtype, tuple(shape), shard, offset, nbytes, sha)
        numbers = [*shape, shard, offset, nbytes]
        if not isinstance(path, str) or any(type(n) is not int or n < 0 for n in numbers) or shard >= shards:
            raise ValueError(f"variable {path!r} must be [path, dtype, shape, shard, offset, nbytes, sha256]")
        if entry.type.nbytes != nbytes:
            raise ValueError(f"variable '{path}' must have {entry.type.nbytes} bytes, got {nbytes}")
        entries[path] = entry
    return token, shards, entries


def list_variables(path: str | os.PathLike[str]) -> list[tuple[str, tuple[int, ...]]]:
    """(path, shape) of the variables in a checkpoint, sorted. Raises CheckpointError."""
    return [(e.path, e.shape) for e in sorted(Reader(os.fspath(path)).entries.values())]
