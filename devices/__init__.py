"""Profiles of the boards that edge-rt runs on, and what this machine is.

    devices.names()                     what is known
    devices.load("raspberry-pi-4")      a board: CPU, features, cores, caches, memory, systems, sources
    devices.detect()                    this machine, as the board it is or as a generic one

The profiles are the TOML files in boards/; what is shipped and read is one JSON made of them (devices/build.py), since the
standard library reads TOML from Python 3.11 on only.
"""

from __future__ import annotations

from devices.detection import detect
from devices.loading import load, names
from devices.profile import Cache, Cluster, Device, System

__all__ = ["Cache", "Cluster", "Device", "System", "detect", "load", "names"]
