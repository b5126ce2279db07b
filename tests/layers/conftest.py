"""Each test of layers starts with the same random numbers, and with names that nobody has taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import exporter as ex


@pytest.fixture(autouse=True)
def fresh_session() -> Iterator[None]:
    ex.random.seed(3)
    ex.clear_session()
    yield
    ex.clear_session()
