"""Captures the real gradients that ship as python/qsgd/data/gradients.npz.

Three small models train on data that comes with Python and scikit-learn, on one CPU thread; at a
stated step the gradient of every parameter is stored as float32 under "model/parameter". The
benchmark, the demo and the tests start from these tensors (tensor -> norm -> levels -> rounding ->
code -> frame). Run: python tools/capture_gradients.py [OUT.npz]; needs torch and scikit-learn.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import platform
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped,import-not-found,unused-ignore]
from torch import nn
from torch.nn import functional

SEED = 2017  # the year of the QSGD paper
LIMIT_BYTES = 1_000_000  # of the file, so that the wheel stays small
VOCABULARY = 128  # bytes of ASCII
CONTEXT = 64  # characters per training sequence
DEFAULT_OUT = Path(__file__).resolve().parents[1] / "python" / "qsgd" / "data" / "gradients.npz"


class Cnn(nn.Module):
    """Three convolutions and two dense layers on 8x8 grey images; 86 000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1)
        self.conv2 = nn.Conv2d(24, 48, 3, padding=1)
        self.conv3 = nn.Conv2d(48, 64, 3, padding=1)
        self.fc1 = nn.Linear(64 * 16, 46)
        self.fc2 = nn.Linear(46, 10)

    def forward(self, images: torch.Tensor) -> Any:
        x = functional.relu(self.conv1(images))
        x = functional.relu(self.conv2(x))
        x = functional.max_pool2d(functional.relu(self.conv3(x)), 2)
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


class Block(nn.Module):
    """A pre-norm transformer block: causal attention, then a two-layer perceptron."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> Any:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Two blocks of width 48 that predict the next character; 72 000 parameters."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.block1 = Block(width, heads=4)
        self.block2 = Block(width, heads=4)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, text: torch.Tensor) -> Any:
        x = self.tokens(text) + self.positions(torch.arange(text.shape[1]))
        return self.head(self.norm(self.block2(self.block1(x))))


class Lstm(nn.Module):
    """A two-layer LSTM that predicts the next character; 71 000 parameters."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, 32)
        self.lstm = nn.LSTM(32, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, text: torch.Tensor) -> Any:
        return self.head(self.lstm(self.tokens(text))[0])


Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def digit_batches(size: int) -> Batches:
    """Random batches of scikit-learn's digits: (size, 1, 8, 8) float32 in 0..1, (size,) int64."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    y = torch.tensor(labels, dtype=torch.int64)
    while True:
        pick = torch.randint(len(x), (size,))
        yield x[pick], y[pick]


def text_batches(size: int) -> Batches:
    """Random windows of Python's own library source and their successors, (size, CONTEXT) int64."""
    source = "".join(inspect.getsource(module) for module in (argparse, ast, textwrap))
    data = torch.tensor(list(source.encode("ascii", "replace")), dtype=torch.int64)
    while True:
        starts = torch.randint(len(data) - CONTEXT - 1, (size, 1))
        window = data[starts + torch.arange(CONTEXT + 1)]
        yield window[:, :-1], window[:, 1:]


def capture(
    name: str, build: Callable[[], nn.Module], batches: Batches, step: int, rate: float
) -> dict[str, np.ndarray]:
    """Trains for `step` updates, then returns one batch's gradients as {"name/param": float32}."""
    torch.manual_seed(SEED)
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for count in range(step + 1):
        x, y = next(batches)
        loss = functional.cross_entropy(model(x).flatten(0, -2), y.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if count < step:
            optimizer.step()
    gradients = {
        f"{name}/{key}": p.grad.numpy() for key, p in model.named_parameters() if p.grad is not None
    }
    elements = sum(g.size for g in gradients.values())
    print(f"{name}: {elements} elements, loss {loss.item():.4f} at step {step}")
    return gradients


def main() -> None:
    """Captures all models and writes the file; fails if it would pass LIMIT_BYTES."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=DEFAULT_OUT)
    out = parser.parse_args().out
    torch.set_num_threads(1)  # the order of float sums, hence the bits, depends on the threads
    torch.use_deterministic_algorithms(True)
    gradients = capture("cnn", Cnn, digit_batches(64), step=20, rate=1e-3)
    gradients |= capture("transformer", Transformer, text_batches(16), step=60, rate=3e-3)
    gradients |= capture("lstm", Lstm, text_batches(16), step=0, rate=3e-3)
    arrays: dict[str, Any] = dict(gradients)
    np.savez(out, **arrays)
    size = out.stat().st_size
    print(f"{out}: {len(gradients)} tensors, {sum(g.size for g in gradients.values())} elements,")
    print(
        f"{size} bytes; Python {platform.python_version()}, torch {torch.__version__}, NumPy",
        np.__version__,
    )
    if size > LIMIT_BYTES:
        raise SystemExit(f"larger than {LIMIT_BYTES} bytes")


if __name__ == "__main__":
    main()
