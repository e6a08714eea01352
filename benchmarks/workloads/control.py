"""A workload of reinforcement learning: the policy gradient of a pole on a cart."""

from __future__ import annotations

from typing import NamedTuple

import torch

from benchmarks.workloads.models import policy
from benchmarks.workloads.training import SEED, Vector, gradients

EPISODES, LONGEST = 64, 200
DISCOUNT = 0.99
GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
FARTHEST, WIDEST = 2.4, 0.21  # metres and radians at which an episode ends


class Episodes(NamedTuple):
    """What was seen and done; the first axis is time, the second the episode."""

    states: torch.Tensor  # (steps, EPISODES, 4)
    actions: torch.Tensor  # (steps, EPISODES), 0 or 1
    alive: torch.Tensor  # (steps, EPISODES), 1 before the end and 0 after it


def move(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """One step of Euler (Barto, Sutton, Anderson, 1983): place, speed, angle, turning."""
    speed, angle, turning = state[:, 1:].unbind(1)
    total, moment = CART + POLE, POLE * HALF_LENGTH
    sine, cosine = angle.sin(), angle.cos()
    push = (FORCE * (2.0 * action - 1) + moment * turning**2 * sine) / total
    down = GRAVITY * sine - cosine * push
    bend = down / (HALF_LENGTH * (4 / 3 - POLE * cosine**2 / total))
    gain = push - moment * bend * cosine / total
    rates = torch.stack((speed, gain, turning, bend), 1)
    return state + SECONDS * rates


@torch.no_grad()
def play(actor: torch.nn.Module) -> Episodes:
    """Episodes side by side, with actions drawn from the policy."""
    state = 0.1 * torch.rand(EPISODES, 4) - 0.05
    alive = torch.ones(EPISODES)
    rows = []
    for _ in range(LONGEST):
        action = torch.distributions.Categorical(logits=actor(state)).sample()  # type: ignore[no-untyped-call]
        rows.append((state, action, alive))
        state = move(state, action)
        alive = alive * (state[:, 0].abs() < FARTHEST) * (state[:, 2].abs() < WIDEST)
        if not alive.any():
            break
    return Episodes(*(torch.stack(column) for column in zip(*rows, strict=True)))


def backward(actor: torch.nn.Module) -> None:
    """The gradient of REINFORCE (Williams, 1992), by advantages of mean 0 and deviation 1."""
    seen = play(actor)
    returns = torch.zeros_like(seen.alive)
    ahead = torch.zeros(EPISODES)
    for step in range(len(seen.alive) - 1, -1, -1):
        ahead = seen.alive[step] * (1 + DISCOUNT * ahead)
        returns[step] = ahead
    counted = seen.alive > 0
    gains = returns[counted]
    gains = (gains - gains.mean()) / gains.std()
    chances = torch.distributions.Categorical(logits=actor(seen.states[counted]))
    chosen = chances.log_prob(seen.actions[counted])  # type: ignore[no-untyped-call]
    loss = -(chosen * gains).mean()
    actor.zero_grad()
    loss.backward()


def policy_gradient() -> Vector:
    """The policy's gradient at its tenth update."""
    torch.manual_seed(SEED)
    actor = policy(observations=4, actions=2)
    optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
    for _ in range(10):
        backward(actor)
        optimizer.step()
    backward(actor)
    return gradients(actor)
