"""Make the packs of controls anew: clean photographs, untrained networks, other seeds.

python data/packs/controls.py --bsds500 FOLDER --clive FOLDER --biq2021 FOLDER [--weights FILE ...]

With ``--initialisations 0 1 2`` and so on it is data/untrained.csv that is made, from the two rated
sets. Which parts are made is said by the folders that are given. A trained network's file
NAME.safetensors gives the packs ``SET.NAME``; the untrained networks need no file.
"""

import argparse
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from maclip_lab.ablations.rated import Rated
from maclip_lab.crops import Protocol
from maclip_lab.datasets import Manifest, make_synthetic, open_dataset
from maclip_lab.datasets.degradations import DEGRADATIONS, degrade
from maclip_lab.evaluation.correlations import spearman
from maclip_lab.features import Extractor
from maclip_lab.features.packs import write_pack
from maclip_lab.prompts import PROMPT_SETS
from maclip_lab.scorer import Maclip

HERE = Path(__file__).parent
EMBEDDED = ("tiny-rn", "tiny-vit")
SEEDS = (0, 1, 2)
PICTURES = 128
TWINS = Protocol(name="every second window", stride=256)
"""Every second window in each direction: half the room, and corners, middle and thumbnail stay."""
HELD_OUT = [
    "12003", "23025", "24077", "33039", "65010", "69015", "86016", "90076", "97033",
    "106024", "134008", "138078", "144067", "153077", "157036", "159008", "159045", "159091",
    "163014", "164074", "170057", "173036", "188091", "196015", "198023", "216066", "239007",
    "296007", "302008", "376001",
]  # fmt: skip
"""The photographs of BSDS500's training and validation parts that no embedded backbone has seen."""


def main() -> None:
    """Make the parts whose folders are given."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bsds500", "clive", "biq2021"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--weights", type=Path, nargs="*", default=[])
    parser.add_argument("--no-untrained", action="store_true")
    parser.add_argument("--initialisations", type=int, nargs="*", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if given.initialisations:
            luck(rated_sets(given, work)[1:], given.initialisations, work)
            return
        if given.bsds500:
            manifest = clean_and_harmed(given.bsds500, work / "photographs")
            for backbone in EMBEDDED:
                pack(manifest, Maclip(backbone), f"clean.{backbone}", work)
        untrained = [f"{name}-untrained-{seed}" for name in EMBEDDED for seed in SEEDS]
        names = [] if given.no_untrained else untrained
        for name in [*names, *map(str, given.weights)]:
            scorer = Maclip(name)
            scorer.backbone = replace(scorer.backbone, name=Path(name).stem)  # and no path of ours
            for label, manifest in rated_sets(given, work):
                pack(manifest, scorer, f"{label}.{Path(name).stem}", work, TWINS)


def rated_sets(given: argparse.Namespace, work: Path) -> list[tuple[str, Manifest]]:
    """The sets that twins are asked on; the rated ones as far as their folders are given."""
    sets = [("severity", make_synthetic(work / "synthetic"))]
    if given.clive:
        sets.append(("clive-part", open_dataset("CLIVE", given.clive)))
    if given.biq2021:
        scores = next(given.biq2021.glob("Train*.csv"))
        sets.append(("biq2021-part", open_dataset("BIQ2021", annotations=scores)))
    return [(label, part(label, manifest)) for label, manifest in sets]


def part(label: str, manifest: Manifest) -> Manifest:
    """Some of the pictures that the shipped pack has, drawn at random; all of severity."""
    if label == "severity":
        return manifest
    shipped = open_dataset(str(HERE / f"{label}.tiny-rn.safetensors")).table["name"]
    return replace(manifest.subset(name=list(shipped)).sample(PICTURES), missing=())


def clean_and_harmed(bsds500: Path, folder: Path) -> Manifest:
    """Sixty photographs, and each once more with one harm of level 3, 4 or 5."""
    folder.mkdir()
    rows = []
    for i, (path, subset) in enumerate(sixty(bsds500)):
        kind, level = list(DEGRADATIONS)[i % len(DEGRADATIONS)], 3 + i % 3
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        for name, seen in (
            (f"{path.stem}.png", pixels),
            (f"{path.stem}.{kind}.{level}.png", degrade(pixels, kind, level=level, seed=i)),
        ):
            Image.fromarray(seen).save(folder / name)
            pristine = name == f"{path.stem}.png"
            told = ("pristine", 0) if pristine else (kind, level)
            rows.append((name, 5.0 - told[1], path.stem, *told, subset))
    columns = ["path", "mos", "ref_id", "dist_type", "dist_level", "subset"]
    return Manifest(
        pd.DataFrame(rows, columns=columns),
        dataset="BSDS500",
        higher_is_better=True,
        mos_range=(0.0, 5.0),
        protocol="native",
        variant="part",
        root=folder,
        note="pseudo-MOS: 5 minus the level of degradation; no person judged these pictures",
    )


def luck(sets: list[tuple[str, Manifest]], seeds: list[int], work: Path) -> None:
    """Write data/untrained.csv: SRCC with opinion of the cues of untrained networks."""
    rows = []
    for seed, shape in product(seeds, EMBEDDED):
        scorer = Maclip(f"{shape}-untrained-{seed}")
        for label, manifest in sets:
            name = {"clive-part": "CLIVE", "biq2021-part": "BIQ2021"}[label]
            features = Extractor(scorer, work / "store").crops(manifest, TWINS)
            rated = Rated(features, scorer.anchors, name=name)
            for cue in ("q_mag", "mean_magnitude", "norm", "q_cos"):
                srcc = spearman(rated.table[cue].to_numpy(), rated.quality.to_numpy())
                rows.append((scorer.backbone.name, name, cue, round(srcc, 4)))
    table = pd.DataFrame(rows, columns=["network", "set", "cue", "srcc"])
    table.to_csv(HERE.parent / "untrained.csv", index=False)


def sixty(bsds500: Path) -> list[tuple[Path, str]]:
    """Those that were held out of training, and thirty others drawn at random; what each is."""
    paths = {path.stem: path for path in sorted(bsds500.rglob("*.jpg"))}
    others = sorted(set(paths) - set(HELD_OUT))
    drawn = np.random.default_rng(0).choice(others, 60 - len(HELD_OUT), replace=False)
    subsets = dict.fromkeys(HELD_OUT, "held out") | dict.fromkeys(drawn.tolist(), "trained on")
    return [(paths[name], subset) for name, subset in sorted(subsets.items())]


def pack(
    manifest: Manifest, scorer: Maclip, name: str, work: Path, protocol: Protocol | None = None
) -> None:
    """Extract a set's crops and write ``NAME.safetensors`` here."""
    features = Extractor(scorer, work / "store", "fp16").crops(manifest, protocol)
    prompts = [PROMPT_SETS["maclip"]]
    print(write_pack(HERE / f"{name}.safetensors", features, None, scorer, prompts=prompts))


if __name__ == "__main__":
    main()
