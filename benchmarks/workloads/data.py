"""Made-up data with structure: a language with Zipf's law and memory, and images of ten classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]
CLASSES = 10
SIDE = 32  # pixels
SUCCESSORS = (0.5, 0.25, 0.15, 0.1)  # shares of the four tokens that like to follow another
FOLLOWS = 0.7  # share of tokens that follow from the one before; others are drawn by Zipf's law


def language(vocabulary: int, seed: int, length: int = 2**16) -> torch.Tensor:
    """A Markov chain over tokens whose frequencies fall as 1 / rank: (length,) int64.

    Tokens are numbered from the most frequent on, as tokenizers that merge pairs nearly do.
    """
    rng = np.random.default_rng(seed)
    shares = 1 / (np.arange(vocabulary) + 2.7)  # Mandelbrot's form of Zipf's law
    shares /= shares.sum()
    liked = rng.choice(vocabulary, (vocabulary, len(SUCCESSORS)), p=shares).tolist()
    fresh = rng.choice(vocabulary, length, p=shares).tolist()
    which = rng.choice(len(SUCCESSORS), length, p=SUCCESSORS).tolist()
    follows = (rng.random(length) < FOLLOWS).tolist()
    tokens = fresh[:1]
    for i in range(1, length):
        tokens.append(liked[tokens[-1]][which[i]] if follows[i] else fresh[i])
    return torch.tensor(tokens, dtype=torch.int64)


def text_batches(text: torch.Tensor, size: int, context: int) -> Batches:
    """Random windows of a text and their successors, both (size, context) int64."""
    while True:
        starts = torch.randint(len(text) - context - 1, (size, 1))
        window = text[starts + torch.arange(context + 1)]
        yield window[:, :-1], window[:, 1:]


def images(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gratings in a soft spot on noise: (count, 3, SIDE, SIDE) float32 in -1..1, and classes.

    A class is an angle, a frequency and a colour; phase and place of the spot are at random.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count)
    down, across = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    angle, phase, row, column = (
        values[:, None, None]
        for values in (
            np.pi * labels / CLASSES,
            rng.uniform(0, 2 * np.pi, count),
            rng.uniform(-0.25, 0.25, count),
            rng.uniform(-0.25, 0.25, count),
        )
    )
    frequency = (3 + labels % 3)[:, None, None]
    wave = np.cos(2 * np.pi * frequency * (across * np.cos(angle) + down * np.sin(angle)) + phase)
    spot = np.exp(-((down - row) ** 2 + (across - column) ** 2) / 0.08)
    colour = rng.uniform(0.2, 0.8, (CLASSES, 3))[labels][:, :, None, None]
    pixels = colour * (wave * spot)[:, None] + 0.05 * rng.standard_normal((count, 3, SIDE, SIDE))
    return torch.tensor(pixels.clip(-1, 1), dtype=torch.float32), torch.tensor(labels)


def image_batches(pixels: torch.Tensor, labels: torch.Tensor, size: int) -> Batches:
    """Random batches of images and their classes."""
    while True:
        pick = torch.randint(len(pixels), (size,))
        yield pixels[pick], labels[pick]
