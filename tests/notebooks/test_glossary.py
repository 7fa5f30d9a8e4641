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


def prose(text):
    """Sentences of a notebook: links to the glossary in brackets of their own, others left out."""
    text = NO_PROSE.sub(" ", text)
    return LINK.sub(lambda link: f"⟦{link[1]}⟧" if link[2] == PAGE else " ", text)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_first_use_of_a_term_is_linked_to_the_glossary(path):
    text = prose(markdown(read(path)))
    for term, look in TERMS.items():
        before, *after = re.split(rf"(?<![\w-]){look}(?![\w-])", text, maxsplit=1)
        assert not after or before.count("⟦") > before.count("⟧"), f"{term} after …{before[-60:]}"


def test_the_glossary_has_these_terms():
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    below = dict(itertools.pairwise(lines))
    heads = [name.strip() for line in lines for name in line.split(",")
             if below.get(line, "").startswith(": ")]  # fmt: skip
    assert set(heads) >= set(TERMS)
