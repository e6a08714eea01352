"""Workloads of language models: embeddings, adapters, norms and biases, Adam's state, deltas."""

from __future__ import annotations

import copy
from functools import cache

import torch
from torch import nn

from benchmarks.workloads.data import language, text_batches
from benchmarks.workloads.models import Gpt, LowRank
from benchmarks.workloads.training import SEED, Vector, backward, gradients, joined, train

CONTEXT = 64
SMALL_VOCABULARY = 256
FIRST_TEXT, OTHER_TEXT = 1, 2  # seeds of languages


def embedding_rows() -> Vector:
    """The token embedding's gradient: rows of tokens that the batch lacks are exactly zero."""
    torch.manual_seed(SEED)
    model = Gpt(vocabulary=8192, width=64, depth=2, context=CONTEXT)
    batches = text_batches(language(8192, FIRST_TEXT), 16, CONTEXT)
    train(model, batches, steps=30, rate=3e-3)
    backward(model, batches)
    return joined([model.tokens.weight.grad])


def norms_and_biases() -> Vector:
    """All gradients of layer norms and biases of a deep model, one after another."""
    torch.manual_seed(SEED)
    model = Gpt(SMALL_VOCABULARY, width=128, depth=40, context=CONTEXT)
    batches = text_batches(language(SMALL_VOCABULARY, FIRST_TEXT), 8, CONTEXT)
    train(model, batches, steps=40, rate=3e-4)
    backward(model, batches)
    return joined(p.grad for p in model.parameters() if p.ndim == 1)


@cache
def pretrained() -> tuple[Gpt, Vector]:
    """A model after 60 steps on the first language, and Adam's second moments by then."""
    torch.manual_seed(SEED)
    model = Gpt(SMALL_VOCABULARY, width=192, depth=4, context=CONTEXT)
    batches = text_batches(language(SMALL_VOCABULARY, FIRST_TEXT), 8, CONTEXT)
    optimizer = train(model, batches, steps=60, rate=1e-3)
    return model, joined(optimizer.state[p]["exp_avg_sq"] for p in model.parameters())


def adam_second_moments() -> Vector:
    """Running means of squared gradients of all parameters: nothing is negative."""
    return pretrained()[1]


@cache
def adapted() -> tuple[Vector, Vector]:
    """40 steps of LoRA on another language: the last gradient, and the change of the weights."""
    base = pretrained()[0]
    torch.manual_seed(SEED)
    model = copy.deepcopy(base).requires_grad_(False)
    adapters = []
    for block in model.blocks:
        for name in ("qkv", "proj", "up", "down"):
            adapter = LowRank(getattr(block, name))
            setattr(block, name, adapter)
            adapters.append(adapter)
    batches = text_batches(language(SMALL_VOCABULARY, OTHER_TEXT), 8, CONTEXT)
    train(model, batches, steps=40, rate=1e-3)
    backward(model, batches)
    return gradients(model), joined(adapter.delta() for adapter in adapters)


def lora_gradient() -> Vector:
    """Gradients of the factors A and B of every adapter, of rank 8."""
    return adapted()[0]


def lora_delta() -> Vector:
    """What the adapters add to the weights, B A: matrices of rank 8."""
    return adapted()[1]


def outer_delta() -> Vector:
    """Weights after 50 local steps less those before: what DiLoCo's workers send."""
    torch.manual_seed(SEED)
    model = Gpt(SMALL_VOCABULARY, width=128, depth=4, context=CONTEXT)
    batches = text_batches(language(SMALL_VOCABULARY, FIRST_TEXT), 8, CONTEXT)
    train(model, batches, steps=20, rate=1e-3, decay=0.1)
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    train(model, batches, steps=50, rate=1e-3, decay=0.1)
    return joined([nn.utils.parameters_to_vector(model.parameters()) - before])
