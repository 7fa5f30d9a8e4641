"""Token embeddings of which only the trained rows are kept.

CLIP's vocabulary has 49,408 tokens; a small CLIP meets some hundreds of them in training. Its file
holds those rows and their ids, and every other row is filled with the mean of the trained ones:
an unknown word then reads as an average word, and a prompt is still placed by the words known.
"""

from collections.abc import Mapping

from torch import Tensor

VOCABULARY = 49_408
ROWS, WEIGHT = "token_embedding.rows", "token_embedding.weight"


def expand_token_rows(
    state: Mapping[str, Tensor], vocabulary: int = VOCABULARY
) -> dict[str, Tensor]:
    """The state with a full token embedding; unchanged where it has one already.

    Args:
        state: tensors under OpenAI's names; ``token_embedding.rows`` holds the ids ``(R,)`` of
            the rows ``(R, width)`` in ``token_embedding.weight``.
        vocabulary: number of rows wanted.

    Raises:
        ValueError: ids and rows do not fit together, or an id lies outside the vocabulary.
    """
    if ROWS not in state:
        return dict(state)
    rows, known = state[ROWS].long(), state[WEIGHT]
    if rows.shape != known.shape[:1]:
        raise ValueError(
            f"{ROWS} lists {tuple(rows.shape)} ids for {tuple(known.shape)} rows of {WEIGHT}"
        )
    if len(rows) == 0 or int(rows.min()) < 0 or int(rows.max()) >= vocabulary:
        raise ValueError(
            f"{ROWS} must list ids from 0 to {vocabulary - 1}, got {rows.tolist()[:5]}"
        )
    full = known.float().mean(0).to(known.dtype).repeat(vocabulary, 1)
    full[rows] = known
    return {name: tensor for name, tensor in state.items() if name != ROWS} | {WEIGHT: full}
