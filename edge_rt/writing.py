"""Files that others see whole or not at all, whatever happens to the process that writes them."""

from __future__ import annotations

import contextlib
import errno
import os


def require_replaceable(path: str | os.PathLike[str]) -> None:
    """Raises OSError for what a new file must not replace: a folder, a device, a pipe."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))


def write_atomic(path: str | os.PathLike[str], data: bytes, *, private: bool = False) -> None:
    """Writes a file, and makes its folder if there is none. private: for this user only. Raises OSError."""
    folder, name = os.path.split(os.path.abspath(path))
    os.makedirs(folder, mode=0o700 if private else 0o777, exist_ok=True)
    temporary = os.path.join(folder, f".{name}.{os.urandom(8).hex()}.tmp")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600 if private else 0o666), "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
