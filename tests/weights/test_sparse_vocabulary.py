import pytest
import torch

from maclip_lab.weights.sparse_vocabulary import expand_token_rows


def test_kept_rows_come_back_where_they_were() -> None:
    state = {"token_embedding.weight": torch.randn(50, 4), "logit_scale": torch.tensor(1.0)}
    rows = torch.tensor([3, 49, 7])
    kept = {
        "token_embedding.weight": state["token_embedding.weight"][rows],
        "token_embedding.rows": rows.to(torch.int32),
    }
    back = expand_token_rows(state | kept, vocabulary=50)
    assert set(back) == set(state)
    assert torch.equal(back["token_embedding.weight"][rows], state["token_embedding.weight"][rows])


def test_every_other_row_is_the_mean_of_the_known() -> None:
    sparse = {
        "token_embedding.weight": torch.tensor([[1.0, 3.0], [3.0, 5.0]]),
        "token_embedding.rows": torch.tensor([0, 2], dtype=torch.int32),
    }
    full = expand_token_rows(sparse, vocabulary=4)["token_embedding.weight"]
    assert torch.equal(full, torch.tensor([[1.0, 3.0], [2.0, 4.0], [3.0, 5.0], [2.0, 4.0]]))


def test_a_full_state_passes_unchanged() -> None:
    state = {"token_embedding.weight": torch.randn(5, 2)}
    back = expand_token_rows(state)
    assert back["token_embedding.weight"] is state["token_embedding.weight"]


@pytest.mark.parametrize("rows", [[0], [0, 9], [-1, 0]])
def test_rows_that_do_not_fit_are_refused(rows: list[int]) -> None:
    sparse = {
        "token_embedding.weight": torch.zeros(2, 3),
        "token_embedding.rows": torch.tensor(rows, dtype=torch.int32),
    }
    with pytest.raises(ValueError, match=r"token_embedding\.rows"):
        expand_token_rows(sparse, vocabulary=5)
