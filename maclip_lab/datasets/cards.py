"""What is known of each data set before its first file is opened, and how one may be opened.

Counts and ranges are those of the publishers' annotation files; ``"paper"`` counts are those of the
lists published with MA-CLIP (arXiv:2511.09948), mistakes included.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from maclip_lab.crops import SETS, canonical_name
from maclip_lab.fusion import option

Variant = Literal["standard", "paper"]
_MACHINERY = ("file", "picture", "words", "ref_case", "example", "stand_in")


@dataclass(frozen=True, kw_only=True)
class Card:
    """Facts about one data set; what they mean stands at the head of data/datasets.toml."""

    name: str
    title: str
    url: str = ""
    licence: str = "not stated"
    citation: str = ""
    layout: str = ""
    annotations: str = ""
    rows: int
    paper_rows: int = 0
    mos_range: tuple[float, float]
    higher_is_better: bool = True
    paper: bool = False
    resize: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    other_sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    level_is_severity: bool = False
    unordered: tuple[str, ...] = ()
    partial_rows: tuple[int, ...] = ()
    scores: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    note: str = ""
    aliases: tuple[str, ...] = ()
    stand_in: Mapping[str, str] = field(default_factory=dict)
    file: tuple[Mapping[str, Any], ...] = ()
    picture: str = ""
    words: Mapping[str, Any] = field(default_factory=dict)
    ref_case: Literal["", "upper", "lower"] = ""
    example: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def describe(self, picture: str) -> dict[str, str | int]:
        """What a picture's name says of it; nothing where it is no name of this set.

        >>> card_for("kadid").describe("I01_10_05.png")
        {'ref_id': 'I01', 'dist_type': 'JPEG', 'dist_level': 5}
        """
        match = re.fullmatch(self.picture, picture, re.IGNORECASE) if self.picture else None
        facets: dict[str, Any] = match.groupdict() if match else {}
        for part, words in self.words.items():
            if facets.get(part) is not None:
                facets[part] = words.get(facets[part].lower())
                if facets[part] is None:
                    return {}
        if "dist_level" in facets:
            facets["dist_level"] = int(facets["dist_level"])
        if self.ref_case and "ref_id" in facets:
            facets["ref_id"] = getattr(facets["ref_id"], self.ref_case)()
        return facets


def make_card(name: str, facts: Mapping[str, Any]) -> Card:
    """A block of data/datasets.toml as a card.

    >>> make_card("mine", {"title": "Mine", "rows": 3, "mos_range": [1, 5]}).paper_rows
    3
    """
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in facts.items()}
    return Card(name=name, **{"paper_rows": facts["rows"]} | given)


CARDS = {name: make_card(name, facts) for name, facts in SETS.items()}
"""Card of each data set by its canonical name."""


def card_for(dataset: str) -> Card:
    """The card of a data set, found by any of its names.

    >>> card_for("CLIVE").rows
    1162
    """
    return CARDS[canonical_name(dataset)]


@dataclass(frozen=True)
class Choices:
    """How a data set or a list of one's own is opened; each field says what it is in ``help``."""

    annotations: str | os.PathLike[str] | None = option(
        None,
        "Your own list of pictures and scores: .csv, .txt, .xlsx, .json, .parquet.",
        type=Path | None,
    )
    variant: Variant = option(
        "standard", '"standard", or "paper" for exactly the list published with MA-CLIP.'
    )
    resolution: str | None = option(None, "Of KonIQ-10k: 1024x768, the default, or 512x384.")
    scores: str | None = option(
        None, "KonIQ-10k: mos, the default, or zscore; AGIQA-1K: zscore or raw."
    )
    split: str | None = option(None, "One part, such as test, of a set or list that has parts.")
    path_column: str | None = option(None, "Column of your list that holds the pictures.")
    score_column: str | None = option(None, "Column of your list that holds the scores.")
    reference_column: str | None = option(
        None, "Column of your list that says which pictures are versions of one content."
    )
    higher_is_better: bool | None = option(
        None,
        "Direction of your list's scores; higher, unless it is one of the known sets'.",
        flags="--higher-is-better/--lower-is-better",
    )
    mos_range: tuple[float, float] | None = option(
        None, "Lowest and highest possible score of your list."
    )
    on_duplicate: Literal["error", "keep", "mean"] = option(
        "error", "What a picture in several rows means; mean: each row is a rating."
    )
    on_collision: Literal["error", "first"] = option(
        "error", "What a name borne by several files means."
    )
    missing: Literal["drop", "keep", "error"] = option(
        "drop", "What becomes of rows whose picture is absent."
    )
    n_pictures: int | None = option(
        None, "So many pictures, drawn at random and always the same.", min=1
    )

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, "standard", "paper")
        check_choice("on_duplicate", self.on_duplicate, "error", "keep", "mean")
        check_choice("on_collision", self.on_collision, "error", "first")
        check_choice("missing", self.missing, "error", "drop", "keep")

    @property
    def given(self) -> dict[str, object]:
        """What is not left at its default."""
        values = {each.name: (getattr(self, each.name), each.default) for each in fields(self)}
        return {name: value for name, (value, usual) in values.items() if value != usual}

    def check(self, card: Card) -> None:
        """Raise ``ValueError`` where a set has not the choice that is made."""
        if self.on_duplicate == "mean":
            raise ValueError('on_duplicate="mean" (--on-duplicate mean) is for a list of your own')
        for name, allowed in (("resolution", card.resolutions), ("scores", card.scores)):
            value = getattr(self, name)
            if value is None:
                continue
            if not allowed:
                raise ValueError(f"{card.name} has one kind of {name}; got {name}={value!r}")
            check_choice(name, value, *allowed)
            if self.variant == "paper" and value != allowed[0]:
                raise ValueError(
                    f"the paper uses {name}={allowed[0]!r}; {name}={value!r} is for "
                    "variant='standard' (--variant standard)"
                )


def check_choice(option: str, value: str, *choices: str) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{option} is one of {', '.join(choices)}; got {value!r}")


def complete_rows(card: Card, choices: Choices) -> tuple[int, ...]:
    """How many rows a whole copy may have; the first is the usual number."""
    if choices.variant == "paper" or choices.scores == "raw":
        return (card.paper_rows,)
    return (card.rows, *card.partial_rows)


def list_datasets() -> pd.DataFrame:
    """One row a data set: name, pictures, range, direction, licence and where to get it."""
    table = pd.DataFrame(map(vars, CARDS.values())).rename(columns={"name": "dataset"})
    table[["lowest", "highest"]] = table["mos_range"].tolist()
    table["better"] = table["higher_is_better"].map({True: "higher", False: "lower"})
    first = ["dataset", "title", "rows", "paper_rows", "lowest", "highest", "better"]
    return table[[*first, "licence", "url"]]


def show_card(dataset: str) -> str:
    """The card of a data set as text, one fact a line."""
    card = card_for(dataset)
    facts = {key: value for key, value in vars(card).items() if key not in _MACHINERY}
    facts["mos_range"] = "{:g} to {:g}".format(*card.mos_range)
    facts["resize"] = "{} x {}".format(*card.resize) if card.resize else "native size"
    facts["size"] = "{} x {}".format(*card.size) if card.size else None
    facts["other_sizes"] = ", ".join(f"{n} {w} x {h}" for n, (w, h) in card.other_sizes.items())
    shown = {k: ", ".join(map(str, v)) if isinstance(v, tuple) else v for k, v in facts.items()}
    rows = [(key.replace("_", " "), v) for key, v in shown.items() if v not in (None, "")]
    return "\n".join(f"{key:18}{value}" for key, value in rows)
