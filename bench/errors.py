"""What `python -m bench` says instead of measuring."""

from __future__ import annotations


class Refused(ValueError):
    """What was asked for is not there, or cannot be measured; the text says what, and what there is."""
