"""What a model needs and this project lacks: collected while importing, reported all at once."""

from __future__ import annotations

from edge_rt.errors import UnsupportedError


class Refused(Exception):
    """A node or tensor that cannot be imported; caught where the problem is recorded, never seen by users."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Problems:
    """Unsupported operators and element types of one model, each once per place."""

    def __init__(self) -> None:
        self._ops: dict[tuple[str, str], list[str]] = {}
        self._types: dict[str, list[str]] = {}

    def op(self, op: str, place: str, reason: str = "") -> None:
        """Records that the node `place` cannot be imported. reason: empty where the whole operator is unknown."""
        places = self._ops.setdefault((op, reason), [])
        if place not in places:
            places.append(place)

    def type(self, name: str, place: str) -> None:
        """Records a tensor with an element type, or a value of a kind, that edge-rt does not have."""
        places = self._types.setdefault(name, [])
        if place not in places:
            places.append(place)

    def raise_for(self, source: str) -> None:
        """Raises UnsupportedError that lists everything recorded; does nothing if that is nothing."""
        parts = []
        if self._ops:
            count = len({op for op, _ in self._ops})
            listed = ", ".join(
                f"{op} ({_places(places)}{': ' if reason else ''}{reason})"
                for (op, reason), places in self._ops.items()
            )
            parts.append(f"{count} unsupported op{'s' * (count > 1)}: {listed}")
        if self._types:
            listed = ", ".join(f"{name} ({_places(places)})" for name, places in self._types.items())
            parts.append(f"{len(self._types)} unsupported type{'s' * (len(self._types) > 1)}: {listed}")
        if parts:
            raise UnsupportedError(f"{source}: {'; '.join(parts)}")


def _places(places: list[str]) -> str:
    shown = ", ".join(f"'{p}'" for p in places[:3])
    return shown if len(places) <= 3 else f"{shown} and {len(places) - 3} more"
