"""Which file defines which operators, so that loading a model imports no more families than it uses.

A test checks that each file defines exactly what stands here.
"""

FAMILIES: dict[str, str] = {
    "elementwise": "Relu Add",
}
