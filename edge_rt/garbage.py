"""What a process makes first stays; to look through it for garbage takes longer than to make it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

_left = [None, None]
"""One for each call that is still to go without looking for garbage: a load and a run. Later there may be garbage of earlier
models."""


def uncollected(call: Callable[..., Any], *arguments: Any) -> Any:
    """Calls it. The first two times Python does not look for garbage meanwhile, and takes what was made for old."""
    if not _left or not gc.isenabled():
        return call(*arguments)
    del _left[:1]  # not pop: another thread may have been faster
    try:
        gc.disable()
        return call(*arguments)
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()  # both: counts as old, without having been looked through
        gc.enable()
