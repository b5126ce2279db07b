"""A GRU that hears one frame in each call. Its state lives in the bundle: the device keeps, gives out and resets it.

    python examples/streaming_gru.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import edge_rt
import exporter as ex

FEATURES, UNITS, CLASSES = 8, 16, 3


class StreamingGru(ex.Module):
    """frame: f32[1, FEATURES] -> f32[1, CLASSES], the probabilities after all frames so far."""

    def __init__(self) -> None:
        super().__init__()
        self.w = ex.Variable(ex.random.normal([FEATURES, 3 * UNITS], stddev=0.4), name="w")
        self.u = ex.Variable(ex.random.normal([UNITS, 3 * UNITS], stddev=0.4), name="u")
        self.out = ex.Variable(ex.random.normal([UNITS, CLASSES]), name="out")
        self.h = ex.Variable(ex.zeros([1, UNITS]), trainable=False, name="h")

    @ex.function(input_signature=[ex.TensorSpec([1, FEATURES])])
    def __call__(self, frame: ex.Tensor) -> ex.Tensor:
        w_update, w_reset, w_new = ex.split(frame @ self.w, 3, -1)
        u_update, u_reset, u_new = ex.split(self.h @ self.u, 3, -1)
        update = ex.sigmoid(w_update + u_update)
        new = ex.tanh(w_new + ex.sigmoid(w_reset + u_reset) * u_new)
        self.h.assign(update * self.h + (1 - update) * new)
        return ex.nn.softmax(self.h @ self.out)


def main() -> None:
    ex.random.seed(1)
    frames = np.random.default_rng(2).normal(size=(6, 1, FEATURES)).astype(np.float32)
    gru = StreamingGru()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gru.edge"
        ex.save(gru, path)
        model = edge_rt.load(path)
        print(model)
        for frame in frames[:3]:
            model(frame)
        kept = model.state
        print(f"after 3 frames: h[0, :4] = {kept['h'][0, :4].round(3)}")

        rest = [model(frame) for frame in frames[3:]]
        model.set_state(kept)
        again = [model(frame) for frame in frames[3:]]
        print(f"the last 3 frames give the same from the state that was kept: {np.array_equal(rest, again)}")

        model.reset_state()
        heard = np.concatenate([model(frame) for frame in frames])
        eager = np.concatenate([gru(frame).numpy() for frame in frames])
        print(f"largest difference from the eager model over all frames: {np.abs(heard - eager).max():.1g}")


if __name__ == "__main__":
    main()
