"""edge-rt: runs .edge bundles on small machines."""

__version__ = "0.1.0"
