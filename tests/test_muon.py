"""Muon: the updates of PyTorch's own, in float32."""

import pytest
import torch

from medu1.base.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(32, 96), (96, 32)])
def test_the_update_is_nearly_orthogonal(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.4
    assert values.max() < 1.3


def test_a_matrix_of_zeros_stays_zero() -> None:
    assert not orthogonal(torch.zeros(3, 4)).any()


@pytest.mark.parametrize("shape", [(48, 48), (24, 72), (72, 24)])
def test_it_goes_where_the_one_of_pytorch_goes(shape: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(1)
    ours, theirs = (torch.nn.Parameter(torch.zeros(shape)) for _ in range(2))
    mine = Muon([ours], lr=0.02)
    its = torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=0.0)
    for _ in range(5):
        gradient = torch.randn(shape, generator=draw)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        its.step()
    difference = (ours - theirs).norm() / theirs.norm()
    assert difference < 0.03
