"""The demo: exports the trained digits CNN, runs it on images it never saw, and says what it did.

    python examples/demo.py        (make demo sets up what it needs)
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import edge_rt
import exporter

HELD_OUT = 360
"""Images at the end of the data set, which training did not see; see train_digits.py."""


def main() -> None:
    source = Path(__file__).with_name("digits.onnx")
    data = load_digits()
    images = (data.images[-HELD_OUT:, None] / 16).astype(np.float32)
    labels = data.target[-HELD_OUT:]

    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "digits.edge"
        print(f"Exporting {source.name} ({source.stat().st_size / 1e3:.1f} kB)")
        shapes = {"image": (1, 1, 8, 8)}
        print(exporter.export(source, bundle, input_shapes=shapes, metadata={"task": "handwritten digits, 8x8"}))

        print(f"\nLoading {bundle.name} ({bundle.stat().st_size / 1e3:.1f} kB)")
        started = time.perf_counter()
        model = edge_rt.load(bundle)
        print(f"loaded in {(time.perf_counter() - started) * 1e3:.1f} ms: {model}")

        print("The first run compiles the kernels it needs, once for this machine ...", flush=True)
        started = time.perf_counter()
        model(images[:1])
        print(f"first run after {time.perf_counter() - started:.1f} s")

        show(images[0, 0], model(images[:1])[0], int(labels[0]))
        right = sum(int(model(images[i : i + 1]).argmax()) == labels[i] for i in range(HELD_OUT))
        print(f"\n{right} of {HELD_OUT} held-out images right: {right / HELD_OUT:.1%}")
        measure(model, images[:1])
        print(f"\n{model.plan()}")


def show(image: np.ndarray, probabilities: np.ndarray, label: int) -> None:
    """One image as characters, and what the model thinks of it."""
    print("\nOne image:")
    for row in image:
        print("   " + "".join(" .:-=+*#%@"[int(v * 9)] * 2 for v in row))
    best = np.argsort(probabilities)[::-1][:3]
    print("is " + ", ".join(f"{digit} ({probabilities[digit]:.1%})" for digit in best) + f"; the label says {label}")


def measure(model: edge_rt.Model, image: np.ndarray) -> None:
    times = []
    for _ in range(500):
        started = time.perf_counter()
        model(image)
        times.append((time.perf_counter() - started) * 1e6)
    memory = model.memory
    print(f"latency: median {np.median(times):.1f} us, 95 % below {np.percentile(times, 95):.1f} us")
    print(f"memory: arena {memory.arena} bytes, weights {memory.weights} bytes, state {memory.state} bytes")


if __name__ == "__main__":
    main()
