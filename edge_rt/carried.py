"""Stored plans that an app in one file carries: see stored.py. carrying.py makes them when the app is packaged.

The app has one for each model and target whose calls it can foresee, as a member of the zip file; it is found by the target
that fits this CPU, the bundle's size and its preamble. Of the plans in the user's cache an app knows nothing.
"""

from __future__ import annotations

import os

from edge_rt.archive import archive_of_this, stored_member
from edge_rt.fingerprint import fingerprint
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.stored import PREAMBLE, Code, Pack, StoredPlan, code_in, opened

FOLDER = "edge_rt/plans"


def key_of(target: str, content: memoryview) -> bytes:
    """What a carried plan is for."""
    return f"{target} {len(content)} ".encode() + content[:PREAMBLE]


def find(content: memoryview) -> StoredPlan | None:
    """The plan that this app carries for the bundle with these bytes, if it has one. Raises TargetError where edge-rt has
    no code for this CPU."""
    archive = archive_of_this()
    if archive is None or len(content) < PREAMBLE:
        return None
    key = key_of(choose_target(cpu_features())[0].name, content)
    try:
        descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
        try:
            place = stored_member(descriptor, member_of(key))
            if place is None:
                return None
            fields = opened(key, os.pread(descriptor, place[1], place[0]))
            return None if fields is None else StoredPlan.fitting(fields, content, lambda pack: _code(descriptor, pack))
        finally:
            os.close(descriptor)
    except OSError:
        return None


def member_of(key: bytes) -> str:
    """The name of a plan in the app."""
    return f"{FOLDER}/{fingerprint(key).hex()}"


def _code(descriptor: int, pack: Pack) -> Code | None:
    """The code of a pack in the app with this descriptor. Raises OSError."""
    place = stored_member(descriptor, f"edge_rt/packs/{pack[0]}")
    return None if place is None else code_in(descriptor, pack, *place)
