"""Models in the formats of the other runtimes: `python -m bench zoo`."""
