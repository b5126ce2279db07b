"""What a call of a layer passes on to the layers inside it: `training`, and where losses are collected."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Local(threading.local):
    def __init__(self) -> None:
        self.training: list[bool | None] = []


_LOCAL = _Local()


def training() -> bool | None:
    """The `training` of the layer call around this point; None outside of any, or where it is not said."""
    return _LOCAL.training[-1] if _LOCAL.training else None


def is_outermost() -> bool:
    """Whether no layer is being called."""
    return not _LOCAL.training


@contextmanager
def calling(training: bool | None) -> Iterator[None]:
    """A layer's call: layers inside take its `training`."""
    _LOCAL.training.append(training)
    try:
        yield
    finally:
        _LOCAL.training.pop()


def get_mask(x: Any) -> Any:
    """The mask that comes with a tensor (boolean; False where a step is to be skipped), or None."""
    return getattr(x, "mask", None)


def set_mask(x: Any, mask: Any) -> None:
    """Makes `mask` the one that comes with the tensor x."""
    x.mask = mask
