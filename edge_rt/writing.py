"""Files that others see whole or not at all, whatever happens to the process that writes them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import BinaryIO


def require_replaceable(path: str | os.PathLike[str]) -> None:
    """Raises OSError for what a new file must not replace: a folder, a device, a pipe."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))


def write_atomic(path: str | os.PathLike[str], data: bytes, *, private: bool = False, durable: bool = False) -> None:
    """Writes a file, and makes its folder if there is none. private: for this user only. durable: see `replacing`.

    Raises OSError.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700 if private else 0o777, exist_ok=True)
    with replacing(path, 0o600 if private else 0o666, durable) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], mode: int = 0o666, durable: bool = True) -> Iterator[BinaryIO]:
    """A new file, to be written, that takes the place of `path` behind the block; where that raises, all is as before.

    mode: of which the umask leaves some. durable: it outlasts a loss of power, which else may leave an empty file.
    Raises OSError.
    """
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, f".{name}.{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Makes renames in the folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
