"""Settings for all tests: Hypothesis without deadlines, since the machine may be busy with other tests; teams that share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-machine")


@pytest.fixture(scope="session", autouse=True)
def _programs_are_shared() -> Iterator[None]:
    """Whether sharing a program pays depends on how busy the machine is. What tests of threads see must not: here all
    programs with parts are shared, always. `tests/test_sharing.py` has the choice."""
    from edge_rt.native.program import Program

    def call(
        program: Program, start: int = 0, stop: Any = None, team: Any = None, *, brief: bool = False
    ) -> Callable[[], None]:
        return program._prepare(start, stop, team, brief, False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Program, "call", call)
        yield
