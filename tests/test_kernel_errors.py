"""Errors that kernels report."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.kernels.errors import report
from edge_rt.lowering._errors import DIVISION_BY_ZERO, INDEX_OUT_OF_RANGE, NO_ERROR, describe_error
from tests._kernels import run


def report_all(target: Any) -> Any:
    def body(error, steps, codes, n, part, parts):
        for i in range(n):
            report(error, steps[i], codes[i])

    return body


def test_the_lowest_step_and_code_are_kept() -> None:
    error = np.array([NO_ERROR])
    steps, codes = np.array([7, 3, 3, 5]), np.array([INDEX_OUT_OF_RANGE, DIVISION_BY_ZERO, INDEX_OUT_OF_RANGE, 1])
    given = {"error": error, "steps": steps, "codes": codes}
    run("t_report", "error:i64* steps:i64* codes:i64* n:i64", report_all, n=0, **given)
    assert error[0] == NO_ERROR
    run("t_report", "error:i64* steps:i64* codes:i64* n:i64", report_all, n=4, **given)
    assert describe_error(int(error[0])) == (3, "an index is out of range")
