"""Muon for weight matrices (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum made orthogonal, step by step.

torch has one that computes in bfloat16; on a processor without bfloat16 that took longer than the model itself. This one
computes in float32, and matrices of one shape together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import torch

MOMENTUM: Final = 0.95
ITERATIONS: Final = 5
COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration, as published."""

LIKE_ADAM: Final = 0.2
"""Scales an update to the size that AdamW's has (arXiv 2502.16982), so that both take the same rate."""


class Muon:
    """The optimiser, with the two things that training asks of one: groups with a rate, and a step."""

    def __init__(self, matrices: Sequence[torch.Tensor], rate: float, decay: float) -> None:
        self.param_groups = [{"lr": rate}]
        self._decay = decay
        self._by_shape: dict[tuple[int, ...], list[torch.Tensor]] = defaultdict(list)
        for matrix in matrices:
            self._by_shape[tuple(matrix.shape)].append(matrix)
        self._momenta = {
            shape: torch.zeros(len(same), *shape, dtype=same[0].dtype)
            for shape, same in self._by_shape.items()
        }

    def step(self) -> None:
        """Move every matrix by its gradient."""
        rate = self.param_groups[0]["lr"]
        with torch.no_grad():
            for shape, same in self._by_shape.items():
                gradients = torch.stack([matrix.grad for matrix in same])
                momentum = self._momenta[shape].lerp_(gradients, 1 - MOMENTUM)
                updates = _orthogonal(gradients.lerp(momentum, MOMENTUM))
                scale = rate * LIKE_ADAM * max(shape) ** 0.5
                for matrix, update in zip(same, updates, strict=True):
                    matrix.mul_(1 - rate * self._decay).sub_(update, alpha=scale)


def _orthogonal(stacked: torch.Tensor) -> torch.Tensor:
    """Return about the nearest half-orthogonal matrix of each."""
    tall = stacked.shape[1] > stacked.shape[2]
    found = stacked.transpose(1, 2) if tall else stacked
    found = found / (found.norm(dim=(1, 2), keepdim=True) + 1e-7)
    first, second, third = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = found @ found.transpose(1, 2)
        found = first * found + (second * square + third * square @ square) @ found
    return found.transpose(1, 2) if tall else found
