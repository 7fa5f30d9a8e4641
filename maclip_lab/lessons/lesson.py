"""A notebook's one line of set-up: scorer, rated sets, checks, claims, exercises, files, style."""

import html
import os
import runpy
import sys
from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.display import HTML

from maclip_lab.ablations.claims import find_sets
from maclip_lab.ablations.rated import Rated
from maclip_lab.crops import canonical_name, is_published
from maclip_lab.datasets import EDITIONS, Manifest, open_dataset
from maclip_lab.datasets.readers import READERS
from maclip_lab.evaluation import Estimate, EvaluationSettings
from maclip_lab.features import Extractor, Features
from maclip_lab.features.packs import SEVERITY, SHIPPED, open_pack, shipped_pack, write_pack
from maclip_lab.files.identity import data_path
from maclip_lab.images import find_pictures
from maclip_lab.lessons.outputs import Outputs, explorer_page
from maclip_lab.lessons.verdicts import Cell, Claim, Direction, Matrix, Prediction, Verdict
from maclip_lab.plots import PALETTE, backbone_label, palette, set_house_style
from maclip_lab.scorer import Maclip
from maclip_lab.weights.names import UNTRAINED
from maclip_lab.weights.places import cache_folder

BACKBONES = ("tiny-rn", "tiny-vit")
SETS = {"CLIVE": "clive-part", "BIQ2021": "biq2021-part", "severity": SEVERITY}
"""The three shipped sets, as a notebook calls them, and as its parameters do."""
PHOTOS = "photos"
"""What notebooks name that look at pictures one by one: those that ship with the project."""
N_BOOT = 2000
_TWINS = 3
_SYNTHETIC = "synthetic"  # what severity is made of, for a backbone that has no pack of it
_TITLES = {dataset: name for name, dataset in SETS.items()}
Folder = str | os.PathLike[str] | None
Judges = Mapping[str, Callable[[Any, "Lesson"], object]]


@cache
def judges() -> Judges:
    """What exercises are judged by, out of a reader's sight: it lies beside the solutions.

    Raises:
        FileNotFoundError: a notebook was moved away from its solutions.
    """
    checkout = data_path().parent / "notebooks" / "solutions" / "judges.py"
    for file in (Path("solutions", "judges.py"), Path("judges.py"), checkout):
        if file.is_file():
            return dict(runpy.run_path(str(file))["JUDGES"])
    raise FileNotFoundError("exercises are judged by solutions/judges.py, which is not here")


class Cells(UserDict[Cell, Any]):
    """Rated sets by backbone and name, each opened when it is first asked for."""

    def __getitem__(self, cell: Cell) -> Rated:
        if callable(self.data[cell]):
            self.data[cell] = self.data[cell]()
        rated: Rated = self.data[cell]
        return rated

    def __repr__(self) -> str:
        return "\n".join(f"{backbone} on {name}" for backbone, name in self)


