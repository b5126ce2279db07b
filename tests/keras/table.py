"""The table of docs/layers.md: `python -m tests.keras.table` writes it anew after cases were added."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import exporter as ex
from tests.keras.cases import BEYOND, CASES

PAGE = Path(__file__).parent.parent.parent / "docs" / "layers.md"

HEAD = """# Layers

What `ex.layers` has, and what `make test-keras` compares with Keras 3: each configuration gets Keras's weights and
must give Keras's outputs within the accuracy of its operators, Keras's shapes (also for a batch of unknown size),
names, shapes and order of weights, numbers of trainable and other parameters, and Keras's config, read and written
back. Whole models are compared in `tests/keras/test_models.py`. `tests/authoring/test_layer_exports.py` exports one
configuration of each and runs it on the device side.

`python -m tests.keras.table` writes this page from `tests/keras/cases.py`.

| layer | configurations | arguments that are varied |
|---|---|---|
"""

TAIL = """
Beyond the table:

{beyond}

Differences from Keras 3: sparsemax gives a point of the simplex, where Keras 3.15 gives rows whose sum is not 1.
`attention_axes` of MultiHeadAttention must be all axes between batch and features. UpSampling2D has no Lanczos
interpolation, LayerNormalization no `rms_scaling` (that is RMSNormalization). `unroll`, `use_cudnn` and
`flash_attention` have no effect. Outputs at masked steps of stacked cells are those of the last cell, also where its
state is not a list. Operations in Keras's configs of models, such as those that its Embedding adds for masks, are not
read.
"""


def page() -> str:
    """The contents of docs/layers.md."""
    counts = Counter(case.layer for case in CASES)
    rows = []
    for name in sorted(counts):
        own = [case for case in CASES if case.layer == name]
        varied = {key for case in own for key in (*case.arguments, *case.call)} | {"mask" for case in own if case.mask}
        rows.append(f"| {name} | {counts[name]} | {', '.join(f'`{key}`' for key in sorted(varied))} |")
    beyond = "\n".join(f"* {name}: {why}." for name, why in sorted(BEYOND.items()))
    return HEAD + "\n".join(rows) + "\n" + TAIL.format(beyond=beyond)


def uncovered() -> set[str]:
    """Public layers with neither a case nor a reason. Names in lower case are functions that call a layer."""
    classes = {name for name in ex.layers.__all__ if not name.islower()}
    return classes - {case.layer for case in CASES} - set(BEYOND)


if __name__ == "__main__":
    PAGE.write_text(page())
