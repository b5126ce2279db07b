"""Exactly the node tests of `expected.FAILURES` do not pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.cases import EXPANDED, PLAIN, NodeCase, all_cases
from tests.conformance.expected import FAILURES, surprises
from tests.conformance.runs import Outcome, by_machine_code, by_reference


def test_the_selection_is_the_published_one() -> None:
    cases = all_cases()
    assert (sum(not c.is_expanded for c in cases), sum(c.is_expanded for c in cases)) == (PLAIN, EXPANDED)
    assert set(FAILURES) <= {c.name for c in cases}


@pytest.mark.parametrize("runtime", [by_reference, by_machine_code], ids=lambda r: r.__name__)
def test_node_tests(runtime: Callable[[NodeCase], Outcome]) -> None:
    assert surprises(map(runtime, all_cases())) == []
