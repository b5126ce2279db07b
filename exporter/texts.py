"""Numbers for people."""

from __future__ import annotations


def count(number: int | str) -> str:
    """A count in thousands, millions or billions; an expression as it is."""
    if isinstance(number, str):
        return number
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return str(number)


def size(number: int) -> str:
    """Bytes, in KiB or MiB where they are many."""
    for limit, unit in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number} bytes"
