import numpy as np
import pytest
import torch

from backbones.model import Muon, caption_loss, cosine_patches, orthogonalised, sentence_loss


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


SCALE, FEATURES, TEXTS = torch.tensor(10.0), draw(0, 6, 8), draw(1, 6, 8)


def test_neither_the_length_of_a_feature_nor_a_turn_of_the_axes_enters_a_loss():
    turn = torch.linalg.qr(draw(2, 8, 8))[0]
    claim, accepted = torch.linspace(0.1, 1, 6), torch.full((6, 6), 0.3)
    longer = torch.linspace(0.1, 9, 6)[:, None] * FEATURES

    def losses(features, texts):
        sentences = sentence_loss(features, texts, claim, SCALE)
        return caption_loss(features, texts, accepted, SCALE, torch.tensor(0.0)), sentences

    for features, texts in ((longer, TEXTS), (FEATURES @ turn, TEXTS @ turn)):
        torch.testing.assert_close(losses(features, texts), losses(FEATURES, TEXTS))


def test_of_clear_pictures_the_sentence_loss_is_the_contrastive_one():
    cosines = torch.cosine_similarity(FEATURES[:, None], TEXTS[None], dim=-1)
    own = torch.arange(6)
    wanted = sum(torch.nn.functional.cross_entropy(m, own) for m in (10 * cosines, 10 * cosines.T))
    torch.testing.assert_close(sentence_loss(FEATURES, TEXTS, torch.ones(6), SCALE), wanted / 2)


def test_the_worse_a_picture_the_less_its_sentence_pulls():
    pulls = []
    for claim in (1.0, 0.5, 0.1, 0.0):
        features = TEXTS.roll(1, 0).clone().requires_grad_()
        claims = torch.ones(6)
        claims[0] = claim
        sentence_loss(features, TEXTS, claims, SCALE).backward()
        pulls.append(float(features.grad[0].norm()))
    assert pulls == sorted(pulls, reverse=True)
    assert pulls[-1] < pulls[0] / 2


def test_several_sentences_share_a_picture():
    claim = torch.linspace(0.1, 1, 6)
    single = sentence_loss(FEATURES, TEXTS, claim, SCALE)
    doubled = sentence_loss(FEATURES, TEXTS.repeat_interleave(2, 0), claim, SCALE)
    assert float(doubled - single) == pytest.approx(np.log(2) / 2, abs=1e-5)


@pytest.mark.parametrize("shape", [(24, 24), (16, 40), (40, 16)])
def test_every_singular_value_comes_close_to_one(shape: tuple[int, int]):
    values = torch.linalg.svdvals(orthogonalised(draw(0, *shape)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_matrices_move_as_with_pytorchs_muon():
    start, *gradients = draw(2, 6, 12, 30)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine = Muon([ours], lr=0.02, weight_decay=0.1)
    known = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        known.step()
    moved = theirs.detach() - start
    # PyTorch computes the orthogonal matrix in bfloat16.
    assert (ours.detach() - theirs.detach()).norm() < 0.02 * moved.norm()


def test_a_convolution_moves_as_the_matrix_of_its_outputs():
    start, gradient = draw(3, 2, 6, 4, 3, 3)
    weights = [torch.nn.Parameter(start), torch.nn.Parameter(start.flatten(1).clone())]
    for weight, change in zip(weights, (gradient, gradient.flatten(1)), strict=True):
        weight.grad = change
        Muon([weight], lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(weights[0].flatten(1), weights[1])


def test_patch_waves_differ_and_the_first_is_flat():
    waves = cosine_patches(64, 8)
    assert waves.shape == (64, 3, 8, 8)
    assert waves[0].std() == 0
    assert len(waves.flatten(1).unique(dim=0)) > 60
