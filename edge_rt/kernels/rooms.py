"""Rooms for parts to work in: as few different ones as there are threads, so that a room stays in the caches of whoever
uses it, part after part, where one for each part would not.

A word holds a bit for each room that is taken; there are at least as many rooms as parts, at most MOST_ROOMS.
"""

from __future__ import annotations

from edge_rt.kernels.simd import atomic_add, atomic_load, atomic_store, compare_exchange

MOST_ROOMS = 62


def free_rooms(word):
    """All rooms are free. In a step before the one that uses them."""
    atomic_store(word, 0)


def claim_room(word):
    """The number of a room that nobody else has until `leave_room`: the first one."""
    room = -1
    while room < 0:
        taken, free = atomic_load(word), 0
        while (taken >> free) & 1:
            free += 1
        if compare_exchange(word, taken, taken | (1 << free)):
            room = free
    return room


def leave_room(word, room):
    atomic_add(word, -(1 << room))
