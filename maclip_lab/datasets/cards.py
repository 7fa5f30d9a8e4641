"""What is known of each data set before its first file is opened.

Counts and ranges are those of the publishers' annotation files; ``"paper"`` counts are those of
the lists published with MA-CLIP (arXiv:2511.09948), mistakes included.
"""

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

import pandas as pd

from maclip_lab.crops import canonical_name, protocol_for

Variant = Literal["standard", "paper"]


@dataclass(frozen=True)
class Card:
    """Facts about one data set.

    Attributes:
        name: canonical name; also that of the crop protocol.
        title: the publisher's name.
        url: where to get it.
        licence: what its users may do.
        citation: the paper that introduced it.
        layout: files and folders as shipped.
        annotations: the files that hold the scores.
        rows: rows of the standard variant.
        paper_rows: rows of the paper's list.
        mos_range: lowest and highest possible score, in native units.
        higher_is_better: direction of the score.
        size: ``(width, height)`` of every picture; None where they differ or are not stated.
        other_sizes: names whose size is known to differ, with that size.
        level_is_severity: whether a higher distortion level means worse.
        unordered: distortion types for which it does not.
        partial_rows: row counts that are whole as well, such as PIPAL without its validation part.
        note: traps, and what the paper's list does differently.
    """

    name: str
    title: str
    url: str
    licence: str
    citation: str
    layout: str
    annotations: str
    rows: int
    paper_rows: int
    mos_range: tuple[float, float]
    higher_is_better: bool = True
    size: tuple[int, int] | None = None
    other_sizes: tuple[tuple[str, tuple[int, int]], ...] = ()
    level_is_severity: bool = False
    unordered: tuple[str, ...] = ()
    partial_rows: tuple[int, ...] = ()
    note: str = ""


_CARDS = (
    Card(
        name="livec",
        title="LIVE In the Wild Image Quality Challenge (CLIVE)",
        url="https://live.ece.utexas.edu/research/ChallengeDB/index.html",
        licence="use, copy, modify and distribute with the copyright notice and acknowledgement",
        citation="Ghadiyaram, Bovik, IEEE TIP 2016",
        layout="Data/*.mat; Images/*.bmp, *.JPG; Images/trainingImages/t1.bmp ... t7.bmp",
        annotations="AllImages_release.mat, AllMOS_release.mat, AllStdDev_release.mat",
        rows=1162,
        paper_rows=1169,
        mos_range=(0.0, 100.0),
        size=(500, 500),
        other_sizes=(("1024.JPG", (640, 960)), ("1113.JPG", (608, 608))),
        note="The paper's list keeps the seven pictures t1 to t7 that trained the subjects.",
    ),
    Card(
        name="AGIQA-3k",
        title="AGIQA-3K",
        url="https://github.com/lcysyzxdxc/AGIQA-3k-Database",
        licence="MIT",
        citation="Li et al., IEEE TCSVT 2023, arXiv:2306.04717",
        layout="data.csv; *.jpg beside it or in one folder",
        annotations="data.csv",
        rows=2982,
        paper_rows=2982,
        mos_range=(0.0, 5.0),
        note="The score is mos_quality; mos_align rates agreement with the prompt. "
        "dist_type is generator and mode, ref_id the prompt.",
    ),
    Card(
        name="AGIQA-1k",
        title="AGIQA-1K",
        url="https://github.com/lcysyzxdxc/AGIQA-1k-Database",
        licence="MIT",
        citation="Zhang et al., 2023, arXiv:2303.12618",
        layout="AIGC_MOS_Zscore.xlsx; file/*.jpg",
        annotations="AIGC_MOS_Zscore.xlsx (or AIGC_all.csv for raw means)",
        rows=1078,
        paper_rows=1080,
        mos_range=(0.0, 5.0),
        note="The workbook lists dreamStudio_8_9_1_1.jpg twice (0.4414 and 2.0841) and "
        "dreamStudio_8_5_0_0.jpg never. The paper keeps both rows; standard drops both.",
    ),
    Card(
        name="SPAQ",
        title="SPAQ: Smartphone Photography Attribute and Quality",
        url="https://github.com/h4nwei/SPAQ",
        licence="research and education only, notice kept",
        citation="Fang et al., CVPR 2020",
        layout="[Dataset/]TestImage/00001.jpg ...; [Dataset/]Annotations/*.xlsx",
        annotations="MOS and Image attribute scores.xlsx",
        rows=11125,
        paper_rows=11125,
        mos_range=(0.0, 100.0),
        note="Photographs of up to 20 megapixels; the protocol resizes them to 448 x 448. Unpack "
        "with a repaired archive (zip -FF), or some pictures come out damaged.",
    ),
    Card(
        name="CSIQ",
        title="CSIQ: Categorical Subjective Image Quality",
        url="https://s2.smu.edu/~eclarson/csiq.html",
        licence="not stated",
        citation="Larson, Chandler, JEI 2010",
        layout="csiq.DMOS.xlsx; dst_imgs/<type>/*.png; src_imgs/*.png",
        annotations="csiq.DMOS.xlsx or csiq_label.txt (rounded to 6 decimals)",
        rows=866,
        paper_rows=866,
        mos_range=(0.0, 1.0),
        higher_is_better=False,
        size=(512, 512),
        level_is_severity=True,
        note="The score is a DMOS: lower is better. Lists of 1 - DMOS exist; do not mix them.",
    ),
    Card(
        name="TID2013",
        title="TID2013: Tampere Image Database",
        url="http://www.ponomarenko.info/tid2013.htm",
        licence="research and education only, unmodified, notice kept",
        citation="Ponomarenko et al., SPIC 2015",
        layout="mos_with_names.txt, mos_std.txt; distorted_images/*.bmp; reference_images/*.BMP",
        annotations="mos_with_names.txt, mos_std.txt",
        rows=3000,
        paper_rows=3000,
        mos_range=(0.0, 9.0),
        size=(512, 384),
        level_is_severity=True,
        unordered=(
            "non-eccentricity pattern noise",
            "local block-wise",
            "mean shift",
            "contrast change",
        ),
        note="Letter case of names differs between the list and every copy.",
    ),
    Card(
        name="kadid",
        title="KADID-10k",
        url="http://database.mmsp-kn.de/kadid-10k-database.html",
        licence="free for research, cite; photographs from Pixabay",
        citation="Lin, Hosu, Saupe, QoMEX 2019",
        layout="dmos.csv; images/I01_01_01.png ...; references images/I01.png ... I81.png",
        annotations="dmos.csv",
        rows=10125,
        paper_rows=10125,
        mos_range=(1.0, 5.0),
        size=(512, 384),
        level_is_severity=True,
        unordered=("mean shift", "contrast change"),
        note='The column "dmos" is a MOS: higher is better. "var" is a standard deviation.',
    ),
    Card(
        name="koniq",
        title="KonIQ-10k",
        url="http://database.mmsp-kn.de/koniq-10k-database.html",
        licence="research; photographs under Creative Commons (YFCC100M)",
        citation="Hosu et al., IEEE TIP 2020",
        layout="koniq10k_scores_and_distributions.csv; 1024x768/*.jpg; 512x384/*.jpg",
        annotations="koniq10k_scores_and_distributions.csv and/or koniq10k_distributions_sets.csv",
        rows=10073,
        paper_rows=10073,
        mos_range=(1.0, 5.0),
        size=(1024, 768),
        note="The paper's list has the 5-point MOS rounded to 2 decimals, halves upwards; many "
        'papers use the z-score MOS instead: pass scores="zscore" for it.',
    ),
    Card(
        name="PIPAL",
        title="PIPAL: Perceptual Image Processing Algorithms",
        url="https://www.jasongt.com/projectpages/pipal.html",
        licence="academic use; no text published",
        citation="Gu et al., ECCV 2020, arXiv:2007.12142",
        layout="Train_Label/*.txt; Distortion_1 ... 4/*.bmp; Train_Ref/*.bmp; a validation folder",
        annotations="Train_Label/*.txt or pipal22_train.txt; pipal21_val.txt or Valid_Label/*.txt",
        rows=24200,
        paper_rows=24200,
        mos_range=(868.2988, 1857.0),
        size=(288, 288),
        partial_rows=(23200,),
        note="Elo ratings. The paper's list scales them to 0..1, train and validation separately.",
    ),
)

