"""Layers against Keras 3, in an environment of its own: `make test-keras`."""
