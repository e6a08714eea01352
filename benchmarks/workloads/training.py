"""What all workloads share: seeds, a training loop, and tensors joined to one vector."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from benchmarks.workloads.data import Batches

Vector = npt.NDArray[np.float32]
SEED = 2017  # of weights and batches; data have seeds of their own


def one_thread() -> None:
    """Makes torch repeatable: the order of float sums, hence the bits, depends on the threads."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def joined(tensors: Iterable[torch.Tensor | None]) -> Vector:
    """Tensors flattened and put one after another, in float32."""
    parts = [part.detach().flatten() for part in tensors if part is not None]
    result: Vector = torch.cat(parts).numpy().astype(np.float32)
    return result


def gradients(model: nn.Module) -> Vector:
    """The gradients of all parameters that have one, in the model's order."""
    return joined(p.grad for p in model.parameters())


def backward(model: nn.Module, batches: Batches) -> float:
    """Puts the gradient of the next batch's cross entropy into the parameters; returns that."""
    x, y = next(batches)
    loss = functional.cross_entropy(model(x).flatten(0, -2), y.flatten())
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def train(
    model: nn.Module, batches: Batches, steps: int, rate: float, decay: float = 0.0
) -> torch.optim.AdamW:
    """So many steps of AdamW on parameters that want gradients; the optimizer, for its state."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(wanted, lr=rate, weight_decay=decay)
    for _ in range(steps):
        backward(model, batches)
        optimizer.step()
    return optimizer
