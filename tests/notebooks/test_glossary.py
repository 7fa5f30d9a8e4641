"""A term of art is linked to the glossary where a notebook uses it first."""

import itertools
import re

import pytest

from tests.notebooks.reading import LESSONS, ROOT, markdown, read

PAGE = "../docs/glossary.md"
TERMS = {
    "Backbone": "(?i:backbones?)",
    "Bootstrap": "(?i:bootstrap)",
    "CLIP": "CLIP",
    "CLIP-IQA": "CLIP-IQA",
    "DMOS": "DMOS",
    "Embedding": "(?<!positional )(?i:embeddings?)",
    "Holm's correction": "Holm",
    "KRCC": "KRCC",
    "MOS": "MOS",
    "Pack": "(?i:packs?)",
    "PLCC": "PLCC",
    "Pseudo-MOS": "(?i:pseudo)-MOS",
    "SRCC": "SRCC",
    "Wasserstein distance": "Wasserstein",
}
"""How each term of the glossary looks in a sentence."""
NO_PROSE = re.compile(
    r"```.*?```|\$\$.*?\$\$|`[^`]*`|\$[^$\n]+\$|!\[[^\]]*\]\([^)]*\)|^#[^\n]*$", re.M | re.S
)
LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")


def first(term, text):
    """Where a term stands first in the prose of a notebook, and where that place links to."""
    links = {match.span(1): match[2] for match in LINK.finditer(text)}
    for match in re.finditer(rf"(?<![\w-]){TERMS[term]}(?![\w-])", text):
        around = [target for (a, b), target in links.items() if a <= match.start() < b]
        inside_target = any(
            b < match.start() < b + 2 + len(target) for (a, b), target in links.items()
        )
        if inside_target or (around and around[0] != PAGE):
            continue
        return match, around[0] if around else None
    return None, None


def prose(text):
    """Text with all that is no sentence blanked out, each letter at its place."""
    return NO_PROSE.sub(lambda found: re.sub(r"\S", " ", found[0]), text)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_first_use_of_a_term_is_linked_to_the_glossary(path):
    text = prose(markdown(read(path)))
    for term in TERMS:
        match, target = first(term, text)
        assert match is None or target == PAGE, text[max(0, match.start() - 60) : match.end() + 20]


def test_the_glossary_has_these_terms():
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    below = dict(itertools.pairwise(lines))
    heads = [name.strip() for line in lines for name in line.split(",")
             if below.get(line, "").startswith(": ")]  # fmt: skip
    assert set(heads) >= set(TERMS)
