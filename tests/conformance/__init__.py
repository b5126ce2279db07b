"""ONNX's own node tests, run by NumPy references and by machine code. `python -m tests.conformance` prints a table."""
