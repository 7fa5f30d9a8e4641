"""CLIP's byte-pair tokenizer.

Text is repaired with ftfy, lower-cased, split into words, and each word's UTF-8 bytes are merged
pair by pair in the order of the merges table. Byte-pair encoding: Sennrich et al., ACL 2016.
"""

import gzip
import html
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import ftfy
import regex
import torch
from torch import Tensor

START, END = "<|startoftext|>", "<|endoftext|>"
_WORD = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)
_END_OF_WORD = "</w>"


@cache
def _byte_symbols() -> dict[int, str]:
    """A printable character for every byte: itself where it is printable, else one from 256 up."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable}
    return symbols | {byte: chr(256 + i) for i, byte in enumerate(others)}


@cache
def _merge_ranks() -> dict[tuple[str, str], int]:
    with gzip.open(Path(__file__).with_name("merges.txt.gz"), "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()[1:]
    pairs = (line.split() for line in lines)
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


@cache
def vocabulary() -> dict[str, int]:
    """Token strings to ids: 256 bytes, 256 word-final bytes, the merges, start and end."""
    symbols = list(_byte_symbols().values())
    final = [symbol + _END_OF_WORD for symbol in symbols]
    tokens = [*symbols, *final, *map("".join, _merge_ranks()), START, END]
    return {token: i for i, token in enumerate(tokens)}


@cache
def _word_ids(word: str) -> tuple[int, ...]:
    """Ids of one word, by merging its best-ranked pair until none is left."""
    if word in (START, END):
        return (vocabulary()[word],)
    ranks = _merge_ranks()
    symbols = [_byte_symbols()[byte] for byte in word.encode("utf-8")]
    symbols[-1] += _END_OF_WORD
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda p: ranks.get(p, len(ranks)))
        if best not in ranks:
            break
        merged, i = [], 0
        while i < len(symbols):
            is_best = tuple(symbols[i : i + 2]) == best
            merged.append("".join(best) if is_best else symbols[i])
            i += 2 if is_best else 1
        symbols = merged
    return tuple(vocabulary()[symbol] for symbol in symbols)


def encode(text: str) -> list[int]:
    """Token ids of a text, without start and end marks.

    >>> encode("Good image")
    [886, 2867]
    """
    clean = html.unescape(html.unescape(ftfy.fix_text(text)))
    return [i for word in _WORD.findall(" ".join(clean.split()).lower()) for i in _word_ids(word)]


def tokenize(texts: Sequence[str], *, context_length: int = 77, truncate: bool = False) -> Tensor:
    """Token ids ``(N, context_length)`` of texts, between start and end marks, padded with zeros.

    ``truncate`` cuts an over-long prompt instead of refusing it.

    Raises:
        TypeError: ``texts`` is one string, or holds something that is not a string.
        ValueError: a prompt is too long and ``truncate`` is off.
    """
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"expected a sequence of strings, got {texts!r}; wrap one prompt in a list")
    rows = torch.zeros(len(texts), context_length, dtype=torch.long)
    start, end = vocabulary()[START], vocabulary()[END]
    for row, text in zip(rows, texts, strict=True):
        ids = [start, *encode(text), end]
        if len(ids) > context_length:
            if not truncate:
                raise ValueError(
                    f"the prompt {text!r} has {len(ids)} tokens, CLIP reads {context_length}; "
                    "shorten it, or pass truncate=True to cut it"
                )
            ids = [*ids[: context_length - 1], end]
        row[: len(ids)] = torch.tensor(ids)
    return rows
