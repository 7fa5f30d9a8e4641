"""Muon: steps of equal strength in every direction of a weight matrix.

Adam scales each number of a gradient by itself; Muon makes the momentum's matrix orthogonal, so
that directions which few pictures ask for move as far as the strong ones (K. Jordan et al., 2024,
"Muon: An optimizer for hidden layers in neural networks"). A step is scaled to the size of AdamW's
(J. Liu et al., 2025, arXiv:2502.16982), so that both share their learning rates. PyTorch's own
Muon takes no convolutions and computes in bfloat16, which most processors only emulate.
"""

from typing import Any

import torch
from torch import Tensor

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
_MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """Moves weights of two or more dimensions; the rows of their matrix are the outputs."""

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        """Begin without momentum.

        Args:
            params: weights ``(out, ...)``, or groups of them.
            lr: learning rate on AdamW's scale.
            weight_decay: share of a weight, times ``lr``, that a step takes away.
        """
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            for weight in (p for p in group["params"] if p.grad is not None):
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - _MOMENTUM)
                towards = weight.grad.lerp(momentum, _MOMENTUM)
                matrix = towards.flatten(1)
                strength = 0.2 * max(matrix.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                moved = orthogonalised(matrix).view_as(weight)
                weight.add_(moved, alpha=-group["lr"] * strength)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Nearly the closest matrix with orthonormal rows or columns, whichever are fewer.

    Five rounds of a polynomial that takes every singular value to within about 0.3 of 1.

    Args:
        matrix: ``(M, N)``.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
