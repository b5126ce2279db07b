"""Which file lowers which operators. A test checks that each file registers exactly what stands here."""

FAMILIES: dict[str, str] = {}
