"""Tests on emulated boards; `make test-boards`."""
