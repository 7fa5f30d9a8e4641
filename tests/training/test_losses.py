import numpy as np
import pytest
import torch

from maclip_lab.training.losses import caption_loss, sentence_loss

SCALE = torch.tensor(10.0)


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def texts() -> torch.Tensor:
    return torch.randn(6, 8, generator=torch.Generator().manual_seed(1))


def test_the_length_of_a_feature_enters_no_loss(
    features: torch.Tensor, texts: torch.Tensor
) -> None:
    lengths = torch.linspace(0.1, 9, 6)[:, None]
    claim, accepted = torch.linspace(0.1, 1, 6), torch.full((6, 6), 0.3)
    torch.testing.assert_close(
        sentence_loss(features, texts, claim, SCALE),
        sentence_loss(lengths * features, texts, claim, SCALE),
    )
    torch.testing.assert_close(
        caption_loss(features, texts, accepted, SCALE, torch.tensor(0.0)),
        caption_loss(lengths * features, texts, accepted, SCALE, torch.tensor(0.0)),
    )


def test_a_rotation_of_the_axes_changes_no_loss(
    features: torch.Tensor, texts: torch.Tensor
) -> None:
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(2)))[0]
    claim = torch.linspace(0.1, 1, 6)
    torch.testing.assert_close(
        sentence_loss(features, texts, claim, SCALE),
        sentence_loss(features @ turn, texts @ turn, claim, SCALE),
    )


def test_of_clear_pictures_the_sentence_loss_is_the_contrastive_one(
    features: torch.Tensor, texts: torch.Tensor
) -> None:
    cosines = torch.cosine_similarity(features[:, None], texts[None], dim=-1)
    own = torch.arange(6)
    wanted = sum(torch.nn.functional.cross_entropy(m, own) for m in (10 * cosines, 10 * cosines.T))
    torch.testing.assert_close(sentence_loss(features, texts, torch.ones(6), SCALE), wanted / 2)


def test_the_worse_a_picture_the_less_its_sentence_pulls(texts: torch.Tensor) -> None:
    pulls = []
    for claim in (1.0, 0.5, 0.1):
        features = texts.roll(1, 0).clone().requires_grad_()
        claims = torch.ones(6)
        claims[0] = claim
        sentence_loss(features, texts, claims, SCALE).backward()
        pulls.append(float(features.grad[0].norm()))
    assert pulls[0] > pulls[1] > pulls[2]


def test_a_picture_with_no_claim_is_pulled_to_no_sentence(texts: torch.Tensor) -> None:
    claims = torch.tensor([0.0, 1, 1, 1, 1, 1])
    kept = sentence_loss(texts, texts, claims, SCALE)
    moved = sentence_loss(torch.cat([texts[1:2], texts[1:]]), texts, claims, SCALE)
    assert moved > kept  # it takes another's sentence, which is no better than its own


def test_several_sentences_share_a_picture(features: torch.Tensor, texts: torch.Tensor) -> None:
    claim = torch.linspace(0.1, 1, 6)
    one = sentence_loss(features, texts, claim, SCALE)
    doubled = sentence_loss(features, texts.repeat_interleave(2, 0), claim, SCALE)
    assert float(doubled - one) == pytest.approx(np.log(2) / 2, abs=1e-5)
