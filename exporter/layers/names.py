"""Default names of layers: "dense", "dense_1", ... in the order in which they are made."""

from __future__ import annotations

from collections import Counter

from exporter.authoring.module import snake_case

_COUNTS: Counter[str] = Counter()


def unique_name(kind: str) -> str:
    """The next name for something of the class `kind`."""
    prefix = snake_case(kind)
    count = _COUNTS[prefix]
    _COUNTS[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def clear_session() -> None:
    """Default names start anew. Layers that exist keep theirs."""
    _COUNTS.clear()
