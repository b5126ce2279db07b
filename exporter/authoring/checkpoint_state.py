"""The file `checkpoint` in a folder, which says what checkpoints there are, and the manager that keeps the last few."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_rt.errors import AuthoringError, CheckpointError
from edge_rt.writing import write_atomic
from exporter.authoring.checkpoint_files import remove

if TYPE_CHECKING:
    from exporter.authoring.checkpoint import Checkpoint

STATE = "checkpoint"


def record(folder: str, names: Sequence[str]) -> None:
    """Notes the names of a folder's checkpoints, the latest last."""
    write_atomic(os.path.join(folder, STATE), json.dumps({"checkpoints": list(names)}, indent=1).encode(), durable=True)


def recorded(folder: str) -> list[str]:
    """The names that were noted; none where nothing was. Raises CheckpointError for a file that is damaged."""
    path = os.path.join(folder, STATE)
    try:
        with open(path, "rb") as file:
            names = json.loads(file.read())["checkpoints"]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: is not a list of checkpoints: {error}") from None
    return [str(name) for name in names]


def latest_checkpoint(folder: str | os.PathLike[str]) -> str | None:
    """The path of the checkpoint that was saved last in a folder; None if there is none."""
    names = recorded(os.fspath(folder))
    return os.path.join(os.fspath(folder), names[-1]) if names else None


class CheckpointManager:
    """Saves checkpoints into a folder under growing numbers, and removes the oldest beyond `max_to_keep` (None: none)."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: str | os.PathLike[str],
        max_to_keep: int | None,
        checkpoint_name: str = "ckpt",
    ) -> None:
        if max_to_keep is not None and max_to_keep < 1:
            raise AuthoringError(f"max_to_keep must be at least 1 or None, got {max_to_keep}")
        self.checkpoint, self.directory, self.max_to_keep = checkpoint, os.fspath(directory), max_to_keep
        self._prefix = os.path.join(self.directory, checkpoint_name)
        self._names = recorded(self.directory)

    @property
    def checkpoints(self) -> list[str]:
        """Paths of those that are kept, the latest last."""
        return [os.path.join(self.directory, name) for name in self._names]

    @property
    def latest_checkpoint(self) -> str | None:
        return self.checkpoints[-1] if self._names else None

    def save(self) -> str:
        """Saves, and then removes what is too old. Returns the new checkpoint's path."""
        path = self.checkpoint.save(self._prefix)
        name = os.path.basename(path)
        names = [n for n in self._names if n != name] + [name]
        kept = names if self.max_to_keep is None else names[-self.max_to_keep :]
        record(self.directory, kept)
        self._names = kept
        for old in names[: len(names) - len(kept)]:
            remove(os.path.join(self.directory, old))
        return path

    def restore_or_initialize(self) -> str | None:
        """Restores the latest checkpoint and returns its path; None if there is none."""
        path = self.latest_checkpoint
        if path is not None:
            self.checkpoint.restore(path)
        return path
