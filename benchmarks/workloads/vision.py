"""Workloads of models for images: a small ViT, activations of a CNN, a GAN's discriminator."""

from __future__ import annotations

import torch
from torch.nn import functional

from benchmarks.workloads.data import image_batches, images
from benchmarks.workloads.models import Cnn, Vit, discriminator, generator
from benchmarks.workloads.training import SEED, Vector, backward, gradients, joined, train

IMAGES, IMAGE_SEED = 2048, 3
NOISE = 64  # numbers that a generator makes an image of


def vit() -> Vector:
    """All gradients of a vision transformer."""
    torch.manual_seed(SEED)
    model = Vit(width=96, depth=4)
    batches = image_batches(*images(IMAGES, IMAGE_SEED), size=32)
    train(model, batches, steps=40, rate=1e-3)
    backward(model, batches)
    return gradients(model)


def relu_activations() -> Vector:
    """Outputs of a CNN's second ReLU for 16 images: what split training sends."""
    torch.manual_seed(SEED)
    model = Cnn()
    batches = image_batches(*images(IMAGES, IMAGE_SEED), size=32)
    train(model, batches, steps=60, rate=3e-3)
    pixels, _ = next(batches)
    return joined([model.features(pixels[:16])])


def gan_discriminator() -> Vector:
    """The discriminator's gradient at step 60 of training against its generator."""
    torch.manual_seed(SEED)
    maker, judge = generator(NOISE), discriminator()
    batches = image_batches(*images(IMAGES, IMAGE_SEED), size=32)
    of_maker, of_judge = (
        torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for model in (maker, judge)
    )
    for _ in range(60):
        _judge_backward(judge, next(batches)[0], maker)
        of_judge.step()
        maker.zero_grad()
        fooled = functional.softplus(-judge(maker(torch.randn(32, NOISE)))).mean()
        fooled.backward()  # type: ignore[no-untyped-call]
        of_maker.step()
    _judge_backward(judge, next(batches)[0], maker)
    return gradients(judge)


def _judge_backward(judge: torch.nn.Module, real: torch.Tensor, maker: torch.nn.Module) -> None:
    """The gradient of the discriminator's loss: real images up, made ones down."""
    with torch.no_grad():
        made = maker(torch.randn(len(real), NOISE))
    judge.zero_grad()
    loss = functional.softplus(-judge(real)).mean() + functional.softplus(judge(made)).mean()
    loss.backward()  # type: ignore[no-untyped-call]
