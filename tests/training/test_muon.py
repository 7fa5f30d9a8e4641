"""Muon's steps against singular values and PyTorch's own optimiser."""

import pytest
import torch

from maclip_lab.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(24, 24), (16, 40), (40, 16)])
def test_every_singular_value_comes_close_to_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_singular_vectors_stay() -> None:
    matrix = torch.randn(8, 20, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalised(matrix) @ right.T
    assert (turned - torch.diag(turned.diag())).abs().max() < 1e-4


def test_matrices_move_as_with_pytorchs_muon() -> None:
    generator = torch.Generator().manual_seed(2)
    start = torch.randn(12, 30, generator=generator)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine = Muon([ours], lr=0.02, weight_decay=0.1)
    known = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(5):
        gradient = torch.randn(12, 30, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        known.step()
    moved = theirs.detach() - start
    # PyTorch computes the orthogonal matrix in bfloat16.
    assert (ours.detach() - theirs.detach()).norm() < 0.02 * moved.norm()


def test_a_convolution_moves_as_the_matrix_of_its_outputs() -> None:
    generator = torch.Generator().manual_seed(3)
    start, gradient = torch.randn(2, 6, 4, 3, 3, generator=generator)
    weights = [torch.nn.Parameter(start), torch.nn.Parameter(start.flatten(1).clone())]
    for weight, change in zip(weights, (gradient, gradient.flatten(1)), strict=True):
        weight.grad = change
        Muon([weight], lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(weights[0].flatten(1), weights[1])
