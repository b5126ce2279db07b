"""Unique names, and what they were before they were made unique."""

from __future__ import annotations


class Names:
    """Names given out once each: one that is taken gets a number behind it."""

    __slots__ = ("_asked", "_taken")

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._asked: dict[str, str] = {}

    def unique(self, name: str) -> str:
        """`name`, with a number behind it if it is taken."""
        if name not in self._taken:
            self._taken[name] = 1
            return name
        given = name
        while count := self._taken.get(given, 0):
            self._taken[given] = count + 1
            given = f"{given}_{count}"
        self._taken[given] = 1
        self._asked[given] = name
        return given

    def origins(self, name: str) -> list[str]:
        """`name`, the name that was asked for when it was given, the one asked for when that one was, and so on."""
        found = [name]
        while found[-1] in self._asked:
            found.append(self._asked[found[-1]])
        return found
