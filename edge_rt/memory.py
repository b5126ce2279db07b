"""What a model says of the memory it uses."""

from __future__ import annotations

from typing import NamedTuple


class Memory(NamedTuple):
    """Bytes a model uses. arena is None while it depends on sizes that only a call tells; see Model.memory_for."""

    arena: int | None
    weights: int
    state: int