CARDS = MappingProxyType({card.name: card for card in _CARDS})
"""Card of each data set by its canonical name."""


def card_for(dataset: str) -> Card:
    """The card of a data set, found by any of its names.

    Raises:
        ValueError: no data set of that name is known.

    >>> card_for("CLIVE").rows
    1162
    """
    return CARDS[canonical_name(dataset)]


def list_datasets() -> pd.DataFrame:
    """One row a data set: name, pictures, range, direction, crop protocol and where to get it."""
    return pd.DataFrame(
        [
            {
                "dataset": card.name,
                "title": card.title,
                "rows": card.rows,
                "paper_rows": card.paper_rows,
                "lowest": card.mos_range[0],
                "highest": card.mos_range[1],
                "better": "higher" if card.higher_is_better else "lower",
                "licence": card.licence,
                "url": card.url,
            }
            for card in CARDS.values()
        ]
    )


def show_card(dataset: str) -> str:
    """The card of a data set as text, one fact a line."""
    card = card_for(dataset)
    facts = {key: value for key, value in asdict(card).items() if value not in (None, (), "")}
    facts["mos_range"] = f"{card.mos_range[0]:g} to {card.mos_range[1]:g}"
    facts["resize"] = protocol_for(card.name).resize
    if card.size:
        facts["size"] = f"{card.size[0]} x {card.size[1]}"
    if card.other_sizes:
        facts["other_sizes"] = ", ".join(f"{n} {w} x {h}" for n, (w, h) in card.other_sizes)
    for key in ("unordered", "partial_rows"):
        if key in facts:
            facts[key] = ", ".join(map(str, facts[key]))
    facts["resize"] = "{} x {}".format(*facts["resize"]) if facts["resize"] else "native size"
    return "\n".join(f"{key.replace('_', ' '):18}{value}" for key, value in facts.items())
