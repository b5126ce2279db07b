"""Data errors that kernels report: the lowest (step << 8 | code) that any of them found, in the session's error word."""

from __future__ import annotations

NO_ERROR = (1 << 63) - 1
"""What the error word holds while there is no error."""

INDEX_OUT_OF_RANGE, DIVISION_BY_ZERO, NEGATIVE_SIZE, BAD_LENGTH = 1, 2, 3, 4
REASONS = {
    INDEX_OUT_OF_RANGE: "an index is out of range",
    DIVISION_BY_ZERO: "an integer is divided by zero",
    NEGATIVE_SIZE: "a size is negative",
    BAD_LENGTH: "a sequence length is out of range",
}


def describe_error(word: int) -> tuple[int, str]:
    """(number of the step, what is wrong) of an error word that is not NO_ERROR."""
    return word >> 8, REASONS[word & 0xFF]
