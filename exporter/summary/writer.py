"""Event files, and the writer that summaries go to."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.scope import scoped
from exporter.summary.protos import proto, record_writer

_FILES = itertools.count()


class FileWriter:
    """Writes summaries to an event file of its own in a folder, which it makes. Made by `create_file_writer`.

    What is written reaches the file with `flush()`, at the end of `with writer.as_default():` and with `close()`.
    Raises OSError where the file cannot be written. Threads may share a writer.
    """

    def __init__(self, logdir: str | os.PathLike[str], filename_suffix: str = "") -> None:
        event = proto("event")
        folder = Path(logdir)
        folder.mkdir(parents=True, exist_ok=True)
        place = f"{socket.gethostname()}.{os.getpid()}.{next(_FILES)}"
        self.path = folder / f"events.out.tfevents.{int(time.time()):010d}.{place}{filename_suffix}"
        """The event file."""
        self._lock = threading.Lock()
        self._file = self.path.open("xb")
        weakref.finalize(self, self._file.close)
        self._records = record_writer(self._file)
        self._write(event.Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    @contextmanager
    def as_default(self, step: int | None = None) -> Iterator[FileWriter]:
        """Summaries made inside go to this writer; `step` is theirs where they are given none."""
        _DEFAULTS.entered.append((self, step))
        try:
            yield self
        finally:
            _DEFAULTS.entered.pop()
            self.flush()

    def flush(self) -> None:
        """Makes everything written so far visible to TensorBoard. Nothing is left to do once it is closed."""
        with self._lock:
            if not self._file.closed:
                self._file.flush()

    def close(self) -> None:
        """Writes what is left and closes the file. Closing twice is allowed."""
        with self._lock:
            self._file.close()

    def add(self, summary: Any, step: int) -> None:
        """Writes a Summary message. Raises AuthoringError once the writer is closed."""
        self._write(proto("event").Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Any) -> None:
        with self._lock:
            if self._file.closed:
                raise AuthoringError(f"the writer of {self.path} is closed")
            self._records.write(event.SerializeToString())

    def __repr__(self) -> str:
        return f"<ex.summary.FileWriter '{self.path}'>"


class _Defaults(threading.local):
    def __init__(self) -> None:
        self.entered: list[tuple[FileWriter, int | None]] = []


_DEFAULTS = _Defaults()


def create_file_writer(logdir: str | os.PathLike[str], filename_suffix: str = "") -> FileWriter:
    """A writer of a new event file in `logdir`, which TensorBoard shows as a run.

    Raises AuthoringError where the `tensorboard` package is not installed, OSError where the file cannot be made.
    """
    return FileWriter(logdir, filename_suffix)


def flush() -> None:
    """Flushes the default writer, if there is one."""
    if _DEFAULTS.entered:
        _DEFAULTS.entered[-1][0].flush()


def default_writer() -> FileWriter | None:
    """The writer of the innermost `as_default`."""
    return _DEFAULTS.entered[-1][0] if _DEFAULTS.entered else None


def write(kind: str, name: str, tensor: Any, step: int | None, content: bytes, description: str | None = None) -> bool:
    """Writes a tensor under `name`, in the name scopes that are open, for the plugin `kind` of TensorBoard.

    False if there is no default writer. Raises AuthoringError where neither the call nor `as_default` gives a step.
    """
    if not _DEFAULTS.entered:
        return False
    writer, step_of_block = _DEFAULTS.entered[-1]
    step = step_of_block if step is None else step
    if step is None:
        raise AuthoringError(f"summary '{name}' needs a step: pass step=, or use writer.as_default(step=...)")
    messages = proto("summary")
    metadata = messages.SummaryMetadata(
        summary_description=description,
        plugin_data=messages.SummaryMetadata.PluginData(plugin_name=kind, content=content),
    )
    value = messages.Summary.Value(tag=scoped(name), tensor=tensor, metadata=metadata)
    writer.add(messages.Summary(value=[value]), int(step))
    return True
