"""A keyword-spotting CNN, defined with layers: its weights come back from a checkpoint, it is exported and hears sounds.

    python examples/keyword_spotting.py

The keywords are whistles made here. The convolutions stay as they were drawn; normalisations take the statistics of the
training sounds, and the last layer is solved for by least squares: all of it is done in seconds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import edge_rt
import exporter as ex

KEYWORDS = ("up", "down", "twice", "nothing")
RATE, FRAME, STEP, BANDS = 8000, 256, 128, 24
Array = np.ndarray


def sound(keyword: str, rng: np.random.Generator) -> Array:
    """Half a second f32[RATE / 2]: a whistle that rises, falls or comes twice, or none, in noise."""
    time = np.arange(RATE // 2) / RATE
    low, high = rng.uniform(400, 700), rng.uniform(1400, 2200)
    place = np.clip((time - rng.uniform(0.02, 0.12)) / 0.3, 0, 1)
    course = {"up": low + (high - low) * place, "down": high - (high - low) * place}.get(keyword, np.full_like(time, high))
    loud = {"twice": (place > 0) & (place < 1) & (np.abs(place - 0.5) > 0.15), "nothing": np.zeros_like(place)}
    heard = np.sin(2 * np.pi * np.cumsum(course) / RATE) * loud.get(keyword, (place > 0) & (place < 1))
    return (heard * rng.uniform(0.4, 1) + rng.normal(size=time.size) * 0.3).astype(np.float32)


def spectrogram(samples: Array) -> Array:
    """f32[frames, BANDS, 1]: the logarithm of the energy in bands of equal width."""
    starts = range(0, samples.size - FRAME + 1, STEP)
    frames = np.stack([samples[s : s + FRAME] for s in starts]) * np.hanning(FRAME)
    energy = np.abs(np.fft.rfft(frames)[:, 1 : 1 + BANDS * 4]) ** 2
    return np.log(energy.reshape(len(frames), BANDS, 4).sum(2) + 1e-3)[..., None].astype(np.float32)


def sounds(count: int, seed: int) -> tuple[Array, Array]:
    """(spectrograms f32[count, frames, BANDS, 1], the numbers of their keywords)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(KEYWORDS)
    return np.stack([spectrogram(sound(KEYWORDS[i], rng)) for i in labels]), labels


def network() -> ex.Model:
    """Depthwise-separable: a convolution, two blocks, the largest of each part, a choice."""
    layers = ex.layers

    def block(filters: int) -> list[ex.layers.Layer]:
        return [
            layers.DepthwiseConv2D(3, padding="same", use_bias=False), layers.BatchNormalization(momentum=0.0),
            layers.ReLU(), layers.Conv2D(filters, 1, use_bias=False), layers.BatchNormalization(momentum=0.0), layers.ReLU(),
        ]  # fmt: skip

    return ex.Sequential([
        ex.Input((1 + (RATE // 2 - FRAME) // STEP, BANDS, 1), name="spectrogram"),
        layers.Conv2D(32, (5, 4), strides=2, padding="same", use_bias=False), layers.BatchNormalization(momentum=0.0),
        layers.ReLU(), *block(48), *block(64), layers.MaxPooling2D((5, 4), padding="same"), layers.Flatten(),
        layers.Dense(len(KEYWORDS), activation="softmax", name="choice"),
    ])  # fmt: skip


def train(model: ex.Model) -> None:
    """Statistics by one call in training mode, the last layer by least squares."""
    x, labels = sounds(200, seed=1)
    features = ex.Sequential([ex.Input(x.shape[1:]), *model.layers[:-1]])
    features(x, training=True)
    rows = np.asarray(features(x))
    middle = rows.mean(0)
    wanted = 6 * (np.eye(len(KEYWORDS))[labels] - 1 / len(KEYWORDS))
    centred = (rows - middle).astype(np.float64)
    # As many equations as sounds, more unknowns than those: the smallest solution of the damped dual problem.
    kernel = centred.T @ np.linalg.solve(centred @ centred.T + 10 * np.eye(len(rows)), wanted)
    model.get_layer("choice").set_weights([kernel, -middle @ kernel])


def main() -> None:
    ex.random.seed(3)
    with tempfile.TemporaryDirectory() as folder:
        trained = network()
        train(trained)
        saved = ex.Checkpoint(model=trained).save(Path(folder) / "keywords")

        model = network()
        ex.Checkpoint(model=model).restore(saved).assert_consumed()
        model.summary()
        print(ex.export(model, Path(folder) / "keywords.edge"))

        device = edge_rt.load(Path(folder) / "keywords.edge")
        x, labels = sounds(80, seed=2)
        heard = device(x)
        print(f"new sounds that are recognised: {np.mean(heard.argmax(1) == labels):.0%}")
        for i in range(len(KEYWORDS)):
            scores = ", ".join(f"{word} {score:.2f}" for word, score in zip(KEYWORDS, heard[i]))
            print(f"{KEYWORDS[labels[i]]!r} sounds like {scores}")
        print(f"largest difference from the eager model: {np.abs(heard - np.asarray(model(x))).max():.1g}")


if __name__ == "__main__":
    main()