class Lesson:
    """What a notebook, such as ``"04"``, works with, from its parameters.

    Backbone, device and precision are as `Maclip` takes them; data set, root, variant and further
    choices (``score_column``, ...) as `open_dataset` does, or ``"clive-part"``, ``"biq2021-part"``.
    Of the set asked for at most ``n_pictures`` are taken. Every bootstrap has ``n_boot`` resamples
    and this seed. ``store`` is the folder of the feature store, None for the one that all notebooks
    share; ``out`` one for every figure and table that is shown, None for none.

    ``cells`` are the shipped rated sets, ``{(backbone, set): Rated}``, each opened when first asked
    for; before them what the parameters ask for.
    """

    def __init__(
        self,
        number: str,
        backbone: str = BACKBONES[0],
        dataset: str = "clive-part",
        root: Folder = None,
        *,
        seed: int = 0,
        n_boot: int = N_BOOT,
        n_pictures: int | None = None,
        device: str = "auto",
        precision: str = "fp32",
        variant: str | None = None,
        store: Folder = None,
        out: Folder = None,
        **choices: Any,
    ) -> None:
        self.number, self.backbone = number, backbone_label(backbone)
        self._given, self._root, self._store, self._out = backbone, root, store, out
        self._open_scorer = partial(Maclip, device=device, precision=precision)
        self._rated = partial(Rated, statistics=EvaluationSettings(n_boot, seed))
        self._choices = {"n_pictures": n_pictures, "variant": variant, **choices}
        is_synthetic = dataset.lower() == _SYNTHETIC and root is None
        self._dataset = SEVERITY if is_synthetic else dataset
        if dataset.lower() in _TITLES:
            self._dataset = dataset.lower()
        self._asked = self.backbone, _title(self._dataset)
        self._claims: dict[str, Claim] = {}
        is_default = (seed, n_pictures, variant, precision) == (0, None, None, "fp32")
        is_shipped = backbone == BACKBONES[0] and dataset in ("clive-part", PHOTOS)
        is_shipped &= not Path(dataset).is_dir()  # a reader's own folder may be called photos
        self.shipped = is_default and is_shipped and root is None and n_boot == N_BOOT
        if not self.shipped:
            print("Titles and sentences of this notebook tell what its shipped parameters show.")
        set_house_style()
        PALETTE.update(palette(self._asked))
        self._outputs = Outputs(out, number)
        cells = {self._asked: partial(self._open, backbone, self._dataset, is_asked=True)}
        if self.backbone not in BACKBONES:
            cells.setdefault((self.backbone, "severity"), partial(self._open, backbone, SEVERITY))
        for name, (title, shipped) in product(BACKBONES, SETS.items()):
            cells.setdefault((name, title), partial(self._open, name, shipped))
        self.cells = Cells(cells)

    @cached_property
    def scorer(self) -> Maclip:
        """The backbone asked for, loaded when it is first needed."""
        return self._open_scorer(self._given)

    @cached_property
    def pictures(self) -> list[Path]:
        """Pictures to look at one by one: of the folder or list asked for, else those shipped."""
        name, folder = self._dataset, Path(self._dataset)
        is_list = "=" in name or folder.suffix.lower() in READERS
        is_shipped = name.lower() in (PHOTOS, "native", *EDITIONS, *SHIPPED, SEVERITY)
        if is_shipped and not folder.is_dir():
            folder = Path(self._root or data_path("photos"))
        elif not folder.is_dir():
            if self._root is not None or is_list:
                return open_set(name, self._root, self._store, **self._choices).paths
            canonical_name(name)  # or there is no such set
            folder = data_path("photos")
        paths, most = find_pictures(folder), self._choices["n_pictures"]
        if most is not None and most < len(paths):
            drawn = np.random.default_rng(0).choice(len(paths), most, replace=False)
            paths = [paths[i] for i in sorted(drawn)]
        return paths

    def paper_sets(self) -> tuple[dict[str, Rated], dict[str, str]]:
        """The paper's data sets below the root, and why some are left out.

        Each is seen by the backbone asked for, in the rows of the paper's list. Where the notebook
        writes files, its features are written as a pack.
        """
        if self._root is None:
            return {}, {}
        manifests, left_out = find_sets(self._root)
        rated = {}
        for name, manifest in manifests.items():
            crops, wholes = extract(manifest, self.scorer, self._store)
            anchors = self.scorer.anchors
            rated[name] = self._rated(crops, anchors, wholes, backbone=self.backbone, name=name)
            if self._out is not None:
                path = Path(self._out) / "packs" / f"{name}.{Path(self.backbone).stem}.safetensors"
                write_pack(path, crops, wholes, self.scorer)
        return rated, left_out

    @property
    def asked(self) -> Rated:
        """The data set asked for as the backbone asked for sees it."""
        return self.cells[self._asked]

    @cached_property
    def twins(self) -> Cells:
        """Networks of a cell's shape beside the cells, ``{(network, set): Rated}``.

        The untrained ones, ``tiny-rn-untrained-0`` and so on, are what a backbone shows before any
        training; others, ``tiny-rn-seed-0``, were trained like the shipped one and by another seed.
        The shipped packs hold fewer pictures and every second window. A backbone of one's own is
        joined by untrained networks of its shape.
        """
        twins: dict[Cell, Callable[[], Rated]] = {}
        for title, dataset in SETS.items():
            for path in sorted(data_path("packs").glob(f"{dataset}.*.safetensors")):
                network = path.name.split(".")[1]
                if network not in BACKBONES:
                    twins[network, title] = partial(self._open, network, dataset)
        if self.backbone not in BACKBONES:
            datasets = dict.fromkeys([self._dataset, SEVERITY])
            with_pictures = [name for name in datasets if name not in SHIPPED]
            for twin, dataset in product(range(_TWINS), with_pictures):
                network, is_asked = f"{self._given}{UNTRAINED}{twin}", dataset == self._dataset
                opened = partial(self._open, network, dataset, is_asked=is_asked)
                twins[f"{self.backbone}{UNTRAINED}{twin}", _title(dataset)] = opened
        return Cells(twins)

    @cached_property
    def clean(self) -> Mapping[str, Rated]:
        """Sixty clean photographs and a harmed copy of each, as each embedded backbone sees them.

        ``dist_level`` of their ``table`` is 0 for the clean ones. Of a backbone of one's own there
        is no such pack: the twelve shipped photographs, clean and harmed, stand in.
        """
        clean = {}
        for name in BACKBONES:
            pack = open_pack(shipped_pack("clean", name))
            clean[name] = self._rated(pack.crops, pack.anchors, backbone=name, name="BSDS500")
        if self.backbone not in BACKBONES:
            clean[self.backbone] = self.cells[self.backbone, "severity"]
        return clean

    def check(self, holds: object, sentence: str) -> Verdict:
        """A sentence of the text, which has to hold for the notebook's own parameters."""
        if bool(holds):
            return Verdict("✓", sentence)
        if self.shipped:
            raise AssertionError(f"does not hold: {sentence}")
        return Verdict("✗", f"does not hold with these parameters: {sentence}")

    def identity(self, holds: object, sentence: str) -> Verdict:
        """A sentence that follows from the method, and has to hold whatever the backbone."""
        if not bool(holds):
            raise AssertionError(f"holds by construction, and does not: {sentence}")
        return Verdict("=", sentence)

    def claim(
        self,
        statement: str,
        estimates: Mapping[Cell, Estimate],
        paper: Direction | None = None,
        note: str = "",
    ) -> None:
        """Adds a row to the matrix: a `Claim`."""
        self._claims[statement] = Claim(statement, estimates, paper, note)

    def matrix(self) -> Matrix:
        """All claims so far, judged together."""
        matrix = Matrix(tuple(self._claims.values()))
        self._outputs.table(matrix.table, "matrix")
        return matrix

    def predict(self, question: str, choices: Sequence[str]) -> Prediction:
        """A question to answer before looking; ``reveal(answer)`` compares."""
        return Prediction(question, choices)

    def exercise(self, number: str, answer: object) -> Verdict:
        """Whether the answer to ``"04.2"`` is right; None, or ``...``, is none yet; no errors."""
        if answer is None or answer is ...:
            return Verdict("…", "your turn")
        try:
            table = judges()
        except FileNotFoundError:
            return Verdict("…", "this exercise is judged by your instructor, not here")
        try:
            right = bool(table[number](answer, self))
        except Exception as error:  # the answer may be of any kind, and the judge may trip over it
            return Verdict("✗", f"not yet: this cannot be judged ({error})")
        if right:
            return Verdict("✓", "correct")
        return Verdict("✗", "not yet; the solutions fold a hint away")

    def explorer(self) -> HTML:
        """Sliders of the four constants over the cues of the set asked for, as a page."""
        page = html.escape(explorer_page([self.asked]))
        return HTML(  # type: ignore[no-untyped-call]
            f'<iframe title="Explorer of MA-CLIP" srcdoc="{page}" width="100%" height="760" '
            'style="border:1px solid #c9d1d9"></iframe><p>Nothing moves here? Run this cell.</p>'
        )

    def keep(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table, which goes as CSV beside the next figure where the notebook writes files."""
        return self._outputs.keep(table)

    def _open(self, network: str, dataset: str, is_asked: bool = False) -> Rated:
        """A set as a network sees it: from the shipped pack where there is one, else extracted."""
        if dataset in SHIPPED or data_path("packs", f"{dataset}.{network}.safetensors").is_file():
            pack = open_pack(shipped_pack(dataset, network))
            crops, wholes, anchors = pack.crops, pack.whole, pack.anchors
        else:
            scorer = self.scorer if network == self._given else self._open_scorer(network)
            if dataset == SEVERITY:
                manifest = open_set(_SYNTHETIC, store=self._store)
            else:
                manifest = open_set(dataset, self._root, self._store, **self._choices)
            crops, wholes = extract(manifest, scorer, self._store)
            anchors = scorer.anchors
        n_pictures = self._choices["n_pictures"]
        if is_asked and n_pictures is not None and n_pictures < len(crops):
            manifest = crops.manifest.sample(n_pictures)
            crops = crops.subset(manifest)
            wholes = None if wholes is None else wholes.subset(manifest)
        backbone, name = backbone_label(network), _title(dataset)
        return self._rated(crops, anchors, wholes, backbone=backbone, name=name)


def _title(dataset: str) -> str:
    """What a data set is called in cells."""
    return _TITLES.get(dataset, dataset.partition("=")[0])


def open_set(
    name: str,
    root: Folder = None,
    store: Folder = None,
    n_pictures: int | None = None,
    variant: str | None = None,
    **choices: Any,
) -> Manifest:
    """`open_dataset`, as a notebook's parameters say it.

    ``"name=path"`` is your own list, and what it is called. A synthetic set without a root is made
    in the store. At most so many pictures are drawn; a variant is of the nine sets alone.
    """
    title, is_named, path = name.partition("=")
    if is_named and not Path(name).exists():
        name, choices["annotations"] = title, path
    elif root is None and name.lower() in EDITIONS:
        root = Path(store or work_folder()) / name.lower()
    if variant is not None and "annotations" not in choices and is_published(name):
        choices["variant"] = variant
    manifest = open_dataset(name, root, **choices)
    if n_pictures is None or n_pictures >= len(manifest):
        return manifest
    return manifest.sample(n_pictures)


def extract(manifest: Manifest, scorer: Maclip, store: Folder = None) -> tuple[Features, Features]:
    """Features of a manifest's crops and whole pictures.

    Where somebody watches, it is said first what extraction will cost, and a bar shows how far it
    has come; nothing of that where a program runs it, so that outputs do not depend on the machine.
    """
    shell, watched = get_ipython(), sys.stderr.isatty()
    if shell is not None and hasattr(shell, "get_parent"):  # what front ends tell a kernel
        watched = "cellId" in shell.get_parent().get("metadata", {})
    watched = watched and manifest.has_pictures
    extractor = Extractor(scorer, store or work_folder("features"), progress=watched)
    if watched:
        print(extractor.estimate(manifest))
    return extractor.crops_and_whole(manifest)


def work_folder(*parts: str) -> Path:
    """Where made data are kept: ``build/`` of a checkout, else the cache folder."""
    checkout = data_path().parent
    inside = (checkout / "pyproject.toml").is_file()
    return (checkout / "build" if inside else cache_folder()).joinpath("notebooks", *parts)
