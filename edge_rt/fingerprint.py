"""Fingerprints for what no attacker chooses: damage, and files that are not the ones expected.

SipHash, by which Python tells whether its own files changed (PEP 552), is built in: to load a SHA-256 takes as long as the
rest of a stored plan, and to compute one ten times as long. Another version of Python may give another fingerprint.
"""

from __future__ import annotations

from _imp import source_hash


def fingerprint(data: bytes | memoryview) -> bytes:
    """16 bytes."""
    return source_hash(1, data) + source_hash(2, data)
