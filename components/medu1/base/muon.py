"""Muon in float32: momentum whose update to a matrix is made orthogonal, by Jordan et al. 2024 (Muon: an optimizer for
hidden layers in neural networks).

PyTorch's own works in bfloat16, which processors without instructions for it emulate forty times slower; on those the
laptop's warm start would take ten minutes in place of two. Its updates are the same to the precision of bfloat16.
"""

import math
from collections.abc import Callable, Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic Newton-Schulz iteration
ITERATIONS = 5
LEAST = 1e-7  # norm


class Muon(torch.optim.Optimizer):
    """For matrices only, with Nesterov momentum and no weight decay."""

    def __init__(self, matrices: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every matrix with a gradient; no closure is called."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    update = orthogonal(self._moved(matrix, group["momentum"]))
                    matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1])))

    def _moved(self, matrix: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        """The gradient with its momentum."""
        state, gradient = self.state[matrix], matrix.grad
        assert gradient is not None
        average = state.setdefault("average", torch.zeros_like(gradient))
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """About the nearest matrix [rows, columns] whose singular values are all 1: all but tiny ones come to lie in
    [0.7, 1.2]."""
    a, b, c = COEFFICIENTS
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=LEAST)
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
