"""The models: transformers for tokens and for images, a classifier of convolutions, low-rank
adapters, a GAN's two halves and a policy."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.workloads.data import CLASSES, SIDE

HEADS = 4


class Block(nn.Module):
    """A pre-norm transformer block: attention, then a two-layer perceptron."""

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> Any:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, HEADS, width // HEADS)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        x = x + self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    """Blocks that predict the next token."""

    def __init__(self, vocabulary: int, width: int, depth: int, context: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, causal=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        for block in self.blocks.children():  # as GPT-2: the residual stream keeps its size
            for name in ("proj", "down"):
                nn.init.normal_(getattr(block, name).weight, std=0.02 / (2 * depth) ** 0.5)

    def forward(self, text: torch.Tensor) -> Any:
        x = self.tokens(text) + self.positions(torch.arange(text.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class LowRank(nn.Module):
    """A frozen linear layer and its adapter, B A times a scale (Hu et al., LoRA, ICLR 2022)."""

    RANK, SCALE = 8, 2.0

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        inner = frozen.in_features
        self.a = nn.Parameter(torch.randn(self.RANK, inner) / inner**0.5)
        self.b = nn.Parameter(torch.zeros(frozen.out_features, self.RANK))

    def forward(self, x: torch.Tensor) -> Any:
        return self.frozen(x) + self.SCALE * (x @ self.a.T) @ self.b.T

    def delta(self) -> torch.Tensor:
        """What the adapter adds to the frozen weight."""
        return self.SCALE * self.b @ self.a


class Vit(nn.Module):
    """Blocks over patches of 4 x 4 pixels, averaged to one class."""

    PATCH = 4

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, self.PATCH, stride=self.PATCH)
        self.positions = nn.Parameter(0.02 * torch.randn((SIDE // self.PATCH) ** 2, width))
        self.blocks = nn.ModuleList(Block(width, causal=False) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, pixels: torch.Tensor) -> Any:
        x = self.patches(pixels).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class Cnn(nn.Module):
    """Two convolutions with ReLU and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(64, CLASSES)

    def forward(self, pixels: torch.Tensor) -> Any:
        return self.head(self.features(pixels).amax((2, 3)))


def generator(noise: int) -> nn.Sequential:
    """Noise (n, noise) to images, by transposed convolutions."""
    return nn.Sequential(
        nn.Linear(noise, 128 * 4 * 4), nn.ReLU(), nn.Unflatten(1, (128, 4, 4)),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, stride=2, padding=1), nn.Tanh(),
    )  # fmt: skip


def discriminator() -> nn.Sequential:
    """Images to one logit: real or not; 170 000 parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(128 * 4 * 4, 1),
    )  # fmt: skip


def policy(observations: int, actions: int) -> nn.Sequential:
    """Observations to logits of actions, through two layers of 256."""
    return nn.Sequential(
        nn.Linear(observations, 256), nn.Tanh(),
        nn.Linear(256, 256), nn.Tanh(),
        nn.Linear(256, actions),
    )  # fmt: skip
